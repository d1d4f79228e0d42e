//! What the room makes of a ledger that can't be read, and of a switch that the desk throws.

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use engine::orders::DeskOptions;
use engine::orders::desk::NewOrder;
use engine::{Capacity, Catalog, Consumer, Context, QueueCapacity};
use model::event::Side;
use model::ledger::{Fact, LedgerAppend, LedgerReply, Report, StoredOrder, Terms, VenueName};
use model::order::{OrderType, TimeInForce};
use model::reply::ReplyAnswer;
use model::{Decimal, Denial};
use store::ledger::{Held, LedgerError, LedgerRead, MemoryLedger};

use super::super::reader::{Reader, answer};
use super::*;

const NOW: Nanos = Nanos(1_000);

/// No disk behind it any more; where there is something to wait for, it says nothing before that.
struct Unreadable(Option<Receiver<()>>);

fn error<T>() -> Result<T, LedgerError> {
    let (place, message) = ("ledger.db".to_owned(), "input/output error".to_owned());
    Err(LedgerError { place, remedy: model::Remedy::Reject, message })
}

impl LedgerRead for Unreadable {
    fn order(&mut self, _: &OrderKey) -> Result<Option<StoredOrder>, LedgerError> {
        if let Some(turn) = &self.0 {
            let _ = turn.recv();
        }
        error()
    }

    fn open_orders(&mut self, _: u64, _: usize) -> Result<Vec<StoredOrder>, LedgerError> {
        error()
    }

    fn facts_of(
        &mut self,
        _: &OrderKey,
        _: u64,
        _: usize,
    ) -> Result<Vec<(u64, Fact)>, LedgerError> {
        error()
    }

    fn reports_after(
        &mut self,
        _: &str,
        _: u64,
        _: usize,
    ) -> Result<Vec<(u64, Report)>, LedgerError> {
        error()
    }

    fn owner(&mut self, _: &VenueName) -> Result<Option<OrderKey>, LedgerError> {
        error()
    }

    fn newest(&mut self, _: usize) -> Result<Vec<(u64, Fact)>, LedgerError> {
        error()
    }

    fn held(&mut self, _: &str) -> Result<Vec<Held>, LedgerError> {
        error()
    }

    fn acknowledged(&mut self, _: &str) -> Result<u64, LedgerError> {
        error()
    }
}

/// Answers from whatever can be read.
struct Beside(Box<dyn LedgerRead>, VecDeque<Told>);

impl Ledger for Beside {
    fn append(&mut self, append: LedgerAppend) -> Result<(), Box<LedgerAppend>> {
        Err(Box::new(append))
    }

    fn reply(&mut self) -> Option<LedgerReply> {
        None
    }

    fn ask(&mut self, ask: Ask) -> Result<(), Ask> {
        self.1.push_back(answer(&mut *self.0, &Catalog::new(), ask));
        Ok(())
    }

    fn told(&mut self) -> Option<Told> {
        self.1.pop_front()
    }
}

/// What a consumer was answered.
#[derive(Default)]
struct Answers(Vec<ReplyAnswer>);

impl Consumer for Answers {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        if let Body::Reply(reply) = &event.body {
            self.0.push(reply.answer.clone());
        }
    }
}

/// A room without providers, and its consumer.
fn room(shard: &mut Shard, breaker: Option<Rate>) -> (Room, engine::Inbox) {
    let inbox = shard.add_consumer("c", QueueCapacity::default(), NOW).unwrap();
    let parties = [Party { id: inbox.id(), name: "c".into(), breaker }];
    let kept = Kept::read(&mut MemoryLedger::new(), &parties, &[]).unwrap();
    let desk = Desk::new(DeskOptions::default());
    let (room, _ports) = Room::restored(desk, &parties, Vec::new(), kept, shard, NOW).unwrap();
    (room, inbox)
}

