//! Subscriptions that change while the gateway runs, against a simulated venue in virtual time: what
//! the venue is asked for, when, and within which budget.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use engine::{Capacity, Catalog, Command, Consumer, Context, Inbox, QueueCapacity, Shard};
use engine::{Subscription, VersionGate};
use meltica::virtual_time::World;
use meltica::{Event, Kind};
use model::control::{Refusal, Verdict};
use model::{Body, CommandId, Nanos, venue};
use sim::machine::{ClientId, ControlFrame, Machine, Output, Reply, Request, RequestId};
use sim::venue::{SimOptions, Simulator};

const START: Nanos = Nanos(1_790_000_000_000_000_000);
const VENUE: &str = "binance";
const SECOND: Duration = Duration::from_secs(1);

/// What a client sent, and when.
type Sent = Arc<Mutex<Vec<(Nanos, ClientId, String)>>>;

/// A venue that keeps what its clients send.
struct Overheard {
    venue: Simulator,
    sent: Sent,
    /// It takes so long to hear that something is to be subscribed.
    deaf_for: Arc<Mutex<Duration>>,
    unheard: VecDeque<(Nanos, ClientId, String)>,
}

impl Machine for Overheard {
    fn connect(
        &mut self,
        now: Nanos,
        client: ClientId,
        target: &str,
        out: &mut Vec<Output>,
    ) -> Result<(), Reply> {
        self.venue.connect(now, client, target, out)
    }
    fn message(&mut self, now: Nanos, client: ClientId, message: &[u8], out: &mut Vec<Output>) {
        let text = String::from_utf8(message.to_vec()).unwrap();
        self.sent.lock().unwrap().push((now, client, text.clone()));
        let deaf_for = *self.deaf_for.lock().unwrap();
        if text.contains(r#""method":"SUBSCRIBE""#) && !deaf_for.is_zero() {
            return self.unheard.push_back((now + deaf_for, client, text));
        }
        self.venue.message(now, client, message, out);
    }
    fn control(
        &mut self,
        now: Nanos,
        client: ClientId,
        control: &ControlFrame,
        out: &mut Vec<Output>,
    ) {
        self.venue.control(now, client, control, out);
    }
    fn disconnected(&mut self, now: Nanos, client: ClientId, out: &mut Vec<Output>) {
        self.venue.disconnected(now, client, out);
    }
    fn request(&mut self, now: Nanos, id: RequestId, request: &Request, out: &mut Vec<Output>) {
        self.venue.request(now, id, request, out);
    }
    fn answered(&mut self, now: Nanos, id: RequestId, written: bool, out: &mut Vec<Output>) {
        self.venue.answered(now, id, written, out);
    }
    fn tick(&mut self, now: Nanos, out: &mut Vec<Output>) {
        while let Some((_, client, text)) = self.unheard.pop_front_if(|(at, ..)| *at <= now) {
            self.venue.message(now, client, text.as_bytes(), out);
        }
        self.venue.tick(now, out);
    }
    fn deadline(&self) -> Option<Nanos> {
        let heard = self.unheard.front().map(|(at, ..)| *at);
        self.venue.deadline().into_iter().chain(heard).min()
    }
}

/// Keeps answers, and numbers trades by instrument.
#[derive(Default)]
struct Seen {
    answers: Vec<(Nanos, u64, bool, Verdict)>,
    events: BTreeMap<(String, Kind), Vec<Event>>,
    gate: VersionGate,
    skipped: usize,
}

impl Consumer for Seen {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        match event.body {
            Body::Ack(ack) => self.answers.push((ctx.now, ack.command.0, false, ack.verdict)),
            Body::Result(end) => self.answers.push((ctx.now, end.command.0, true, end.verdict)),
            _ => {}
        }
        self.skipped += usize::from(!self.gate.admits(&event));
        let name = ctx.catalog.instrument_name(event.header.stream.instrument);
        let name = name.as_deref().unwrap_or_default().to_owned();
        self.events.entry((name, event.kind())).or_default().push(event);
    }
}

