//! The critical lane by example, and for any interleaving: every execution event once and in order,
//! every answer, and whoever has something left to read in the log alone is said to be stalled.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use model::ledger::{OrderKey, Report};
use model::order::OrderState;
use model::{Body, ConsumerId, Decimal, Error, Event, Header, Kind, Nanos, Side, Stream};
use proptest::prelude::*;

use super::{ASK_AGAIN, NOTICES_MAX};
use crate::exec_log::{ExecLog, LogRequest, MemoryLog, Page, exec_event};
use crate::{
    Capacity, Catalog, Consumer, Context, Inbox, QueueCapacity, RoutingTable, Shard, Subscription,
    testing,
};

/// What a consumer was handed: positions of executions, and the numbers of answers and trades.
#[derive(Debug, Default)]
struct Taken {
    executions: Vec<u64>,
    answers: Vec<u64>,
    trades: Vec<u64>,
    kinds: Vec<Kind>,
    /// After every so many executions it acknowledges; never where 0.
    acknowledges_each: usize,
}

impl Consumer for Taken {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        let position = event.header.seq_provider.unwrap_or_default();
        self.kinds.push(event.kind());
        match event.kind() {
            Kind::ExecReport => {
                self.executions.push(position);
                if self.executions.len().checked_rem(self.acknowledges_each) == Some(0) {
                    ctx.acknowledge(position).unwrap();
                }
            }
            Kind::ControlAck | Kind::ControlResult => self.answers.push(position),
            Kind::Trade => self.trades.push(position),
            _ => {}
        }
    }
}

fn plain(kind: Kind, number: u64) -> Event {
    let stream = Stream { kind, ..Stream::default() };
    Event {
        header: Header { stream, seq_provider: Some(number), ..Header::default() },
        ..Event::default()
    }
}

fn report() -> Report {
    Report {
        order: OrderKey { consumer: "a".into(), client_order_id: "1".into() },
        provider: "gone".into(),
        instrument: "BTC-USDT".into(),
        venue_order_id: "77".into(),
        state: OrderState::Filled,
        side: Side::Buy,
        quantity: Decimal::TWO,
        filled: Decimal::TWO,
        fill: None,
        venue_event_id: None,
        text: "".into(),
        ts_event: Some(Nanos(5)),
        ts_recv: Nanos(6),
    }
}

struct Rig {
    shard: Shard,
    log: MemoryLog,
    inboxes: Vec<Inbox>,
    taken: Vec<Taken>,
    now: Nanos,
}

impl Rig {
    fn new(consumers: usize, capacity: QueueCapacity) -> Self {
        let names: Vec<_> = (0..consumers).map(|n| n.to_string()).collect();
        let named: Vec<_> = names.iter().map(|name| (&**name, capacity)).collect();
        let (shard, inboxes) = testing::shard(&named);
        let taken = (0..consumers).map(|_| Taken::default()).collect();
        Self { shard, log: MemoryLog::new(100_000), inboxes, taken, now: Nanos(1) }
    }

    fn id(&self, consumer: usize) -> ConsumerId {
        self.inboxes[consumer].id()
    }

    /// Logs an execution event and hands it in at once.
    fn execute(&mut self, consumer: usize) {
        let id = self.id(consumer);
        let event = self.log.append(id, plain(Kind::ExecReport, 0)).unwrap();
        self.shard.execution(id, event, self.now);
    }

    /// A turn, with whatever the log is asked answered in it.
    fn turn(&mut self) {
        self.shard.end_turn(self.now);
        while let Some(request) = self.shard.log_request() {
            if let Some(page) = self.log.serve(request).unwrap() {
                self.shard.log_page(page, self.now);
            }
        }
        self.shard.end_turn(self.now);
    }

    fn drain(&mut self, consumer: usize, most: usize) -> usize {
        let taken = &mut self.taken[consumer];
        let read = self.inboxes[consumer].drain_up_to(most, taken, || Nanos(9));
        assert_eq!(self.inboxes[consumer].tally().counts().panics, 0, "see the panic above");
        read
    }

    fn settle(&mut self) {
        loop {
            self.turn();
            let read: usize = (0..self.inboxes.len()).map(|n| self.drain(n, 64)).sum();
            if read == 0 && (0..self.inboxes.len()).all(|n| self.inboxes[n].is_empty()) {
                return;
            }
        }
    }

