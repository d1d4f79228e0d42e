//! What is subscribed at the venues themselves: each stream while anybody names it, and a while
//! longer.
//!
//! References are counted. With the last one gone a stream lingers, so that a consumer which comes
//! and goes costs no message; what changes is gathered until the venue's message budget is free, and
//! what was wanted and given up meanwhile is never sent at all. So a stream costs its venue at most
//! two messages per linger.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{InstrumentId, Nanos, ProviderId, Stream};

/// Streams that change with one hand-over: as many as the venues' machines put into two messages a
/// channel.
const STREAMS_PER_BATCH: usize = 200;

/// The native subscriptions of a shard.
#[derive(Debug)]
pub(crate) struct Natives {
    linger: Duration,
    streams: BTreeMap<Stream, Native>,
    /// Streams of which the venue does not know yet what is wanted.
    queued: BTreeSet<Stream>,
    lingering: BTreeSet<(Nanos, Stream)>,
    /// Providers that could not be told anything when they were last looked at.
    busy: BTreeSet<ProviderId>,
}

/// One stream.
#[derive(Clone, Copy, Debug, Default)]
struct Native {
    references: u32,
    /// When it is given up, with its last reference gone.
    until: Option<Nanos>,
    /// The venue was asked for it.
    asked: bool,
    /// The venue has confirmed it, or sent something of it.
    confirmed: bool,
    /// The venue has not got it.
    refused: bool,
}

/// How a stream stands at its venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// To be asked for.
    Queued,
    /// Asked for.
    Asked,
    /// It is there.
    Confirmed,
    /// The venue has not got it.
    Refused,
}

/// What one venue is to be told: streams to subscribe, and streams to unsubscribe.
pub(crate) type Changes = (Vec<Stream>, Vec<Stream>);

impl Native {
    fn is_wanted(&self) -> bool {
        self.references > 0 || self.until.is_some()
    }
}

impl Natives {
    pub(crate) fn new(linger: Duration) -> Self {
        Self {
            linger,
            streams: BTreeMap::new(),
            queued: BTreeSet::new(),
            lingering: BTreeSet::new(),
            busy: BTreeSet::new(),
        }
    }

    /// From here on streams linger for so long.
    pub(crate) fn set_linger(&mut self, linger: Duration) {
        self.linger = linger;
    }

    /// One more names the stream.
    pub(crate) fn retain(&mut self, stream: Stream) {
        let native = self.streams.entry(stream).or_default();
        native.references += 1;
        if let Some(until) = native.until.take() {
            self.lingering.remove(&(until, stream));
        }
        // What the venue did not have then it may have now; that it had it before says nothing.
        if std::mem::take(&mut native.refused) {
            (native.asked, native.confirmed) = (false, false);
        }
        self.queue(stream);
    }

    /// One less names it.
    pub(crate) fn release(&mut self, stream: Stream, now: Nanos) {
        let Some(native) = self.streams.get_mut(&stream) else { return };
        native.references = native.references.saturating_sub(1);
        if native.references > 0 || native.until.is_some() {
            return;
        }
        if native.asked && !native.refused {
            let until = now + self.linger;
            native.until = Some(until);
            self.lingering.insert((until, stream));
        } else {
            self.streams.remove(&stream);
            self.queued.remove(&stream);
        }
    }

    /// Gives up what has lingered long enough.
    pub(crate) fn expire(&mut self, now: Nanos) {
        while let Some(&(until, stream)) = self.lingering.first().filter(|(until, _)| *until <= now)
        {
            self.lingering.remove(&(until, stream));
            if let Some(native) = self.streams.get_mut(&stream) {
                native.until = None;
            }
            self.queue(stream);
        }
    }

    /// When [`expire`](Self::expire) is wanted.
    pub(crate) fn deadline(&self) -> Option<Nanos> {
        self.lingering.first().map(|(until, _)| *until)
    }

    /// What a provider is to be told now; `free` says whether its message budget allows anything.
    pub(crate) fn take(&mut self, provider: ProviderId, free: bool) -> Option<Changes> {
        let first = Stream { provider, ..Stream::default() };
        let own = self.queued.range(first..).take_while(|stream| stream.provider == provider);
        let batch: Vec<_> = own.take(STREAMS_PER_BATCH).copied().collect();
        if batch.is_empty() || !free {
            if batch.is_empty() {
                self.busy.remove(&provider);
            } else {
                self.busy.insert(provider);
            }
            return None;
        }
        self.busy.remove(&provider);
        let (mut subscribe, mut unsubscribe) = (Vec::new(), Vec::new());
        for stream in batch {
            self.queued.remove(&stream);
            let Some(native) = self.streams.get_mut(&stream) else { continue };
            if native.is_wanted() {
                native.asked = true;
                subscribe.push(stream);
            } else {
                self.streams.remove(&stream);
                unsubscribe.push(stream);
            }
        }
        Some((subscribe, unsubscribe))
    }

    /// Whether a provider's budget was used up when it was last looked at.
    pub(crate) fn is_busy(&self, provider: ProviderId) -> bool {
        self.busy.contains(&provider)
    }

    /// The venue has confirmed a stream, or sent something of it; whether that is news.
    pub(crate) fn confirm(&mut self, stream: Stream) -> bool {
        let native = self.streams.get_mut(&stream).filter(|native| native.asked);
        native.is_some_and(|native| !std::mem::replace(&mut native.confirmed, true))
    }

    /// The venue has not got an instrument that it was asked for; whether that is news.
    pub(crate) fn refuse(&mut self, provider: ProviderId, instrument: InstrumentId) -> bool {
        let own = |stream: &Stream| stream.provider == provider && stream.instrument == instrument;
        let mut news = false;
        for (_, native) in self.streams.iter_mut().filter(|(stream, _)| own(stream)) {
            news |= native.asked && !std::mem::replace(&mut native.refused, true);
        }
        news
    }

    /// How a stream stands; `None` where nobody names it.
    pub(crate) fn standing(&self, stream: Stream) -> Option<Standing> {
        let native = self.streams.get(&stream)?;
        Some(match native {
            Native { refused: true, .. } => Standing::Refused,
            Native { asked: false, .. } => Standing::Queued,
            Native { confirmed: true, .. } => Standing::Confirmed,
            Native { .. } => Standing::Asked,
        })
    }

    /// How many name a stream.
    #[cfg(test)]
    fn references(&self, stream: Stream) -> u32 {
        self.streams.get(&stream).map_or(0, |native| native.references)
    }

    /// Puts a stream among those of which the venue has to be told, or takes it out.
    fn queue(&mut self, stream: Stream) {
        let Some(native) = self.streams.get(&stream) else { return };
        if native.is_wanted() == native.asked {
            self.queued.remove(&stream);
        } else {
            self.queued.insert(stream);
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
