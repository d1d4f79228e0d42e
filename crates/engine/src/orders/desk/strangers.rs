//! Fills of venue orders that are not here: of orders that settled long ago or under an earlier
//! process, which the ledger knows, or of orders that are nobody's.
//!
//! The ledger is asked whose order it is. One that it knows is here again, with its facts, and the fill
//! is a report like any other; or none, where it was told before.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::Nanos;
use model::ledger::{Fact, Name, Occurrence, ReportKey, Submit, VenueName};
use model::order::ExecReport;

use super::{Desk, Note};

/// So many fills that are nobody's are remembered: reconciliation tells the same ones again and again.
const REMEMBERED: usize = 4_096;
/// So many fills may wait for the ledger's word.
const WAITING_MAX: usize = 4_096;

/// What was told of strangers.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// Fills that are nobody's.
    known: BTreeSet<ReportKey>,
    /// The same, the oldest first.
    order: VecDeque<ReportKey>,
    /// Fills that wait until it is known whose they are.
    waiting: BTreeMap<VenueName, Vec<ExecReport>>,
    /// Of which the ledger was not asked yet.
    asks: VecDeque<VenueName>,
}

impl Strangers {
    /// A fill waits for the ledger's word, unless it is known as nobody's. `false` where there is no
    /// room for it.
    fn add(&mut self, of: VenueName, fill: &ExecReport) -> bool {
        let key = key(&of, fill);
        if self.known.contains(&key) {
            return true;
        }
        if self.waiting.values().map(Vec::len).sum::<usize>() >= WAITING_MAX {
            return false;
        }
        if !self.waiting.contains_key(&of) {
            self.asks.push_back(of.clone());
        }
        self.waiting.entry(of).or_default().push(fill.clone());
        true
    }

    /// It is nobody's; whether that is news.
    fn remember(&mut self, fill: ReportKey) -> bool {
        if !self.known.insert(fill.clone()) {
            return false;
        }
        self.order.push_back(fill);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

fn key(of: &VenueName, fill: &ExecReport) -> ReportKey {
    let VenueName { provider, instrument, venue_order_id, .. } = of.clone();
    let what = Occurrence::Fill { trade_id: fill.trade_id.as_str().into() };
    ReportKey { provider, instrument, venue_order_id, what }
}

impl Desk {
    /// A fill that no order here claims: perhaps one does that the ledger has.
    pub(super) fn fill_of_stranger(&mut self, provider: &Name, seen: &ExecReport, now: Nanos) {
        let client = Some(seen.venue_client_id.as_str()).filter(|id| !id.is_empty());
        let of = VenueName {
            provider: provider.clone(),
            instrument: seen.instrument.as_str().into(),
            venue_order_id: seen.venue_order_id.as_str().into(),
            venue_client_id: client.map(Name::from),
        };
        if !self.strangers.add(of, seen) {
            self.missed(provider, now);
        }
    }

    /// The next venue order of which the ledger is to be asked whose it is;
    /// [`stranger_looked_up`](Self::stranger_looked_up) answers. One of which a report is on its way
    /// into the ledger waits until it is there.
    pub fn take_stranger(&mut self) -> Option<VenueName> {
        let next = self.strangers.asks.pop_front()?;
        if self.journal.tells_of(&next) {
            self.strangers.asks.push_front(next);
            return None;
        }
        Some(next)
    }

    /// Whose a venue order is by the ledger, with all its facts, oldest first; `None` where it is
    /// nobody's.
    pub fn stranger_looked_up(
        &mut self,
        of: &VenueName,
        stored: Option<(Submit, Vec<Fact>)>,
        now: Nanos,
    ) {
        let fills = self.strangers.waiting.remove(of).unwrap_or_default();
        let Some((submit, facts)) = stored else {
            return fills.iter().for_each(|fill| self.unclaimed_fill(of, fill));
        };
        let key = submit.order.clone();
        let here = self.orders.get(&key).is_some() || self.restore(submit, &facts, now).is_ok();
        if !here || self.journal.len() >= self.options.facts_full {
            return self.missed(&of.provider, now);
        }
        fills.iter().for_each(|fill| self.seen_of(&of.provider, &key, fill, now));
    }

    /// The ledger could not be read: what was told is to be told again.
    pub fn stranger_not_looked_up(&mut self, of: &VenueName, now: Nanos) {
        self.strangers.waiting.remove(of);
        self.missed(&of.provider, now);
    }

    fn unclaimed_fill(&mut self, of: &VenueName, fill: &ExecReport) {
        if self.strangers.remember(key(of, fill)) {
            self.note(Note::UnclaimedFill {
                provider: of.provider.clone(),
                venue_order_id: of.venue_order_id.clone(),
                trade_id: fill.trade_id.as_str().into(),
            });
        }
    }
}
