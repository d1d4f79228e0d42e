//! The whole state of a pool's free list in 64 bits, so that one compare-and-swap decides everything.
//!
//! ```text
//! 63            35  34        33      32       31        16  15         0
//! [ tag, 29 bits | ORPHANED | CLOSED | WAITING | free count | top of stack ]
//! ```
//!
//! The free objects form a stack linked by index. Each take advances the tag, so a thread that was
//! held up between reading the top and swapping it fails instead of installing a stale link: to be
//! fooled it would have to stand still between two adjacent instructions for exactly a multiple of
//! 2^29 loans (five seconds of doing nothing but loans) that end with the same top and count.
//!
//! Keeping the count in the same word makes the gauges exact for free, and keeping the three flags
//! there means that a return which did not see a flag cannot succeed after the flag was set. No
//! second variable, hence no fences to reason about.

const TOP_MASK: u64 = 0xFFFF;
const FREE_SHIFT: u32 = 16;
const FREE_ONE: u64 = 1 << FREE_SHIFT;
const TAG_ONE: u64 = 1 << 35;

/// Somebody waits; hence nothing is free, and a return hands its object over instead of pushing it.
/// Changed only while the waiters' lock is held.
pub(crate) const WAITING: u64 = 1 << 32;
/// No new loans.
pub(crate) const CLOSED: u64 = 1 << 33;
/// The last handle is gone; whoever brings the last object home frees the pool.
pub(crate) const ORPHANED: u64 = 1 << 34;

/// A value of the pool's state; all arithmetic on its bits is here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    /// All `capacity` objects free, object 0 on top.
    pub(crate) fn full(capacity: u16) -> Self {
        Word(u64::from(capacity) << FREE_SHIFT)
    }

    /// The object on top of the stack; meaningless when none is free.
    pub(crate) fn top(self) -> u16 {
        (self.0 & TOP_MASK) as u16
    }

    /// How many objects are free.
    pub(crate) fn free(self) -> u16 {
        (self.0 >> FREE_SHIFT) as u16
    }

    /// True if all of the bits in `flag` are set.
    pub(crate) fn has(self, flag: u64) -> bool {
        self.0 & flag == flag
    }

    /// True if a return needs more than a push.
    pub(crate) fn needs_care(self) -> bool {
        self.0 & (WAITING | CLOSED | ORPHANED) != 0
    }

    /// The state after taking the top, when `next` was below it.
    pub(crate) fn taken(self, next: u16) -> Self {
        debug_assert!(self.free() > 0);
        Word((self.0.wrapping_add(TAG_ONE) - FREE_ONE) & !TOP_MASK | u64::from(next))
    }

    /// The state after putting `index` on top.
    pub(crate) fn put(self, index: u16) -> Self {
        Word((self.0 + FREE_ONE) & !TOP_MASK | u64::from(index))
    }

    /// The state with `flag` set.
    pub(crate) fn with(self, flag: u64) -> Self {
        Word(self.0 | flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_and_puts_touch_only_their_own_bits() {
        let full = Word::full(u16::MAX).with(CLOSED);
        let one_out = full.taken(7);
        assert_eq!((one_out.top(), one_out.free()), (7, u16::MAX - 1));
        assert!(one_out.has(CLOSED) && !one_out.has(WAITING) && !one_out.has(ORPHANED));
        let home = one_out.put(0);
        assert_eq!((home.top(), home.free()), (0, u16::MAX));
        assert!(home != full, "the tag tells a stack from its own past");
    }

    #[test]
    fn the_tag_wraps_into_nothing() {
        let last = Word(u64::MAX);
        let taken = last.taken(3);
        assert_eq!((taken.top(), taken.free()), (3, u16::MAX - 1));
        assert!(taken.has(WAITING | CLOSED | ORPHANED));
        assert_eq!(taken.0 >> 35, 0);
    }
}
