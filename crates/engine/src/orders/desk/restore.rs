//! What a new process takes over from the ledger.
//!
//! Before anything else goes in: consumers and providers, then each open order with its facts and those
//! that settled lately, then what each consumer holds and until when the ledger goes. Reports that were
//! not delivered need nothing here: consumers read the ledger from their last acknowledgement on.

use std::collections::BTreeSet;

use model::ledger::{ChangeTerms, Fact, Name, Submit};
use model::{Decimal, Error, Nanos};

use super::super::order::Order;
use super::exposure::Counted;
use super::{Desk, Market, Record, Stage};

impl Desk {
    /// Takes an order over with its facts, oldest first. It is never sent again, whatever they say:
    /// its venue is asked about it, unless it is over.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) where the order is here already, or there is no room.
    pub fn restore(&mut self, submit: Submit, facts: &[Fact], now: Nanos) -> Result<(), Error> {
        let key = submit.order.clone();
        let mut order = Order::restore(submit, facts, now);
        let owed = order.take_owed();
        let record = restored(facts);
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

    /// The ledger's last fact is of that time. What was over by then may have been filled shortly before
    /// and is told nobody yet: fills are listed from where an earlier process may have listed them last.
    pub fn restore_until(&mut self, last: Nanos) {
        let listed = last - self.options.reconcile_every.unwrap_or_default();
        for account in self.accounts.values_mut() {
            for instrument in account.instruments.clone() {
                account.begin_fills(&instrument, listed);
            }
        }
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

/// What is known beside an order by its facts.
fn restored(facts: &[Fact]) -> Record {
    let mut record = Record { stage: Stage::Out, ..Record::default() };
    let mut told = Decimal::ZERO;
    for fact in facts {
        match fact {
            Fact::Change(change) => {
                record.changes = record.changes.max(change.number);
                if let ChangeTerms::Amend { price, .. } = change.terms {
                    record.price = price.or(record.price);
                }
            }
            Fact::Report(report) => {
                record.over = report.state.is_terminal().then_some(report.ts_recv);
                let fill = report.fill.as_ref().map(|fill| fill.quantity);
                told = told.saturating_add(fill.unwrap_or_default());
            }
            _ => {}
        }
    }
    // Its fills are counted in what its consumer holds; what no fill stands for is counted here.
    record.counted = Counted { filled: told, ..Counted::default() };
    record
}
