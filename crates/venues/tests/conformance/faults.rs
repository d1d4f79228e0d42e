//! The last rule, as a property: diffs that are lost, doubled, swapped or altered on their way.

use model::{Side, StreamState};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::far::{Desk, Exchange};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Deliver,
    Drop,
    Double,
    /// Delivered after the next of its book.
    Swap,
    /// A level is one unit off.
    Alter,
    /// The venue answers nothing, or does again.
    Mute,
    /// Time passes.
    Wait,
}

/// What happens, to which book, on which side, at which distance from the middle, which quantity.
type Step = (Fate, usize, bool, u32, u32);

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        12 => Just(Fate::Deliver),
        1 => Just(Fate::Drop),
        1 => Just(Fate::Double),
        1 => Just(Fate::Swap),
        1 => Just(Fate::Alter),
        1 => Just(Fate::Mute),
        1 => Just(Fate::Wait),
    ];
    (fate, 0usize..2, any::<bool>(), 1u32..12, 0u32..5)
}

/// A venue's books under random faults.
pub fn sweep(far: &dyn Fn() -> Box<dyn Exchange>) {
    if !far().facts().numbered {
        return;
    }
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(400) });
    runner
        .run(&proptest::collection::vec(step(), 1..60), |steps| {
            check(far(), &steps);
            Ok(())
        })
        .unwrap();
}

fn check(far: Box<dyn Exchange>, steps: &[Step]) {
    let mut desk = Desk::live(far);
    // Books of which something was kept back, and books that a fault ever met.
    let mut late: [Option<String>; 2] = [None, None];
    let mut touched = [false, false];
    for &(fate, of, buy, distance, quantity) in steps {
        match fate {
            Fate::Mute => {
                desk.answering = !desk.answering;
                desk.settle();
                continue;
            }
            Fate::Wait => {
                desk.pass(500);
                continue;
            }
            _ => touched[of] |= fate != Fate::Deliver,
        }
        let side = if buy { Side::Buy } else { Side::Sell };
        let price = if buy { 100 - distance } else { 100 + distance };
        let level = (price.to_string(), quantity.to_string());
        let lie = fate == Fate::Alter && desk.facts.checksummed;
        let text = desk.far.diff(of, side, (&level.0, &level.1), lie);
        match fate {
            Fate::Drop => continue,
            Fate::Swap if late[of].is_none() => {
                late[of] = Some(text);
                continue;
            }
            Fate::Double => desk.say(&text),
            _ => {}
        }
        desk.say(&text);
        if let Some(text) = late[of].take() {
            desk.say(&text);
        }
        // What waits for one before it has it, or is a gap.
        if touched[of] {
            desk.pass(250);
        }
        if desk.bench.state(desk.facts.names[of]) == StreamState::Live {
            desk.equal(of);
        }
        let other = 1 - of;
        if !touched[other] {
            desk.agree(other);
            assert_eq!(desk.bench.book(desk.facts.names[other]).generation, 1);
        }
    }
    recover(desk);
}

/// Left alone, both books are the venue's again.
fn recover(mut desk: Desk) {
    desk.answering = true;
    desk.settle();
    for _ in 0..3 {
        for of in 0..2 {
            desk.diff(of, Side::Buy, ("98", "3"));
        }
        desk.pass(12_000);
    }
    desk.agree(0);
    desk.agree(1);
}
