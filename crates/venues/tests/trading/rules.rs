//! The list. Each rule is run for every far end; where one does not apply, its facts say so.

use model::ledger::{Lost, Outcome};
use model::order::{OrderType, TimeInForce};
use model::trading::{Amends, Heard, NOT_SENT, VenueState};
use model::venue;
use model::{Remedy, Side};

use crate::far::{
    Answer, Asked, CLIENT_ID, Desk, Far, KEY, ORDER_ID, PASSPHRASE, SECRET, Sent, accepted, answer,
    number, orders,
};

type Of<'a> = &'a dyn Fn() -> Box<dyn Far>;

const CHANGES: [Asked; 3] = [Asked::Place, Asked::Cancel, Asked::Amend];
const READS: [Asked; 4] = [Asked::Query, Asked::OpenOrders, Asked::Fills, Asked::Balances];

fn is_unknown(heard: &Heard) -> bool {
    matches!(heard, Heard::Answer { outcome: Outcome::Unknown(_), .. })
}

fn is_not_sent(heard: &Heard) -> bool {
    matches!(heard, Heard::Answer { outcome: Outcome::Refused { code, .. }, .. } if **code == *NOT_SENT)
}

/// Rule 1: Nothing before the first command; listening is said once every subscription is confirmed, and
/// never before.
pub fn r01_listens_when_confirmed(far: Of<'_>) {
    let mut desk = Desk::new(far());
    assert!(desk.sent().is_empty() && desk.bench.outbox.links.is_empty());
    desk.listen();
    let mut rounds = 0;
    loop {
        desk.obey();
        let sent = desk.sent();
        if sent.is_empty() {
            break;
        }
        assert_eq!(desk.heard(), [], "before {sent:?} was answered");
        let last = sent.len() - 1;
        for (at, one) in sent.iter().enumerate() {
            desk.reply(one, Answer::Good);
            if at < last {
                assert_eq!(desk.heard(), [], "before {:?} was answered", sent[at + 1]);
            }
        }
        rounds += 1;
        assert!(rounds < 20);
    }
    assert_eq!(desk.heard(), [Heard::Listening(true)]);
}

/// Rule 2: An order is sent once, with our id, and its answer gives the venue's; every type and time in
/// force has its own words.
pub fn r02_places_once(far: Of<'_>) {
    let mut desk = Desk::live(far());
    let ticket = desk.place();
    let sent = desk.only_sent();
    assert_eq!(desk.far.asked(&sent), Asked::Place);
    let by_socket = matches!(sent, Sent::Frame { .. });
    assert_eq!(by_socket, desk.far.facts().by_socket);
    let words = said(&sent);
    for part in [CLIENT_ID, "100.5", "2"] {
        assert!(words.contains(part), "{words}");
    }
    assert_eq!(desk.heard(), []);
    desk.reply(&sent, Answer::Good);
    assert_eq!(desk.heard(), [accepted(ticket)]);
    // A second answer to the same has nobody to go to.
    desk.reply(&sent, Answer::Good);
    desk.bench.pass(30_000);
    assert_eq!(desk.heard(), []);
    let mut all = Vec::new();
    for (order_type, stands) in [
        (OrderType::Limit, TimeInForce::Gtc),
        (OrderType::Limit, TimeInForce::Ioc),
        (OrderType::Limit, TimeInForce::Fok),
        (OrderType::Limit, TimeInForce::PostOnly),
        (OrderType::Market, TimeInForce::Gtc),
    ] {
        desk.place_as(order_type, stands);
        let words = said(&desk.only_sent());
        assert_eq!(words.contains("100.5"), order_type == OrderType::Limit, "{words}");
        let terms = desk.far.terms(&words);
        assert!(!all.contains(&terms), "{terms:?} twice");
        all.push(terms);
    }
}

