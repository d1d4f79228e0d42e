//! In steady state a loan allocates nothing, and in boxed mode it does.
#![allow(unsafe_code, clippy::unwrap_used)] // a counting allocator is unsafe by nature
#![cfg(not(loom))]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use pool::{LocalPool, Pool, Reset, TRACKS_LOANS};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is left to the system's allocator; the counter does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[derive(Default)]
struct Item {
    buffer: Vec<u8>,
}

impl Reset for Item {
    fn reset(&mut self) {
        pool::reset_vec(&mut self.buffer, 64);
    }
}

fn allocations(mut round: impl FnMut()) -> u64 {
    round(); // the first use makes the buffers
    let before = ALLOCATIONS.get();
    (0..100).for_each(|_| round());
    ALLOCATIONS.get() - before
}

#[test]
fn a_loan_allocates_nothing_in_steady_state() {
    if TRACKS_LOANS {
        return; // stacks are kept on the heap; run with --release
    }
    let pooled: Pool<Item> = Pool::new("items", 4);
    let local: LocalPool<Item> = LocalPool::new("items", 4);
    let fill = |buffer: &mut Vec<u8>| buffer.extend_from_slice(&[7; 64]);
    assert_eq!(allocations(|| fill(&mut pooled.try_acquire().unwrap().buffer)), 0);
    assert_eq!(allocations(|| fill(&mut local.try_acquire().unwrap().buffer)), 0);

    let boxed: Pool<Item> = Pool::boxed("items", 4);
    let local: LocalPool<Item> = LocalPool::boxed("items", 4);
    assert_eq!(allocations(|| fill(&mut boxed.try_acquire().unwrap().buffer)), 200);
    assert_eq!(allocations(|| fill(&mut local.try_acquire().unwrap().buffer)), 200);
}
