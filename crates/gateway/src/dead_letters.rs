//! Shows messages that could not be read: in the log, on a thread of its own.

use std::collections::BTreeMap;
use std::thread::JoinHandle;

use engine::Catalog;
use engine::dead_letters::DeadLetters;
use model::ProviderId;
use model::frame::ProviderRaw;

use crate::outcome::RunError;

/// Of each provider, so many are shown one by one; then those whose number is a power of two: a
/// venue that sends nothing else must not fill the disk.
const SHOWN_EACH: u64 = 16;
/// How much of a message the log shows.
const SHOWN_BYTES: usize = 200;

/// The thread that shows them.
pub(crate) struct Clerk {
    thread: JoinHandle<()>,
}

impl Clerk {
    /// Shows what comes until the shard is gone.
    pub(crate) fn start(letters: DeadLetters, catalog: Catalog) -> Result<Self, RunError> {
        let thread = std::thread::Builder::new()
            .name("dead-letters".to_owned())
            .spawn(move || work(letters, &catalog))
            .map_err(|error| RunError::new("a thread for what can't be read", error))?;
        Ok(Self { thread })
    }

    /// Waits until all is shown.
    pub(crate) fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the thread that shows what can't be read panicked");
        }
    }
}

fn work(mut letters: DeadLetters, catalog: &Catalog) {
    let mut shown = Shown::default();
    letters.attach(engine::doorbell::thread_waker());
    while !letters.is_closed() {
        match letters.take() {
            Some(letter) if shown.is_due(letter.provider) => show(&letter, catalog, &shown),
            Some(_) => {}
            None if letters.may_sleep() => std::thread::park(),
            None => {}
        }
    }
}

/// How many came of each provider.
#[derive(Debug, Default)]
struct Shown(BTreeMap<ProviderId, u64>);

impl Shown {
    fn is_due(&mut self, provider: ProviderId) -> bool {
        let count = self.0.entry(provider).or_default();
        *count += 1;
        *count <= SHOWN_EACH || count.is_power_of_two()
    }

    fn count(&self, provider: ProviderId) -> u64 {
        self.0.get(&provider).copied().unwrap_or(0)
    }
}

fn show(letter: &ProviderRaw, catalog: &Catalog, shown: &Shown) {
    tracing::warn!(
        provider = catalog.provider_name(letter.provider).as_deref(),
        conn = letter.conn.0,
        remedy = letter.remedy.map(model::Remedy::name),
        bytes = letter.bytes,
        start = start_of(&letter.payload),
        count = shown.count(letter.provider),
        "a message could not be used: {}",
        letter.error
    );
}

/// The start of a payload as one line.
fn start_of(payload: &[u8]) -> String {
    let start = &payload[..payload.len().min(SHOWN_BYTES)];
    let text = String::from_utf8_lossy(start);
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_shown_ever_more_rarely_and_each_provider_by_itself() {
        let mut shown = Shown::default();
        let due = (0..1_024).filter(|_| shown.is_due(ProviderId(1))).count();
        assert_eq!(due, 16 + 6, "and 32, 64, … 1,024");
        assert!(shown.is_due(ProviderId(2)));
        assert_eq!((shown.count(ProviderId(1)), shown.count(ProviderId(2))), (1_024, 1));
    }

    #[test]
    fn a_payload_is_one_short_line_whatever_it_holds() {
        assert_eq!(start_of(b" {\n\"a\"\0\xff "), "{ \"a\" \u{fffd}");
        assert_eq!(start_of(&[b'x'; 1_000]).len(), SHOWN_BYTES);
    }
}