/// Rule 3: A cancel and an amend name the order by the venue's id where it is known, else by ours; the
/// order keeps our id.
pub fn r03_cancels_and_amends(far: Of<'_>) {
    let mut desk = Desk::live(far());
    for with_venue_id in [true, false] {
        for which in [Asked::Cancel, Asked::Amend] {
            let (ticket, instruction) = desk.instruction(which, with_venue_id);
            desk.trade(instruction);
            let sent = desk.only_sent();
            assert_eq!(desk.far.asked(&sent), which);
            let words = said(&sent);
            assert_eq!(words.contains(ORDER_ID), with_venue_id, "{words}");
            assert!(with_venue_id || words.contains(CLIENT_ID), "{words}");
            let amends_price = which == Asked::Amend && desk.far.facts().amends_price;
            assert_eq!(words.contains("100.5"), amends_price, "{words}");
            desk.reply(&sent, Answer::Good);
            assert_eq!(desk.heard(), [accepted(ticket)]);
        }
    }
    let (ticket, instruction) = desk.instruction(Asked::CancelAll, true);
    desk.trade(instruction);
    while let Some(sent) = desk.sent().first() {
        desk.reply(sent, Answer::Good);
    }
    assert_eq!(desk.heard(), [answer(ticket, Outcome::Accepted { venue_order_id: None })]);
    let profile = desk.bench.venue.trading().unwrap();
    assert_eq!(profile.amends == Amends::PriceAndQuantity, desk.far.facts().amends_price);
}

/// Rule 4: A query tells the order and then answers; an order that is not there is not found.
pub fn r04_queries(far: Of<'_>) {
    let mut desk = Desk::live(far());
    let (ticket, instruction) = desk.instruction(Asked::Query, false);
    desk.trade(instruction);
    let sent = desk.only_sent();
    desk.reply(&sent, Answer::Good);
    let heard = desk.heard();
    let [Heard::Order(order), end] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!(*end, accepted(ticket));
    assert_eq!(order.ticket, Some(ticket));
    assert_eq!(&*order.instrument, desk.far.facts().instrument);
    assert_eq!(order.venue_client_id, CLIENT_ID);
    assert_eq!((order.side, order.price), (Some(Side::Buy), Some(number("100.50"))));
    assert_eq!(&*order.venue_order_id, ORDER_ID);
    assert_eq!(order.state, Some(VenueState::Open));
    assert_eq!(order.quantity, Some(number("2.0")));
    assert_eq!(order.filled, Some(number("1.0")));
    let (ticket, instruction) = desk.instruction(Asked::Query, true);
    desk.trade(instruction);
    let sent = desk.only_sent();
    desk.reply(&sent, Answer::NotFound);
    assert_eq!(desk.heard(), [answer(ticket, Outcome::NotFound)]);
}

/// Rule 5: Lists are told whole and then answered; a balance or position that a later list leaves out
/// is told as zero; a list that can't be read tells that nothing is known.
pub fn r05_lists(far: Of<'_>) {
    let mut desk = Desk::live(far());
    let facts = desk.far.facts();
    for which in [Asked::OpenOrders, Asked::Fills] {
        let (ticket, heard) = ask(&mut desk, which, Answer::Good);
        let [order] = orders(&heard)[..] else { panic!("{heard:?}") };
        assert_eq!(order.ticket, Some(ticket));
        assert_eq!(&*order.venue_order_id, ORDER_ID);
        assert_eq!(order.fill().is_some(), which == Asked::Fills);
        assert_eq!(order.state.is_some(), which == Asked::OpenOrders);
        let end = heard.last().unwrap();
        assert_eq!(*end, answer(ticket, Outcome::Accepted { venue_order_id: None }));
    }
    let (_, heard) = ask(&mut desk, Asked::Balances, Answer::Good);
    let told = |heard: &[Heard]| {
        let mut told = Vec::new();
        for one in heard {
            match one {
                Heard::Balance(b) => told.push((b.asset.to_string(), b.free, b.locked)),
                Heard::Position(p) => {
                    told.push((p.instrument.to_string(), p.quantity, number("0")));
                }
                _ => {}
            }
        }
        told
    };
    let mut expected = vec![(facts.asset.to_owned(), number("7.5"), number("0.5"))];
    expected.extend(facts.position.map(|name| (name.to_owned(), number("-3"), number("0"))));
    assert_eq!(told(&heard), expected);
    // `NotFound` is an account without anything.
    let (_, heard) = ask(&mut desk, Asked::Balances, Answer::NotFound);
    for (_, quantity, locked) in &mut expected {
        (*quantity, *locked) = (number("0"), number("0"));
    }
    assert_eq!(told(&heard), expected);
    for which in READS {
        let (ticket, heard) = ask(&mut desk, which, Answer::Garbage);
        assert_eq!(heard, [answer(ticket, Outcome::Unknown(Lost::VenueError))], "{which:?}");
    }
}

