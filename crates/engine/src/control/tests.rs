//! The control bus, a rule by a rule.

use std::collections::BTreeSet;
use std::task::Waker;
use std::time::Duration;

use model::control::Waiting;
use model::event::{Quote, Reason, StreamState, Trade};
use model::venue::{Notice, Pipeline};
use model::{Body, CommandId, ControlAck, ControlResult, Event, InstrumentId, venue};

use super::*;
use crate::capacity::STREAMS_PER_SUBSCRIPTION;
use crate::{Capacity, Catalog, Consumer, Context, Inbox, MergeSpec, QueueCapacity, Subscription};

mod bounds;
mod histories;
mod merges;
mod trading;

const PROVIDERS: [&str; 2] = ["one", "two"];
const INSTRUMENTS: [&str; 2] = ["BTC-USDT", "ETH-USDT"];
const KINDS: [Kind; 2] = [Kind::Trade, Kind::Quote];

/// A consumer that keeps what it gets.
#[derive(Default)]
struct Kept(Vec<Event>);

impl Consumer for Kept {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        self.0.push(event);
    }
}

struct Bus {
    shard: Shard,
    inboxes: Vec<Inbox>,
    operator: Operator,
    now: Nanos,
    next_id: u64,
}

impl Bus {
    fn new(consumers: usize) -> Self {
        Self::with(consumers, QueueCapacity { ring: 4_096, ..QueueCapacity::default() })
    }

    fn with(consumers: usize, capacity: QueueCapacity) -> Self {
        let mut shard = Shard::new(Capacity::default(), Catalog::new(), Waker::noop().clone());
        for name in PROVIDERS {
            let provider = shard.catalog().provider(name).unwrap();
            shard.offer(provider, &[Kind::Trade, Kind::Quote, Kind::BookUpdate]);
        }
        for name in INSTRUMENTS {
            shard.catalog().instrument(name).unwrap();
        }
        let inboxes = (0..consumers)
            .map(|n| shard.add_consumer(&format!("c{n}"), capacity, Nanos(0)).unwrap())
            .collect();
        let (operator, end) = operator();
        shard.attach_operators(end);
        Self { shard, inboxes, operator, now: Nanos(1), next_id: 0 }
    }

    fn turn(&mut self) {
        self.now = self.now + Duration::from_millis(1);
        self.shard.end_turn(self.now);
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.turn();
    }

    /// What a consumer got since it was last asked.
    fn take(&mut self, consumer: usize) -> Vec<Event> {
        let (mut kept, now) = (Kept::default(), self.now);
        while self.inboxes[consumer].drain(&mut kept, || now) > 0 {}
        kept.0
    }

    fn submit(&mut self, consumer: usize, id: u64, command: Command) {
        self.inboxes[consumer].command(CommandId(id), command).unwrap();
    }

    /// Commands, takes a turn, and gives the answers.
    fn command(&mut self, consumer: usize, id: u64, command: Command) -> Vec<Answered> {
        self.submit(consumer, id, command);
        self.turn();
        self.turn();
        answers(&self.take(consumer))
    }

    /// The same with a number of its own and one answer.
    fn ask(&mut self, command: Command) -> Verdict {
        self.next_id += 1;
        let answers = self.command(0, 1_000 + self.next_id, command);
        let [Answered { verdict, result: false, .. }] = answers[..] else { panic!("{answers:?}") };
        verdict
    }

    /// The venues take what they are to be told, by provider.
    fn told(&mut self) -> Vec<(u16, venue::Command)> {
        let mut told = Vec::new();
        for provider in 0..2 {
            let commands = self.shard.venue_commands(ProviderId(provider), true);
            told.extend(commands.into_iter().map(|command| (provider, command)));
        }
        told
    }

    fn status(&mut self, provider: u16, kind: Kind, state: StreamState, reason: Reason) {
        let now = self.now;
        self.shard.port(ProviderId(provider), now).status(InstrumentId(0), kind, state, reason);
        self.turn();
    }

