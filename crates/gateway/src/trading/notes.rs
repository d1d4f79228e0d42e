//! What an operator is told of orders: in the log, and what stays as it is not over and over.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::orders::desk::Note;
use model::Nanos;
use model::ledger::Name;

/// What an account was not reconciled for is asked again and again. Where that stays the same it is
/// told again after so long.
const REMIND_AFTER: Duration = Duration::from_secs(3_600);
/// At most so many such causes are remembered; the one that was told first goes first.
const CAUSES_MAX: usize = 256;

/// What was told and stays.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// By provider and cause: when it was told last, and how often it came since.
    causes: BTreeMap<(Name, String), (Nanos, u64)>,
}

impl Notes {
    /// Tells it, unless it was told already and nothing has changed.
    pub(super) fn tell(&mut self, note: &Note, now: Nanos) {
        match note {
            Note::LedgerRecovered => tracing::info!("the ledger can be written again"),
            Note::LedgerStuck(error) => {
                tracing::error!("the ledger can't be written, no order leaves: {}", error.message);
            }
            Note::Odd { order, oddity } => tracing::warn!(%order, ?oddity, "odd"),
            Note::NotReconciled { provider, what } => {
                if let Some(repeated) = self.repeated(provider, what, now) {
                    tracing::warn!(
                        %provider, repeated, "not reconciled, it is asked again and told again \
                         when that changes: {what}"
                    );
                }
            }
            other => tracing::warn!(note = ?other, "orders"),
        }
    }

    /// How often the cause came since it was told last, where it is to be told now.
    fn repeated(&mut self, provider: &Name, what: &str, now: Nanos) -> Option<u64> {
        let cause = (provider.clone(), what.to_owned());
        if let Some((told, times)) = self.causes.get_mut(&cause) {
            *times += 1;
            if now.since(*told) < REMIND_AFTER {
                return None;
            }
            *told = now;
            return Some(std::mem::take(times));
        }
        if self.causes.len() >= CAUSES_MAX {
            let oldest = self.causes.iter().min_by_key(|(_, (told, _))| *told);
            let oldest = oldest.map(|(cause, _)| cause.clone());
            oldest.and_then(|cause| self.causes.remove(&cause));
        }
        self.causes.insert(cause, (now, 0));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Nanos {
        Nanos::default() + Duration::from_secs(seconds)
    }

    #[test]
    fn a_cause_that_stays_is_told_once_and_after_an_hour_with_how_often_it_came() {
        let (mut notes, spot, usdm) = (Notes::default(), "spot".into(), "usdm".into());
        let mut told = |provider, what, seconds| notes.repeated(provider, what, at(seconds));
        assert_eq!(told(&spot, "fills of A: not listed", 0), Some(0));
        assert_eq!(told(&spot, "fills of A: not listed", 1), None);
        assert_eq!(told(&spot, "fills of B: not listed", 1), Some(0), "another cause");
        assert_eq!(told(&usdm, "fills of A: not listed", 1), Some(0), "another account");
        assert_eq!(told(&spot, "fills of A: timeout", 2), Some(0), "it has changed");
        assert_eq!(told(&spot, "fills of A: not listed", 3_599), None);
        assert_eq!(told(&spot, "fills of A: not listed", 3_600), Some(3));
        assert_eq!(told(&spot, "fills of A: not listed", 3_601), None);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_goes() {
        let (mut notes, spot) = (Notes::default(), "spot".into());
        for n in 0..=CAUSES_MAX as u64 {
            assert_eq!(notes.repeated(&spot, &n.to_string(), at(n)), Some(0));
        }
        assert_eq!(notes.causes.len(), CAUSES_MAX);
        assert_eq!(notes.repeated(&spot, "1", at(300)), None);
        assert_eq!(notes.repeated(&spot, "0", at(300)), Some(0), "it was forgotten");
    }
}
