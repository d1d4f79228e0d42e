//! What a merge joins, as it is asked for: by names.

use std::ops::RangeInclusive;
use std::time::Duration;

use model::merged::FRAGMENTS_KEPT;
use model::{Error, Kind};

/// When a window closes before its time has passed or it is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CloseOn {
    /// Never: it always gathers for its whole time.
    #[default]
    Time,
    /// As soon as every provider has sent.
    Complete,
}

/// What is to be merged, and when windows close.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeSpec {
    /// The merge's own name. It stands where a provider's name does: in subscriptions and as the
    /// provider of merged events; so no provider has it.
    pub name: Box<str>,
    /// Canonical name of the instrument.
    pub instrument: Box<str>,
    /// What is merged of it: any market data but books, of which the newest change alone says
    /// nothing.
    pub kind: Kind,
    /// Names of the providers, all of which must have sent for a window to go out.
    pub providers: Vec<Box<str>>,
    /// When a window closes early.
    pub close: CloseOn,
    /// A window's time, from the arrival of its first fragment.
    pub window: Duration,
    /// A window with so many fragments, over all providers, closes.
    pub fragments_max: u32,
}

impl Default for MergeSpec {
    fn default() -> Self {
        Self {
            name: Box::default(),
            instrument: Box::default(),
            kind: Kind::Quote,
            providers: Vec::new(),
            close: CloseOn::default(),
            window: Duration::from_secs(10),
            fragments_max: 1_000,
        }
    }
}

impl MergeSpec {
    /// How many providers a merge may have.
    pub const PROVIDERS: RangeInclusive<usize> = 2..=FRAGMENTS_KEPT;
    /// How long a window may be.
    pub const WINDOW: RangeInclusive<Duration> =
        Duration::from_millis(1)..=Duration::from_secs(3_600);
    /// How many fragments may close a window; at least one from each provider in any case.
    pub const FRAGMENTS: RangeInclusive<u32> = 2..=1_000_000;
    /// What can be merged: kinds of which the newest event says all.
    pub const KINDS: [Kind; 5] =
        [Kind::Trade, Kind::Quote, Kind::Ticker, Kind::Kline, Kind::Funding];

    /// Whether it holds together, its names aside.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) with what is wrong and what would be right.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Self { name, kind, providers, window, fragments_max, .. } = self;
        let refuse = |what: String| Err(Error::reject(format!("the merge '{name}': {what}")));
        if !Self::KINDS.contains(kind) {
            let known = Self::KINDS.map(Kind::name).join(", ");
            return refuse(format!("'{}' can't be merged; expected one of {known}", kind.name()));
        }
        if !Self::PROVIDERS.contains(&providers.len()) {
            let (least, most) = (Self::PROVIDERS.start(), Self::PROVIDERS.end());
            return refuse(format!("{} providers; expected {least} to {most}", providers.len()));
        }
        let twice = providers.iter().enumerate().find(|(n, name)| providers[..*n].contains(name));
        if let Some((_, provider)) = twice {
            return refuse(format!("the provider '{provider}' twice; expected each once"));
        }
        if !Self::WINDOW.contains(window) {
            let (least, most) = (Self::WINDOW.start(), Self::WINDOW.end());
            return refuse(format!("a window of {window:?}; expected {least:?} to {most:?}"));
        }
        let least = u32::try_from(providers.len()).unwrap_or(u32::MAX);
        if !(least..=*Self::FRAGMENTS.end()).contains(fragments_max) {
            return refuse(format!(
                "windows of at most {fragments_max} fragments; expected {least} (one from each \
                 provider) to {}",
                Self::FRAGMENTS.end()
            ));
        }
        Ok(())
    }
}
