//! Dead letters on their way off the shard: what could not be used, or was not delivered, with what
//! is known of it.
//!
//! The shard hands them over a bounded ring and goes on; whoever keeps or shows them has a thread of
//! its own, since writing would stall everything else. What the ring has no room for is counted, and
//! the next letter of the same reason says how many it stands for: the counts are exact, the letters
//! are a sample. Of the ring, letters of low priority may take a part only, so that a consumer that
//! drops trades by the thousand hides nothing of the others.

use std::sync::Arc;
use std::task::Waker;

use model::control::Refusal;
use model::frame::ProviderRaw;
use model::{ConnId, ConsumerId, Error, Event, Nanos, ProviderId};
use pool::{Pool, Pooled};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::capacity::{DEAD_LETTERS_MAX, DEAD_LETTERS_NOT_LOW};
use crate::control::Command;
use crate::doorbell::{Doorbell, LastRing};

/// A longer payload is cut to its first so many bytes.
pub const LETTER_BYTES_MAX: usize = 64 * 1_024;

/// What a letter is worth: the lowest goes first where there is no room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Its stream went on without it, and said so.
    Low,
    /// Something that a venue said was not understood.
    Normal,
    /// Somebody wanted something and did not get it.
    High,
}

/// Why something is a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LetterReason {
    /// A trade that a consumer did not get, since more waited for it than may.
    Dropped,
    /// An event that came after the window of its merge had closed; its own stream had it.
    LateFragment,
    /// An event that came after the hole that it would have filled was given up: its stream had said
    /// that something is missing, and goes on without it.
    Late,
    /// The first message of a type, or about an instrument, that nothing is known of.
    Unmapped,
    /// A venue's message that could not be read.
    Unreadable,
    /// A command that was malformed, or that whoever gave it may not give.
    RefusedCommand,
}

impl LetterReason {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Dropped,
        Self::LateFragment,
        Self::Late,
        Self::Unmapped,
        Self::Unreadable,
        Self::RefusedCommand,
    ];

    /// The code that output uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Dropped => "dropped",
            Self::LateFragment => "late_fragment",
            Self::Late => "late",
            Self::Unmapped => "unmapped",
            Self::Unreadable => "unreadable",
            Self::RefusedCommand => "refused_command",
        }
    }

    /// What its letters are worth.
    #[must_use]
    pub fn priority(self) -> Priority {
        match self {
            Self::Dropped | Self::LateFragment | Self::Late => Priority::Low,
            Self::Unmapped | Self::Unreadable => Priority::Normal,
            Self::RefusedCommand => Priority::High,
        }
    }
}

impl Priority {
    /// Every one, lowest first.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// The word that output uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

/// One of them.
#[derive(Debug)]
pub struct Letter {
    /// When it became one.
    pub at: Nanos,
    /// How many of the same reason there was no room for since the last one that was handed over.
    pub lost: u64,
    /// What it is.
    pub content: Content,
}

/// What is in a letter, by its reason.
#[derive(Debug)]
pub enum Content {
    /// [`LetterReason::Dropped`].
    Dropped {
        /// Who did not get it.
        consumer: ConsumerId,
        /// What it would have got.
        event: Event,
    },
    /// [`LetterReason::LateFragment`].
    LateFragment {
        /// The merge's number among the providers.
        merge: ProviderId,
        /// What its event lacks.
        event: Event,
    },
    /// [`LetterReason::Late`].
    Late(Event),
    /// [`LetterReason::Unmapped`].
    Unmapped {
        /// Whose message it was.
        provider: ProviderId,
        /// What is not known: a type, a symbol, an instrument.
        what: &'static str,
        /// What the venue calls it.
        name: Box<str>,
    },
    /// [`LetterReason::Unreadable`].
    Unreadable(Pooled<ProviderRaw>),
    /// [`LetterReason::RefusedCommand`].
    RefusedCommand {
        /// For whom, by name.
        consumer: Arc<str>,
        /// Whether an operator gave it.
        operator: bool,
        /// What was wanted.
        command: Box<Command>,
        /// What was wrong with it.
        refusal: Refusal,
    },
}

impl Content {
    /// Why it is a letter.
    #[must_use]
    pub fn reason(&self) -> LetterReason {
        match self {
            Self::Dropped { .. } => LetterReason::Dropped,
            Self::LateFragment { .. } => LetterReason::LateFragment,
            Self::Late(_) => LetterReason::Late,
            Self::Unmapped { .. } => LetterReason::Unmapped,
            Self::Unreadable(_) => LetterReason::Unreadable,
            Self::RefusedCommand { .. } => LetterReason::RefusedCommand,
        }
    }
}

/// How many letters of a reason there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LetterCounts {
    /// All of them.
    pub seen: u64,
    /// Of those, how many there was no room for on the way to whoever keeps them, or nobody there to
    /// keep them.
    pub lost: u64,
}

