//! What a new process takes over from the ledger before anything else happens.

use std::collections::{BTreeMap, BTreeSet};

use engine::orders::Desk;
use model::ledger::{Fact, Name, OrderKey, Report, Submit};
use model::{Decimal, Nanos, ProviderId};
use store::ledger::{Held, LedgerError, LedgerRead};

use super::room::Party;
use crate::outcome::RunError;

/// Rows asked for at once.
const ROWS: usize = 1_000;
/// So many of the last facts are looked at for orders that settled lately: about as many as those come to
/// that a desk remembers.
const NEWEST: usize = 40_000;
/// So many orders of a provider are named when nobody can ask about them; all are counted.
const NAMED: usize = 10;

/// An order with all its facts, oldest first.
pub(super) type WithFacts = (Submit, Vec<Fact>);

/// What of the ledger is taken over.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Up to where each party has acknowledged, in order.
    pub(super) acknowledged: Vec<u64>,
    /// Open orders with all their facts.
    open: Vec<WithFacts>,
    /// The last that settled, first settled first: what is told of them late finds them.
    settled: Vec<WithFacts>,
    /// When the last fact became known.
    last: Option<Nanos>,
    /// What each party holds of each instrument at each provider, by its fills.
    held: BTreeMap<(Name, Name, Name), Decimal>,
}

impl Kept {
    /// Reads it, for providers that trade.
    ///
    /// # Errors
    /// When the ledger can't be read, or has an open order at a provider that does not trade now:
    /// nobody could ask about it or take it back.
    pub(crate) fn read(
        ledger: &mut dyn LedgerRead,
        parties: &[Party],
        providers: &[(ProviderId, Name)],
    ) -> Result<Self, RunError> {
        let mut kept = || {
            let acknowledged = parties.iter().map(|Party { name, .. }| ledger.acknowledged(name));
            let acknowledged = acknowledged.collect::<Result<_, _>>()?;
            let (open, newest) = (open(ledger)?, ledger.newest(NEWEST)?);
            let last = newest.last().map(|(_, fact)| fact.ts());
            let settled = settled(ledger, newest)?;
            Ok(Self { acknowledged, open, settled, last, held: held(ledger, parties)? })
        };
        let kept = kept().map_err(|error: LedgerError| RunError::new("the ledger", error))?;
        let trades = |name: &Name| providers.iter().any(|(_, provider)| provider == name);
        match forsaken(kept.open.iter().map(|(submit, _)| submit), trades) {
            None => Ok(kept),
            Some(what) => Err(RunError(what)),
        }
    }

    /// Gives a desk that knows its consumers and providers what it goes on with.
    ///
    /// # Errors
    /// When there is no room for what is open.
    pub(super) fn restore(self, desk: &mut Desk, now: Nanos) -> Result<(), RunError> {
        for (submit, facts) in self.settled.into_iter().chain(self.open) {
            let key = submit.order.clone();
            desk.restore(submit, &facts, now)
                .map_err(|error| RunError(format!("order {key}: {}", error.message)))?;
        }
        self.held.into_iter().for_each(|(place, held)| desk.restore_position(place, held));
        if let Some(last) = self.last {
            desk.restore_until(last);
        }
        Ok(())
    }
}

/// What is to be said where no provider trades, and the ledger has open orders all the same: this
/// process may be there for market data alone, and another one for orders.
///
/// # Errors
/// When the ledger can't be read.
pub(crate) fn open_without_providers(
    ledger: &mut dyn LedgerRead,
) -> Result<Option<String>, RunError> {
    let open = open(ledger).map_err(|error| RunError::new("the ledger", error))?;
    Ok(forsaken(open.iter().map(|(submit, _)| submit), |_| false))
}

/// Says which open orders are at providers that don't trade, and what would be right.
fn forsaken<'a>(
    open: impl Iterator<Item = &'a Submit>,
    trades: impl Fn(&Name) -> bool,
) -> Option<String> {
    let mut at = BTreeMap::<&Name, Vec<&OrderKey>>::new();
    for submit in open.filter(|submit| !trades(&submit.terms.provider)) {
        at.entry(&submit.terms.provider).or_default().push(&submit.order);
    }
    let all = at.iter().map(|(provider, orders)| {
        let mut named: Vec<_> = orders.iter().take(NAMED).map(ToString::to_string).collect();
        if orders.len() > NAMED {
            named.push(format!("{} more", orders.len() - NAMED));
        }
        format!("{} at '{provider}' ({})", orders.len(), named.join(", "))
    });
    let all: Vec<_> = all.collect();
    (!all.is_empty()).then(|| {
        format!(
            "the ledger has open orders at providers that don't trade: {}; expected a [[provider]] \
             of that name with its keys (api_key_file, secret_file) until these are over, or \
             another [ledger]",
            all.join(", ")
        )
    })
}

fn open(ledger: &mut dyn LedgerRead) -> Result<Vec<WithFacts>, LedgerError> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let open = ledger.open_orders(after, ROWS)?;
        let Some(last) = open.last() else { return Ok(all) };
        after = last.position;
        for order in open {
            let facts = facts_of(ledger, &order.submit.order)?;
            all.push((order.submit, facts));
        }
    }
}

/// The orders that settled within these facts, by when that was told last.
fn settled(
    ledger: &mut dyn LedgerRead,
    newest: Vec<(u64, Fact)>,
) -> Result<Vec<WithFacts>, LedgerError> {
    let (mut reported, mut ended) = (BTreeSet::new(), Vec::new());
    for (_, fact) in newest.iter().rev() {
        if let Fact::Report(Report { order, state, .. }) = fact
            && reported.insert(order.clone())
            && state.is_terminal()
        {
            ended.push(order.clone());
        }
    }
    let mut orders = BTreeMap::<OrderKey, Vec<Fact>>::new();
    for (_, fact) in newest {
        if let Some(key) = fact.order().cloned() {
            orders.entry(key).or_default().push(fact);
        }
    }
    let mut all = Vec::with_capacity(ended.len());
    for key in ended.into_iter().rev() {
        let facts = orders.remove(&key).unwrap_or_default();
        // What began before these facts is read whole.
        let whole = matches!(facts.first(), Some(Fact::Submit(_)));
        let facts = if whole { facts } else { facts_of(ledger, &key)? };
        if let Some(Fact::Submit(submit)) = facts.first() {
            all.push((submit.clone(), facts));
        }
    }
    Ok(all)
}

/// All facts of an order, oldest first.
pub(super) fn facts_of(
    ledger: &mut dyn LedgerRead,
    key: &OrderKey,
) -> Result<Vec<Fact>, LedgerError> {
    let (mut facts, mut after) = (Vec::new(), 0);
    loop {
        let rows = ledger.facts_of(key, after, ROWS)?;
        let Some((position, _)) = rows.last() else { return Ok(facts) };
        after = *position;
        facts.extend(rows.into_iter().map(|(_, fact)| fact));
    }
}

fn held(
    ledger: &mut dyn LedgerRead,
    parties: &[Party],
) -> Result<BTreeMap<(Name, Name, Name), Decimal>, LedgerError> {
    let mut all = BTreeMap::new();
    for Party { name, .. } in parties {
        for Held { provider, instrument, quantity } in ledger.held(name)? {
            all.insert((name.clone(), provider, instrument), quantity);
        }
    }
    Ok(all)
}

#[cfg(test)]
#[path = "restore/tests.rs"]
mod tests;
