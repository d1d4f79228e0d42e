//! What every database behind the ledger has to do, written once: a second one is a second
//! [`Bench`], and `all` is its test.

use std::collections::BTreeMap;

use model::event::Side;
use model::ledger::{
    Acknowledgement, Answer, Change, ChangeTerms, Fact, Fill, LedgerAppend, Lost, Name, OrderKey,
    Outcome, Report, ReportKey, Request, Sent, StoredOrder, Submit, Terms, VenueName, Verdict,
};
use model::order::{OrderState, OrderType, TimeInForce};
use model::{Decimal, Nanos};
use proptest::prelude::*;

use super::storage::{LedgerRead, LedgerWrite};

/// An empty ledger that can be closed and opened again.
pub(super) trait Bench {
    fn write(&self) -> Box<dyn LedgerWrite>;
    fn read(&self) -> Box<dyn LedgerRead>;
}

/// Everything, each on a ledger of its own.
pub(super) fn all(new: &dyn Fn() -> Box<dyn Bench>) {
    an_intent_is_there_once(&*new());
    everything_comes_back_as_it_was(&*new());
    reports_are_known_by_their_key(&*new());
    a_consumer_goes_on_from_its_acknowledgement(&*new());
    open_orders_come_in_pieces(&*new());
    a_batch_that_got_through_is_recognised(&*new());
    what_is_held_is_the_sum_of_fills(&*new());
    an_order_is_found_by_what_its_venue_calls_it(&*new());
    the_newest_facts_are_the_last(&*new());
}

pub(super) fn key(consumer: &str, id: &str) -> OrderKey {
    OrderKey { consumer: consumer.into(), client_order_id: id.into() }
}

pub(super) fn submit(consumer: &str, id: &str) -> Submit {
    Submit {
        order: key(consumer, id),
        terms: Terms {
            provider: "p".into(),
            instrument: "BTC-USDT".into(),
            side: Side::Sell,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::PostOnly,
            price: Some(Decimal::new(1_050, 1)),
            quantity: Decimal::from(5),
        },
        venue_client_id: "v-1".into(),
        deadline: Some(Nanos(77)),
        ts: Nanos(70),
        decision_id: u64::MAX,
    }
}

pub(super) fn report(consumer: &str, id: &str, state: OrderState, trade: Option<&str>) -> Report {
    Report {
        order: key(consumer, id),
        provider: "p".into(),
        instrument: "BTC-USDT".into(),
        venue_order_id: id.into(),
        state,
        side: Side::Sell,
        quantity: Decimal::from(5),
        filled: Decimal::from(1),
        fill: trade.map(|trade| Fill {
            trade_id: trade.into(),
            price: Decimal::new(1_050, 1),
            quantity: Decimal::ONE,
        }),
        venue_event_id: None,
        text: "".into(),
        ts_event: Some(Nanos(80)),
        ts_recv: Nanos(81),
    }
}

pub(super) fn acknowledge(consumer: &str, position: u64) -> Fact {
    Fact::Acknowledgement(Acknowledgement { consumer: consumer.into(), position, ts: Nanos(1) })
}

/// Numbers facts as the engine does.
pub(super) fn appends(first: u64, facts: impl IntoIterator<Item = Fact>) -> Vec<LedgerAppend> {
    (first..).zip(facts).map(|(seq, fact)| LedgerAppend { seq, fact }).collect()
}

fn stored(verdict: &Verdict) -> u64 {
    let Verdict::Stored { position } = verdict else { panic!("stored, not {verdict:?}") };
    *position
}

fn an_intent_is_there_once(bench: &dyn Bench) {
    let mut ledger = bench.write();
    let first = submit("a", "1");
    let verdicts = ledger
        .append(&appends(1, [Fact::Submit(first.clone()), Fact::Submit(submit("b", "1"))]))
        .unwrap();
    assert!(stored(&verdicts[0]) < stored(&verdicts[1]), "consumers' names are their own");
    let refused = Answer {
        order: first.order.clone(),
        request: Request::Submit,
        outcome: Outcome::Refused { code: "-2010".into(), text: "no balance".into() },
        ts: Nanos(90),
    };
    ledger.append(&appends(3, [Fact::Answer(refused.clone())])).unwrap();
    drop(ledger);

    // After a restart too, and within one batch; the digits of a number are no difference.
    let mut ledger = bench.write();
    let mut again = Submit { ts: Nanos(500), decision_id: 1, ..first.clone() };
    again.terms.quantity = Decimal::new(500, 2);
    let mut other = first.clone();
    other.terms.side = Side::Buy;
    let batch = appends(1, [again, other, submit("c", "1"), submit("c", "1")].map(Fact::Submit));
    let verdicts = ledger.append(&batch).unwrap();
    let expected =
        StoredOrder { submit: first.clone(), position: 1, answer: Some(refused), report: None };
    assert_eq!(verdicts[0], Verdict::Duplicate(Box::new(expected.clone())));
    assert_eq!(verdicts[1], Verdict::Conflict(Box::new(expected.clone())));
    let position = stored(&verdicts[2]);
    assert!(matches!(&verdicts[3], Verdict::Duplicate(order) if order.position == position));
    let mut reader = bench.read();
    assert_eq!(reader.order(&first.order).unwrap(), Some(expected));
    assert_eq!(reader.order(&key("a", "2")).unwrap(), None);
    assert_eq!(reader.facts_of(&first.order, 0, 10).unwrap().len(), 2);
}

