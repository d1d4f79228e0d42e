//! The objects, and the unique owner that lends one. The only unsafe code of the crate.
//!
//! # Why it is sound
//! 1. **One owner.** An index that left `Core` is owned by whoever got it until it is put back;
//!    only a [`Pooled`] turns an index into a pointer, and it puts the index back after its last
//!    use of the pointer. Hence at most one thread at a time can reach a cell.
//! 2. **Lifetime.** The loans of a pool together hold one strong count on `Shared` (the *loans'
//!    claim*), made with the pool. It is given up exactly once: by the last handle if nothing is
//!    out then, else by the last object to come home. Both read the decision from one swap of one
//!    word. So loans need no reference count of their own, which halves what a loan costs.
#![allow(unsafe_code)] // Measured: safe variants cost twice as much a loan; see README.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

use crate::{
    core::Core,
    loans::Loans,
    reset::{Outcome, Reset, discard, restore},
    sync::{Access, Arc, UnsafeCell, open},
    wait::Permit,
};

/// What a pool's handles and loans share.
pub(crate) struct Shared<T> {
    pub(crate) core: Core,
    /// One object per index; empty in boxed mode.
    cells: Box<[UnsafeCell<T>]>,
    boxed: bool,
    pub(crate) loans: Loans,
}

// SAFETY: a cell is reached only by the owner of its index (point 1 above), so sharing `Shared`
// moves objects between threads but never shares one; the other fields are `Sync` by themselves.
unsafe impl<T: Send> Sync for Shared<T> {}

/// An object on loan from a [`Pool`](crate::Pool): its unique owner, which resets it and gives it
/// back when dropped, also while unwinding.
///
/// There is no way to take the object out (its contents can be taken with `std::mem::take`), so a
/// second return or a use after return does not compile:
///
/// ```compile_fail,E0382
/// # let pool: pool::Pool<pool::doc::Note> = pool::Pool::new("notes", 1);
/// let note = pool.try_acquire().unwrap();
/// drop(note);
/// note.text.len(); // use of moved value
/// ```
///
/// `std::mem::forget` keeps the object out for good, and the gauges say so.
#[must_use = "dropping the loan gives the object straight back"]
pub struct Pooled<T: Reset> {
    value: NonNull<T>,
    shared: NonNull<Shared<T>>,
    index: u16,
    /// Lets loom see this loan as one long exclusive access; nothing otherwise.
    access: Option<Access<T>>,
}

// SAFETY: a loan is a unique owner of a `T` (point 1), and `Shared` may be used from any thread if
// `T: Send`.
unsafe impl<T: Reset + Send> Send for Pooled<T> {}
// SAFETY: a shared loan gives out `&T` and nothing else.
unsafe impl<T: Reset + Send + Sync> Sync for Pooled<T> {}

impl<T: Reset> Shared<T> {
    /// A pool's shared part with one handle. The loans' claim is made here; see [`Self::unclaim`].
    pub(crate) fn new(name: &'static str, capacity: u16, boxed: bool) -> Arc<Self> {
        let made_up_front = if boxed { 0 } else { capacity };
        let shared = Arc::new(Shared {
            core: Core::new(name, capacity),
            cells: (0..made_up_front).map(|_| UnsafeCell::new(T::default())).collect(),
            boxed,
            loans: Loans::new(capacity),
        });
        std::mem::forget(Arc::clone(&shared)); // the loans' claim
        shared
    }

    /// Makes the loan that `permit` allows.
    #[inline]
    pub(crate) fn lend(this: &Arc<Self>, permit: Permit<'_>) -> Pooled<T> {
        // A panic in `default` here puts the permit back.
        let made = this.boxed.then(|| NonNull::from(Box::leak(Box::<T>::default())));
        let index = permit.keep();
        this.loans.start(index);
        let (value, access) = match made {
            Some(value) => (value, None),
            None => {
                let (value, access) = open(&this.cells[usize::from(index)]);
                (value, Some(access))
            }
        };
        // SAFETY: the address of what an `Arc` holds is never null.
        let shared = unsafe { NonNull::new_unchecked(Arc::as_ptr(this).cast_mut()) };
        Pooled { value, shared, index, access }
    }

    /// Makes a returned object fit for the next use. False if it never will be.
    ///
    /// # Safety
    /// The caller owns `value`'s index, and does not use `value` afterwards.
    #[inline]
    unsafe fn clean(&self, mut value: NonNull<T>) -> bool {
        let outcome = if self.boxed {
            // SAFETY: in boxed mode `lend` made `value` from a box, and the caller owns it.
            discard(unsafe { Box::from_raw(value.as_ptr()) })
        } else {
            // SAFETY: the caller owns the index, so nobody else can reach the cell.
            restore(unsafe { value.as_mut() })
        };
        if outcome != Outcome::Clean {
            self.core.count_reset_panic();
        }
        outcome != Outcome::Spoilt
    }

    /// Brings object `index` home.
    ///
    /// # Safety
    /// `this` points to a live `Shared` whose `index` the caller owns, and the caller uses neither
    /// afterwards. No reference to `*this` may be an argument of a running function when the index
    /// is put back, since the pool may be freed from then on; hence the pointer.
    #[inline]
    unsafe fn put(this: *const Self, index: u16) {
        // SAFETY: alive, since the caller owns an index, until the swap inside `try_put` succeeds;
        // `try_put` and this function touch nothing after that.
        let put = unsafe { Core::try_put((*this).core.place_of(index), index) };
        if !put {
            // SAFETY: nothing was put back, so the caller's contract still holds.
            unsafe { Self::put_with_care(this, index) }
        }
    }

    /// # Safety
    /// As for [`Self::put`].
    #[cold]
    unsafe fn put_with_care(this: *const Self, index: u16) {
        // SAFETY: alive, since the caller owns an index; `this` came from an `Arc`. The count of
        // our own keeps it alive past the return of the index.
        let own = unsafe {
            Arc::increment_strong_count(this);
            Arc::from_raw(this)
        };
        if own.core.put_with_care(index) {
            Self::unclaim(&own);
        }
    }

    /// Gives up the loans' claim.
    ///
    /// To be called once, by whom `Core` told that the last handle is gone and all objects are home.
    pub(crate) fn unclaim(this: &Arc<Self>) {
        // SAFETY: gives up the count forgotten in `new`, which happens once: the word goes only
        // once to "orphaned and all home", and the one swap that took it there reported it.
        unsafe { Arc::decrement_strong_count(Arc::as_ptr(this)) }
    }
}

impl<T: Reset> Drop for Pooled<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this loan owns its index, hence `Shared` is alive and the value ours.
        let clean = unsafe { self.shared.as_ref().clean(self.value) };
        self.access = None;
        if clean {
            // SAFETY: as above.
            unsafe { self.shared.as_ref() }.loans.end(self.index);
            // SAFETY: as above, and this is the loan's last use of either.
            unsafe { Shared::put(self.shared.as_ptr(), self.index) };
        }
    }
}

impl<T: Reset> Deref for Pooled<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the loan owns the object, and `self` is borrowed as long as the result.
        unsafe { self.value.as_ref() }
    }
}

impl<T: Reset> DerefMut for Pooled<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the loan owns the object, and `self` is borrowed uniquely as long as the result.
        unsafe { self.value.as_mut() }
    }
}

impl<T: Reset + fmt::Debug> fmt::Debug for Pooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
