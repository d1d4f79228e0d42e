//! What a type must do to be pooled, and helpers to do it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Brings an object back to its default, so that nothing of one use is visible in the next.
///
/// # Contract
/// After `reset`, every field equals the one of `Self::default()`. Buffers are cleared but keep
/// their memory **up to a cap**: an object that once held a huge payload must not pin that memory
/// for ever. [`reset_vec`] and [`reset_string`] do both.
///
/// Take `self` apart without `..`, so that a new field does not compile until it is reset:
///
/// ```
/// use pool::{Reset, reset_string, reset_vec};
///
/// #[derive(Default, Debug, PartialEq)]
/// struct Parcel { label: String, weights_g: Vec<u32>, fragile: bool }
///
/// impl Reset for Parcel {
///     fn reset(&mut self) {
///         let Self { label, weights_g, fragile } = self;
///         reset_string(label, 64);
///         reset_vec(weights_g, 16);
///         *fragile = false;
///     }
/// }
/// # let mut p = Parcel { label: "x".into(), weights_g: vec![1; 99], fragile: true };
/// # p.reset();
/// # assert_eq!(p, Parcel::default());
/// # assert!(p.weights_g.capacity() < 99);
/// ```
///
/// # Panics
/// A `reset` that panics costs no object and poisons nothing: the pool catches the panic, puts
/// `Self::default()` in the object's place and counts it in
/// [`PoolStats::reset_panics`](crate::PoolStats::reset_panics). If `default` (or dropping the old
/// contents) panics as well, that one object is retired: it stays counted as in use, because
/// handing out another use's contents would be worse.
pub trait Reset: Default {
    /// Puts every field back to its default.
    fn reset(&mut self);
}

/// How an object took its reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// As it should.
    Clean,
    /// `reset` panicked; a default is in its place.
    Replaced,
    /// That panicked too: never to be lent again.
    Spoilt,
}

/// Resets `object`; no panic gets out.
#[inline]
pub(crate) fn restore<T: Reset>(object: &mut T) -> Outcome {
    if contained(|| object.reset()) {
        Outcome::Clean
    } else if contained(|| *object = T::default()) {
        Outcome::Replaced
    } else {
        Outcome::Spoilt
    }
}

/// Frees the object of a boxed loan; no panic gets out.
pub(crate) fn discard<T>(object: Box<T>) -> Outcome {
    if contained(|| drop(object)) { Outcome::Clean } else { Outcome::Replaced }
}

/// Runs the user's code; false if it panicked. Nobody sees the state it left behind: the object is
/// replaced, retired or freed.
#[inline]
fn contained(run: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(run)).is_ok()
}

/// Clears a vector and keeps room for at most `cap` elements.
///
/// Costs a reallocation only after a use that needed more than `cap`.
pub fn reset_vec<T>(buffer: &mut Vec<T>, cap: usize) {
    buffer.clear();
    if buffer.capacity() > cap {
        buffer.shrink_to(cap);
    }
}

/// Clears a string and keeps room for at most `cap` bytes.
///
/// Costs a reallocation only after a use that needed more than `cap`.
pub fn reset_string(buffer: &mut String, cap: usize) {
    buffer.clear();
    if buffer.capacity() > cap {
        buffer.shrink_to(cap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_keep_their_memory_up_to_the_cap() {
        let mut v: Vec<u8> = Vec::with_capacity(100);
        v.push(1);
        let at = v.as_ptr();
        reset_vec(&mut v, 100);
        assert!(v.is_empty() && v.capacity() >= 100 && v.as_ptr() == at);
        reset_vec(&mut v, 10);
        assert!((10..100).contains(&v.capacity()));

        let mut s = "x".repeat(1000);
        reset_string(&mut s, 8);
        assert!(s.is_empty() && (8..1000).contains(&s.capacity()));
    }
}