fn every_fact() -> Vec<Fact> {
    let order = key("a", "ü\"1\n");
    let mut market = submit("a", "ü\"1\n");
    market.terms.price = None;
    market.deadline = None;
    let answer = |outcome| {
        let request = Request::Change(2);
        Fact::Answer(Answer { order: order.clone(), request, outcome, ts: Nanos(4) })
    };
    let amend = ChangeTerms::Amend { price: Some(Decimal::new(-1, 28)), quantity: None };
    let change =
        |number, terms| Fact::Change(Change { order: order.clone(), number, terms, ts: Nanos(3) });
    let plain = Report {
        fill: None,
        venue_event_id: Some(9),
        ts_event: None,
        text: "gone".into(),
        ..report("a", "ü\"1\n", OrderState::Cancelled, None)
    };
    vec![
        Fact::Submit(market),
        change(1, ChangeTerms::Cancel),
        change(2, amend),
        Fact::Sent(Sent { order: order.clone(), request: Request::Query, ts: Nanos(5) }),
        answer(Outcome::Accepted { venue_order_id: None }),
        answer(Outcome::Accepted { venue_order_id: Some("7".into()) }),
        answer(Outcome::Refused { code: "1".into(), text: "".into() }),
        answer(Outcome::NotFound),
        answer(Outcome::Unknown(Lost::Timeout)),
        answer(Outcome::Unknown(Lost::VenueError)),
        answer(Outcome::Unknown(Lost::Disconnected)),
        answer(Outcome::Unknown(Lost::Restarted)),
        Fact::Report(report("a", "ü\"1\n", OrderState::Partial, Some("t"))),
        Fact::Report(plain),
    ]
}

fn everything_comes_back_as_it_was(bench: &dyn Bench) {
    let facts = every_fact();
    let mut ledger = bench.write();
    ledger.append(&appends(1, facts.clone())).unwrap();
    let order = facts[0].order().cloned().unwrap();
    let mut reader = bench.read();
    let mut seen = Vec::new();
    while let Some(&(last, _)) = seen.last().or(Some(&(0, facts[0].clone()))) {
        let piece = reader.facts_of(&order, last, 3).unwrap();
        assert!(piece.len() <= 3);
        if piece.is_empty() {
            break;
        }
        seen.extend(piece);
    }
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(seen.into_iter().map(|(_, fact)| fact).collect::<Vec<_>>(), facts);
    assert!(!reader.order(&order).unwrap().unwrap().is_open());
}

fn reports_are_known_by_their_key(bench: &dyn Bench) {
    let mut ledger = bench.write();
    let fill = report("a", "1", OrderState::Partial, Some("8"));
    let elsewhere = Report { instrument: "ETH-USDT".into(), ..fill.clone() };
    let self_trade = Report { venue_order_id: "2".into(), ..fill.clone() };
    let batch = appends(1, [&fill, &elsewhere, &self_trade].map(|r| Fact::Report(r.clone())));
    let verdicts = ledger.append(&batch).unwrap();
    let first = stored(&verdicts[0]);
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Stored { .. })));

    let again = Report { ts_recv: Nanos(999), state: OrderState::Filled, ..fill };
    let state = report("a", "1", OrderState::Cancelled, None);
    let change =
        Change { order: key("a", "1"), number: 1, terms: ChangeTerms::Cancel, ts: Nanos(1) };
    let batch = appends(
        4,
        [
            Fact::Report(again),
            Fact::Report(state.clone()),
            Fact::Report(state),
            Fact::Change(change.clone()),
            Fact::Change(Change { number: 2, ..change.clone() }),
            Fact::Change(change),
        ],
    );
    let verdicts = ledger.append(&batch).unwrap();
    assert_eq!(verdicts[0], Verdict::Known { position: first });
    assert_eq!(verdicts[2], Verdict::Known { position: stored(&verdicts[1]) });
    assert!(stored(&verdicts[3]) < stored(&verdicts[4]));
    assert_eq!(verdicts[5], Verdict::Known { position: stored(&verdicts[3]) });
    assert_eq!(bench.read().reports_after("a", 0, 100).unwrap().len(), 4);
}