    fn emit(&mut self, stream: Stream, number: u64) {
        let mut port = self.shard.port(stream.provider, self.now);
        let mut event = port.event().unwrap();
        event.set_kind(stream.instrument, stream.kind);
        event.header.seq_provider = Some(number);
        event.body = match stream.kind {
            Kind::Trade => Body::Trade(Trade { trade_id: number, ..Trade::default() }),
            _ => Body::Quote(Quote::default()),
        };
        port.emit(event);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Answered {
    id: u64,
    verdict: Verdict,
    result: bool,
    version: u32,
}

fn answers(events: &[Event]) -> Vec<Answered> {
    let answer = |event: &Event| {
        let version = event.header.routing_version;
        Some(match event.body {
            Body::Ack(ControlAck { command: CommandId(id), verdict }) => {
                Answered { id, verdict, result: false, version }
            }
            Body::Result(ControlResult { command: CommandId(id), verdict }) => {
                Answered { id, verdict, result: true, version }
            }
            _ => return None,
        })
    };
    events.iter().filter_map(answer).collect()
}

fn trades() -> Subscription {
    Subscription::of("one", "BTC-USDT", Kind::Trade)
}

fn wanted(provider: u16, kind: Kind) -> (u16, Vec<venue::Subscription>) {
    (provider, vec![venue::Subscription { instrument: "BTC-USDT".into(), kind }])
}

#[test]
fn a_stream_that_its_venue_has_to_be_asked_for_is_pending_until_it_is_there() {
    let mut bus = Bus::new(1);
    let sent = bus.command(0, 7, Command::Subscribe(trades()));
    let until = sent.first().and_then(|answer| match answer.verdict {
        Verdict::Pending { why: Waiting::Venue, until } => Some(until),
        _ => None,
    });
    assert_eq!((sent.len(), sent[0].id, sent[0].version), (1, 7, 1));
    assert!(until.unwrap().since(bus.now) > Duration::from_secs(9), "{sent:?}");
    let (provider, asked) = wanted(0, Kind::Trade);
    assert_eq!(bus.told(), [(provider, venue::Command::Subscribe(asked))]);
    bus.status(0, Kind::Trade, StreamState::Syncing, Reason::Subscribed);
    assert_eq!(answers(&bus.take(0)), []);
    bus.status(0, Kind::Trade, StreamState::Syncing, Reason::Confirmed);
    let effective = Answered { id: 7, verdict: Verdict::Effective, result: true, version: 1 };
    assert_eq!(
        answers(&bus.take(0)),
        [effective],
        "a quiet stream is there when the venue says so"
    );
    bus.status(0, Kind::Trade, StreamState::Live, Reason::Flowing);
    assert_eq!(answers(&bus.take(0)), [], "one result each");
}

#[test]
fn the_same_again_is_acknowledged_as_it_stands_and_changes_nothing() {
    let mut bus = Bus::new(1);
    let first = bus.command(0, 7, Command::Subscribe(trades()));
    let again = bus.command(0, 7, Command::Subscribe(trades()));
    assert_eq!(first, again);
    let other = bus.command(0, 8, Command::Subscribe(trades()));
    assert!(matches!(other[0].verdict, Verdict::Pending { .. }));
    bus.told();
    bus.status(0, Kind::Trade, StreamState::Live, Reason::Flowing);
    let results = answers(&bus.take(0));
    assert_eq!(results.iter().map(|a| a.id).collect::<Vec<_>>(), [7, 8]);
    for id in [7, 8, 9] {
        let again = bus.command(0, id, Command::Subscribe(trades()));
        assert_eq!(again[0].verdict, Verdict::Effective);
    }
    assert_eq!(bus.shard.routing_version(), 1, "one flip for all of them");
    let another = bus.command(0, 7, Command::Unsubscribe(trades()));
    assert_eq!(another[0].verdict, Verdict::Refused(Refusal::IdReused));
    for id in [20, 21] {
        let gone = bus.command(0, id, Command::Unsubscribe(trades()));
        assert_eq!(gone[0].verdict, Verdict::Effective);
    }
    assert_eq!((bus.shard.routing_version(), bus.told()), (2, vec![]));
    bus.pass(Duration::from_secs(30));
    let (provider, gone) = wanted(0, Kind::Trade);
    assert_eq!(bus.told(), [(provider, venue::Command::Unsubscribe(gone))], "it was there once");
}

#[test]
fn what_is_wrong_changes_nothing_and_says_why() {
    let mut bus = Bus::new(1);
    let of = Subscription::of;
    let many = (0..=STREAMS_PER_SUBSCRIPTION).map(|n| format!("A{n}-USDT").into()).collect();
    let cases = [
        (of("three", "BTC-USDT", Kind::Trade), Refusal::UnknownProvider),
        (of("one", "btcusdt", Kind::Trade), Refusal::MalformedInstrument),
        (of("one", "BTC-USDT", Kind::ExecReport), Refusal::NotMarketData),
        (of("one", "BTC-USDT", Kind::Funding), Refusal::NotOffered),
        (Subscription { instruments: many, ..trades() }, Refusal::TooManyStreams),
    ];
    for (wanted, refusal) in cases {
        assert_eq!(bus.ask(Command::Subscribe(wanted)), Verdict::Refused(refusal));
    }
    assert_eq!(bus.ask(Command::SetTrading(true)), Verdict::Refused(Refusal::Unauthorised));
    let consumer = bus.inboxes[0].id();
    bus.shard.set_rights(consumer, Rights { subscribe: false, trade: false });
    let refused = Verdict::Refused(Refusal::Unauthorised);
    assert_eq!(bus.ask(Command::Subscribe(trades())), refused);
    assert_eq!(bus.ask(Command::Unsubscribe(trades())), refused);
    assert_eq!((bus.shard.routing_version(), bus.told()), (0, vec![]));
    assert_eq!(bus.shard.catalog().find_instrument("A0-USDT"), None, "nor is a name kept");
}

#[test]
fn a_venue_that_has_not_got_it_or_stays_silent_ends_in_a_result() {
    let mut bus = Bus::new(1);
    let silent = Subscription::of("two", "BTC-USDT", Kind::Quote);
    let absent = Subscription::of("one", "XYZ-USDT", Kind::Quote);
    bus.command(0, 1, Command::Subscribe(silent));
    bus.command(0, 2, Command::Subscribe(absent.clone()));
    bus.told();
    let now = bus.now;
    bus.shard.port(ProviderId(0), now).notice(Notice::UnknownInstrument("XYZ-USDT"));
    bus.turn();
    let result =
        |id, refusal| Answered { id, verdict: Verdict::Refused(refusal), result: true, version: 2 };
    assert_eq!(answers(&bus.take(0)), [result(2, Refusal::UnknownAtVenue)]);
    assert!(bus.shard.deadline().is_some_and(|at| at > bus.now));
    bus.pass(ControlSettings::default().confirm_within);
    assert_eq!(answers(&bus.take(0)), [result(1, Refusal::VenueSilent)]);
    bus.command(0, 3, Command::Unsubscribe(absent));
    assert_eq!(bus.told(), [], "it was not there");
}

#[test]
fn what_is_withdrawn_while_it_is_pending_has_a_result_too() {
    let mut bus = Bus::new(1);
    bus.command(0, 1, Command::Subscribe(trades()));
    let answers = bus.command(0, 2, Command::Unsubscribe(trades()));
    let seen: Vec<_> = answers.iter().map(|a| (a.id, a.result, a.verdict)).collect();
    let withdrawn = (1, true, Verdict::Refused(Refusal::Withdrawn));
    assert_eq!(seen, [withdrawn, (2, false, Verdict::Effective)]);
}

#[test]
fn a_busy_venue_is_told_later_and_the_ack_says_so() {
    let mut bus = Bus::new(1);
    bus.command(0, 1, Command::Subscribe(trades()));
    assert_eq!(bus.shard.venue_commands(ProviderId(0), false), []);
    let quotes = Command::Subscribe(Subscription::of("one", "BTC-USDT", Kind::Quote));
    let verdict = bus.command(0, 2, quotes)[0].verdict;
    assert!(matches!(verdict, Verdict::Pending { why: Waiting::Budget, .. }), "{verdict:?}");
    let [(0, venue::Command::Subscribe(both))] = &bus.told()[..] else { panic!("not told") };
    assert_eq!(both.len(), 2, "in one batch");
}

/// A merge of both providers' quotes that closes as soon as both have sent.
fn best() -> MergeSpec {
    MergeSpec {
        name: "best".into(),
        instrument: "BTC-USDT".into(),
        providers: vec!["one".into(), "two".into()],
        close: crate::CloseOn::Complete,
        ..MergeSpec::default()
    }
}

#[test]
fn a_merge_lives_as_long_as_somebody_wants_it() {
    let mut bus = Bus::new(2);
    let spec = best();
    let wrong = MergeSpec { providers: vec!["one".into()], ..spec.clone() };
    let refused = Verdict::Refused(Refusal::MalformedMerge);
    assert_eq!(bus.ask(Command::SubscribeMerged(wrong)), refused);
    for consumer in 0..2 {
        let sent = bus.command(consumer, 1, Command::SubscribeMerged(spec.clone()));
        assert!(matches!(sent[0].verdict, Verdict::Pending { .. }), "{sent:?}");
    }
    assert_eq!(bus.told().len(), 2, "each venue is asked for quotes, once");
    for provider in 0..2 {
        bus.status(provider, Kind::Quote, StreamState::Live, Reason::Flowing);
    }
    let done = answers(&bus.take(0));
    assert!(matches!(done[..], [Answered { verdict: Verdict::Effective, result: true, .. }]));
    let quote = Stream { kind: Kind::Quote, ..Stream::default() };
    for n in 1..=2 {
        for provider in [ProviderId(0), ProviderId(1)] {
            bus.emit(Stream { provider, ..quote }, n);
        }
        let kinds: Vec<_> = bus.take(0).iter().map(Event::kind).collect();
        assert_eq!(kinds, [Kind::Merged]);
        bus.pass(Duration::from_millis(5));
    }
    let gone = bus.command(0, 2, Command::UnsubscribeMerged("best".into()));
    assert_eq!(gone[0].verdict, Verdict::Effective);
    assert!(bus.shard.merges().any(|merge| merge.is_active()));
    let again = bus.command(0, 3, Command::UnsubscribeMerged("best".into()));
    assert_eq!(again[0].verdict, Verdict::Effective);
    bus.pass(Duration::from_secs(30));
    assert_eq!(bus.told(), [], "the other one still wants it");
    bus.command(1, 2, Command::UnsubscribeMerged("best".into()));
    assert!(!bus.shard.merges().any(|merge| merge.is_active()));
    bus.pass(Duration::from_secs(30));
    assert_eq!(bus.told().len(), 2, "after a linger the venues hear of it");
}

#[test]
fn a_merge_that_was_there_before_outlives_those_who_command_it() {
    let mut bus = Bus::new(1);
    let spec = best();
    bus.shard.add_merge(&spec).unwrap();
    bus.command(0, 1, Command::SubscribeMerged(spec));
    bus.command(0, 2, Command::UnsubscribeMerged("best".into()));
    assert!(bus.shard.merges().any(|merge| merge.is_active()));
}

#[test]
fn a_merge_whose_events_are_unsubscribed_is_not_wanted_any_more() {
    let mut bus = Bus::new(1);
    bus.command(0, 1, Command::SubscribeMerged(best()));
    assert_eq!(bus.told().len(), 2, "each venue is asked for quotes");
    let events = Subscription::of("best", "BTC-USDT", Kind::Merged);
    bus.command(0, 2, Command::Unsubscribe(events));
    assert!(!bus.shard.merges().any(|merge| merge.is_active()));
    bus.pass(Duration::from_secs(30));
    assert_eq!(bus.told().len(), 2, "after a linger the venues hear of it");
    bus.command(0, 3, Command::SubscribeMerged(best()));
    for provider in [ProviderId(0), ProviderId(1)] {
        bus.emit(Stream { provider, kind: Kind::Quote, ..Stream::default() }, 1);
    }
    bus.turn();
    let kinds: Vec<_> = bus.take(0).iter().map(Event::kind).collect();
    assert_eq!(kinds, [Kind::Merged], "and it can be had again");
}

#[test]
fn operators_command_for_consumers_and_get_ack_and_result() {
    let mut bus = Bus::new(1);
    let unknown = bus.operator.command("nobody", Command::Subscribe(trades())).unwrap();
    let answers = bus.operator.command("c0", Command::Subscribe(trades())).unwrap();
    bus.turn();
    let refused = Verdict::Refused(Refusal::UnknownConsumer);
    assert_eq!(unknown.try_recv().unwrap().verdict, refused);
    let ack = answers.try_recv().unwrap();
    assert!(matches!(ack, Answer { verdict: Verdict::Pending { .. }, routing_version: 1 }));
    bus.told();
    bus.status(0, Kind::Trade, StreamState::Live, Reason::Flowing);
    assert_eq!(answers.try_recv().unwrap().verdict, Verdict::Effective);
    bus.emit(Stream { kind: Kind::Trade, ..Stream::default() }, 5);
    let kinds: Vec<_> = bus.take(0).iter().map(Event::kind).collect();
    assert_eq!(kinds, [Kind::StreamStatus, Kind::Trade], "the answers are the operator's");
    drop(bus.shard);
    assert!(bus.operator.command("c0", Command::SetTrading(false)).is_err());
}
