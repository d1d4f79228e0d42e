//! What a new process takes over from the ledger.
//!
//! Before anything else goes in: consumers and providers, then each open order with its facts, then
//! what each consumer holds. Reports that were not delivered need nothing here: consumers read
//! the ledger from their last acknowledgement on.

use std::collections::BTreeSet;

use model::ledger::{ChangeTerms, Fact, Name, Submit};
use model::{Decimal, Error, Nanos};

use super::super::order::Order;
use super::exposure::Counted;
use super::{Desk, Market, Record, Stage};

impl Desk {
    /// Takes an order over with its facts, oldest first. It is never sent again, whatever they say:
    /// its venue is asked about it.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) where the order is here already, or there is no room.
    pub fn restore(&mut self, submit: Submit, facts: &[Fact], now: Nanos) -> Result<(), Error> {
        let key = submit.order.clone();
        let mut order = Order::restore(submit, facts, now);
        let owed = order.take_owed();
        let mut record = Record { stage: Stage::Out, ..Record::default() };
        for fact in facts {
            if let Fact::Change(change) = fact {
                record.changes = record.changes.max(change.number);
                if let ChangeTerms::Amend { price, .. } = change.terms {
                    record.price = price.or(record.price);
                }
            }
        }
        // Its fills are counted by themselves; what no fill stands for is counted here.
        let unattributed = order.legs().iter().map(|leg| leg.unattributed());
        let unattributed = unattributed.fold(Decimal::ZERO, |sum, more| sum.saturating_add(more));
        let filled = order.filled().saturating_sub(unattributed);
        record.counted = Counted { filled, ..Counted::default() };
        self.orders.put(order)?;
        self.records.insert(key.clone(), record);
        if let Some(report) = owed {
            self.journal.report(report);
        }
        self.touch(&key);
        Ok(())
    }

    /// Takes over what a consumer holds of an instrument at a provider by all fills in the ledger,
    /// those of settled orders too; below zero when it is short.
    pub fn restore_position(
        &mut self,
        (consumer, provider, instrument): (Name, Name, Name),
        held: Decimal,
    ) {
        self.risk.exposure.hold((consumer, provider, instrument), held);
    }

    /// The instruments, each at its provider, that are held or have open orders, where a limit counts
    /// what that is worth: [`value`](Self::value) says it.
    #[must_use]
    pub fn valued(&self) -> BTreeSet<(Name, Name)> {
        self.risk.valued()
    }

    /// What the market of an instrument is like. What has no price now keeps its last.
    pub fn value(&mut self, provider: &Name, instrument: &Name, market: Market<'_>) {
        self.risk.value(provider, instrument, market);
    }

    /// What a consumer holds of an instrument at a provider, by the fills of its orders.
    #[must_use]
    pub fn position(&self, consumer: &str, provider: &str, instrument: &str) -> Decimal {
        let held = self
            .risk
            .exposure
            .within(|place| (&*place.0, &*place.1, &*place.2) == (consumer, provider, instrument));
        held.map(|(_, holding)| holding.position).next().unwrap_or_default()
    }
}
