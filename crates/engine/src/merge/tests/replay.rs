//! The windows that go out are exactly those that a replay over the whole list computes.
//!
//! The list is what a consumer of everything got, in its order, with the turns between: it knows
//! nothing of the merge's state, only when each fragment arrived and when it came out of its stream.

use proptest::prelude::*;

use super::*;
use crate::resequence::Limits;

/// A line of the list.
#[derive(Clone, Debug)]
enum Line {
    /// Provider, its own number, arrival, and when it came out of its stream.
    Fragment {
        provider: u16,
        value: Decimal,
        arrival: Nanos,
        now: Nanos,
    },
    Turn(Nanos),
}

impl Line {
    fn now(&self) -> Nanos {
        match self {
            Self::Fragment { now, .. } | Self::Turn(now) => *now,
        }
    }
}

/// Open, close, and of each provider its newest and how many.
type Window = (Nanos, Nanos, Vec<(Decimal, u32)>);

/// What a list comes to.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    windows: Vec<Window>,
    suppressed: u64,
    missing: BTreeMap<ProviderId, u64>,
    late: u64,
}

/// The providers of the rig.
const NAMES: [&str; 3] = ["p", "q", "r"];

fn number(name: &str) -> u16 {
    NAMES.iter().position(|other| *other == name).unwrap() as u16
}

/// The rules, read over the whole list.
fn replay(spec: &MergeSpec, mut list: &[Line]) -> Outcome {
    let providers: Vec<u16> = spec.providers.iter().map(|name| number(name)).collect();
    let missing = providers.iter().map(|provider| (ProviderId(*provider), 0)).collect();
    let mut outcome = Outcome { missing, ..Outcome::default() };
    let mut closed = None;
    let arrival = |line: &Line| match line {
        Line::Fragment { arrival, .. } => Some(*arrival),
        Line::Turn(_) => None,
    };
    let is_late = |line: &Line, closed: Option<Nanos>| {
        arrival(line).is_some_and(|at| closed.is_some_and(|closed| at <= closed))
    };
    while let Some(first) =
        list.iter().position(|line| arrival(line).is_some() && !is_late(line, closed))
    {
        outcome.late += list[..first].iter().filter(|line| is_late(line, closed)).count() as u64;
        list = &list[first..];
        let open = arrival(&list[0]).unwrap();
        let end = open + spec.window;
        let reach = list.iter().skip(1).position(|line| line.now() > end).map(|n| n + 1);
        let window = &list[..reach.unwrap_or(list.len())];
        let taken = |upto: usize| {
            let lines = window[..upto].iter();
            lines.filter(|line| arrival(line).is_some() && !is_late(line, closed))
        };
        let of = |upto: usize, provider: u16| {
            let values = taken(upto).filter_map(move |line| match line {
                Line::Fragment { provider: p, value, .. } => (*p == provider).then_some(*value),
                Line::Turn(_) => None,
            });
            (values.clone().next_back(), values.count() as u32)
        };
        let present = |upto: usize| providers.iter().all(|provider| of(upto, *provider).1 > 0);
        let closes = (1..=window.len()).find(|upto| {
            taken(*upto).count() as u32 == spec.fragments_max
                || (spec.close == CloseOn::Complete && present(*upto))
        });
        let upto = closes.unwrap_or(window.len());
        if closes.is_none() && reach.is_none() {
            // It is still open.
            outcome.late += window.iter().filter(|line| is_late(line, closed)).count() as u64;
            return outcome;
        }
        outcome.late += window[..upto].iter().filter(|line| is_late(line, closed)).count() as u64;
        let close = closes.and_then(|upto| taken(upto).filter_map(arrival).max()).unwrap_or(end);
        if present(upto) {
            let newest = providers.iter().map(|provider| of(upto, *provider));
            let newest = newest.map(|(value, count)| (value.unwrap(), count)).collect();
            outcome.windows.push((open, close, newest));
        } else {
            outcome.suppressed += 1;
            for (provider, missing) in &mut outcome.missing {
                *missing += u64::from(of(upto, provider.0).1 == 0);
            }
        }
        closed = Some(close);
        list = &list[upto..];
    }
    outcome.late += list.iter().filter(|line| is_late(line, closed)).count() as u64;
    outcome
}

#[derive(Clone, Debug)]
enum Step {
    /// A provider's event, read so long ago.
    Event {
        provider: u16,
        kind: Kind,
        ago: u64,
    },
    /// A trade of the first provider, so many positions ahead or behind.
    Trade {
        skip: i64,
    },
    Wait(u64),
    Turn,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![Just(Kind::Quote), Just(Kind::Trade)];
    let ago = prop_oneof![3 => Just(0), 1 => 0_u64..40];
    let step = prop_oneof![
        8 => (0_u16..3, kind, ago)
            .prop_map(|(provider, kind, ago)| Step::Event { provider, kind, ago }),
        2 => (-2_i64..4).prop_map(|skip| Step::Trade { skip }),
        4 => (0_u64..30).prop_map(Step::Wait),
        1 => (30_u64..300).prop_map(Step::Wait),
        3 => Just(Step::Turn),
    ];
    prop::collection::vec(step, 1..200)
}

fn terms() -> impl Strategy<Value = (CloseOn, u32, u64)> {
    let close = prop_oneof![Just(CloseOn::Time), Just(CloseOn::Complete)];
    (close, 3_u32..12, 1_u64..8)
}

/// What a run's merges sent and counted, and the list of the whole run.
struct Run {
    merged: Vec<Event>,
    list: Vec<(Kind, Line)>,
    counts: Vec<MergeCounts>,
    /// The merges' numbers.
    ids: Vec<ProviderId>,
    /// How long the list was when the last merge was removed; all of it where it was not.
    gone: usize,
}

