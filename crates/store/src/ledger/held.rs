//! What consumers hold by the fills of their orders: kept beside the facts, so that a start need not read
//! them all.

use std::collections::BTreeMap;

use model::Decimal;
use model::event::Side;
use model::ledger::{Name, Report};

/// What a consumer holds of an instrument at a provider; below zero where it is short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Where.
    pub provider: Name,
    /// Canonical name of what it is of.
    pub instrument: Name,
    /// How much, by all fills that the ledger has.
    pub quantity: Decimal,
}

/// What a report does to what its consumer holds; `None` where it is no fill.
pub(super) fn moved(report: &Report) -> Option<Decimal> {
    let quantity = report.fill.as_ref()?.quantity;
    Some(if report.side == Side::Buy { quantity } else { -quantity })
}

/// Held after what was held, and more.
pub(super) fn sum(held: Decimal, moved: Decimal) -> Decimal {
    held.saturating_add(moved).normalize()
}

/// What reports come to, by consumer, provider and instrument.
#[derive(Debug, Default)]
pub(super) struct Sums(pub(super) BTreeMap<(Name, Name, Name), Decimal>);

impl Sums {
    /// One more.
    pub(super) fn add(&mut self, report: &Report) {
        if let Some(moved) = moved(report) {
            let Report { order, provider, instrument, .. } = report;
            let of = (order.consumer.clone(), provider.clone(), instrument.clone());
            let held = self.0.entry(of).or_default();
            *held = sum(*held, moved);
        }
    }
}
