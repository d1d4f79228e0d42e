//! Whole histories of commands against a model that keeps everything.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// Of that consumer, one of the [`wants`].
    Subscribe(usize, usize),
    Unsubscribe(usize, usize),
    /// The same command again under its number.
    Repeat(usize),
    Emit(usize),
    Turn,
}

/// Subscriptions that overlap in every way.
fn wants(n: usize) -> Subscription {
    let pick = |bit: usize, of: &[&str]| -> Vec<Box<str>> {
        match n >> bit & 3 {
            0 => Vec::new(),
            3 => of.iter().map(|name| (*name).into()).collect(),
            which => vec![of[which - 1].into()],
        }
    };
    let kinds = match n >> 4 & 3 {
        0 => Vec::new(),
        3 => KINDS.to_vec(),
        which => vec![KINDS[which - 1]],
    };
    let (providers, instruments) = (pick(0, &PROVIDERS), pick(2, &INSTRUMENTS));
    Subscription { providers, instruments, kinds, ..Subscription::default() }
}

fn stream(n: usize) -> Stream {
    Stream {
        provider: ProviderId((n & 1).try_into().unwrap()),
        instrument: InstrumentId((n >> 1 & 1).try_into().unwrap()),
        kind: KINDS[n >> 2 & 1],
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let of = || (0..3_usize, 0..64_usize);
    let step = prop_oneof![
        3 => of().prop_map(|(c, w)| Step::Subscribe(c, w)),
        2 => of().prop_map(|(c, w)| Step::Unsubscribe(c, w)),
        1 => (0..16_usize).prop_map(Step::Repeat),
        6 => (0..8_usize).prop_map(Step::Emit),
        3 => Just(Step::Turn),
    ];
    prop::collection::vec(step, 0..150)
}

/// What is right, by names and by looking at everything.
#[derive(Default)]
struct Naive {
    /// What each consumer has in force, and will have after the next turn.
    now: [BTreeSet<usize>; 3],
    next: [BTreeSet<usize>; 3],
    version: u32,
    expected: [Vec<(Stream, u64, u32)>; 3],
}

impl Naive {
    fn emit(&mut self, stream: Stream, number: u64) {
        for (wants, expected) in self.now.iter().zip(&mut self.expected) {
            if wants.iter().any(|n| means(*n, stream)) {
                expected.push((stream, number, self.version));
            }
        }
    }

    fn turn(&mut self) {
        if self.now != self.next {
            self.now = self.next.clone();
            self.version += 1;
        }
    }

    /// The streams that somebody names one by one.
    fn named(&self) -> BTreeSet<Stream> {
        let named = |n: &usize| n & 3 > 0 && n >> 2 & 3 > 0 && n >> 4 & 3 > 0;
        let all: BTreeSet<_> = self.now.iter().flatten().copied().filter(named).collect();
        (0..8).map(stream).filter(|stream| all.iter().any(|n| means(*n, *stream))).collect()
    }
}

/// Whether a subscription of [`wants`] means a stream, by its bits.
fn means(n: usize, stream: Stream) -> bool {
    let kind = KINDS.iter().position(|kind| *kind == stream.kind).unwrap();
    let has = |bits: usize, of: usize| bits & 3 == 0 || bits >> of & 1 == 1;
    has(n, stream.provider.index()) && has(n >> 2, stream.instrument.index()) && has(n >> 4, kind)
}

/// Applies what the venues are told to what they know.
pub(super) fn tell(bus: &mut Bus, known: &mut BTreeSet<Stream>) -> Result<(), TestCaseError> {
    for (provider, command) in bus.told() {
        let provider = ProviderId(provider);
        let numbers = |named: Vec<venue::Subscription>| -> Vec<Stream> {
            let catalog = bus.shard.catalog();
            let number = |name: &str| catalog.find_instrument(name).unwrap();
            let one = |s: venue::Subscription| Stream {
                provider,
                instrument: number(&s.instrument),
                kind: s.kind,
            };
            named.into_iter().map(one).collect()
        };
        match command {
            venue::Command::Subscribe(on) => {
                for stream in numbers(on) {
                    prop_assert!(known.insert(stream), "it was told before");
                }
            }
            venue::Command::Unsubscribe(off) => {
                for stream in numbers(off) {
                    prop_assert!(known.remove(&stream), "it did not know");
                }
            }
            other => prop_assert!(false, "not a subscription: {other:?}"),
        }
    }
    Ok(())
}

proptest! {
    /// Whatever is subscribed, unsubscribed and flipped: each consumer gets exactly the events that
    /// the table in force at that event says, with that table's version; each command gets an ack;
    /// the venues know exactly what somebody names.
    #[test]
    fn consumers_get_what_the_table_says_and_venues_know_what_is_named(steps in steps()) {
        let capacity = QueueCapacity { ring: 4_096, critical: 1_024, commands: 256, trades: 1 };
        let (mut bus, mut naive) = (Bus::with(3, capacity), Naive::default());
        bus.shard.set_control(ControlSettings { linger: Duration::ZERO, ..Default::default() });
        let (mut known, mut commands) = (BTreeSet::new(), Vec::new());
        let (mut got, mut number) = ([const { Vec::new() }; 3], 0);
        // The slots are there from the start: which come late is another test's.
        for n in 0..8 {
            bus.emit(stream(n), 0);
        }
        for step in steps.into_iter().chain([Step::Turn]) {
            number += 1;
            match step {
                Step::Subscribe(consumer, n) => {
                    commands.push((consumer, Command::Subscribe(wants(n))));
                    bus.submit(consumer, commands.len() as u64, Command::Subscribe(wants(n)));
                    naive.next[consumer].insert(n);
                }
                Step::Unsubscribe(consumer, n) => {
                    commands.push((consumer, Command::Unsubscribe(wants(n))));
                    bus.submit(consumer, commands.len() as u64, Command::Unsubscribe(wants(n)));
                    naive.next[consumer].remove(&n);
                }
                Step::Repeat(nth) => {
                    if let Some((consumer, command)) = commands.get(nth).cloned() {
                        // The number of another command: refused, and without effect.
                        commands.push((consumer, Command::SetTrading(false)));
                        bus.submit(consumer, nth as u64 + 1, command);
                    }
                }
                Step::Emit(n) => {
                    bus.emit(stream(n), number);
                    naive.emit(stream(n), number);
                }
                Step::Turn => {
                    naive.turn();
                    bus.turn();
                    tell(&mut bus, &mut known)?;
                    bus.turn();
                    tell(&mut bus, &mut known)?;
                    prop_assert_eq!(bus.shard.routing_version(), naive.version);
                    prop_assert_eq!(&known, &naive.named());
                    for (consumer, got) in got.iter_mut().enumerate() {
                        got.extend(bus.take(consumer));
                    }
                }
            }
        }
        let mut acks: BTreeMap<(usize, u64), u32> = BTreeMap::new();
        for (consumer, got) in got.iter().enumerate() {
            let data: Vec<_> = got
                .iter()
                .filter(|event| !event.kind().is_critical())
                .map(|event| {
                    let header = &event.header;
                    (header.stream, header.seq_provider.unwrap(), header.routing_version)
                })
                .collect();
            prop_assert_eq!(&data, &naive.expected[consumer]);
            for answer in answers(got).iter().filter(|answer| !answer.result) {
                *acks.entry((consumer, answer.id)).or_default() += 1;
            }
        }
        prop_assert_eq!(acks.values().sum::<u32>() as usize, commands.len());
    }
}