/// Rule 6: Reports give our id, amounts, state and fill, whoever's cancel it was.
pub fn r06_reports(far: Of<'_>) {
    let mut desk = Desk::live(far());
    let (conn, now) = (desk.account_conn(), desk.now_ms());
    let reports = [
        desk.far.report_new(CLIENT_ID, now),
        desk.far.report_fill(CLIENT_ID, 77, now + 1),
        desk.far.report_cancelled(CLIENT_ID, now + 2),
    ];
    for report in &reports {
        desk.bench.frame(conn, report).unwrap();
    }
    let heard = desk.heard();
    let [new, fill, cancelled] = orders(&heard)[..] else { panic!("{heard:?}") };
    for (order, state, filled, ms) in [
        (new, VenueState::Open, "0", now),
        (fill, VenueState::Open, "1", now + 1),
        (cancelled, VenueState::Cancelled, "1", now + 2),
    ] {
        assert_eq!(order.ticket, None);
        assert_eq!(&*order.instrument, desk.far.facts().instrument);
        assert_eq!(order.venue_client_id, CLIENT_ID);
        assert_eq!(order.side, Some(Side::Buy));
        assert_eq!(order.price, Some(number("100.50")));
        assert_eq!(&*order.venue_order_id, ORDER_ID);
        assert_eq!(order.state, Some(state));
        assert_eq!(order.quantity, Some(number("2")));
        assert_eq!(order.filled, Some(number(filled)));
        assert_eq!(order.ts_event.unwrap().0, ms * 1_000_000);
        assert_eq!(order.ts_recv, desk.bench.now);
    }
    assert!(new.fill().is_none() && cancelled.fill().is_none());
    let trade = fill.fill().unwrap();
    assert_eq!(
        (&*trade.trade_id, trade.price, trade.quantity),
        ("77", number("100.25"), number("1"))
    );
}

/// Rule 7: A refusal has the venue's code and words.
pub fn r07_refusals(far: Of<'_>) {
    let mut desk = Desk::live(far());
    let (ticket, heard) = ask(&mut desk, Asked::Place, Answer::Refused);
    let [Heard::Answer { ticket: of, outcome: Outcome::Refused { code, text } }] = &heard[..]
    else {
        panic!("{heard:?}")
    };
    assert_eq!(*of, ticket);
    assert!(code.len() > 3 && text.to_lowercase().contains("insufficient"), "{code} {text}");
    let (ticket, heard) = ask(&mut desk, Asked::Cancel, Answer::NotFound);
    assert_eq!(heard, [answer(ticket, Outcome::NotFound)]);
}

/// Rule 8: What does not say for sure that nothing happened is unknown.
pub fn r08_unknown_outcomes(far: Of<'_>) {
    let mut desk = Desk::live(far());
    for which in CHANGES {
        for how in [Answer::Unknown, Answer::Garbage] {
            let (ticket, heard) = ask(&mut desk, which, how);
            let unclear = answer(ticket, Outcome::Unknown(Lost::VenueError));
            // A message that answers nothing is answered by time alone.
            let heard = match heard.is_empty() {
                true => {
                    desk.bench.pass(11_000);
                    desk.heard()
                }
                false => heard,
            };
            let late = answer(ticket, Outcome::Unknown(Lost::Timeout));
            let answers: Vec<_> =
                heard.iter().filter(|h| matches!(h, Heard::Answer { .. })).collect();
            assert!(answers == [&unclear] || answers == [&late], "{which:?} {how:?}: {heard:?}");
        }
    }
}

