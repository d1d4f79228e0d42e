//! Random fates: opens, closes, answers of all kinds, losses, silence and time, in any order.

use std::collections::BTreeMap;

use model::trading::{Heard, Ticket};
use model::venue;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::far::{Answer, Asked, Desk, Far, Sent};

#[derive(Clone, Debug)]
enum Fate {
    Ask(Asked, bool),
    Answer(usize, Answer),
    Lost(usize),
    Unsent(usize),
    Report(usize),
    Frame(String),
    Open(usize),
    Close(usize),
    Pass(u64),
}

fn fate() -> impl Strategy<Value = Fate> {
    let asked = prop::sample::select(vec![
        Asked::Place,
        Asked::Cancel,
        Asked::Amend,
        Asked::Query,
        Asked::OpenOrders,
        Asked::Fills,
        Asked::Balances,
        Asked::CancelAll,
        Asked::DeadMan,
    ]);
    let answer = prop::sample::select(vec![
        Answer::Good,
        Answer::Good,
        Answer::Refused,
        Answer::NotFound,
        Answer::Unknown,
        Answer::Garbage,
    ]);
    prop_oneof![
        6 => (asked, any::<bool>()).prop_map(|(which, id)| Fate::Ask(which, id)),
        8 => (0..20usize, answer).prop_map(|(at, how)| Fate::Answer(at, how)),
        1 => (0..20usize).prop_map(Fate::Lost),
        1 => (0..20usize).prop_map(Fate::Unsent),
        2 => (0..3usize).prop_map(Fate::Report),
        1 => "[\\[{\":a-z0-9,}\\]]{0,20}".prop_map(Fate::Frame),
        1 => (0..3usize).prop_map(Fate::Open),
        1 => (0..3usize).prop_map(Fate::Close),
        2 => prop_oneof![1..2_000u64, 1..40_000u64].prop_map(Fate::Pass),
    ]
}

/// Every ticket has exactly one answer, nothing that changes an order goes out more often than it was
/// asked for, and in the end the machine listens again.
pub fn sweep(far: &dyn Fn() -> Box<dyn Far>) {
    let mut runner =
        TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
    let fates = (any::<bool>(), prop::collection::vec(fate(), 1..60));
    runner
        .run(&fates, |(live, fates)| {
            let mut desk = if live { Desk::live(far()) } else { Desk::new(far()) };
            if !live {
                desk.listen();
            }
            let mut run = Run::default();
            for fate in &fates {
                run.one(&mut desk, fate);
            }
            run.end(&mut desk)
        })
        .unwrap();
}

#[derive(Default)]
struct Run {
    /// What was sent and not answered.
    waiting: Vec<Sent>,
    answers: BTreeMap<Ticket, u32>,
    changes: usize,
}

impl Run {
    fn one(&mut self, desk: &mut Desk, fate: &Fate) {
        match fate {
            Fate::Ask(which, with_id) => {
                let (ticket, instruction) = desk.instruction(*which, *with_id);
                self.answers.insert(ticket, 0);
                self.changes += usize::from(which.changes());
                desk.trade(instruction);
            }
            Fate::Answer(at, how) => {
                if let Some(sent) = self.pick(*at) {
                    desk.reply(&sent, *how);
                }
            }
            Fate::Lost(at) => {
                if let Some(Sent::Request(request)) = self.pick(*at) {
                    let _ = desk.bench.outcome(&request, venue::Outcome::Lost("gone"));
                }
            }
            Fate::Unsent(at) => match self.pick(*at) {
                Some(Sent::Request(request)) => {
                    let _ = desk.bench.outcome(&request, venue::Outcome::Unsent("no budget"));
                }
                Some(Sent::Frame { id: Some(id), .. }) => desk.bench.unsent(id, "no budget"),
                _ => {}
            },
            Fate::Report(which) => {
                if let Some((conn, _)) = desk.conns.last().copied() {
                    let now = desk.now_ms();
                    let report = match which {
                        0 => desk.far.report_new("a", now),
                        1 => desk.far.report_fill("a", 7, now),
                        _ => desk.far.report_broken(),
                    };
                    let _ = desk.bench.frame(conn, &report);
                }
            }
            Fate::Frame(text) => {
                if let Some((conn, _)) = desk.conns.last().copied() {
                    let _ = desk.bench.frame(conn, text);
                }
            }
            Fate::Open(at) => {
                if let Some((link, _)) = desk.links.get(*at).cloned() {
                    desk.open(link);
                }
            }
            Fate::Close(at) => {
                if let Some((conn, _)) = desk.conns.get(*at).copied() {
                    desk.close(conn);
                }
            }
            Fate::Pass(ms) => desk.bench.pass(*ms),
        }
        self.take(desk);
    }

    fn pick(&mut self, at: usize) -> Option<Sent> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(at % self.waiting.len()))
    }

    fn take(&mut self, desk: &mut Desk) {
        desk.obey();
        self.waiting.extend(desk.sent());
        for heard in desk.heard() {
            if let Heard::Answer { ticket, .. } = heard {
                *self.answers.get_mut(&ticket).unwrap() += 1;
            }
        }
    }

    fn end(mut self, desk: &mut Desk) -> Result<(), TestCaseError> {
        // All that is open comes to its end, pages of lists too.
        for _ in 0..8 {
            desk.bench.pass(11_000);
            self.take(desk);
        }
        for (ticket, count) in &self.answers {
            prop_assert_eq!(*count, 1, "{:?}", ticket);
        }
        prop_assert!(desk.changes_sent.len() <= self.changes);
        // And everything is well again once the far end is.
        for (link, _) in desk.links.clone() {
            if !desk.conns.iter().any(|(_, of)| *of == link) {
                desk.open(link);
            }
        }
        let mut listening = None;
        for _ in 0..40 {
            desk.bench.pass(2_000);
            desk.obey();
            for sent in desk.sent() {
                desk.reply(&sent, Answer::Good);
            }
            for heard in desk.heard() {
                if let Heard::Listening(is) = heard {
                    listening = Some(is);
                }
            }
        }
        prop_assert!(listening != Some(false), "deaf for good");
        Ok(())
    }
}
