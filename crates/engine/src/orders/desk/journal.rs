//! The desk's side of the ledger: what waits for it, and what waits for its replies.

use std::collections::VecDeque;
use std::sync::Arc;

use model::Error;
use model::ledger::{ChangeTerms, Fact, LedgerAppend, OrderKey, Report, VenueName, Verdict};

/// A request that may go to the venue once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Submit(OrderKey),
    Change(OrderKey, u32, ChangeTerms),
}

/// What the ledger has not said everything about yet.
#[derive(Clone, Debug)]
struct Waiting<T> {
    seq: u64,
    what: T,
    verdict: Option<Verdict>,
}

/// Facts on their way out, in order of their `seq`, and what their replies release.
#[derive(Debug, Default)]
pub(super) struct Journal {
    seq: u64,
    /// Not taken by the driver yet.
    outbox: VecDeque<LedgerAppend>,
    reports: VecDeque<Waiting<Arc<Report>>>,
    requests: VecDeque<Waiting<Wish>>,
    /// Why nothing can be written now.
    pub(super) stuck: Option<Error>,
}

impl Journal {
    /// How many facts wait for the driver.
    pub(super) fn len(&self) -> usize {
        self.outbox.len()
    }

    /// Whether nothing waits: neither for the driver nor for the ledger's word.
    pub(super) fn is_settled(&self) -> bool {
        self.outbox.is_empty() && self.reports.is_empty() && self.requests.is_empty()
    }

    pub(super) fn append(&mut self, fact: Fact) -> u64 {
        self.seq += 1;
        self.outbox.push_back(LedgerAppend { seq: self.seq, fact });
        self.seq
    }

    /// A report, to be delivered once it is written.
    pub(super) fn report(&mut self, report: Report) {
        let seq = self.append(Fact::Report(report.clone()));
        self.reports.push_back(Waiting { seq, what: Arc::new(report), verdict: None });
    }

    /// A request, to be released once it is durable.
    pub(super) fn request(&mut self, fact: Fact, wish: Wish) {
        let seq = self.append(fact);
        self.requests.push_back(Waiting { seq, what: wish, verdict: None });
    }

    /// Whether a report of a venue order is not known to be written yet.
    pub(super) fn tells_of(&self, of: &VenueName) -> bool {
        self.reports.iter().any(|Waiting { what: report, .. }| {
            report.provider == of.provider
                && report.instrument == of.instrument
                && report.venue_order_id == of.venue_order_id
        })
    }

    pub(super) fn take(&mut self) -> Option<LedgerAppend> {
        self.outbox.pop_front()
    }

    pub(super) fn give_back(&mut self, append: LedgerAppend) {
        self.outbox.push_front(append);
    }

    pub(super) fn verdict(&mut self, seq: u64, verdict: Verdict) {
        if let Ok(at) = self.reports.binary_search_by_key(&seq, |waiting| waiting.seq) {
            self.reports[at].verdict = Some(verdict);
        } else if let Ok(at) = self.requests.binary_search_by_key(&seq, |waiting| waiting.seq) {
            self.requests[at].verdict = Some(verdict);
        }
    }

    /// The next report that is written; with its verdict, which comes before the mark.
    pub(super) fn written(&mut self, up_to: u64) -> Option<(Arc<Report>, Option<Verdict>)> {
        pop(&mut self.reports, up_to)
    }

    /// The next request that is durable.
    pub(super) fn durable(&mut self, up_to: u64) -> Option<(Wish, Option<Verdict>)> {
        pop(&mut self.requests, up_to)
    }

    /// The cancels that wait for the ledger: they wait no longer.
    pub(super) fn release_cancels(&mut self) -> Vec<Wish> {
        let cancel = |waiting: &Waiting<Wish>| {
            matches!(waiting.what, Wish::Change(_, _, ChangeTerms::Cancel))
        };
        let released = self.requests.iter().filter(|waiting| cancel(waiting));
        let released = released.map(|waiting| waiting.what.clone()).collect();
        self.requests.retain(|waiting| !cancel(waiting));
        released
    }
}

fn pop<T>(queue: &mut VecDeque<Waiting<T>>, up_to: u64) -> Option<(T, Option<Verdict>)> {
    let waiting = queue.pop_front_if(|waiting| waiting.seq <= up_to)?;
    Some((waiting.what, waiting.verdict))
}