    fn stalled(&self, consumer: usize) -> bool {
        self.shard.is_stalled(self.id(consumer))
    }
}

fn small(critical: usize, commands: usize) -> QueueCapacity {
    QueueCapacity { ring: 8, trades: 4, critical, commands }
}

#[test]
fn critical_events_go_before_market_data_that_was_there_first() {
    let mut rig = Rig::new(1, QueueCapacity::default());
    testing::trade(&mut rig.shard, Nanos(1), 1);
    testing::trade(&mut rig.shard, Nanos(1), 2);
    rig.execute(0);
    rig.settle();
    assert_eq!(rig.taken[0].kinds, [Kind::ExecReport, Kind::Trade, Kind::Trade]);
    let counts = rig.inboxes[0].tally().counts();
    assert_eq!((counts.delivered, counts.critical_delivered, counts.offered), (3, 1, 3));
}

#[test]
fn what_does_not_fit_the_window_is_read_back_in_order_and_once() {
    let mut rig = Rig::new(2, small(4, 1));
    for _ in 0..10 {
        rig.execute(0);
        rig.execute(1);
        rig.turn();
        rig.drain(1, 64);
    }
    assert!(rig.stalled(0) && !rig.stalled(1), "nobody else is harmed");
    let counts = rig.inboxes[0].tally().counts();
    assert!(counts.stalled && (counts.stalls, counts.offered) == (1, 4), "{counts:?}");
    rig.settle();
    assert_eq!(rig.taken[0].executions, (0..10).map(|n| 2 * n + 1).collect::<Vec<_>>());
    assert_eq!(rig.taken[1].executions.len(), 10);
    let counts = rig.inboxes[0].tally().counts();
    assert!(!rig.stalled(0) && !counts.stalled);
    assert_eq!((counts.read_back, counts.offered, counts.delivered), (6, 10, 10));
    rig.execute(0);
    rig.settle();
    assert_eq!(rig.inboxes[0].tally().counts().read_back, 6, "what follows goes straight in");
}

#[test]
fn the_log_is_asked_when_half_of_the_window_is_free_and_once() {
    let mut rig = Rig::new(1, small(4, 1));
    (0..9).for_each(|_| rig.execute(0));
    rig.shard.end_turn(rig.now);
    assert_eq!(rig.shard.log_request(), None, "there is no room");
    rig.drain(0, 1);
    rig.shard.end_turn(rig.now);
    assert_eq!(rig.shard.log_request(), None);
    rig.drain(0, 1);
    rig.shard.end_turn(rig.now);
    let asked = LogRequest::Read { consumer: rig.id(0), after: 4, limit: 2 };
    assert_eq!(rig.shard.log_request(), Some(asked));
    rig.drain(0, 2);
    rig.execute(0);
    rig.shard.end_turn(rig.now);
    assert_eq!(rig.shard.log_request(), None, "the answer is not there yet");
    let page = rig.log.serve(asked).unwrap().unwrap();
    rig.shard.log_page(page, rig.now);
    rig.settle();
    assert_eq!(rig.taken[0].executions, (1..=10).collect::<Vec<_>>());
}

#[test]
fn an_event_that_was_read_back_before_it_was_handed_in_comes_once() {
    let mut rig = Rig::new(1, small(2, 1));
    (0..3).for_each(|_| rig.execute(0));
    let id = rig.id(0);
    let written = rig.log.append(id, plain(Kind::ExecReport, 0)).unwrap();
    rig.settle();
    assert_eq!(rig.taken[0].executions, [1, 2, 3, 4]);
    rig.shard.execution(id, written, rig.now);
    rig.execute(0);
    rig.settle();
    assert_eq!(rig.taken[0].executions, [1, 2, 3, 4, 5]);
}

#[test]
fn a_log_that_fails_or_lacks_what_it_had_is_asked_again_later() {
    for broken in [Err(Error::stop("the disk is gone")), Ok(Vec::new())] {
        let mut rig = Rig::new(1, small(2, 1));
        (0..3).for_each(|_| rig.execute(0));
        rig.drain(0, 2);
        rig.shard.end_turn(rig.now);
        let request = rig.shard.log_request().unwrap();
        let page = Page { consumer: rig.id(0), after: 2, events: broken };
        rig.shard.log_page(page, rig.now);
        rig.shard.end_turn(rig.now);
        assert_eq!(rig.shard.log_request(), None);
        assert_eq!(rig.shard.deadline(), Some(rig.now + ASK_AGAIN));
        assert!(rig.stalled(0));
        rig.now = rig.now + ASK_AGAIN;
        rig.shard.end_turn(rig.now);
        assert_eq!(rig.shard.log_request(), Some(request));
        let page = rig.log.serve(request).unwrap().unwrap();
        rig.shard.log_page(page, rig.now);
        rig.settle();
        assert_eq!((&rig.taken[0].executions[..], rig.stalled(0)), (&[1, 2, 3][..], false));
        assert_eq!(rig.shard.deadline(), None);
    }
}