/// Whose order a venue's order is, by what the venue calls it.
fn an_order_is_found_by_what_its_venue_calls_it(bench: &dyn Bench) {
    let told = |id: &str, state, trade, number| {
        // Ids that begin alike, in any alphabet; an order is known by whatever its report tells.
        let venue_order_id = format!("v{id}").into();
        Report { venue_order_id, venue_event_id: number, ..report("a", id, state, trade) }
    };
    let client = |id: &str, name: &str| Submit { venue_client_id: name.into(), ..submit("a", id) };
    let facts = [
        Fact::Submit(client("1", "x1")),
        Fact::Submit(client("12", "x12")),
        Fact::Submit(client("é\"]", "xé")),
        Fact::Submit(client("refused", "xr")),
        Fact::Report(told("1", OrderState::Partial, Some("8"), None)),
        Fact::Report(told("12", OrderState::Cancelled, None, Some(3))),
        Fact::Report(told("é\"]", OrderState::Acknowledged, None, None)),
    ];
    bench.write().append(&appends(1, facts)).unwrap();
    let of = |id: &str, client: Option<&str>| VenueName {
        provider: "p".into(),
        instrument: "BTC-USDT".into(),
        venue_order_id: id.into(),
        venue_client_id: client.map(Name::from),
    };
    let mut read = bench.read();
    for (of, owner) in [
        (of("v1", None), Some("1")),
        (of("v12", None), Some("12")),
        (of("vé\"]", None), Some("é\"]")),
        (of("v", None), None),
        (of("v123", None), None),
        (of("vrefused", None), None),
        (of("vrefused", Some("xr")), Some("refused")),
        (of("vrefused", Some("x")), None),
        (VenueName { provider: "q".into(), ..of("v1", Some("x1")) }, None),
        (VenueName { instrument: "ETH-USDT".into(), ..of("v1", Some("x1")) }, None),
    ] {
        assert_eq!(read.owner(&of).unwrap(), owner.map(|id| key("a", id)), "{of:?}");
    }
}

fn the_newest_facts_are_the_last(bench: &dyn Bench) {
    let submits = (0..7).map(|n| Fact::Submit(submit("a", &n.to_string())));
    bench.write().append(&appends(1, submits)).unwrap();
    let mut read = bench.read();
    let ids = |facts: Vec<(u64, Fact)>| -> Vec<_> {
        assert!(facts.is_sorted_by_key(|(at, _)| *at));
        let id = |(_, fact): (u64, Fact)| fact.order().unwrap().client_order_id.to_string();
        facts.into_iter().map(id).collect()
    };
    assert_eq!(ids(read.newest(3).unwrap()), ["4", "5", "6"]);
    assert_eq!(read.newest(100).unwrap().len(), 7);
}

fn a_consumer_goes_on_from_its_acknowledgement(bench: &dyn Bench) {
    let mut ledger = bench.write();
    let reports = (0..10).map(|n| {
        let consumer = if n % 2 == 0 { "a" } else { "b" };
        Fact::Report(report(consumer, "1", OrderState::Partial, Some(&n.to_string())))
    });
    ledger.append(&appends(1, reports)).unwrap();
    let mut reader = bench.read();
    assert_eq!(reader.acknowledged("a").unwrap(), 0);
    let first = reader.reports_after("a", 0, 2).unwrap();
    assert_eq!(first.len(), 2);
    let position = first[1].0;
    // An older acknowledgement that comes late takes nothing back; one of what is not there yet
    // skips nothing that comes.
    let batch =
        appends(11, [acknowledge("a", position), acknowledge("a", 1), acknowledge("b", 9_999)]);
    ledger.append(&batch).unwrap();
    let late = Fact::Report(report("b", "1", OrderState::Partial, Some("late")));
    ledger.append(&appends(14, [late])).unwrap();
    drop(ledger);
    let _ledger = bench.write();
    let mut reader = bench.read();
    assert_eq!(reader.acknowledged("a").unwrap(), position);
    let rest = reader.reports_after("a", position, 100).unwrap();
    let trades: Vec<Name> =
        rest.iter().filter_map(|(_, r)| r.fill.as_ref().map(|f| f.trade_id.clone())).collect();
    assert_eq!(trades, ["4".into(), "6".into(), "8".into()]);
    let acknowledged = reader.acknowledged("b").unwrap();
    assert_eq!(reader.reports_after("b", acknowledged, 100).unwrap().len(), 1);
}