/// Plays the steps, before one of which the last merge is removed; times are in units of 50 µs, so that the shortest windows see many of them.
fn play(specs: &[MergeSpec], steps: &[Step], removed_at: usize) -> Run {
    let unit = 50_000;
    let mut rig = Rig::without();
    let limits = Limits {
        lateness: Duration::from_nanos(25 * unit),
        look_every: Duration::from_nanos(8 * unit),
        events_max: 5,
    };
    rig.shard.resequence(ProviderId(0), Kind::Trade, limits);
    let ids = specs.iter().map(|spec| rig.shard.add_merge(spec).unwrap()).collect();
    let mut gone = usize::MAX;
    let (mut now, mut value, mut position) = (1_000, 0, 1_000_u64);
    let (mut merged, mut list) = (Vec::new(), Vec::new());
    for (at, step) in steps.iter().enumerate() {
        value += 1;
        if at == removed_at && rig.shard.remove_merge(&specs[specs.len() - 1].name) {
            gone = list.len();
        }
        match *step {
            // The first provider's trades have positions of their own.
            Step::Event { provider: 0, kind: Kind::Trade, .. } => {
                position += 1;
                rig.trade(0, now * unit, position);
            }
            Step::Event { provider, kind: Kind::Trade, ago } => {
                rig.trade(provider, (now - ago) * unit, value);
            }
            Step::Event { provider, ago, .. } => rig.quote(provider, (now - ago) * unit, value),
            Step::Trade { skip } => {
                position = position.saturating_add_signed(skip);
                rig.trade(0, now * unit, position);
            }
            Step::Wait(units) => now += units,
            Step::Turn => rig.shard.end_turn(Nanos(now * unit)),
        }
        while rig.inbox.drain(&mut rig.kept, || Nanos(0)) > 0 {}
        for event in std::mem::take(&mut rig.kept.0) {
            match event.body {
                Body::Merged(_) => merged.push(event),
                Body::Quote(_) | Body::Trade(_) => list.push((event.kind(), line(&event))),
                _ => {}
            }
        }
        if matches!(step, Step::Turn) {
            list.extend([Kind::Quote, Kind::Trade].map(|k| (k, Line::Turn(Nanos(now * unit)))));
        }
    }
    let counts = rig.shard.merges().map(|merge| merge.counts().clone()).collect();
    assert_eq!(rig.shard.pools().merged_events.stats().in_use, 0);
    let gone = gone.min(list.len());
    Run { merged, list, counts, ids, gone }
}

fn line(event: &Event) -> Line {
    let value = match event.body {
        Body::Quote(quote) => quote.bid.price,
        Body::Trade(trade) => Decimal::from(trade.trade_id),
        _ => panic!("{event:?}"),
    };
    let header = event.header;
    let (arrival, now) = (header.ts_recv, header.ts_emit);
    Line::Fragment { provider: header.stream.provider.0, value, arrival, now }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn windows_are_exactly_those_of_a_replay_over_the_whole_list(
        steps in steps(),
        quotes in terms(),
        trades in terms(),
        pair in terms(),
        removed in terms(),
        removed_at in 0..200_usize,
    ) {
        let of = |name: &str, kind, (close, fragments_max, ms): (CloseOn, u32, u64)| MergeSpec {
            name: name.into(),
            kind,
            close,
            fragments_max,
            window: Duration::from_millis(ms),
            ..spec()
        };
        let over = |providers: &[&str], spec| MergeSpec {
            providers: providers.iter().map(|name| (*name).into()).collect(),
            ..spec
        };
        // Several over one stream, of other providers and in another order.
        let specs = [
            of("quotes", Kind::Quote, quotes),
            of("trades", Kind::Trade, trades),
            over(&["r", "p"], of("pair", Kind::Quote, pair)),
            over(&["q", "p"], of("removed", Kind::Trade, removed)),
        ];
        let run = play(&specs, &steps, removed_at);
        for (n, (spec, counts)) in specs.iter().zip(&run.counts).enumerate() {
            let upto = if n + 1 == specs.len() { run.gone } else { run.list.len() };
            let taken = |line: &Line| match line {
                Line::Fragment { provider, .. } => {
                    spec.providers.iter().any(|name| number(name) == *provider)
                }
                Line::Turn(_) => true,
            };
            let list = run.list[..upto].iter();
            let list = list.filter(|(kind, line)| *kind == spec.kind && taken(line));
            let list: Vec<_> = list.map(|(_, line)| line.clone()).collect();
            let expected = replay(spec, &list);
            let of = run.ids[n];
            let merged = run.merged.iter().filter(|event| event.header.stream.provider == of);
            let windows: Vec<_> = merged
                .clone()
                .map(|event| {
                    let of = window(event);
                    let newest = fragments(event).into_iter().map(|(_, value, n)| (value, n));
                    (of.ts_open, of.ts_close, newest.collect::<Vec<_>>())
                })
                .collect();
            prop_assert_eq!(&windows, &expected.windows);
            prop_assert_eq!(counts.suppressed, expected.suppressed);
            prop_assert_eq!(&counts.missing, &expected.missing);
            prop_assert_eq!(counts.late, expected.late);
            prop_assert_eq!(counts.emitted, expected.windows.len() as u64);
            let seqs = merged.clone().filter_map(|event| event.header.seq_provider);
            prop_assert!(seqs.eq(1..=counts.emitted));
            let ids: Vec<_> = merged.map(|event| window(event).merge_id).collect();
            prop_assert!(ids.is_sorted_by(|a, b| a < b), "no id twice: {:?}", ids);
        }
        // The same again is the same.
        prop_assert_eq!(play(&specs, &steps, removed_at).merged, run.merged);
    }
}