#[test]
fn a_consumer_that_comes_back_gets_what_it_has_not_acknowledged() {
    let mut rig = Rig::new(1, small(4, 1));
    rig.taken[0].acknowledges_each = 3;
    (0..8).for_each(|_| rig.execute(0));
    rig.settle();
    let id = rig.id(0);
    assert_eq!(rig.log.acknowledged(id), 6);
    assert_eq!(rig.inboxes[0].tally().counts().acknowledged, 6);
    let Rig { mut log, .. } = rig;
    let mut rig = Rig::new(1, small(4, 1));
    let written = log.append(id, plain(Kind::ExecReport, 0)).unwrap();
    rig.shard.resume(id, log.acknowledged(id));
    rig.log = log;
    rig.shard.execution(id, written, rig.now);
    rig.execute(0);
    rig.settle();
    assert_eq!(rig.taken[0].executions, [7, 8, 9, 10]);
}

#[test]
fn a_consumer_that_comes_back_reads_page_after_page_though_nothing_new_comes() {
    let mut rig = Rig::new(1, small(4, 1));
    let id = rig.id(0);
    for _ in 0..10 {
        rig.log.append(id, plain(Kind::ExecReport, 0)).unwrap();
    }
    rig.shard.resume(id, 1);
    rig.settle();
    assert_eq!(rig.taken[0].executions, (2..=10).collect::<Vec<_>>());
}

#[test]
fn the_log_is_not_told_anew_what_was_acknowledged_before_the_restart() {
    let mut rig = Rig::new(1, small(4, 1));
    let id = rig.id(0);
    for _ in 0..9 {
        rig.log.append(id, plain(Kind::ExecReport, 0)).unwrap();
    }
    rig.shard.resume(id, 8);
    rig.turn();
    let mut early = Acknowledges(7, None);
    assert_eq!(rig.inboxes[0].drain(&mut early, || Nanos(9)), 1);
    assert!(early.1.unwrap().is_ok());
    assert_eq!(rig.shard.log_request(), None);
}

#[test]
fn so_many_notices_wait_and_when_they_were_read_there_is_room_again() {
    let mut rig = Rig::new(1, small(4, 1));
    let id = rig.id(0);
    for _ in 0..3 {
        let news = || plain(Kind::Balance, 0);
        let fit = (0..=NOTICES_MAX).take_while(|_| rig.shard.notice(id, news(), rig.now).is_ok());
        assert_eq!((fit.count(), rig.shard.has_notice_room(id)), (NOTICES_MAX, false));
        rig.settle();
        assert!(rig.shard.has_notice_room(id));
    }
}

/// Acknowledges what it was told to, once.
struct Acknowledges(u64, Option<Result<(), Error>>);
impl Consumer for Acknowledges {
    fn on_event(&mut self, _: Event, ctx: &mut Context<'_>) {
        self.1.get_or_insert_with(|| ctx.acknowledge(self.0));
    }
}

#[test]
fn what_was_not_delivered_yet_cannot_be_acknowledged() {
    let mut rig = Rig::new(1, small(4, 1));
    (0..3).for_each(|_| rig.execute(0));
    rig.turn();
    let inbox = &mut rig.inboxes[0];
    let mut early = Acknowledges(2, None);
    inbox.drain_up_to(1, &mut early, || Nanos(9));
    let error = early.1.unwrap().unwrap_err();
    assert!(error.message.contains("position 2") && error.message.contains("was 1"), "{error}");
    let mut right = Acknowledges(2, None);
    inbox.drain_up_to(1, &mut right, || Nanos(9));
    let mut again = Acknowledges(1, None);
    inbox.drain_up_to(1, &mut again, || Nanos(9));
    assert!(right.1.unwrap().is_ok() && again.1.unwrap().is_ok());
    assert_eq!(inbox.tally().counts().acknowledged, 2, "and never goes back");
    let consumer = rig.id(0);
    let told = LogRequest::Acknowledge { consumer, position: 2 };
    assert_eq!((rig.shard.log_request(), rig.shard.log_request()), (Some(told), None));
}