/// Rule 9: A lost connection ends the listening first, then every answer that was to come over it;
/// nothing is sent again on the next one.
pub fn r09_lost_connection(far: Of<'_>) {
    let mut desk = Desk::live(far());
    let account = desk.account_conn();
    let link = desk.far.account_link();
    desk.close(account);
    assert_eq!(desk.heard(), [Heard::Listening(false)]);
    desk.open(link);
    desk.serve_upkeep();
    assert_eq!(desk.heard(), [Heard::Listening(true)]);
    let ticket = desk.place();
    let sent = desk.only_sent();
    let Sent::Frame { conn, .. } = sent else { return };
    let link = desk.conns.iter().find(|(id, _)| *id == conn.0).unwrap().1;
    desk.close(conn.0);
    let lost = answer(ticket, Outcome::Unknown(Lost::Disconnected));
    let heard = desk.heard();
    match link == desk.far.account_link() {
        true => assert_eq!(heard, [Heard::Listening(false), lost]),
        false => assert_eq!(heard, [lost]),
    }
    desk.open(link);
    desk.serve_upkeep();
    desk.reply(&sent, Answer::Good);
    desk.bench.pass(30_000);
    assert!(desk.heard().iter().all(|h| matches!(h, Heard::Listening(true))));
    assert_eq!(desk.changes_sent.len(), 1);
}

/// Rule 10: No answer within ten seconds is an unknown outcome; a late one has nobody to go to.
pub fn r10_no_answer_in_time(far: Of<'_>) {
    for which in CHANGES.into_iter().chain(READS) {
        let mut desk = Desk::live(far());
        let (ticket, instruction) = desk.instruction(which, true);
        desk.trade(instruction);
        let sent = desk.sent();
        desk.bench.pass(9_900);
        assert_eq!(desk.heard(), [], "{which:?}");
        desk.bench.pass(200);
        assert_eq!(desk.heard(), [answer(ticket, Outcome::Unknown(Lost::Timeout))], "{which:?}");
        desk.reply(&sent[0], Answer::Good);
        let late = desk.heard();
        assert!(late.iter().all(|h| !matches!(h, Heard::Answer { .. })), "{which:?}: {late:?}");
    }
}

/// Rule 11: What was not sent is refused by ourselves, and a request that is lost is unknown.
pub fn r11_unsent(far: Of<'_>) {
    for which in CHANGES.into_iter().chain(READS) {
        let mut desk = Desk::live(far());
        let (ticket, instruction) = desk.instruction(which, true);
        desk.trade(instruction);
        unsent(&mut desk, "the budget is used up");
        let heard = desk.heard();
        let [Heard::Answer { ticket: of, outcome: Outcome::Refused { code, text } }] = &heard[..]
        else {
            panic!("{which:?}: {heard:?}")
        };
        assert_eq!((*of, &**code, &**text), (ticket, NOT_SENT, "the budget is used up"));
        let (ticket, instruction) = desk.instruction(which, true);
        desk.trade(instruction);
        if let Sent::Request(request) = desk.only_sent() {
            let _ = desk.bench.outcome(&request, venue::Outcome::Lost("timed out"));
            let heard = desk.heard();
            assert!(heard.len() == 1 && is_unknown(&heard[0]), "{ticket:?} {heard:?}");
        }
    }
}

/// Rule 12: A message of the account that can't be read may have been a report: nothing is heard for a
/// moment, so that the desk asks how things stand. What is of an unknown type is told and harmless.
pub fn r12_unreadable_messages(far: Of<'_>) {
    let mut desk = Desk::live(far());
    let conn = desk.account_conn();
    for broken in [desk.far.report_broken(), "{\"e".to_owned(), "[]".to_owned(), "\u{1}".to_owned()]
    {
        let error = desk.bench.frame(conn, &broken).unwrap_err();
        assert_eq!(error.remedy, Remedy::Resync, "{broken}");
        assert_eq!(desk.heard(), [Heard::Listening(false)], "{broken}");
        desk.bench.pass(1_100);
        assert_eq!(desk.heard(), [Heard::Listening(true)], "{broken}");
    }
    desk.bench.pipeline.notices.clear();
    let strange = desk.far.strange();
    desk.bench.frame(conn, &strange).unwrap();
    assert_eq!(desk.heard(), []);
    assert_eq!(desk.bench.pipeline.notices.len(), 1);
}

