//! Each rule by an example.

use super::*;
use crate::orders::inquiry::{FORGOTTEN_AFTER, Inquiry, MARGIN, PAUSE_MAX, PAUSE_MIN};
use crate::orders::leg::FILLS_MAX;
use crate::orders::order::{AMENDS_MAX, CANCELS_MAX, LEGS_MAX};

#[test]
fn an_order_goes_its_way_and_is_reported_once_a_step() {
    let mut order = sent();
    assert_eq!(order.standing(), Standing::Sent);
    let open = says(VenueState::Open, 0);
    assert_eq!(state(&order.observe(&open)), Some((OrderState::Acknowledged, 0, 5)));
    assert_eq!(order.observe(&open), Effects::default());
    let part = with_fill(1, 2, says(VenueState::Open, 2));
    let effects = order.observe(&part);
    assert_eq!(state(&effects), Some((OrderState::Partial, 2, 3)));
    assert_eq!(effects.report.unwrap().fill, fill(1, 2));
    // The same fill from a list of trades.
    assert_eq!(order.observe(&trade(1, 2)), Effects::default());
    let rest = with_fill(2, 3, says(VenueState::Filled, 5));
    assert_eq!(state(&order.observe(&rest)), Some((OrderState::Filled, 5, 0)));
    assert_eq!(order.remaining(), Decimal::ZERO);
    assert!(order.legs()[0].unattributed().is_zero());
}

#[test]
fn a_report_that_overtakes_its_answer_is_no_surprise() {
    let mut order = sent();
    order.observe(&says(VenueState::Filled, 5));
    let accepted = Outcome::Accepted { venue_order_id: Some("7".into()) };
    assert_eq!(order.answer(&answer(Request::Submit, accepted), at(5)), Effects::default());
    assert_eq!(order.standing(), Standing::Filled);
}

#[test]
fn a_fill_before_the_cancel_that_is_told_after_it_moves_amounts_alone() {
    let mut order = sent();
    order.observe(&says(VenueState::Open, 0));
    assert_eq!(
        state(&order.observe(&says(VenueState::Cancelled, 0))),
        Some((OrderState::Cancelled, 0, 0))
    );
    let effects = order.observe(&trade(1, 2));
    assert_eq!(state(&effects), Some((OrderState::Cancelled, 2, 0)));
    assert_eq!(effects.oddities, []);
    assert_eq!(order.remaining(), Decimal::from(3));
}

#[test]
fn an_amount_without_its_fills_is_counted_and_not_counted_again() {
    let mut order = sent();
    order.observe(&says(VenueState::Open, 4));
    assert_eq!(order.legs()[0].unattributed(), Decimal::from(4));
    let effects = order.observe(&trade(1, 3));
    // The consumer gets the fill; what is filled in all was known.
    assert_eq!(state(&effects), Some((OrderState::Partial, 4, 1)));
    assert_eq!(effects.report.unwrap().fill, fill(1, 3));
    assert_eq!(order.legs()[0].unattributed(), Decimal::ONE);
    assert_eq!(state(&order.observe(&trade(2, 2))), Some((OrderState::Filled, 5, 0)));
}

#[test]
fn a_lost_answer_leaves_the_order_unknown_for_as_long_as_it_takes() {
    for lost in [Lost::Timeout, Lost::VenueError, Lost::Disconnected, Lost::Restarted] {
        let mut order = sent();
        let effects = order.answer(&answer(Request::Submit, Outcome::Unknown(lost)), at(5));
        assert_eq!((effects, order.standing()), (Effects::default(), Standing::Unknown));
        assert_eq!(order.ask_at(), Some(at(5)));
        for second in 6..50 {
            order.answer(&answer(Request::Submit, Outcome::Unknown(lost)), at(second));
            assert_eq!(order.standing(), Standing::Unknown);
        }
        order.settled(at(50));
        assert_eq!(order.ask_at(), Some(at(5)), "nothing was found yet");
        order.observe(&says(VenueState::Open, 0));
        order.settled(at(50));
        assert_eq!((order.standing(), order.ask_at()), (Standing::Acknowledged, None));
    }
}

#[test]
fn a_picture_from_before_the_last_doubt_leaves_the_question_open() {
    let mut order = sent();
    order.observe(&says(VenueState::Open, 0));
    order.doubt(at(5));
    order.sent(&Sent { order: key("1"), request: Request::Query, ts: at(6) });
    order.doubt(at(7));
    order.settled(at(6));
    assert!(order.ask_at().is_some());
    order.settled(at(7));
    assert_eq!(order.ask_at(), None);
}