#[test]
fn a_consumer_has_so_many_commands_open_and_all_their_answers_come() {
    let mut rig = Rig::new(1, small(1, 2));
    let id = rig.id(0);
    let answer = |rig: &mut Rig, kind, n| {
        rig.shard.answer(id, plain(kind, n), kind == Kind::ControlResult, rig.now)
    };
    for n in [1, 3] {
        rig.shard.open_command(id).unwrap();
        answer(&mut rig, Kind::ControlAck, n).unwrap();
        answer(&mut rig, Kind::ControlResult, n + 1).unwrap();
    }
    rig.shard.end_turn(rig.now);
    let refused = rig.shard.open_command(id).unwrap_err();
    assert!(refused.message.contains("2 commands"), "{refused}");
    assert_eq!(rig.inboxes[0].tally().counts().waiting, 3);
    for _ in 0..2 {
        rig.drain(0, 1);
        rig.shard.end_turn(rig.now);
    }
    rig.shard.open_command(id).unwrap();
    answer(&mut rig, Kind::ControlResult, 5).unwrap();
    rig.settle();
    assert_eq!(rig.taken[0].answers, [1, 2, 3, 4, 5]);
    assert!(answer(&mut rig, Kind::ControlResult, 6).is_err(), "no command is open");
    assert!(rig.shard.open_command(ConsumerId(9)).is_err());
}

#[test]
fn a_log_in_memory_is_bounded_and_makes_room_by_acknowledgements() {
    let (one, two) = (ConsumerId(1), ConsumerId(2));
    let mut log = MemoryLog::new(3);
    for consumer in [one, two, one] {
        log.append(consumer, plain(Kind::ExecReport, 0)).unwrap();
    }
    let full = log.append(two, plain(Kind::ExecReport, 0)).unwrap_err();
    assert!(full.message.contains("3 events"), "{full}");
    log.acknowledge(one, 3).unwrap();
    log.acknowledge(one, 1).unwrap();
    assert_eq!((log.acknowledged(one), log.acknowledged(two)), (3, 0));
    let positions = |log: &mut MemoryLog, consumer| {
        let events = log.read(consumer, 0, 9).unwrap();
        events.iter().filter_map(|event| event.header.seq_provider).collect::<Vec<_>>()
    };
    assert_eq!((positions(&mut log, one), positions(&mut log, two)), (vec![], vec![2]));
    let next = log.append(two, plain(Kind::ExecReport, 0)).unwrap();
    assert_eq!(next.header.seq_provider, Some(4), "a position is never used again");
}

#[test]
fn a_report_becomes_an_event_with_its_position_also_where_its_provider_is_gone() {
    let catalog = Catalog::new();
    let report = std::sync::Arc::new(report());
    let event = exec_event(12, report.clone(), &catalog);
    let stream = event.header.stream;
    assert_eq!((event.kind(), event.header.seq_provider), (Kind::ExecReport, Some(12)));
    assert_eq!((event.header.ts_event, event.header.ts_recv), (Some(Nanos(5)), Nanos(6)));
    assert_eq!(catalog.provider_name(stream.provider).as_deref(), Some("gone"));
    assert_eq!(catalog.instrument_name(stream.instrument).as_deref(), Some("BTC-USDT"));
    assert_eq!(event.body, Body::Exec(report));
}

#[test]
fn a_consumer_that_left_is_owed_nothing_and_the_log_keeps_it() {
    let mut rig = Rig::new(1, small(1, 1));
    let id = rig.id(0);
    (0..3).for_each(|_| rig.execute(0));
    rig.inboxes.clear();
    rig.shard.end_turn(rig.now);
    rig.shard.execution(id, plain(Kind::ExecReport, 4), rig.now);
    rig.shard.end_turn(rig.now);
    assert_eq!(rig.shard.log_request(), None);
    assert_eq!(rig.log.read(id, 0, 9).unwrap().len(), 3);
}