fn open_orders_come_in_pieces(bench: &dyn Bench) {
    let mut ledger = bench.write();
    let ids: Vec<String> = (0..7).map(|n| n.to_string()).collect();
    let submits = ids.iter().map(|id| Fact::Submit(submit("a", id)));
    ledger.append(&appends(1, submits)).unwrap();
    let ended = [OrderState::Filled, OrderState::Cancelled, OrderState::Rejected]
        .into_iter()
        .zip(&ids)
        .map(|(state, id)| Fact::Report(report("a", id, state, None)));
    ledger.append(&appends(8, ended)).unwrap();
    // One that was believed dead lives after all.
    let lives = Fact::Report(report("a", "1", OrderState::Acknowledged, None));
    ledger.append(&appends(11, [lives])).unwrap();
    let (mut reader, mut after, mut seen) = (bench.read(), 0, Vec::new());
    loop {
        let piece = reader.open_orders(after, 2).unwrap();
        let Some(last) = piece.last() else { break };
        assert!(piece.len() <= 2 && piece.iter().all(StoredOrder::is_open));
        after = last.position;
        seen.extend(piece.into_iter().map(|order| order.submit.order.client_order_id.to_string()));
    }
    assert_eq!(seen, ["1", "3", "4", "5", "6"]);
}

/// A commit whose outcome was not known is tried again with the same batch.
fn a_batch_that_got_through_is_recognised(bench: &dyn Bench) {
    let mut ledger = bench.write();
    let batch = appends(
        1,
        [
            Fact::Submit(submit("a", "1")),
            Fact::Report(report("a", "1", OrderState::Partial, Some("1"))),
            acknowledge("a", 1),
        ],
    );
    let first = ledger.append(&batch).unwrap();
    ledger.recover().unwrap();
    assert_eq!(ledger.append(&batch).unwrap(), first);
    let new = ledger.append(&appends(4, [Fact::Submit(submit("a", "2"))])).unwrap();
    assert!(first.iter().all(|verdict| stored(verdict) < stored(&new[0])));
    assert_eq!(bench.read().facts_of(&key("a", "1"), 0, 100).unwrap().len(), 2);
}

fn what_is_held_is_the_sum_of_fills(bench: &dyn Bench) {
    let fill = |consumer, side, instrument: &str, trade: &str, quantity| {
        let mut report = report(consumer, "1", OrderState::Partial, Some(trade));
        (report.side, report.instrument) = (side, instrument.into());
        report.fill.as_mut().unwrap().quantity = quantity;
        Fact::Report(report)
    };
    let (buy, sell) = (Side::Buy, Side::Sell);
    let batch = [
        fill("a", buy, "BTC-USDT", "1", Decimal::new(15, 1)),
        fill("a", sell, "BTC-USDT", "2", Decimal::new(40, 1)),
        fill("a", buy, "BTC-USDT", "1", Decimal::new(15, 1)),
        fill("a", buy, "ETH-USDT", "3", Decimal::new(1, 28)),
        fill("b", buy, "BTC-USDT", "4", Decimal::ONE),
        Fact::Report(report("a", "1", OrderState::Cancelled, None)),
    ];
    let batch = appends(1, batch);
    let mut ledger = bench.write();
    ledger.append(&batch).unwrap();
    ledger.recover().unwrap();
    // It got through, and nobody heard.
    ledger.append(&batch).unwrap();
    drop(ledger);
    let mut ledger = bench.write();
    ledger.append(&appends(1, [fill("a", sell, "BTC-USDT", "5", Decimal::new(5, 1))])).unwrap();
    assert_eq!(held(bench, "a"), ["p BTC-USDT -3", "p ETH-USDT 0.0000000000000000000000000001"]);
    assert_eq!(held(bench, "b"), ["p BTC-USDT 1"]);
    assert_eq!(held(bench, "c"), [""; 0]);
}

/// What a consumer holds, in words.
pub(super) fn held(bench: &dyn Bench, consumer: &str) -> Vec<String> {
    let held = bench.read().held(consumer).unwrap().into_iter();
    let mut held: Vec<_> = held
        .map(|held| format!("{} {} {}", held.provider, held.instrument, held.quantity))
        .collect();
    held.sort();
    held
}