#[test]
fn after_an_accepted_cancel_the_order_is_asked_about_unless_its_end_is_told() {
    let cancelled = |terms| {
        let mut order = sent();
        order.observe(&says(VenueState::Open, 0));
        order.change(&Change { order: key("1"), number: 1, terms, ts: at(3) });
        let accepted = Outcome::Accepted { venue_order_id: None };
        order.answer(&answer(Request::Change(1), accepted), at(5));
        order
    };
    let mut order = cancelled(ChangeTerms::Cancel);
    assert_eq!(order.ask_at(), Some(at(5) + PAUSE_MIN), "the report comes by itself as a rule");
    order.settled(at(4));
    assert!(order.ask_at().is_some(), "what was asked before does not show it");
    order.observe(&says(VenueState::Cancelled, 0));
    assert_eq!(order.ask_at(), None);
    let amend = ChangeTerms::Amend { price: None, quantity: Some(Decimal::TWO) };
    assert_eq!(cancelled(amend).ask_at(), None);
}

#[test]
fn not_found_is_final_after_the_deadline_twice_and_absent_elsewhere() {
    let clock_error = SECOND;
    let unknown = || {
        let mut order = sent();
        order.answer(&answer(Request::Submit, Outcome::Unknown(Lost::Timeout)), at(5));
        order
    };
    let mut order = unknown();
    let mut ask = |asked, absent| {
        let effects = order.not_found(at(asked), clock_error, absent, at(asked));
        assert_eq!(effects.oddities, []);
        effects.report.map(|report| (report.state, report.leaves()))
    };
    for early in [6, 99, 105] {
        assert_eq!(ask(early, true), None, "{early}");
    }
    assert_eq!(ask(106, true), None, "the first that counts");
    assert_eq!(ask(107, false), None, "it may be in the open orders or trades");
    assert_eq!(ask(108, true), Some((OrderState::Rejected, Decimal::ZERO)));
    assert_eq!(order.ask_at(), None);
    // It lives after all: life wins, and the operator hears of it.
    let effects = order.observe(&says(VenueState::Open, 0));
    assert_eq!(state(&effects), Some((OrderState::Acknowledged, 0, 5)));
    let (from, input) = (Standing::Refused, Input::Accepted);
    assert_eq!(effects.oddities, [Oddity::Illegal { from, input }]);

    let mut order = Order::new(Submit { deadline: None, ..submit("1") });
    order.sent(&Sent { order: key("1"), request: Request::Submit, ts: at(2) });
    order.answer(&answer(Request::Submit, Outcome::Unknown(Lost::Timeout)), at(5));
    for hour in 1..100 {
        let now = at(hour * 3_600);
        let effects = order.not_found(now, clock_error, true, now);
        assert_eq!((effects.report, effects.oddities), (None, vec![Oddity::Undecidable]));
    }
    let effects = order.never_arrived("an operator says so", at(9));
    assert_eq!(state(&effects), Some((OrderState::Rejected, 0, 0)));
    assert_eq!(&*effects.report.unwrap().text, "an operator says so");
}

#[test]
fn not_found_asks_nothing_more_of_an_order_that_was_refused_in_between() {
    let mut order = sent();
    order.answer(&answer(Request::Submit, Outcome::Unknown(Lost::Timeout)), at(5));
    let refused = Outcome::Refused { code: "1".into(), text: "no".into() };
    order.answer(&answer(Request::Submit, refused), at(6));
    assert_eq!(order.ask_at(), None);
    let effects = order.not_found(at(5), SECOND, true, at(7));
    assert_eq!((effects.report, effects.oddities, order.ask_at()), (None, vec![], None));
}

#[test]
fn not_found_says_nothing_of_an_order_that_the_venue_has_acknowledged() {
    let mut order = sent();
    order.observe(&says(VenueState::Open, 0));
    order.doubt(at(5));
    order.not_found(at(200), SECOND, true, at(200));
    let effects = order.not_found(at(201), SECOND, true, at(201));
    let (from, input) = (Standing::Acknowledged, Input::Absent);
    assert_eq!(effects.oddities, [Oddity::Illegal { from, input }]);
    assert_eq!((effects.report, order.standing()), (None, Standing::Acknowledged));
    assert!(order.ask_at().is_some());
}