#[test]
fn a_full_window_has_a_duration_until_all_is_read_back_or_the_consumer_left() {
    let mut rig = Rig::new(2, small(2, 1));
    let left = rig.id(1);
    for consumer in [0, 0, 0, 1, 1, 1] {
        rig.execute(consumer);
    }
    let mut turn_at = |at: u64, leaves: bool, drains: bool| {
        if leaves {
            rig.inboxes.truncate(1);
        }
        if drains {
            rig.drain(0, 64);
        }
        rig.now = Nanos(at);
        rig.turn();
        let counts = rig.shard.consumers().map(|(_, tally)| tally.counts());
        counts.map(|counts| (counts.stalled, counts.stalled_ns)).collect::<Vec<_>>()
    };
    assert_eq!(turn_at(1, false, false), [(true, 0), (true, 0)]);
    assert_eq!(turn_at(11, false, false), [(true, 10), (true, 10)]);
    assert_eq!(turn_at(21, false, true), [(false, 20), (true, 20)]);
    assert_eq!(turn_at(31, true, false), [(false, 20), (false, 30)]);
    assert_eq!(turn_at(41, false, false), [(false, 20), (false, 30)]);
    assert!(!rig.shard.is_stalled(left));
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// The ledger has written an event; the engine hears of it later.
    Write(usize),
    /// The engine hears of the oldest so many.
    Hear(usize),
    EndTurn,
    /// The log does the oldest thing that it was asked, or can't.
    Serve {
        fails: bool,
    },
    /// The engine gets the oldest page.
    Answer,
    Drain(usize, usize),
    Command(usize),
    /// The oldest open command is answered.
    Reply(usize),
    Trade,
    Later,
    /// Another table is in force: a consumer gets everything, or nothing of the market.
    Flip(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let consumer = 0..2usize;
    prop_oneof![
        8 => consumer.clone().prop_map(Step::Write),
        6 => (1..4usize).prop_map(Step::Hear),
        6 => Just(Step::EndTurn),
        5 => prop::bool::weighted(0.1).prop_map(|fails| Step::Serve { fails }),
        5 => Just(Step::Answer),
        6 => (consumer.clone(), 1..5usize).prop_map(|(consumer, most)| Step::Drain(consumer, most)),
        2 => consumer.clone().prop_map(Step::Command),
        2 => consumer.prop_map(Step::Reply),
        3 => Just(Step::Trade),
        1 => Just(Step::Later),
        1 => (0..3usize).prop_map(Step::Flip),
    ]
}

/// The rig with everything between it and its log under way for a while, and the truth beside it.
struct World {
    rig: Rig,
    written: VecDeque<(usize, Event)>,
    asked: VecDeque<LogRequest>,
    pages: VecDeque<Page>,
    /// By consumer: all that was written, and the last of it that the engine heard of.
    truth: [Vec<u64>; 2],
    heard: [u64; 2],
    /// By consumer: commands without a result, and all answers.
    open: [VecDeque<u64>; 2],
    answers: [Vec<u64>; 2],
    numbers: u64,
    table: RoutingTable,
}

impl World {
    fn new(critical: usize, commands: usize, acknowledges_each: usize) -> Self {
        let mut rig = Rig::new(2, small(critical, commands));
        rig.taken[0].acknowledges_each = acknowledges_each;
        Self {
            rig,
            written: VecDeque::new(),
            asked: VecDeque::new(),
            pages: VecDeque::new(),
            truth: Default::default(),
            heard: [0; 2],
            open: Default::default(),
            answers: Default::default(),
            numbers: 0,
            table: RoutingTable::default(),
        }
    }

    fn take(&mut self, step: Step) {
        let rig = &mut self.rig;
        let now = rig.now;
        match step {
            Step::Write(consumer) => {
                let event = rig.log.append(rig.id(consumer), plain(Kind::ExecReport, 0)).unwrap();
                self.truth[consumer].extend(event.header.seq_provider);
                self.written.push_back((consumer, event));
            }
            Step::Hear(most) => {
                for (consumer, event) in self.written.drain(..most.min(self.written.len())) {
                    self.heard[consumer] = event.header.seq_provider.unwrap();
                    rig.shard.execution(rig.inboxes[consumer].id(), event, now);
                }
            }
            Step::EndTurn => {
                rig.shard.end_turn(now);
                self.asked.extend(std::iter::from_fn(|| rig.shard.log_request()));
            }
            Step::Serve { fails } => match self.asked.pop_front() {
                Some(LogRequest::Read { consumer, after, .. }) if fails => {
                    let events = Err(Error::stop("not now"));
                    self.pages.push_back(Page { consumer, after, events });
                }
                Some(request) => self.pages.extend(rig.log.serve(request).unwrap()),
                None => {}
            },
            Step::Answer => {
                if let Some(page) = self.pages.pop_front() {
                    rig.shard.log_page(page, now);
                }
            }
            Step::Drain(consumer, most) => {
                rig.drain(consumer, most);
            }
            Step::Command(consumer) => self.command(consumer),
            Step::Reply(consumer) => self.reply(consumer),
            Step::Trade => {
                self.numbers += 1;
                testing::trade(&mut rig.shard, now, self.numbers);
            }
            Step::Later => rig.now = now + ASK_AGAIN,
            Step::Flip(routed) => {
                let all = |inbox: &Inbox| {
                    let consumer = inbox.id();
                    Subscription { consumer, ..Subscription::default() }
                };
                let wanted: Vec<_> = rig.inboxes.iter().take(routed).map(all).collect();
                self.table = self.table.next(&wanted, rig.shard.catalog()).unwrap();
                rig.shard.set_routing(Arc::new(self.table.clone()), now);
            }
        }
    }

    fn command(&mut self, consumer: usize) {
        let id = self.rig.id(consumer);
        if self.rig.shard.open_command(id).is_ok() {
            self.numbers += 1;
            self.open[consumer].push_back(self.numbers);
            self.answers[consumer].push(self.numbers);
            let ack = plain(Kind::ControlAck, self.numbers);
            self.rig.shard.answer(id, ack, false, self.rig.now).unwrap();
        }
    }

    fn reply(&mut self, consumer: usize) {
        let id = self.rig.id(consumer);
        if let Some(number) = self.open[consumer].pop_front() {
            self.answers[consumer].push(number);
            let result = plain(Kind::ControlResult, number);
            self.rig.shard.answer(id, result, true, self.rig.now).unwrap();
        }
    }

    fn check(&self) {
        for (consumer, taken) in self.rig.taken.iter().enumerate() {
            assert!(self.truth[consumer].starts_with(&taken.executions), "lost, doubled or moved");
            assert!(self.answers[consumer].starts_with(&taken.answers));
            let last = taken.executions.last().copied().unwrap_or_default();
            let only_in_log = self.heard[consumer] > last && self.rig.inboxes[consumer].is_empty();
            assert!(!only_in_log || self.rig.stalled(consumer), "behind, and nobody says so");
        }
    }

    fn settle(&mut self) {
        for step in [Step::Hear(usize::MAX), Step::Later] {
            self.take(step);
        }
        let mut quiet = 0;
        while quiet < 3 {
            self.take(Step::Later);
            self.take(Step::EndTurn);
            while !self.asked.is_empty() {
                self.take(Step::Serve { fails: false });
            }
            while !self.pages.is_empty() {
                self.take(Step::Answer);
            }
            self.take(Step::EndTurn);
            let read = self.rig.drain(0, 9) + self.rig.drain(1, 9);
            quiet = if read == 0 { quiet + 1 } else { 0 };
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_critical_event_is_lost_doubled_or_reordered_for_any_interleaving(
        window in 1..6usize,
        commands in 1..4usize,
        acknowledges_each in 0..4usize,
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut world = World::new(window, commands, acknowledges_each);
        for step in steps {
            world.take(step);
            world.check();
        }
        world.settle();
        for (consumer, taken) in world.rig.taken.iter().enumerate() {
            prop_assert_eq!(&taken.executions, &world.truth[consumer]);
            prop_assert_eq!(&taken.answers, &world.answers[consumer]);
            prop_assert!(!world.rig.stalled(consumer));
            let counts = world.rig.inboxes[consumer].tally().counts();
            prop_assert_eq!(
                counts.offered + counts.snapshots,
                counts.delivered + counts.conflated + counts.merged + counts.dropped
            );
        }
    }
}

#[test]
fn a_shard_without_consumers_asks_nothing() {
    let mut shard = Shard::new(Capacity::default(), Catalog::new(), Waker::noop().clone());
    shard.execution(ConsumerId(0), plain(Kind::ExecReport, 1), Nanos(1));
    shard.end_turn(Nanos(1));
    assert_eq!((shard.log_request(), shard.deadline()), (None, None));
}
