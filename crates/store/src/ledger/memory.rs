//! The ledger in memory: for virtual time, where a crash is a new reader of the same memory.
//!
//! It keeps everything for as long as it lives, so it is nothing for a gateway that runs for days.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::ledger::{
    Answer, Fact, LedgerAppend, Name, OrderKey, Report, Request, StoredOrder, Submit, VenueName,
    Verdict,
};

use super::encode;
use super::error::LedgerError;
use super::held::{Held, Sums};
use super::storage::{LedgerRead, LedgerSync, LedgerWrite, NothingToSync, is_of};

/// A ledger in memory. Clones are the same one, each with the appends of a run of its own.
#[derive(Clone, Debug, Default)]
pub struct MemoryLedger {
    kept: Arc<Mutex<Kept>>,
    /// The last append of this run.
    seq: u64,
    /// What was said of the last batch, which may come again.
    last: Vec<(u64, Verdict)>,
}

#[derive(Debug, Default)]
struct Kept {
    /// A fact's position is its place, counted from 1.
    facts: Vec<Fact>,
    orders: BTreeMap<OrderKey, Current>,
    /// Positions by what may be there only once.
    identities: BTreeMap<String, u64>,
    acknowledged: BTreeMap<Name, u64>,
}

/// What is current of an order, as positions.
#[derive(Clone, Copy, Debug, Default)]
struct Current {
    intent: u64,
    answer: Option<u64>,
    report: Option<u64>,
}

impl MemoryLedger {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same ledger, as a new process opens it.
    #[must_use]
    pub fn reopened(&self) -> Self {
        Self { kept: self.kept.clone(), ..Self::default() }
    }

