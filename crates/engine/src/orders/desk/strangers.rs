//! Fills of venue orders that are not here: of orders that settled long ago or under an earlier
//! process, which the ledger knows, or of orders that are nobody's.

use std::collections::{BTreeSet, VecDeque};

use model::ledger::{Name, Occurrence, ReportKey};
use model::order::ExecReport;

use super::{Desk, Note};

/// So many of the last are remembered: reconciliation tells the same ones again and again.
const REMEMBERED: usize = 4_096;
/// So many questions to the ledger may wait.
const ASKS_MAX: usize = 256;

/// What was told of strangers.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    known: BTreeSet<ReportKey>,
    /// The same, the oldest first.
    order: VecDeque<ReportKey>,
    asks: VecDeque<ReportKey>,
}

impl Strangers {
    /// The ledger is asked about a fill, once. Where too much is asked it is when it is told again.
    fn add(&mut self, fill: ReportKey) {
        if self.asks.len() >= ASKS_MAX || !self.known.insert(fill.clone()) {
            return;
        }
        self.order.push_back(fill.clone());
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.asks.push_back(fill);
    }

    fn forget(&mut self, fill: &ReportKey) {
        self.known.remove(fill);
        self.order.retain(|other| other != fill);
    }
}

impl Desk {
    /// A fill that no order here claims: unless the ledger has it, the operator is told.
    pub(super) fn fill_of_stranger(&mut self, provider: Name, seen: &ExecReport, trade_id: Name) {
        self.strangers.add(ReportKey {
            provider,
            instrument: seen.instrument.as_str().into(),
            venue_order_id: seen.venue_order_id.as_str().into(),
            what: Occurrence::Fill { trade_id },
        });
    }

    /// The next fill of which the ledger is to be asked whether it has it;
    /// [`fill_looked_up`](Self::fill_looked_up) answers.
    pub fn take_fill_lookup(&mut self) -> Option<ReportKey> {
        self.strangers.asks.pop_front()
    }

    /// Whether the ledger has a fill; `None` where it could not say, and is asked again when the fill
    /// is told again.
    pub fn fill_looked_up(&mut self, fill: &ReportKey, known: Option<bool>) {
        let Occurrence::Fill { trade_id } = &fill.what else { return };
        match known {
            Some(true) => {}
            Some(false) => self.note(Note::UnclaimedFill {
                provider: fill.provider.clone(),
                venue_order_id: fill.venue_order_id.clone(),
                trade_id: trade_id.clone(),
            }),
            None => self.strangers.forget(fill),
        }
    }
}
