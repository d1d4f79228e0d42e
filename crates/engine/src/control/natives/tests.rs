//! Native subscriptions: against a recount of everything, and what they cost the venue.

use model::Kind;
use proptest::prelude::*;

use super::*;

const LINGER: Duration = Duration::from_nanos(30);

fn stream(n: u32) -> Stream {
    Stream {
        provider: ProviderId(u16::try_from(n % 2).unwrap()),
        instrument: InstrumentId(n / 2),
        kind: Kind::Trade,
    }
}

/// Takes what both providers are to be told.
fn take(natives: &mut Natives) -> Changes {
    let (mut on, mut off) = (Vec::new(), Vec::new());
    for provider in [ProviderId(0), ProviderId(1)] {
        while let Some((subscribe, unsubscribe)) = natives.take(provider, true) {
            on.extend(subscribe);
            off.extend(unsubscribe);
        }
    }
    (on, off)
}

#[test]
fn a_stream_is_asked_for_once_and_given_up_a_linger_after_its_last_reference() {
    let mut natives = Natives::new(LINGER);
    let one = stream(0);
    natives.retain(one);
    natives.retain(one);
    assert_eq!(natives.standing(one), Some(Standing::Queued));
    assert_eq!(take(&mut natives), (vec![one], vec![]));
    assert_eq!(natives.standing(one), Some(Standing::Asked));
    assert!(natives.confirm(one) && !natives.confirm(one));
    natives.release(one, Nanos(5));
    natives.release(one, Nanos(10));
    assert_eq!(
        (natives.deadline(), natives.standing(one)),
        (Some(Nanos(40)), Some(Standing::Confirmed))
    );
    natives.expire(Nanos(39));
    assert_eq!(take(&mut natives), (vec![], vec![]));
    natives.expire(Nanos(40));
    assert_eq!(take(&mut natives), (vec![], vec![one]));
    assert_eq!((natives.deadline(), natives.standing(one)), (None, None));
}

#[test]
fn what_its_venue_no_longer_has_is_confirmed_anew_when_it_is_asked_for_again() {
    let mut natives = Natives::new(LINGER);
    let one = stream(0);
    natives.retain(one);
    take(&mut natives);
    natives.confirm(one);
    assert!(natives.refuse(one.provider, one.instrument));
    natives.retain(one);
    assert_eq!(take(&mut natives), (vec![one], vec![]));
    assert_eq!(natives.standing(one), Some(Standing::Asked), "nothing was heard of it yet");
    assert!(natives.confirm(one));
    assert_eq!(natives.standing(one), Some(Standing::Confirmed));
}

#[test]
fn whoever_comes_back_while_it_lingers_finds_it_there() {
    let mut natives = Natives::new(LINGER);
    let one = stream(0);
    natives.retain(one);
    take(&mut natives);
    natives.confirm(one);
    for now in (0..1_000).step_by(29) {
        natives.release(one, Nanos(now));
        natives.expire(Nanos(now + 29));
        natives.retain(one);
    }
    // Even when it was given up already, as long as the venue has not been told.
    natives.release(one, Nanos(1_000));
    natives.expire(Nanos(2_000));
    natives.retain(one);
    assert_eq!(take(&mut natives), (vec![], vec![]));
    assert_eq!(natives.standing(one), Some(Standing::Confirmed));
}

#[test]
fn while_a_venue_can_take_nothing_changes_gather_and_cancel_out() {
    let mut natives = Natives::new(LINGER);
    let (one, two) = (stream(0), stream(2));
    natives.retain(one);
    assert_eq!(natives.take(one.provider, false), None);
    assert!(natives.is_busy(one.provider));
    natives.release(one, Nanos(1));
    natives.retain(two);
    assert_eq!(natives.take(one.provider, true), Some((vec![two], vec![])));
    assert!(!natives.is_busy(one.provider));
    assert_eq!(natives.take(one.provider, true), None);
}

#[test]
fn what_a_venue_has_not_got_is_asked_for_again_by_the_next_who_names_it() {
    let mut natives = Natives::new(LINGER);
    let one = stream(0);
    natives.retain(one);
    assert!(!natives.refuse(one.provider, one.instrument), "it was not asked yet");
    take(&mut natives);
    assert!(natives.refuse(one.provider, one.instrument));
    assert_eq!(natives.standing(one), Some(Standing::Refused));
    natives.retain(one);
    assert_eq!(take(&mut natives), (vec![one], vec![]));
    natives.refuse(one.provider, one.instrument);
    natives.release(one, Nanos(1));
    natives.release(one, Nanos(1));
    assert_eq!((take(&mut natives), natives.standing(one)), ((vec![], vec![]), None));
}