struct Rig {
    world: World,
    inboxes: Vec<(Inbox, Seen)>,
    sent: Sent,
    deaf_for: Arc<Mutex<Duration>>,
    symbols: Vec<String>,
}

impl Rig {
    /// A venue with so many instruments, of which the first is subscribed by configuration.
    fn new(consumers: usize, symbols: usize) -> Self {
        let mut shard = Shard::new(Capacity::default(), Catalog::new(), Waker::noop().clone());
        let inboxes = (0..consumers).map(|n| {
            let name = format!("c{n}");
            (shard.add_consumer(&name, QueueCapacity::default(), START).unwrap(), Seen::default())
        });
        let inboxes = inboxes.collect();
        let symbols = sim::venue::default_symbols(VENUE, symbols);
        let options = SimOptions {
            seed: 5,
            symbols: symbols.clone(),
            rate: 400,
            faults: sim::faults::Faults::default(),
            start: START,
            accounts: Vec::new(),
        };
        let (simulator, sent) = (sim::venue(VENUE, &options).unwrap().unwrap(), Sent::default());
        let mut world = World::new(shard, START, Duration::from_millis(3));
        let machine = venues::create(VENUE, venues::Settings::default()).unwrap();
        let deaf_for = Arc::<Mutex<Duration>>::default();
        let far = Overheard {
            venue: simulator,
            sent: sent.clone(),
            deaf_for: deaf_for.clone(),
            unheard: VecDeque::new(),
        };
        let link = world.add(VENUE, machine, Box::new(far)).unwrap();
        let provider = world.provider(link);
        let kinds = [Kind::BookUpdate, Kind::Trade, Kind::Quote];
        let first = symbols[0].as_str();
        let pinned = kinds.map(|kind| venue::Subscription { instrument: first.into(), kind });
        world.shard.pin(provider, &pinned).unwrap();
        let mut rig = Self { world, inboxes, sent, deaf_for, symbols };
        rig.run_for(3 * SECOND);
        rig
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.world.now + duration;
        while self.world.now < end {
            self.world.run_for(Duration::from_millis(10).min(end.since(self.world.now)));
            let now = self.world.now;
            for (inbox, seen) in &mut self.inboxes {
                while inbox.drain(seen, || now) > 0 {}
            }
        }
    }

    fn command(&mut self, consumer: usize, id: u64, command: Command) {
        self.inboxes[consumer].0.command(CommandId(id), command).unwrap();
    }

    fn subscribe(&mut self, consumer: usize, id: u64, symbol: usize, kind: Kind) {
        let wanted = Subscription::of(VENUE, &self.symbols[symbol].clone(), kind);
        self.command(consumer, id, Command::Subscribe(wanted));
    }

    fn unsubscribe(&mut self, consumer: usize, id: u64, symbol: usize, kind: Kind) {
        let unwanted = Subscription::of(VENUE, &self.symbols[symbol].clone(), kind);
        self.command(consumer, id, Command::Unsubscribe(unwanted));
    }