/// The shard's end: counts all, hands over what there is room for.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    way: Option<Outgoing>,
    counts: [LetterCounts; LetterReason::ALL.len()],
    /// Of those lost, how many no letter has told of.
    untold: [u64; LetterReason::ALL.len()],
}

#[derive(Debug)]
struct Outgoing {
    ring: Producer<Letter>,
    /// After the ring: fields are dropped in order, and the reader is to find the ring given up.
    bell: LastRing,
}

/// The reader's end. Its thread does
/// ```text
/// letters.attach(waker)
/// until letters.is_closed():
///     if letters.take() is none and letters.may_sleep(): park
/// ```
#[derive(Debug)]
pub struct DeadLetters {
    ring: Consumer<Letter>,
    bell: Arc<Doorbell>,
}

impl Letters {
    /// A new way, and its other end. Whoever had the end before gets no more.
    pub(crate) fn open(&mut self) -> DeadLetters {
        let (producer, ring) = RingBuffer::new(DEAD_LETTERS_MAX);
        let bell = Arc::new(Doorbell::default());
        self.way = Some(Outgoing { ring: producer, bell: LastRing(bell.clone()) });
        DeadLetters { ring, bell }
    }

    /// What was counted, by reason.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (LetterReason, LetterCounts)> {
        LetterReason::ALL.into_iter().zip(self.counts)
    }

    /// Hands a letter over; `false` where there is no room for it or nobody to read it. What is in it
    /// is made only where there is room, and may turn out not to be had.
    pub(crate) fn put(
        &mut self,
        reason: LetterReason,
        at: Nanos,
        content: impl FnOnce() -> Option<Content>,
    ) -> bool {
        // What the reader left behind when it went comes home.
        self.way.take_if(|way| way.ring.is_abandoned());
        let way = self.way.as_mut().filter(|way| way.has_room(reason.priority()));
        let lost = self.untold[reason as usize];
        let put = way.is_some_and(|way| {
            let letter = content().map(|content| Letter { at, lost, content });
            letter.is_some_and(|letter| way.send(letter))
        });
        if put {
            self.counts[reason as usize].seen += 1;
            self.untold[reason as usize] = 0;
        } else {
            self.lose(reason, 1);
        }
        put
    }

    /// Counts letters that were never written.
    pub(crate) fn lose(&mut self, reason: LetterReason, many: u64) {
        let counts = &mut self.counts[reason as usize];
        counts.seen += many;
        counts.lost += many;
        self.untold[reason as usize] += many;
    }

    /// Hands over a message that could not be read.
    pub(crate) fn put_unreadable(
        &mut self,
        pool: &Pool<ProviderRaw>,
        (provider, conn): (ProviderId, ConnId),
        ts_recv: Nanos,
        payload: &[u8],
        error: &Error,
    ) -> bool {
        self.put(LetterReason::Unreadable, ts_recv, || {
            let mut raw = pool.try_acquire()?;
            raw.ts_recv = ts_recv;
            raw.provider = provider;
            raw.conn = conn;
            raw.bytes = payload.len();
            raw.payload.extend_from_slice(&payload[..payload.len().min(LETTER_BYTES_MAX)]);
            raw.remedy = Some(error.remedy);
            raw.error.push_str(&error.message);
            Some(Content::Unreadable(raw))
        })
    }
}

impl Outgoing {
    fn has_room(&self, priority: Priority) -> bool {
        let kept_free = if priority == Priority::Low { DEAD_LETTERS_NOT_LOW } else { 0 };
        self.ring.slots() > kept_free
    }

    fn send(&mut self, letter: Letter) -> bool {
        let sent = self.ring.push(letter).is_ok();
        self.bell.0.ring();
        sent
    }
}

impl DeadLetters {
    /// Says how to wake whoever reads; once, before the first [`may_sleep`](Self::may_sleep).
    pub fn attach(&self, waker: Waker) -> bool {
        self.bell.attach(waker)
    }

    /// The oldest letter.
    pub fn take(&mut self) -> Option<Letter> {
        self.ring.pop().ok()
    }

    /// Whether nothing is there and the waker will be called when something is, or when the shard
    /// is gone. To be asked right before every sleep.
    #[must_use]
    pub fn may_sleep(&self) -> bool {
        self.bell.arm();
        let idle = self.ring.is_empty() && !self.ring.is_abandoned();
        if !idle {
            self.bell.disarm();
        }
        idle
    }

    /// Whether nothing more will come: the shard is gone.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Whether nothing is there and nothing will come.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ring.is_abandoned() && self.ring.is_empty()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