#[test]
fn a_linger_that_was_broken_off_does_not_shorten_the_next() {
    let mut natives = Natives::new(LINGER);
    let one = stream(0);
    natives.retain(one);
    take(&mut natives);
    natives.release(one, Nanos(0));
    natives.retain(one);
    assert_eq!(natives.deadline(), None);
    natives.release(one, Nanos(20));
    natives.expire(Nanos(30));
    assert_eq!((take(&mut natives), natives.deadline()), ((vec![], vec![]), Some(Nanos(50))));
}

#[test]
fn a_venue_is_told_of_so_many_streams_at_a_time() {
    let mut natives = Natives::new(LINGER);
    let most = u32::try_from(STREAMS_PER_BATCH).unwrap();
    let own = ProviderId(0);
    (0..=2 * most).for_each(|n| natives.retain(stream(2 * n)));
    let told: Vec<_> =
        std::iter::from_fn(|| natives.take(own, true)).map(|of| of.0.len()).collect();
    assert_eq!(told, [STREAMS_PER_BATCH, STREAMS_PER_BATCH, 1]);
}

#[test]
fn what_is_heard_of_a_stream_counts_for_that_stream_and_only_once_it_was_asked_for() {
    let mut natives = Natives::new(LINGER);
    let (one, other) = (stream(0), stream(2));
    natives.retain(one);
    natives.retain(other);
    assert!(!natives.confirm(one), "the last of a subscription that is over");
    take(&mut natives);
    assert_eq!(natives.standing(one), Some(Standing::Asked));
    assert!(natives.refuse(one.provider, one.instrument));
    assert_eq!(natives.standing(other), Some(Standing::Asked));
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Retain(u32),
    Release(u32),
    Wait(u64),
    /// The venues are told, as far as they are free.
    Tell(bool, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..6_u32).prop_map(Step::Retain),
        3 => (0..6_u32).prop_map(Step::Release),
        2 => (1..40_u64).prop_map(Step::Wait),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(a, b)| Step::Tell(a, b)),
    ];
    prop::collection::vec(step, 0..120)
}

/// What is right, counted anew from the whole history each time.
#[derive(Default)]
struct Naive {
    /// (when, stream, +1 or -1), as far as it made sense.
    history: Vec<(u64, u32, i64)>,
}

impl Naive {
    fn references(&self, n: u32) -> i64 {
        self.history.iter().filter(|(_, of, _)| *of == n).map(|(_, _, by)| by).sum()
    }

    /// When the last reference went, where none is left.
    fn left_at(&self, n: u32) -> Option<u64> {
        let last = self.history.iter().rfind(|(_, of, _)| *of == n)?;
        (self.references(n) == 0).then_some(last.0)
    }
}

proptest! {
    #[test]
    fn references_and_what_venues_know_are_what_a_recount_says(steps in steps()) {
        let (mut natives, mut naive) = (Natives::new(LINGER), Naive::default());
        let (mut now, mut known) = (0_u64, BTreeSet::new());
        // When each stream's venue was last told of it.
        let mut told: BTreeMap<Stream, Vec<u64>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Retain(n) => {
                    natives.retain(stream(n));
                    naive.history.push((now, n, 1));
                }
                Step::Release(n) if naive.references(n) > 0 => {
                    natives.release(stream(n), Nanos(now));
                    naive.history.push((now, n, -1));
                }
                Step::Release(_) => {}
                Step::Wait(ns) => {
                    now += ns;
                    natives.expire(Nanos(now));
                }
                Step::Tell(first, second) => {
                    for (provider, free) in [(ProviderId(0), first), (ProviderId(1), second)] {
                        let Some((on, off)) = natives.take(provider, free) else { continue };
                        for stream in on {
                            prop_assert!(known.insert(stream), "subscribed twice: {stream:?}");
                            told.entry(stream).or_default().push(now);
                        }
                        for stream in off {
                            prop_assert!(known.remove(&stream), "was not subscribed: {stream:?}");
                            let last = told.entry(stream).or_default().last().copied();
                            prop_assert!(last.is_some_and(|at| now >= at + 30), "no linger");
                            told.entry(stream).or_default().push(now);
                        }
                        prop_assert_eq!(natives.take(provider, true), None, "all at once");
                        for n in (0..6).filter(|n| stream(*n).provider == provider) {
                            let lingers = naive.left_at(n).is_some_and(|at| now < at + 30);
                            let wanted = naive.references(n) > 0;
                            let knows = known.contains(&stream(n));
                            prop_assert!(!wanted || knows, "{n} is wanted");
                            prop_assert!(wanted || lingers || !knows, "{n} is not wanted");
                        }
                    }
                }
            }
            for n in 0..6 {
                let references = i64::from(natives.references(stream(n)));
                prop_assert_eq!(references, naive.references(n));
            }
        }
    }
}