/// What a batch may hold: few names, so that they meet.
pub(super) fn any_fact() -> impl Strategy<Value = Fact> {
    let state = prop_oneof![
        Just(OrderState::Acknowledged),
        Just(OrderState::Partial),
        Just(OrderState::Filled),
        Just(OrderState::Cancelled)
    ];
    let names = ("[ab]", "[1-3]");
    prop_oneof![
        (names, 1_i64..3).prop_map(|((consumer, id), quantity)| {
            let mut submit = submit(&consumer, &id);
            submit.terms.quantity = quantity.into();
            Fact::Submit(submit)
        }),
        (names, state, proptest::option::of("[1-4]"), any::<bool>(), 1_i64..40).prop_map(
            |((consumer, id), state, trade, buys, tenths)| {
                let mut report = report(&consumer, &id, state, trade.as_deref());
                report.side = if buys { Side::Buy } else { Side::Sell };
                if let Some(fill) = &mut report.fill {
                    fill.quantity = Decimal::new(tenths, 1);
                }
                Fact::Report(report)
            }
        ),
        (names, 1_u32..4).prop_map(|((consumer, id), number)| {
            let terms = ChangeTerms::Cancel;
            Fact::Change(Change { order: key(&consumer, &id), number, terms, ts: Nanos(1) })
        }),
        ("[ab]", 0_u64..20).prop_map(|(consumer, position)| acknowledge(&consumer, position)),
    ]
}

/// The obviously right ledger: everything in one list, looked through from the front.
#[derive(Debug, Default)]
pub(super) struct Naive {
    pub(super) kept: Vec<Fact>,
    acknowledged: BTreeMap<Name, u64>,
}

impl Naive {
    /// What the real one has to say.
    pub(super) fn append(&mut self, fact: &Fact) -> Verdict {
        let place = |at: usize| at as u64 + 1;
        let same = |kept: &&Fact| match (fact, kept) {
            (Fact::Submit(a), Fact::Submit(b)) => a.order == b.order,
            (Fact::Change(a), Fact::Change(b)) => a.order == b.order && a.number == b.number,
            (Fact::Report(a), Fact::Report(b)) => a.key() == b.key(),
            _ => false,
        };
        let found = self.kept.iter().position(|kept| same(&kept)).map(|at| (at, &self.kept[at]));
        match (fact, found) {
            (Fact::Submit(new), Some((at, Fact::Submit(old)))) => {
                let report = self.kept.iter().rev().find_map(|kept| match kept {
                    // A report that came before its intent is of no order.
                    Fact::Report(report) if report.order == old.order => Some(report.clone()),
                    _ => None,
                });
                let first = self.kept.iter().skip(at);
                let after = first.filter(|k| matches!(k, Fact::Report(r) if r.order == old.order));
                let report = report.filter(|_| after.count() > 0);
                let position = place(at);
                let order =
                    Box::new(StoredOrder { submit: old.clone(), position, answer: None, report });
                if old.terms == new.terms {
                    Verdict::Duplicate(order)
                } else {
                    Verdict::Conflict(order)
                }
            }
            (_, Some((at, _))) => Verdict::Known { position: place(at) },
            (_, None) => {
                self.kept.push(fact.clone());
                let position = place(self.kept.len() - 1);
                if let Fact::Acknowledgement(new) = fact {
                    let known = self.acknowledged.entry(new.consumer.clone()).or_default();
                    *known = (*known).max(new.position.min(position));
                }
                Verdict::Stored { position }
            }
        }
    }

    pub(super) fn acknowledged(&self, consumer: &str) -> u64 {
        self.acknowledged.get(consumer).copied().unwrap_or(0)
    }

    /// What a consumer holds, in words.
    pub(super) fn held(&self, consumer: &str) -> Vec<String> {
        let fills = self.kept.iter().filter_map(|fact| match fact {
            Fact::Report(report) if &*report.order.consumer == consumer => {
                let quantity = report.fill.as_ref()?.quantity;
                Some(if report.side == Side::Buy { quantity } else { -quantity })
            }
            _ => None,
        });
        let fills: Vec<Decimal> = fills.collect();
        let sum = fills.iter().sum::<Decimal>().normalize();
        if fills.is_empty() { Vec::new() } else { vec![format!("p BTC-USDT {sum}")] }
    }

    /// The keys of all reports, each once.
    pub(super) fn report_keys(&self) -> Vec<ReportKey> {
        let reports = self.kept.iter().filter_map(|fact| match fact {
            Fact::Report(report) => Some(report.key()),
            _ => None,
        });
        reports.collect()
    }
}
