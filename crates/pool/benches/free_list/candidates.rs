//! The free lists that lost. Bare: no gauges, no waiting, no closing, unless said.

use std::{
    cell::{Cell, RefCell, UnsafeCell},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
};

use pool::Reset;

use super::{Candidate, Object, touch};

/// The safe and obvious pool: a locked vector of boxes; a loan holds an `Arc` to come home by.
#[allow(clippy::vec_box)] // moving the 280 bytes at each loan would be slower still
pub(crate) struct MutexVec(Arc<Mutex<Vec<Box<Object>>>>);

impl MutexVec {
    pub(crate) fn new(capacity: u16) -> Self {
        MutexVec(Arc::new(Mutex::new((0..capacity).map(|_| Box::default()).collect())))
    }
}

impl Candidate for MutexVec {
    fn cycle(&self) -> bool {
        let home = Arc::clone(&self.0);
        let Some(mut object) = home.lock().unwrap().pop() else { return false };
        touch(&mut object);
        object.reset();
        home.lock().unwrap().push(object);
        true
    }
}

const NONE: u32 = u32::MAX;

/// A tagged stack: index in the low half, tag in the high half.
struct Stack {
    head: AtomicU64,
    next: Box<[AtomicU32]>,
    cells: Box<[UnsafeCell<Object>]>,
}

// SAFETY: a cell is touched only by who popped its index.
unsafe impl Sync for Stack {}

impl Stack {
    fn new(capacity: u16) -> Self {
        let capacity = u32::from(capacity);
        let next =
            (0..capacity).map(|i| AtomicU32::new(if i + 1 < capacity { i + 1 } else { NONE }));
        Stack {
            head: AtomicU64::new(0),
            next: next.collect(),
            cells: (0..capacity).map(|_| UnsafeCell::default()).collect(),
        }
    }

    fn pop(&self) -> Option<u32> {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let top = head as u32;
            let below = self.next.get(top as usize)?.load(Ordering::Relaxed);
            let after = ((head >> 32) + 1) << 32 | u64::from(below);
            match self.head.compare_exchange_weak(head, after, Ordering::Acquire, Ordering::Acquire)
            {
                Ok(_) => return Some(top),
                Err(changed) => head = changed,
            }
        }
    }

    fn push(&self, index: u32) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            self.next[index as usize].store(head as u32, Ordering::Relaxed);
            let after = (head >> 32) << 32 | u64::from(index);
            match self.head.compare_exchange_weak(head, after, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(changed) => head = changed,
            }
        }
    }

    fn work_on(&self, index: u32) {
        // SAFETY: the caller popped `index`.
        let object = unsafe { &mut *self.cells[index as usize].get() };
        touch(object);
        object.reset();
    }
}

/// The stack with a reference count a loan, which needs no unsafe lifetime.
pub(crate) struct CountedStack(Arc<Stack>);

impl CountedStack {
    pub(crate) fn new(capacity: u16) -> Self {
        CountedStack(Arc::new(Stack::new(capacity)))
    }
}

impl Candidate for CountedStack {
    fn cycle(&self) -> bool {
        let home = Arc::clone(&self.0);
        let Some(index) = home.pop() else { return false };
        home.work_on(index);
        home.push(index);
        true
    }
}

/// One bit an object: no stack, no tag, a return that cannot fail; but counting is extra.
pub(crate) struct Bitmap {
    words: [AtomicU64; 4],
    in_use: AtomicUsize,
    high_water: AtomicUsize,
    cells: Box<[UnsafeCell<Object>]>,
}

// SAFETY: a cell is touched only by who cleared its bit.
unsafe impl Sync for Bitmap {}

impl Bitmap {
    pub(crate) fn new(capacity: u16) -> Self {
        let capacity = usize::from(capacity);
        let word =
            |w: usize| (0..64).filter(|bit| w * 64 + bit < capacity).fold(0, |a, bit| a | 1 << bit);
        Bitmap {
            words: std::array::from_fn(|w| AtomicU64::new(word(w))),
            in_use: AtomicUsize::new(0),
            high_water: AtomicUsize::new(0),
            cells: (0..capacity).map(|_| UnsafeCell::default()).collect(),
        }
    }

    fn pop(&self) -> Option<usize> {
        for (at, word) in self.words.iter().enumerate() {
            let mut bits = word.load(Ordering::Relaxed);
            while bits != 0 {
                let bit = bits & bits.wrapping_neg();
                bits = word.fetch_and(!bit, Ordering::Acquire);
                if bits & bit != 0 {
                    return Some(at * 64 + bit.trailing_zeros() as usize);
                }
            }
        }
        None
    }
}

impl Candidate for Bitmap {
    fn cycle(&self) -> bool {
        let Some(index) = self.pop() else { return false };
        let in_use = self.in_use.fetch_add(1, Ordering::Relaxed) + 1;
        if in_use > self.high_water.load(Ordering::Relaxed) {
            self.high_water.fetch_max(in_use, Ordering::Relaxed);
        }
        // SAFETY: this thread cleared the bit of `index`.
        let object = unsafe { &mut *self.cells[index].get() };
        touch(object);
        object.reset();
        self.in_use.fetch_sub(1, Ordering::Relaxed);
        self.words[index / 64].fetch_or(1 << (index % 64), Ordering::Release);
        true
    }
}

thread_local! {
    /// (which pool, the object kept back)
    static KEPT: RefCell<Vec<(usize, Cell<u32>)>> = const { RefCell::new(Vec::new()) };
}

/// One object kept back a thread, over the stack. Nobody else can have it meanwhile, and it is out
/// as far as the gauges know.
pub(crate) struct Cached(Stack);

impl Cached {
    pub(crate) fn new(capacity: u16) -> Self {
        Cached(Stack::new(capacity))
    }

    fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn take_kept(&self) -> Option<u32> {
        KEPT.with_borrow(|kept| {
            let (_, slot) = kept.iter().find(|(of, _)| *of == self.id())?;
            let index = slot.replace(NONE);
            (index != NONE).then_some(index)
        })
    }

    /// False if the place is taken already.
    fn keep(&self, index: u32) -> bool {
        KEPT.with_borrow_mut(|kept| match kept.iter().find(|(of, _)| *of == self.id()) {
            Some((_, slot)) if slot.get() == NONE => {
                slot.set(index);
                true
            }
            Some(_) => false,
            None => {
                kept.push((self.id(), Cell::new(index)));
                true
            }
        })
    }
}

impl Candidate for Cached {
    fn cycle(&self) -> bool {
        let Some(index) = self.take_kept().or_else(|| self.0.pop()) else { return false };
        self.0.work_on(index);
        if !self.keep(index) {
            self.0.push(index);
        }
        true
    }
}