/// Rule 13: While a connection is renewed nothing is missed: the old one counts until the new one is
/// confirmed, and its end is not heard of then.
pub fn r13_renewal(far: Of<'_>) {
    let mut desk = Desk::live(far());
    let links: Vec<_> = desk.links.iter().map(|(link, _)| *link).collect();
    for link in links {
        let old = desk.conns.iter().find(|(_, of)| *of == link).unwrap().0;
        desk.open(link);
        desk.serve_upkeep();
        let report = desk.far.report_new(CLIENT_ID, desk.now_ms());
        let account = link == desk.far.account_link();
        if account {
            desk.bench.frame(old, &report).unwrap();
            assert_eq!(orders(&desk.heard()).len(), 1);
        }
        desk.close(old);
        assert_eq!(desk.heard(), []);
        if account {
            let conn = desk.account_conn();
            desk.bench.frame(conn, &report).unwrap();
            assert_eq!(orders(&desk.heard()).len(), 1);
        }
        let (ticket, heard) = ask(&mut desk, Asked::Place, Answer::Good);
        assert_eq!(heard, [accepted(ticket)]);
    }
}

/// Rule 14: Before the machine is ready every instruction is answered: nothing was sent. While the
/// socket of the orders is down they go by request.
pub fn r14_before_it_is_ready(far: Of<'_>) {
    let mut desk = Desk::new(far());
    for which in CHANGES.into_iter().chain(READS) {
        let (_, instruction) = desk.instruction(which, true);
        desk.trade(instruction);
        let heard = desk.heard();
        assert!(heard.len() == 1 && is_not_sent(&heard[0]), "{which:?}: {heard:?}");
    }
    assert!(desk.sent().is_empty());
    let mut desk = Desk::live(far());
    for (conn, _) in desk.conns.clone() {
        desk.close(conn);
    }
    desk.heard();
    for which in [Asked::Place, Asked::Cancel] {
        let (ticket, instruction) = desk.instruction(which, true);
        desk.trade(instruction);
        let sent = desk.only_sent();
        assert!(matches!(sent, Sent::Request(_)), "{sent:?}");
        desk.reply(&sent, Answer::Good);
        assert_eq!(desk.heard(), [accepted(ticket)]);
    }
}

/// Rule 15: Requests carry the venue's time, and an order that is too late is not sent.
pub fn r15_clock(far: Of<'_>) {
    let mut desk = Desk::live(far());
    desk.bench.pass(1_234);
    let (_, instruction) = desk.instruction(Asked::Balances, true);
    desk.trade(instruction);
    let words = said(&desk.only_sent());
    let stamp = desk.far.stamp(desk.now_ms());
    assert!(words.contains(&stamp), "no {stamp} in {words}");
    let (ticket, instruction) = desk.instruction(Asked::Place, true);
    let model::trading::Instruction::Place { mut order, .. } = instruction else { panic!() };
    order.deadline = Some(desk.bench.now);
    desk.trade(model::trading::Instruction::Place { ticket, order });
    let heard = desk.heard();
    assert!(heard.len() == 1 && is_not_sent(&heard[0]), "{heard:?}");
}

/// Rule 16: Neither key nor secret nor passphrase shows in the machine's debug form, its notices or its
/// errors.
pub fn r16_secrets(far: Of<'_>) {
    let mut desk = Desk::live(far());
    let mut shown = desk.far.debug();
    for which in CHANGES.into_iter().chain(READS) {
        for how in [Answer::Refused, Answer::Unknown, Answer::Garbage, Answer::NotFound] {
            let (_, instruction) = desk.instruction(which, true);
            desk.trade(instruction);
            shown += &format!("{:?}", desk.bench.outbox.once_frames);
            let sent = desk.sent();
            shown += &format!(
                "{:?}",
                sent.iter().filter(|s| matches!(s, Sent::Request(_))).collect::<Vec<_>>()
            );
            for sent in &sent {
                let (status, text) = desk.far.answer(sent, how, desk.now_ms());
                let result = match sent {
                    Sent::Request(request) => {
                        let outcome = match status {
                            200 => venue::Outcome::Answered(text.as_bytes()),
                            _ => venue::Outcome::Status(status, text.as_bytes()),
                        };
                        desk.bench.outcome(request, outcome)
                    }
                    Sent::Frame { conn, .. } => desk.bench.frame(conn.0, &text),
                };
                shown += &format!("{result:?}");
            }
        }
    }
    desk.bench.pass(60_000);
    shown += &format!("{:?} {:?}", desk.bench.pipeline.notices, desk.bench.pipeline.heard);
    for hidden in [KEY, SECRET, PASSPHRASE] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
}

