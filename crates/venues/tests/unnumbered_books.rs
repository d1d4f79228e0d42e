//! Whatever happens to diffs without numbers on their way, the assembled book is right or it is not
//! `Live`, as far as its venue's proof reaches: the checksum's best ten levels, or nothing but that
//! it does not cross itself.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Bench, KrakenBook};
use model::{Kind, Side, StreamState};
use proptest::prelude::*;
use venues::Settings;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Deliver,
    Drop,
    Double,
    /// Delivered after the next one.
    Swap,
    /// One unit is added to a quantity.
    Bend,
    /// The connection is lost and comes back.
    Disconnect,
    /// A snapshot that was asked for comes.
    Answer,
    /// Time passes.
    Wait,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Deliver),
        1 => Just(Fate::Drop),
        1 => Just(Fate::Double),
        1 => Just(Fate::Swap),
        1 => Just(Fate::Bend),
        1 => Just(Fate::Disconnect),
        4 => Just(Fate::Answer),
        2 => Just(Fate::Wait),
    ]
}

type Step = (Fate, bool, u32, u32);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec((fate(), any::<bool>(), 0u32..16, 0u32..9), 1..80)
}

/// A machine with one book, and the connection that it is subscribed on.
struct Run {
    bench: Bench,
    conn: u32,
    channel: &'static str,
    /// The book was subscribed, and its snapshot has not come yet.
    due: bool,
}

impl Run {
    fn new(bench: Bench, channel: &'static str) -> Self {
        Self { bench, conn: 1, channel, due: false }
    }

    fn send(&mut self, text: &str) {
        self.bench.frame(self.conn, text).unwrap();
    }

    fn is_live(&mut self) -> bool {
        self.bench.state("BTC-USD") == StreamState::Live
    }

    /// Whether the machine asked for the book since the last time; forgets what it sent.
    fn asked(&mut self) -> bool {
        let frames = std::mem::take(&mut self.bench.outbox.frames);
        let here = |text: &str| text.contains("\"subscribe\"") && text.contains(self.channel);
        frames.iter().any(|(_, text)| here(text))
    }

    /// The fates that need no update; `None` for the others. `Some(true)` where whatever was held
    /// back is of no use any more.
    fn without_update(&mut self, fate: Fate, snapshot: impl Fn() -> String) -> Option<bool> {
        self.due |= self.asked();
        match fate {
            Fate::Answer if std::mem::take(&mut self.due) => {
                self.send(&snapshot());
                Some(true)
            }
            Fate::Answer => Some(false),
            Fate::Wait => {
                self.bench.pass(500);
                Some(false)
            }
            Fate::Disconnect => {
                self.reconnect();
                Some(true)
            }
            _ => None,
        }
    }

    fn reconnect(&mut self) {
        self.bench.close(self.conn);
        self.conn += 1;
        self.bench.outbox.frames.clear();
        self.bench.open(0, self.conn);
        self.due = false;
    }

    /// Left alone with a venue that answers, it is live to the last level.
    fn recovers(
        &mut self,
        snapshot: &str,
        shown: impl Fn(Side) -> Vec<String>,
    ) -> Result<(), TestCaseError> {
        for _ in 0..20 {
            self.bench.pass(11_000);
            if self.asked() {
                self.send(snapshot);
            }
        }
        self.reconnect();
        prop_assert!(self.asked());
        self.send(snapshot);
        prop_assert!(self.is_live());
        self.equals(shown)
    }

    fn equals(&mut self, shown: impl Fn(Side) -> Vec<String>) -> Result<(), TestCaseError> {
        for side in [Side::Buy, Side::Sell] {
            prop_assert_eq!(self.bench.levels("BTC-USD", side), shown(side));
        }
        Ok(())
    }
}

/// An update of the levels in which two views of the book differ. What falls out of the view is
/// not said.
fn seen_change(before: &KrakenBook, after: &KrakenBook) -> String {
    let side = |side: Side| {
        let (old, new) = (before.best(side, before.depth), after.best(side, after.depth));
        let changed = new.iter().filter(|level| !old.contains(level)).copied();
        let all = after.best(side, usize::MAX);
        let gone = old.iter().filter(|(price, _)| !all.iter().any(|(other, _)| other == price));
        changed.chain(gone.map(|(price, _)| (*price, 0))).collect::<Vec<_>>()
    };
    after.message_of(&side(Side::Buy), &side(Side::Sell))
}

