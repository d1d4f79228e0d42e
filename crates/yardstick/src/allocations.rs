//! An allocator that counts, for every program that this crate is linked into.
//!
//! Per thread, so that what other threads do meanwhile is not counted, and counting costs neither a
//! lock nor a shared cache line.
#![allow(unsafe_code, reason = "an allocator is unsafe by nature")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting.
#[derive(Debug)]
struct Counting;

// SAFETY: everything is left to the system's allocator; the counter itself allocates nothing, since
// it is a constant-initialised cell without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promises are the system allocator's demands.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(at, layout, size) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often this thread has asked for memory since it began; growing a buffer is asking.
#[must_use]
pub fn count() -> u64 {
    COUNT.get()
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn what_this_thread_asks_for_is_counted_and_nothing_else() {
        let before = count();
        let mut bytes: Vec<u8> = Vec::with_capacity(8);
        assert_eq!(count(), before + 1);
        bytes.reserve_exact(64);
        assert_eq!(count(), before + 2, "growing");
        bytes.clear();
        bytes.push(1);
        drop(bytes);
        assert_eq!(count(), before + 2, "reusing and freeing cost nothing");
        assert_eq!(vec![0_u8; 32].len(), 32);
        assert_eq!(count(), before + 3, "zeroed");
        let elsewhere = std::thread::spawn(|| {
            let before = count();
            drop(std::hint::black_box(Box::new(7)));
            count() - before
        });
        assert_eq!(elsewhere.join().ok(), Some(1));
    }
}