    /// Every fact with its position, oldest first.
    #[must_use]
    pub fn facts(&self) -> Vec<(u64, Fact)> {
        (1..).zip(self.lock().facts.iter().cloned()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LedgerWrite for MemoryLedger {
    fn append(&mut self, batch: &[LedgerAppend]) -> Result<Vec<Verdict>, LedgerError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut verdicts = Vec::with_capacity(batch.len());
        for append in batch {
            let known = self.last.iter().find(|(seq, _)| *seq == append.seq);
            let verdict = match known.filter(|_| append.seq <= self.seq) {
                Some((_, verdict)) => verdict.clone(),
                None => kept.append(&append.fact)?,
            };
            verdicts.push(verdict);
        }
        self.seq = batch.last().map_or(self.seq, |append| append.seq.max(self.seq));
        self.last = batch.iter().map(|append| append.seq).zip(verdicts.iter().cloned()).collect();
        Ok(verdicts)
    }

    fn syncing(&mut self) -> Result<Box<dyn LedgerSync>, LedgerError> {
        Ok(Box::new(NothingToSync))
    }

    fn recover(&mut self) -> Result<(), LedgerError> {
        Ok(())
    }
}

impl LedgerRead for MemoryLedger {
    fn order(&mut self, key: &OrderKey) -> Result<Option<StoredOrder>, LedgerError> {
        Ok(self.lock().order(key))
    }

    fn open_orders(&mut self, after: u64, limit: usize) -> Result<Vec<StoredOrder>, LedgerError> {
        let kept = self.lock();
        let mut open: Vec<_> = kept.orders.keys().filter_map(|key| kept.order(key)).collect();
        open.retain(|order| order.is_open() && order.position > after);
        open.sort_by_key(|order| order.position);
        open.truncate(limit);
        Ok(open)
    }

    fn facts_of(
        &mut self,
        key: &OrderKey,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Fact)>, LedgerError> {
        let of_order =
            self.facts().into_iter().filter(|(at, fact)| *at > after && fact.order() == Some(key));
        Ok(of_order.take(limit).collect())
    }

    fn reports_after(
        &mut self,
        consumer: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Report)>, LedgerError> {
        let kept = self.lock();
        let reports = (1..).zip(&kept.facts).filter_map(|(at, fact)| match fact {
            Fact::Report(report) if at > after && &*report.order.consumer == consumer => {
                Some((at, report.clone()))
            }
            _ => None,
        });
        Ok(reports.take(limit).collect())
    }

    fn owner(&mut self, of: &VenueName) -> Result<Option<OrderKey>, LedgerError> {
        let kept = self.lock();
        for (from, to) in encode::of_venue_order(of).map_err(encoding)? {
            if let Some((_, position)) = kept.identities.range(from..to).next() {
                return Ok(kept.at(*position).and_then(Fact::order).cloned());
            }
        }
        Ok(kept.facts.iter().find_map(|fact| match fact {
            Fact::Submit(submit) if is_of(submit, of) => Some(submit.order.clone()),
            _ => None,
        }))
    }

    fn newest(&mut self, limit: usize) -> Result<Vec<(u64, Fact)>, LedgerError> {
        let mut all = self.facts();
        Ok(all.split_off(all.len().saturating_sub(limit)))
    }

    fn held(&mut self, consumer: &str) -> Result<Vec<Held>, LedgerError> {
        let (kept, mut sums) = (self.lock(), Sums::default());
        for fact in &kept.facts {
            if let Fact::Report(report) = fact
                && &*report.order.consumer == consumer
            {
                sums.add(report);
            }
        }
        let held = |((_, provider, instrument), quantity)| Held { provider, instrument, quantity };
        Ok(sums.0.into_iter().map(held).collect())
    }

    fn acknowledged(&mut self, consumer: &str) -> Result<u64, LedgerError> {
        Ok(self.lock().acknowledged.get(consumer).copied().unwrap_or(0))
    }
}

impl Kept {
    fn append(&mut self, fact: &Fact) -> Result<Verdict, LedgerError> {
        let position = self.facts.len() as u64 + 1;
        if let Fact::Submit(submit) = fact {
            if let Some(stored) = self.order(&submit.order) {
                let same = stored.submit.terms == submit.terms;
                let stored = Box::new(stored);
                return Ok(if same {
                    Verdict::Duplicate(stored)
                } else {
                    Verdict::Conflict(stored)
                });
            }
            let current = Current { intent: position, ..Current::default() };
            self.orders.insert(submit.order.clone(), current);
        }
        let identity = encode::identity(fact).map_err(encoding)?;
        if let Some(identity) = identity {
            if let Some(position) = self.identities.get(&identity) {
                return Ok(Verdict::Known { position: *position });
            }
            self.identities.insert(identity, position);
        }
        self.facts.push(fact.clone());
        self.make_current(fact, position);
        Ok(Verdict::Stored { position })
    }

    fn make_current(&mut self, fact: &Fact, position: u64) {
        match fact {
            Fact::Answer(Answer { order, request: Request::Submit, .. }) => {
                if let Some(current) = self.orders.get_mut(order) {
                    current.answer = Some(position);
                }
            }
            Fact::Report(report) => {
                if let Some(current) = self.orders.get_mut(&report.order) {
                    current.report = Some(position);
                }
            }
            Fact::Acknowledgement(told) => {
                let known = self.acknowledged.entry(told.consumer.clone()).or_default();
                *known = (*known).max(told.position.min(position));
            }
            Fact::Answer(_) | Fact::Submit(_) | Fact::Change(_) | Fact::Sent(_) => {}
        }
    }

    fn at(&self, position: u64) -> Option<&Fact> {
        self.facts.get(usize::try_from(position).ok()?.checked_sub(1)?)
    }

    fn order(&self, key: &OrderKey) -> Option<StoredOrder> {
        let current = *self.orders.get(key)?;
        let submit: Submit = match self.at(current.intent)? {
            Fact::Submit(submit) => submit.clone(),
            _ => return None,
        };
        let answer = current.answer.and_then(|at| match self.at(at) {
            Some(Fact::Answer(answer)) => Some(answer.clone()),
            _ => None,
        });
        let report = current.report.and_then(|at| match self.at(at) {
            Some(Fact::Report(report)) => Some(report.clone()),
            _ => None,
        });
        Some(StoredOrder { submit, position: current.intent, answer, report })
    }
}

fn encoding(error: serde_json::Error) -> LedgerError {
    LedgerError::stop("memory", format!("encoding failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{self, Bench};
    use super::*;

    struct Memory(MemoryLedger);

    impl Bench for Memory {
        fn write(&self) -> Box<dyn LedgerWrite> {
            Box::new(self.0.reopened())
        }

        fn read(&self) -> Box<dyn LedgerRead> {
            Box::new(self.0.clone())
        }
    }

    #[test]
    fn memory_conforms() {
        conformance::all(&|| Box::new(Memory(MemoryLedger::new())));
    }
}