fn check_kraken(depth: u32, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let settings = Settings { book_depth: depth, ..Settings::default() };
    let mut bench = Bench::new(venues::create("kraken", settings).unwrap());
    bench.subscribe(&[("BTC-USD", Kind::BookUpdate)]);
    bench.open(0, 1);
    bench.frame(1, r#"{"channel":"instrument","type":"snapshot","data":{"pairs":[{"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"online","price_precision":1,"qty_precision":8}]}}"#).unwrap();
    let mut run = Run::new(bench, "\"book\"");
    let mut venue = KrakenBook::new("BTC/USD", 1);
    venue.depth = depth as usize;
    let mut held: Option<(String, KrakenBook)> = None;
    for (fate, bid, place, quantity) in steps {
        if let Some(useless) = run.without_update(fate, || venue.snapshot()) {
            held = held.filter(|_| !useless);
            if fate == Fate::Answer && useless {
                covered_are_right(&mut run, &venue)?;
            }
            continue;
        }
        let before = venue.clone();
        let (side, price) =
            if bid { (Side::Buy, 984 + place) } else { (Side::Sell, 1_002 + place) };
        venue.set(side, price, quantity);
        let update = seen_change(&before, &venue);
        match fate {
            Fate::Drop => continue,
            Fate::Swap if held.is_none() => {
                held = Some((update, venue.clone()));
                continue;
            }
            Fate::Bend => run.send(&update.replacen("0.0000000", "0.0000001", 1)),
            Fate::Double => {
                run.send(&update);
                run.send(&update);
            }
            _ => run.send(&update),
        }
        covered_are_right(&mut run, &venue)?;
        if let Some((late, then)) = held.take() {
            run.send(&late);
            covered_are_right(&mut run, &then)?;
        }
    }
    run.recovers(&venue.snapshot(), |side| venue.shown(side))
}

/// After a message: the ten best levels are those that the venue had when it sent it, or the book
/// is not live.
fn covered_are_right(run: &mut Run, venue: &KrakenBook) -> Result<(), TestCaseError> {
    if !run.is_live() {
        return Ok(());
    }
    for side in [Side::Buy, Side::Sell] {
        let (mut covered, mut expected) = (run.bench.levels("BTC-USD", side), venue.shown(side));
        prop_assert!(covered.len() <= venue.depth);
        covered.truncate(10);
        expected.truncate(10);
        prop_assert_eq!(covered, expected);
    }
    Ok(())
}

/// The venue's own book and the message that says what changed.
#[derive(Default)]
struct CoinbaseBook([std::collections::BTreeMap<u32, u32>; 2]);

impl CoinbaseBook {
    /// A change that does not cross the book: where it would, the level goes.
    fn step(&mut self, bid: bool, price: u32, quantity: u32) -> String {
        let crosses = match bid {
            true => self.0[1].keys().next().is_some_and(|ask| price >= *ask),
            false => self.0[0].keys().next_back().is_some_and(|bid| price <= *bid),
        };
        let quantity = if crosses { 0 } else { quantity };
        let levels = &mut self.0[usize::from(!bid)];
        levels.insert(price, quantity);
        levels.retain(|_, quantity| *quantity > 0);
        let side = if bid { "buy" } else { "sell" };
        format!(
            r#"{{"type":"l2update","product_id":"BTC-USD","changes":[["{side}","{price}","{quantity}"]],"time":"2021-04-17T16:43:37Z"}}"#
        )
    }

    fn snapshot(&self) -> String {
        let side = |levels: &std::collections::BTreeMap<u32, u32>| {
            let levels: Vec<_> = levels.iter().map(|(p, q)| format!(r#"["{p}","{q}"]"#)).collect();
            levels.join(",")
        };
        let (bids, asks) = (side(&self.0[0]), side(&self.0[1]));
        format!(r#"{{"type":"snapshot","product_id":"BTC-USD","asks":[{asks}],"bids":[{bids}]}}"#)
    }

    fn shown(&self, side: Side) -> Vec<String> {
        let show = |(price, quantity): (&u32, &u32)| format!("{price}×{quantity}");
        match side {
            Side::Buy => self.0[0].iter().rev().map(show).collect(),
            Side::Sell => self.0[1].iter().map(show).collect(),
        }
    }
}

fn check_coinbase(lossless: bool, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut bench = Bench::new(venues::create("coinbase", Settings::default()).unwrap());
    bench.subscribe(&[("BTC-USD", Kind::BookUpdate)]);
    let list = bench.take_request("/products").unwrap();
    bench
        .answer(
            &list,
            r#"[{"id":"BTC-USD","base_currency":"BTC","quote_currency":"USD","status":"online"}]"#,
        )
        .unwrap();
    bench.open(0, 1);
    let mut run = Run::new(bench, "level2_batch");
    let mut venue = CoinbaseBook::default();
    let mut held: Option<String> = None;
    for (fate, bid, place, quantity) in steps {
        if let Some(useless) = run.without_update(fate, || venue.snapshot()) {
            held = held.filter(|_| !useless);
            continue;
        }
        let update = venue.step(bid, 100 + place, quantity);
        match fate {
            Fate::Drop if !lossless => continue,
            Fate::Swap if !lossless && held.is_none() => {
                held = Some(update);
                continue;
            }
            Fate::Double => {
                run.send(&update);
                run.send(&update);
            }
            _ => run.send(&update),
        }
        if let Some(late) = held.take() {
            run.send(&late);
        }
        if run.is_live() {
            prop_assert!(!run.bench.book("BTC-USD").is_crossed());
            if lossless {
                run.equals(|side| venue.shown(side))?;
            }
        }
    }
    run.recovers(&venue.snapshot(), |side| venue.shown(side))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn covered_levels_right_or_not_live(deep in any::<bool>(), steps in steps()) {
        check_kraken(if deep { 25 } else { 10 }, steps)?;
    }

    #[test]
    fn without_loss_equal_or_not_live(steps in steps()) {
        check_coinbase(true, steps)?;
    }

    #[test]
    fn with_loss_not_crossed_while_live(steps in steps()) {
        check_coinbase(false, steps)?;
    }
}