#[test]
fn an_order_that_the_venue_has_forgotten_is_over_with_what_was_filled_of_it() {
    // A minute of "not found", which begins so many seconds too early.
    let ended = |filled, early, absent| {
        let mut order = sent();
        let terms = ChangeTerms::Amend { price: None, quantity: Some(5.into()) };
        order.change(&Change { order: key("1"), number: 1, terms, ts: at(3) });
        order.observe(&with_fill(1, filled, says(VenueState::Open, filled)));
        order.doubt(at(5));
        // A fill that is listed again is no sign of life.
        order.observe(&ExecReport { ts_recv: at(9_000), ..trade(1, filled) });
        let from = at(4) + FORGOTTEN_AFTER - Duration::from_secs(early);
        let mut report = None;
        for n in 0..8 {
            assert_eq!(report, None, "{n}");
            let asked = from + Duration::from_secs(n);
            let effects = order.not_found(asked, SECOND, absent, asked);
            report = effects.report.map(|r| (r.state, r.filled, r.leaves(), r.venue_order_id));
        }
        assert_eq!(order.ask_at().is_none(), report.is_some());
        report
    };
    let over = |state, filled: i64| Some((state, filled.into(), Decimal::ZERO, "7".into()));
    assert_eq!(ended(2, 0, true), over(OrderState::Cancelled, 2));
    assert_eq!(ended(5, 0, true), over(OrderState::Filled, 5));
    assert_eq!(ended(2, 1, true), None, "one of them was too early");
    assert_eq!(ended(2, 0, false), None, "it may be in the open orders or trades");
}

#[test]
fn questions_are_asked_with_growing_pauses() {
    let mut inquiry = Inquiry::new(at(10));
    let (mut now, mut pauses) = (inquiry.due(), Vec::new());
    for _ in 0..9 {
        inquiry.asked(now);
        pauses.push(inquiry.due().since(now));
        now = inquiry.due();
    }
    assert_eq!(pauses[0], PAUSE_MIN);
    assert!(pauses.windows(2).all(|p| p[1] == (p[0] * 2).min(PAUSE_MAX)));
    assert_eq!(pauses[8], PAUSE_MAX);
    let mut edge = Inquiry::new(at(0));
    let last = at(100) + SECOND + MARGIN;
    let early = last - Duration::from_nanos(1);
    for (asked, last) in [(early, false), (early, false), (last, false), (last, true)] {
        assert_eq!(edge.not_found(asked, Some(at(100) + SECOND + MARGIN), false, true), last);
    }
}

#[test]
fn a_lost_cancel_answer_or_a_refused_cancel_is_asked_about() {
    for outcome in [Outcome::Unknown(Lost::Timeout), refused(), Outcome::NotFound] {
        let mut order = sent();
        order.observe(&says(VenueState::Open, 0));
        let change =
            |number| Change { order: key("1"), number, terms: ChangeTerms::Cancel, ts: at(5) };
        assert!(order.change(&change(1)));
        let gone = Sent { order: key("1"), request: Request::Change(1), ts: at(5) };
        assert_eq!(order.sent(&gone), Effects::default());
        let effects = order.answer(&answer(Request::Change(1), outcome), at(6));
        assert_eq!((effects, order.standing()), (Effects::default(), Standing::Acknowledged));
        assert_eq!(order.ask_at(), Some(at(6)));
        // It was filled before the cancel came.
        order.observe(&says(VenueState::Filled, 5));
        assert_eq!((order.standing(), order.ask_at()), (Standing::Filled, None));
        assert!(!order.change(&change(2)), "there is nothing to cancel");
        let stray = order.answer(&answer(Request::Change(1), refused()), at(7));
        assert_eq!(stray.oddities, [Oddity::UnknownChange { number: 1 }]);
    }
}

#[test]
fn after_an_amend_only_the_venue_says_that_an_order_is_filled() {
    let mut order = sent();
    order.observe(&says(VenueState::Open, 0));
    let quantity = Some(Decimal::from(8));
    let terms = ChangeTerms::Amend { price: None, quantity };
    assert!(order.change(&Change { order: key("1"), number: 1, terms, ts: at(5) }));
    // The old quantity is filled while the amend is on its way: there may be more to come.
    assert_eq!(state(&order.observe(&trade(1, 5))), Some((OrderState::Partial, 5, 0)));
    let amended = ExecReport { quantity, ts_event: Some(at(6)), ..says(VenueState::Open, 5) };
    assert_eq!(state(&order.observe(&amended)), Some((OrderState::Partial, 5, 3)));
    // What is older does not take it back.
    assert_eq!(order.observe(&says(VenueState::Open, 5)), Effects::default());
    let filled = ExecReport { filled: Some(Decimal::from(8)), ..says(VenueState::Filled, 8) };
    assert_eq!(state(&order.observe(&filled)), Some((OrderState::Filled, 8, 0)));
}