/// What a consumer of that ledger is answered about its order "1", and what is counted.
fn asked(intent: Intent, ledger: Box<dyn LedgerRead>) -> (Vec<ReplyAnswer>, OrderCounts) {
    let mut shard =
        Shard::new(Capacity::default(), Catalog::new(), std::task::Waker::noop().clone());
    let (mut room, mut inbox) = room(&mut shard, None);
    let (consumer, client_order_id) = (inbox.id(), "1".to_owned());
    let request = OrderRequest { consumer, client_order_id, intent, ..OrderRequest::default() };
    let mut ledger = Beside(ledger, VecDeque::new());
    room.take_request(&request, &"c".into(), &shard, NOW);
    for _ in 0..2 {
        room.turn(&mut shard, &mut ledger, NOW);
        shard.end_turn(NOW);
    }
    let mut answers = Answers::default();
    while inbox.drain(&mut answers, || NOW) > 0 {}
    (answers.0, room.counts())
}

#[test]
fn an_order_that_cant_be_read_is_not_one_that_is_unknown() {
    let denied = |ledger| match &asked(Intent::Query, ledger).0[..] {
        [ReplyAnswer::Denied(denial)] => *denial,
        other => panic!("{other:?}"),
    };
    assert_eq!(denied(Box::new(MemoryLedger::new())), Denial::UnknownOrder);
    assert_eq!(denied(Box::new(Unreadable(None))), Denial::LedgerUnreadable);
}

#[test]
fn an_order_that_is_denied_is_counted_and_a_question_that_is_denied_is_not() {
    let counts = |intent| {
        let (answers, counts) = asked(intent, Box::new(MemoryLedger::new()));
        assert!(matches!(answers[..], [ReplyAnswer::Denied(_)]), "{answers:?}");
        (counts.submitted, counts.denied)
    };
    assert_eq!(counts(Intent::Submit), (1, 1));
    assert_eq!(counts(Intent::Query), (0, 0));
}

#[test]
fn a_switch_that_the_breaker_threw_stays_off_however_much_else_there_is_to_tell() {
    let mut shard =
        Shard::new(Capacity::default(), Catalog::new(), std::task::Waker::noop().clone());
    let once = Rate { count: 1, per: Duration::from_secs(60) };
    let (mut room, inbox) = room(&mut shard, Some(once));
    let mut ledger = Beside(Box::new(MemoryLedger::new()), VecDeque::new());
    shard.set_trading(inbox.id(), true);
    room.turn(&mut shard, &mut ledger, NOW);
    assert!(room.desk.is_on("c"));
    // Without an id it can't be an order: a rejection, before the next turn.
    let terms = Terms {
        provider: "p".into(),
        instrument: "BTC-USDT".into(),
        side: Side::Buy,
        order_type: OrderType::Market,
        time_in_force: TimeInForce::Ioc,
        price: None,
        quantity: Decimal::ONE,
    };
    let order = OrderKey { consumer: "c".into(), client_order_id: "".into() };
    let new = NewOrder { order, terms, decision_id: 0 };
    room.desk.submit(new, Market::default(), NOW);
    assert!(!room.desk.is_on("c"));
    // So many notes that nobody hears of it.
    for _ in 0..2_000 {
        room.desk.ledger(LedgerReply::Recovered, NOW);
    }
    for _ in 0..3 {
        room.turn(&mut shard, &mut ledger, NOW);
        assert!(!room.desk.is_on("c"));
    }
}

#[test]
fn the_end_does_not_wait_for_a_reader_whose_database_never_answers() {
    let (turn, turns) = sync_channel(0);
    let start = |ledger| Reader::start(Box::new(ledger), Catalog::new(), || {}).unwrap();
    let ask = || Ask::Order(OrderKey { consumer: "c".into(), client_order_id: "1".into() });
    let silent = start(Unreadable(Some(turns)));
    silent.ask(ask()).unwrap();
    assert!(!silent.finish(Duration::from_millis(1)), "it is left behind");
    drop(turn);
    let answering = start(Unreadable(None));
    answering.ask(ask()).unwrap();
    assert!(answering.finish(Duration::from_secs(20)));
}
