//! Merges that are commanded and given up in any order, against a model that keeps everything.

use proptest::prelude::*;

use super::histories::tell;
use super::*;

/// By name, and what each is of.
const MERGES: [(&str, Kind); 2] = [("quotes", Kind::Quote), ("trades", Kind::Trade)];

#[derive(Clone, Copy, Debug)]
enum Want {
    /// The merge is commanded, or not wanted any more.
    Merge(bool),
    /// Its events are subscribed as those of any stream, or unsubscribed.
    Events(bool),
}

#[derive(Clone, Debug)]
enum Step {
    /// A consumer commands something about one of the merges.
    Command(usize, usize, Want),
    /// Both providers send what one of them takes.
    Emit(usize),
    Turn,
}

fn spec(merge: usize) -> MergeSpec {
    let (name, kind) = MERGES[merge];
    MergeSpec { name: name.into(), kind, ..best() }
}

fn command(merge: usize, want: Want) -> Command {
    let events = Subscription::of(MERGES[merge].0, INSTRUMENTS[0], Kind::Merged);
    match want {
        Want::Merge(true) => Command::SubscribeMerged(spec(merge)),
        Want::Merge(false) => Command::UnsubscribeMerged(MERGES[merge].0.into()),
        Want::Events(true) => Command::Subscribe(events),
        Want::Events(false) => Command::Unsubscribe(events),
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let want = prop_oneof![
        3 => Just(Want::Merge(true)),
        2 => Just(Want::Merge(false)),
        1 => Just(Want::Events(true)),
        2 => Just(Want::Events(false)),
    ];
    let step = prop_oneof![
        3 => (0..2_usize, 0..2_usize, want).prop_map(|(c, m, want)| Step::Command(c, m, want)),
        2 => (0..2_usize).prop_map(Step::Emit),
        2 => Just(Step::Turn),
    ];
    prop::collection::vec(step, 0..80)
}

/// One merge.
#[derive(Default)]
struct Naive {
    /// Somebody has ever commanded it: its name is known.
    known: bool,
    /// By consumer: who commands it, and who gets its events.
    commanded: [bool; 2],
    subscribed: [bool; 2],
    events: u64,
}

impl Naive {
    fn command(&mut self, consumer: usize, want: Want) {
        match want {
            Want::Merge(true) => {
                self.known = true;
                (self.commanded[consumer], self.subscribed[consumer]) = (true, true);
            }
            Want::Merge(false) if !self.commanded[consumer] => {}
            Want::Events(true) => self.subscribed[consumer] |= self.known,
            Want::Merge(false) | Want::Events(false) => {
                (self.commanded[consumer], self.subscribed[consumer]) = (false, false);
            }
        }
    }

    fn is_active(&self) -> bool {
        self.commanded.contains(&true)
    }

    /// What its venues are asked for.
    fn inputs(&self, kind: Kind) -> impl Iterator<Item = Stream> {
        let providers = self.is_active().then_some([ProviderId(0), ProviderId(1)]);
        let stream = move |provider| Stream { provider, kind, ..Stream::default() };
        providers.into_iter().flatten().map(stream)
    }
}

/// Of which merge an event is, and which of its events.
fn merged(event: &Event) -> Option<(usize, u64)> {
    let Body::Merged(merged) = &event.body else { return None };
    let merge = MERGES.iter().position(|(_, kind)| *kind == merged.of)?;
    Some((merge, event.header.seq_provider?))
}

proptest! {
    /// A merge is in force, and its providers' streams are subscribed, exactly while somebody commands
    /// it; its events come to exactly those who subscribed them in either way.
    #[test]
    fn merges_are_in_force_while_they_are_commanded_and_come_to_who_wants_them(steps in steps()) {
        let capacity = QueueCapacity { ring: 4_096, commands: 256, ..QueueCapacity::default() };
        let mut bus = Bus::with(2, capacity);
        bus.shard.set_control(ControlSettings { linger: Duration::ZERO, ..Default::default() });
        let mut naive: [Naive; 2] = Default::default();
        let (mut waiting, mut known) = (Vec::new(), BTreeSet::new());
        let (mut got, mut expected) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
        for (number, step) in (1..).zip(steps.into_iter().chain([Step::Turn])) {
            bus.now = bus.now + Duration::from_millis(1);
            match step {
                Step::Command(consumer, merge, want) => {
                    waiting.push((consumer, merge, want));
                    bus.submit(consumer, number, command(merge, want));
                }
                Step::Emit(n) => {
                    let merge = &mut naive[n];
                    for provider in [ProviderId(0), ProviderId(1)] {
                        let kind = MERGES[n].1;
                        bus.emit(Stream { provider, kind, ..Stream::default() }, number);
                    }
                    merge.events += u64::from(merge.is_active());
                    for (consumer, expected) in expected.iter_mut().enumerate() {
                        if merge.is_active() && merge.subscribed[consumer] {
                            expected.push((n, merge.events));
                        }
                    }
                }
                Step::Turn => {
                    // One consumer's commands after the other's.
                    waiting.sort_by_key(|(consumer, ..)| *consumer);
                    for (consumer, merge, want) in waiting.drain(..) {
                        naive[merge].command(consumer, want);
                    }
                    for _ in 0..2 {
                        bus.turn();
                        tell(&mut bus, &mut known)?;
                    }
                    let active = bus.shard.merges().filter(|merge| merge.is_active());
                    let wanted = naive.iter().filter(|merge| merge.is_active());
                    prop_assert_eq!(active.count(), wanted.count());
                    let inputs = naive.iter().zip(MERGES).flat_map(|(of, (_, kind))| of.inputs(kind));
                    prop_assert_eq!(&known, &inputs.collect());
                    for (consumer, got) in got.iter_mut().enumerate() {
                        got.extend(bus.take(consumer).iter().filter_map(merged));
                    }
                }
            }
        }
        prop_assert_eq!(got, expected);
    }
}