#[test]
fn several_venue_orders_are_one_order_until_all_are_over() {
    let mut order = sent();
    order.observe(&says(VenueState::Open, 2));
    let next = |state, filled: i64| ExecReport {
        venue_order_id: "8".into(),
        quantity: Some(Decimal::from(3)),
        ..says(state, filled)
    };
    // That is nothing new for the consumer; its successor is, for its id alone: a restart that had
    // never heard of it could not ask for it.
    assert_eq!(order.observe(&says(VenueState::Replaced, 2)), Effects::default());
    assert_eq!((order.standing(), order.leaves()), (Standing::Partial, Decimal::from(3)));
    let effects = order.observe(&next(VenueState::Open, 0));
    assert_eq!(state(&effects), Some((OrderState::Partial, 2, 3)));
    assert_eq!(effects.report.map(|report| report.venue_order_id), Some("8".into()));
    assert_eq!(order.observe(&next(VenueState::Open, 0)), Effects::default());
    assert_eq!((order.quantity(), order.leaves()), (Decimal::from(5), Decimal::from(3)));
    let ended = order.observe(&next(VenueState::Cancelled, 1));
    assert_eq!(state(&ended), Some((OrderState::Cancelled, 3, 0)));
    assert_eq!(order.remaining(), Decimal::from(2));

    // Two that were never to be two: both count, and it is over when both are.
    let mut double = sent();
    double.observe(&says(VenueState::Filled, 5));
    let other = |state, filled| ExecReport { venue_order_id: "9".into(), ..says(state, filled) };
    let effects = double.observe(&other(VenueState::Open, 0));
    assert_eq!(state(&effects), Some((OrderState::Partial, 5, 5)));
    assert_eq!(
        state(&double.observe(&other(VenueState::Filled, 5))),
        Some((OrderState::Filled, 10, 0))
    );
}

#[test]
fn what_is_odd_is_told_and_does_no_harm() {
    let mut order = sent();
    let effects = order.observe(&says(VenueState::Open, 6));
    let overfilled = Oddity::Overfilled { quantity: 5.into(), filled: 6.into() };
    assert_eq!(effects.oddities, [overfilled]);
    assert_eq!(state(&effects), Some((OrderState::Filled, 6, 0)));
    assert_eq!(order.remaining(), Decimal::from(-1));

    let mut order = sent();
    order.observe(&trade(1, 2));
    let effects = order.observe(&trade(1, 3));
    let differs = Oddity::FillDiffers { trade_id: "1".into(), known: 2.into(), told: 3.into() };
    assert_eq!(effects.oddities, [differs]);
    assert_eq!(order.filled(), Decimal::from(3));

    let mut order = sent();
    order.observe(&says(VenueState::Filled, 5));
    let effects = order.observe(&says(VenueState::Cancelled, 5));
    let (from, input) = (Standing::Filled, Input::Cancelled);
    assert_eq!(effects, Effects { report: None, oddities: vec![Oddity::Illegal { from, input }] });

    // Nothing was sent, and the venue has it.
    let mut order = Order::new(submit("1"));
    let effects = order.observe(&says(VenueState::Open, 0));
    let (from, input) = (Standing::Pending, Input::Accepted);
    assert_eq!(effects.oddities, [Oddity::Illegal { from, input }]);
}

