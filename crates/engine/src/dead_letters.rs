//! Messages that could not be read, on their way off the shard.
//!
//! The shard copies such a message into a pooled [`ProviderRaw`] and hands it over; whoever shows or
//! keeps it has a thread of its own, since writing would stall everything else. Of a flood, what the
//! pool or the way has no room for is counted and not kept: the count is exact, the letters are a
//! sample.

use std::sync::Arc;
use std::task::Waker;

use model::frame::ProviderRaw;
use model::{ConnId, Error, Nanos, ProviderId};
use pool::{Pool, Pooled};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::capacity::DEAD_LETTERS_MAX;
use crate::doorbell::{Doorbell, LastRing};

/// A longer payload is cut to its first so many bytes.
pub const LETTER_BYTES_MAX: usize = 64 * 1_024;

/// The shard's end.
#[derive(Debug)]
pub(crate) struct Outgoing {
    ring: Producer<Pooled<ProviderRaw>>,
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
    ring: Consumer<Pooled<ProviderRaw>>,
    bell: Arc<Doorbell>,
}

/// Both ends of a new way.
pub(crate) fn way() -> (Outgoing, DeadLetters) {
    let (producer, ring) = RingBuffer::new(DEAD_LETTERS_MAX);
    let bell = Arc::new(Doorbell::default());
    (Outgoing { ring: producer, bell: LastRing(bell.clone()) }, DeadLetters { ring, bell })
}

impl Outgoing {
    /// Whether the reader is gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.ring.is_abandoned()
    }

    /// Hands a copy over; `false` where there is no room for it.
    pub(crate) fn put(
        &mut self,
        pool: &Pool<ProviderRaw>,
        (provider, conn): (ProviderId, ConnId),
        ts_recv: Nanos,
        payload: &[u8],
        error: &Error,
    ) -> bool {
        if self.ring.is_full() {
            return false;
        }
        let Some(mut letter) = pool.try_acquire() else { return false };
        letter.ts_recv = ts_recv;
        letter.provider = provider;
        letter.conn = conn;
        letter.bytes = payload.len();
        letter.payload.extend_from_slice(&payload[..payload.len().min(LETTER_BYTES_MAX)]);
        letter.remedy = Some(error.remedy);
        letter.error.push_str(&error.message);
        let put = self.ring.push(letter).is_ok();
        self.bell.0.ring();
        put
    }
}

impl DeadLetters {
    /// Says how to wake whoever reads; once, before the first [`may_sleep`](Self::may_sleep).
    pub fn attach(&self, waker: Waker) -> bool {
        self.bell.attach(waker)
    }

    /// The oldest letter.
    pub fn take(&mut self) -> Option<Pooled<ProviderRaw>> {
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

    /// Whether nothing is there and nothing will come.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.ring.is_abandoned() && self.ring.is_empty()
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    const FROM: (ProviderId, ConnId) = (ProviderId(3), ConnId(9));

    fn put(out: &mut Outgoing, pool: &Pool<ProviderRaw>, payload: &[u8]) -> bool {
        out.put(pool, FROM, Nanos(5), payload, &Error::ignore("no comma"))
    }

    #[test]
    fn a_letter_says_whose_it_is_when_it_came_and_what_was_wrong() {
        let (mut out, mut letters) = way();
        let pool = Pool::new("ProviderRaw", 2);
        assert!(put(&mut out, &pool, b"{\"a\":1 2}"));
        let letter = letters.take().unwrap();
        assert_eq!((letter.provider, letter.conn, letter.ts_recv), (FROM.0, FROM.1, Nanos(5)));
        assert_eq!((&letter.payload[..], letter.bytes), (&b"{\"a\":1 2}"[..], 9));
        assert_eq!((&*letter.error, letter.remedy), ("no comma", Some(model::Remedy::Ignore)));
        assert_eq!(pool.stats().in_use, 1);
        drop(letter);
        assert_eq!(pool.stats().in_use, 0);
        assert!(letters.take().is_none() && !letters.is_closed());
    }

    #[test]
    fn a_huge_message_is_cut_and_its_length_kept() {
        let (mut out, mut letters) = way();
        let pool = Pool::new("ProviderRaw", 1);
        assert!(put(&mut out, &pool, &vec![b'x'; LETTER_BYTES_MAX + 1]));
        let letter = letters.take().unwrap();
        assert_eq!((letter.payload.len(), letter.bytes), (LETTER_BYTES_MAX, LETTER_BYTES_MAX + 1));
    }

    #[test]
    fn a_flood_takes_what_there_is_room_for_and_waits_for_nothing() {
        let (mut out, mut letters) = way();
        let few = Pool::new("ProviderRaw", 2);
        let taken = (0..5).filter(|_| put(&mut out, &few, b"x")).count();
        assert_eq!(taken, 2, "as many as the pool has");
        while letters.take().is_some() {}
        let many = Pool::new("ProviderRaw", 1_000);
        let taken = (0..1_000).filter(|_| put(&mut out, &many, b"x")).count();
        assert_eq!(taken, DEAD_LETTERS_MAX, "as many as the way has");
        assert_eq!(usize::from(many.stats().in_use), DEAD_LETTERS_MAX);
        drop((out, letters));
        assert_eq!(many.stats().in_use, 0, "also those that nobody read");
    }

    #[test]
    fn a_reader_hears_of_the_end_after_the_last_letter() {
        let (mut out, mut letters) = way();
        let pool = Pool::new("ProviderRaw", 1);
        assert!(letters.attach(Waker::noop().clone()));
        assert!(letters.may_sleep());
        assert!(put(&mut out, &pool, b"x"));
        assert!(!letters.may_sleep());
        drop(out);
        assert!(!letters.is_closed(), "one is still there");
        assert!(letters.take().is_some());
        assert!(letters.is_closed() && !letters.may_sleep());
    }
}