/// Rule 17: The dead man's switch is there where the profile says so, and refused where not.
pub fn r17_dead_man(far: Of<'_>) {
    let mut desk = Desk::live(far());
    let has = desk.far.facts().dead_man;
    assert_eq!(desk.bench.venue.trading().unwrap().dead_man, has);
    let (ticket, instruction) = desk.instruction(Asked::DeadMan, true);
    desk.trade(instruction);
    match has {
        Some(_) => {
            let sent = desk.only_sent();
            assert_eq!(desk.far.asked(&sent), Asked::DeadMan);
            desk.reply(&sent, Answer::Good);
            assert_eq!(desk.heard(), [answer(ticket, Outcome::Accepted { venue_order_id: None })]);
        }
        None => {
            let heard = desk.heard();
            assert!(heard.len() == 1 && is_not_sent(&heard[0]), "{heard:?}");
        }
    }
}

/// Rule 18: An instrument that the venue does not list is refused, and the list asked for again; that
/// there are no fills of it is an answer.
pub fn r18_unlisted(far: Of<'_>) {
    let mut desk = Desk::live(far());
    let (ticket, instruction) = desk.instruction(Asked::Place, true);
    let model::trading::Instruction::Place { mut order, .. } = instruction else { panic!() };
    order.instrument = "NEW-COIN".into();
    desk.trade(model::trading::Instruction::Place { ticket, order });
    let heard = desk.heard();
    assert!(heard.len() == 1 && is_not_sent(&heard[0]), "{heard:?}");
    assert!(format!("{heard:?}").contains("NEW-COIN"));
    let (ticket, instruction) = desk.instruction(Asked::Fills, true);
    let model::trading::Instruction::Fills { since, .. } = instruction else { panic!() };
    let instrument = "NEW-COIN".into();
    desk.trade(model::trading::Instruction::Fills { ticket, instrument, since });
    assert_eq!(desk.heard(), [answer(ticket, Outcome::NotFound)]);
    assert!(desk.sent().is_empty());
    desk.bench.pass(61_000);
    let asked = desk.sent();
    let is_list = |sent: &Sent| match sent {
        Sent::Request(request) => {
            ["/exchangeInfo", "/public/instruments"].iter().any(|path| request.url.contains(path))
        }
        Sent::Frame { .. } => false,
    };
    assert_eq!(asked.iter().filter(|sent| is_list(sent)).count(), 1, "{asked:?}");
}

/// Tells the machine that what it wants sent was not.
fn unsent(desk: &mut Desk, why: &str) {
    match desk.only_sent() {
        Sent::Request(request) => {
            let _ = desk.bench.outcome(&request, venue::Outcome::Unsent(why));
        }
        Sent::Frame { id, .. } => {
            desk.bench.unsent(id.unwrap(), why);
        }
    }
}

/// Everything that a request or message says.
fn said(sent: &Sent) -> String {
    match sent {
        Sent::Request(request) => format!("{} {} {:?}", request.url, request.body, request.headers),
        Sent::Frame { text, .. } => text.clone(),
    }
}

/// Asks, answers until nothing more is asked, and gives what was heard.
fn ask(desk: &mut Desk, which: Asked, how: Answer) -> (model::trading::Ticket, Vec<Heard>) {
    let (ticket, instruction) = desk.instruction(which, true);
    desk.trade(instruction);
    for _ in 0..10 {
        let sent = desk.sent();
        if sent.is_empty() {
            break;
        }
        for sent in &sent {
            desk.reply(sent, how);
        }
    }
    (ticket, desk.heard())
}

/// Rule 20: Where no report is free, what would be told of orders is left out, and every ticket is
/// answered.
pub fn r20_no_free_report(far: Of<'_>) {
    let mut desk = Desk::live(far());
    let reports = desk.bench.pipeline.reports.clone();
    let held: Vec<_> = std::iter::from_fn(|| reports.try_acquire()).collect();
    for which in [Asked::OpenOrders, Asked::Fills] {
        let (ticket, heard) = ask(&mut desk, which, Answer::Good);
        let end = answer(ticket, Outcome::Accepted { venue_order_id: None });
        assert_eq!(heard, [end], "{which:?}");
    }
    drop(held);
    let (_, heard) = ask(&mut desk, Asked::OpenOrders, Answer::Good);
    assert_eq!(orders(&heard).len(), 1);
}