#[test]
fn everything_has_a_bound() {
    let mut order = sent();
    for n in 0..LEGS_MAX {
        let venue_order_id = n.to_string();
        order.observe(&ExecReport { venue_order_id, ..says(VenueState::Open, 0) });
    }
    let one_more = ExecReport { venue_order_id: "x".into(), ..says(VenueState::Open, 0) };
    let effects = order.observe(&one_more);
    assert_eq!(effects.oddities, [Oddity::TooManyLegs { venue_order_id: "x".into() }]);
    assert_eq!(order.legs().len(), LEGS_MAX);

    let mut taken = |from, terms: ChangeTerms| {
        let change = |number| Change { order: key("1"), number, terms: terms.clone(), ts: at(1) };
        (from..from + 100).filter(|number| order.change(&change(*number))).count()
    };
    let amend = ChangeTerms::Amend { price: None, quantity: Some(Decimal::TWO) };
    assert_eq!(taken(0, amend), AMENDS_MAX);
    assert_eq!(taken(100, ChangeTerms::Cancel), CANCELS_MAX, "amends keep no cancel out");

    let mut order = sent();
    let wide = ExecReport { quantity: Some(1_000_000.into()), ..says(VenueState::Open, 0) };
    order.observe(&wide);
    for id in 0..FILLS_MAX as u64 {
        assert_eq!(order.observe(&trade(id, 1)).oddities, []);
    }
    // One more is still handed on, and counts as soon as the venue says how much is filled.
    let effects = order.observe(&trade(FILLS_MAX as u64, 1));
    assert_eq!(effects.oddities, [Oddity::TooManyFills]);
    assert!(effects.report.unwrap().fill.is_some());
    let filled = Some(Decimal::from(FILLS_MAX as u64 + 1));
    order.observe(&ExecReport { filled, ..wide });
    assert_eq!(order.filled(), Decimal::from(FILLS_MAX as u64 + 1));
}

#[test]
fn orders_are_found_by_every_name_and_leave_when_they_have_settled() {
    let mut orders = Orders::new(2, 1);
    orders.submit(submit("1")).unwrap();
    orders.submit(submit("2")).unwrap();
    assert!(orders.submit(submit("1")).unwrap_err().message.contains("use a new id"));
    let error = orders.submit(submit("3")).unwrap_err();
    assert!(error.message.contains("2 orders are open"), "{error}");
    let find = |orders: &Orders, venue: &str, client: Option<&str>| {
        let seen = ExecReport {
            instrument: "BTC-USDT".into(),
            venue_client_id: client.unwrap_or_default().into(),
            venue_order_id: venue.into(),
            ..ExecReport::default()
        };
        orders.find(&"p".into(), &seen).map(|key| key.client_order_id.to_string())
    };
    assert_eq!(find(&orders, "7", None), None);
    assert_eq!(find(&orders, "7", Some("v1")).as_deref(), Some("1"));
    orders.observe(&key("1"), &says(VenueState::Open, 0)).unwrap();
    assert_eq!(find(&orders, "7", None).as_deref(), Some("1"));
    orders.observe(&key("1"), &says(VenueState::Filled, 5)).unwrap();
    assert_eq!(orders.open_len(), 1);
    orders.submit(submit("3")).unwrap();
    // The first that has settled stays to be found until the next has.
    assert_eq!(find(&orders, "7", None).as_deref(), Some("1"));
    let second = ExecReport { venue_order_id: "8".into(), ..says(VenueState::Cancelled, 0) };
    orders.observe(&key("2"), &second).unwrap();
    assert_eq!((find(&orders, "7", None), find(&orders, "7", Some("v1"))), (None, None));
    assert_eq!(orders.observe(&key("1"), &second), None);
    assert_eq!(orders.iter().count(), 2);
    // One that lives after all is open again.
    orders.observe(
        &key("2"),
        &ExecReport { venue_order_id: "9".into(), ..says(VenueState::Open, 0) },
    );
    assert_eq!(orders.open_len(), 2);
    let cancel = |id| Change { order: key(id), number: 1, terms: ChangeTerms::Cancel, ts: at(1) };
    assert!(orders.change(&cancel("2")).is_ok());
    assert!(orders.change(&cancel("1")).unwrap_err().message.contains("ask the ledger"));
}

#[test]
fn a_lost_private_stream_puts_each_open_order_of_its_provider_in_doubt() {
    let mut orders = Orders::new(10, 10);
    let elsewhere = {
        let mut submit = submit("3");
        submit.terms.provider = "q".into();
        submit
    };
    for submit in [submit("1"), submit("2"), elsewhere, submit("4")] {
        orders.submit(submit).unwrap();
    }
    for id in ["1", "2", "3"] {
        let bytes = Sent { order: key(id), request: Request::Submit, ts: at(2) };
        orders.update(&key(id), |order| order.sent(&bytes)).unwrap();
        orders.observe(&key(id), &says(VenueState::Open, 0)).unwrap();
    }
    orders.observe(&key("2"), &says(VenueState::Filled, 5)).unwrap();
    orders.disconnected("p", at(9));
    assert_eq!(orders.due(at(8)).count(), 0);
    assert_eq!(orders.due(at(9)).collect::<Vec<_>>(), [&key("1")]);
    orders.update(&key("1"), |order| order.settled(at(9))).unwrap();
    assert_eq!(orders.due(at(99)).count(), 0);
}
