//! What a configuration says about consumers: the `[[consumer]]` sections.

use std::ops::RangeInclusive;
use std::time::Duration;

use engine::{Placement, Restart};

use super::ConsumerConfig;
use super::checked::{Reader, add, names_unique};
use super::file::Fault;
use super::orders;
use super::schema::CONSUMER;
use super::suggest::one_of;
use super::values;
use super::written::{Data, Node};

/// Less than a clock's reading measures nothing; more would stall the shard.
const BUDGET: RangeInclusive<Duration> = Duration::from_micros(1)..=Duration::from_millis(100);
/// Overruns that are borne.
const OVERRUNS: RangeInclusive<u32> = 0..=1_000_000;
/// Before a consumer that has panicked is made anew.
const AFTER: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3_600);

/// All of them.
pub(super) fn read(root: &Node, faults: &mut Vec<Fault>) -> Vec<ConsumerConfig> {
    let Some(node) = root.get(CONSUMER.name) else { return Vec::new() };
    let Data::List(nodes) = &node.data else {
        add(faults, node, "double brackets: [[consumer]], once for each".to_owned());
        return Vec::new();
    };
    let consumers = nodes.iter().map(|node| consumer(node, faults)).collect();
    names_unique(nodes.iter(), faults);
    consumers
}

fn consumer(node: &Node, faults: &mut Vec<Fault>) -> ConsumerConfig {
    let mut reader = Reader::of(node, &CONSUMER, faults);
    let name = reader.required("name", values::name).unwrap_or_default();
    let on_shard = reader.read("placement", placement);
    let budget = reader.read("budget", values::duration(BUDGET));
    let overruns = reader.read("overruns_max", values::number(OVERRUNS));
    let restart = reader.read("restart", values::truth);
    let after = reader.read("restart_after", values::duration(AFTER));
    let at_most = reader.read("restart_at_most", values::duration(AFTER));
    ConsumerConfig {
        name,
        placement: on_shard.map(|on_shard| placed(on_shard, budget, overruns)),
        restart: restarted(restart, after, at_most),
        may_subscribe: reader.read("may_subscribe", values::truth),
        may_trade: reader.read("may_trade", values::truth),
        trading: reader.read("trading", values::truth),
        breaker: orders::rate(&mut reader, "breaker", "breaker_per"),
    }
}

/// Whether it is the shard's thread.
fn placement(node: &Node) -> Result<bool, String> {
    match node.text().unwrap_or_default() {
        "thread" => Ok(false),
        "shard" => Ok(true),
        other => Err(one_of(other, &["thread", "shard"])),
    }
}

fn placed(on_shard: bool, own_budget: Option<Duration>, own_most: Option<u32>) -> Placement {
    match Placement::shard() {
        Placement::Shard { budget, overruns_max } if on_shard => Placement::Shard {
            budget: own_budget.unwrap_or(budget),
            overruns_max: own_most.unwrap_or(overruns_max),
        },
        _ => Placement::Thread,
    }
}

/// A time alone says that it is made anew, too.
fn restarted(
    restart: Option<bool>,
    after: Option<Duration>,
    at_most: Option<Duration>,
) -> Option<Restart> {
    let times = after.is_some() || at_most.is_some();
    match (restart, Restart::default()) {
        (Some(false), _) => Some(Restart::Never),
        (None, _) if !times => None,
        (_, Restart::AfterPanic { first, most }) => {
            let first = after.unwrap_or(first);
            Some(Restart::AfterPanic { first, most: at_most.unwrap_or(most).max(first) })
        }
        (_, Restart::Never) => None,
    }
}