    /// Messages of that method since the start, by time.
    fn messages(&self, method: &str) -> Vec<Nanos> {
        let method = format!(r#""method":"{method}""#);
        let sent = self.sent.lock().unwrap();
        sent.iter().filter(|(_, _, text)| text.contains(&method)).map(|(at, _, _)| *at).collect()
    }
}

#[test]
fn a_new_stream_is_effective_within_two_seconds_and_given_up_a_linger_after_its_last_consumer() {
    let mut rig = Rig::new(2, 4);
    let asked_at = rig.world.now;
    for (consumer, kind) in [(0, Kind::Trade), (0, Kind::BookUpdate), (1, Kind::Trade)] {
        rig.subscribe(consumer, kind as u64 + 1, 2, kind);
    }
    rig.run_for(4 * SECOND);
    for (consumer, commands) in [(0, 2), (1, 1)] {
        let answers = &rig.inboxes[consumer].1.answers;
        let acks = answers.iter().filter(|(_, _, result, _)| !result);
        assert!(acks.clone().all(|(.., v)| matches!(v, Verdict::Pending { .. })), "{answers:?}");
        let results: Vec<_> = answers.iter().filter(|(_, _, result, _)| *result).collect();
        assert_eq!((acks.count(), results.len()), (commands, commands));
        for (at, _, _, verdict) in results {
            assert_eq!(*verdict, Verdict::Effective);
            assert!(at.since(asked_at) < 2 * SECOND, "{answers:?}");
        }
    }
    assert_eq!(rig.messages("SUBSCRIBE").len(), 1, "one message for all of them");
    let name = rig.symbols[2].clone();
    let books = &rig.inboxes[0].1.events[&(name.clone(), Kind::BookSnapshot)];
    assert_eq!(books.len(), 1, "a book begins with its snapshot");
    rig.unsubscribe(0, 11, 2, Kind::Trade);
    rig.unsubscribe(0, 12, 2, Kind::BookUpdate);
    rig.run_for(40 * SECOND);
    assert_eq!(rig.messages("UNSUBSCRIBE").len(), 1, "the book: nobody else had it");
    let left_at = rig.world.now;
    rig.unsubscribe(1, 11, 2, Kind::Trade);
    rig.run_for(40 * SECOND);
    let gone = rig.messages("UNSUBSCRIBE");
    let lingered = gone[1].since(left_at);
    assert!(lingered >= 30 * SECOND && lingered < 31 * SECOND, "{lingered:?}");
    let trades = rig.inboxes[1].1.events[&(name, Kind::Trade)].len();
    rig.run_for(5 * SECOND);
    assert_eq!(rig.inboxes[1].1.events[&(rig.symbols[2].clone(), Kind::Trade)].len(), trades);
}

#[test]
fn a_command_is_effective_when_the_venue_has_confirmed_it_and_a_silent_venue_is_told_of() {
    let mut rig = Rig::new(1, 4);
    let within = engine::ControlSettings::default().confirm_within;
    let deaf_for = 3 * SECOND;
    for (command, deaf_for) in [(1, deaf_for), (2, 2 * within)] {
        *rig.deaf_for.lock().unwrap() = deaf_for;
        let asked_at = rig.world.now;
        rig.subscribe(0, command, 1 + command as usize, Kind::Trade);
        rig.run_for(deaf_for.min(within) - Duration::from_millis(20));
        let answers = std::mem::take(&mut rig.inboxes[0].1.answers);
        let [(_, id, false, Verdict::Pending { .. })] = answers[..] else { panic!("{answers:?}") };
        assert_eq!(id, command, "pending, and no more until the venue has spoken");
        rig.run_for(SECOND);
        let answers = std::mem::take(&mut rig.inboxes[0].1.answers);
        let [(at, id, true, verdict)] = answers[..] else { panic!("{answers:?}") };
        let expected = match command {
            1 => Verdict::Effective,
            _ => Verdict::Refused(Refusal::VenueSilent),
        };
        assert_eq!((id, verdict), (command, expected));
        assert!(at.since(asked_at) >= deaf_for.min(within), "{answers:?}");
    }
}

#[test]
fn what_the_venue_does_not_list_is_refused_by_a_result() {
    let mut rig = Rig::new(1, 2);
    let absent = Subscription::of(VENUE, "XYZ-USDT", Kind::Trade);
    rig.command(0, 1, Command::Subscribe(absent));
    rig.run_for(SECOND);
    let (_, _, result, verdict) = rig.inboxes[0].1.answers[1];
    assert_eq!((result, verdict), (true, Verdict::Refused(Refusal::UnknownAtVenue)));
}

/// Four consumers subscribe and unsubscribe whatever they can, as often as they can, for a minute.
#[test]
fn flapping_keeps_the_venues_message_budget_and_every_command_is_acknowledged() {
    let (consumers, symbols) = (4, 12);
    let mut rig = Rig::new(consumers, symbols);
    rig.world.shard.set_control(engine::ControlSettings {
        linger: Duration::from_millis(300),
        ..Default::default()
    });
    let mut id = 0;
    for round in 0..600_usize {
        for consumer in 0..consumers {
            let (symbol, kind) = (round % symbols, Kind::Trade);
            id += 1;
            if (round / symbols).is_multiple_of(2) {
                rig.subscribe(consumer, id, symbol, kind);
            } else {
                rig.unsubscribe(consumer, id, symbol, kind);
            }
        }
        rig.run_for(Duration::from_millis(100));
    }
    rig.run_for(12 * SECOND);
    let answers = rig.inboxes.iter().flat_map(|(_, seen)| &seen.answers);
    let acks = answers.filter(|(_, _, result, _)| !result).count();
    assert_eq!(acks as u64, id);
    let sent = rig.sent.lock().unwrap();
    let mut by_client: BTreeMap<ClientId, Vec<Nanos>> = BTreeMap::new();
    for (at, client, _) in sent.iter() {
        by_client.entry(*client).or_default().push(*at);
    }
    for times in by_client.values() {
        let crowded = times.windows(6).find(|six| six[5].since(six[0]) < SECOND);
        assert_eq!(crowded, None, "more than five messages in a second");
    }
    let total: usize = by_client.values().map(Vec::len).sum();
    assert!(total > 100, "it does flap: {total}");
}

/// A consumer that stays hears everything of its stream, whatever the others do.
#[test]
fn a_flip_disturbs_nobody_else_and_old_market_data_can_be_skipped() {
    let mut rig = Rig::new(3, 3);
    for kind in [Kind::Trade, Kind::BookUpdate, Kind::Quote] {
        rig.subscribe(0, kind as u64 + 1, 0, kind);
        rig.subscribe(1, kind as u64 + 1, 0, kind);
    }
    rig.run_for(SECOND);
    for n in 0..100 {
        let id = 100 + n;
        if n % 2 == 0 {
            rig.unsubscribe(1, id, 0, Kind::Trade);
        } else {
            rig.subscribe(1, id, 0, Kind::Trade);
        }
        rig.run_for(Duration::from_millis(50));
    }
    rig.run_for(2 * SECOND);
    let name = rig.symbols[0].clone();
    let stable = &rig.inboxes[0].1.events;
    let trades: Vec<_> = stable[&(name.clone(), Kind::Trade)]
        .iter()
        .map(|event| event.header.seq_provider.unwrap())
        .collect();
    assert!(trades.windows(2).all(|two| two[1] == two[0] + 1), "nothing missing, nothing twice");
    assert_eq!(stable[&(name.clone(), Kind::BookSnapshot)].len(), 1);
    let versions = |seen: &Seen, kind| -> Vec<u32> {
        let events = seen.events.get(&(name.clone(), kind)).into_iter().flatten();
        events.map(|event| event.header.routing_version).collect()
    };
    for kind in [Kind::Trade, Kind::BookUpdate, Kind::Quote] {
        let of_stable = versions(&rig.inboxes[0].1, kind);
        assert!(of_stable.is_sorted());
        assert_eq!(*of_stable.last().unwrap(), rig.world.shard.routing_version());
    }
    let flapping = &rig.inboxes[1].1;
    assert_eq!(flapping.answers.iter().filter(|(_, _, result, _)| !result).count(), 103);
    assert_eq!(flapping.gate.newest(), rig.world.shard.routing_version());
    // Version 1 has all subscriptions, and then each even one was without its trades.
    let of_flapping = versions(flapping, Kind::Trade);
    assert!(of_flapping.iter().all(|version| version % 2 == 1), "{of_flapping:?}");
    assert!(of_flapping.is_sorted() && of_flapping.len() > 20);
}
