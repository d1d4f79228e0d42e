//! Any sequence of operations against a naive pool; and that a reset leaves nothing behind.
#![allow(clippy::unwrap_used)]
#![cfg(not(loom))]

use pool::{LocalPool, Pool, Reset};
use proptest::prelude::*;

#[derive(Clone, Debug, Default, PartialEq)]
struct Record {
    id: u64,
    name: String,
    levels: Vec<(i64, i64)>,
    note: Option<Box<str>>,
}

const NAME_CAP: usize = 32;
const LEVELS_CAP: usize = 8;

impl Reset for Record {
    fn reset(&mut self) {
        let Self { id, name, levels, note } = self;
        *id = 0;
        pool::reset_string(name, NAME_CAP);
        pool::reset_vec(levels, LEVELS_CAP);
        *note = None;
    }
}

fn records() -> impl Strategy<Value = Record> {
    let levels = prop::collection::vec(any::<(i64, i64)>(), 0..64);
    let note = prop::option::of("[a-z]{0,9}").prop_map(|note| note.map(String::into_boxed_str));
    (any::<u64>(), ".{0,64}", levels, note).prop_map(|(id, name, levels, note)| Record {
        id,
        name,
        levels,
        note,
    })
}

#[derive(Clone, Debug)]
enum Step {
    Take {
        reserve: u16,
    },
    /// Of the loans that are out, the one at this position (modulo).
    Return(usize),
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..3u16).prop_map(|reserve| Step::Take { reserve }),
        8 => any::<usize>().prop_map(Step::Return),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 0..200)
}

/// The pool as one would say it in words.
#[derive(Default)]
struct Naive {
    capacity: u16,
    out: u16,
    high_water: u16,
    exhausted: u64,
    closed: bool,
}

impl Naive {
    fn take(&mut self, reserve: u16) -> bool {
        if self.closed {
            return false;
        }
        if self.capacity - self.out <= reserve {
            self.exhausted += 1;
            return false;
        }
        self.out += 1;
        self.high_water = self.high_water.max(self.out);
        true
    }
}

/// Runs `$steps` on `$pool` and on the model, comparing after each.
macro_rules! compare {
    ($pool:expr, $capacity:expr, $steps:expr) => {{
        let pool = $pool;
        let mut naive = Naive { capacity: $capacity, ..Naive::default() };
        let mut loans = Vec::new();
        for (serial, step) in (1u64..).zip($steps) {
            match step {
                Step::Take { reserve } => {
                    let loan = pool.try_acquire_above(reserve);
                    prop_assert_eq!(loan.is_some(), naive.take(reserve));
                    if let Some(mut loan) = loan {
                        prop_assert_eq!(&*loan, &Record::default());
                        loan.id = serial;
                        loan.name.push('x');
                        loans.push((serial, loan));
                    }
                }
                Step::Return(at) if !loans.is_empty() => {
                    let (serial, loan) = loans.swap_remove(at % loans.len());
                    prop_assert_eq!(loan.id, serial, "nobody else wrote to it");
                    drop(loan);
                    naive.out -= 1;
                }
                Step::Return(_) => {}
                Step::Close => {
                    pool.close();
                    naive.closed = true;
                }
            }
            let stats = pool.stats();
            prop_assert_eq!(stats.in_use, naive.out);
            prop_assert_eq!(stats.high_water, naive.high_water);
            prop_assert_eq!(stats.exhausted, naive.exhausted);
        }
    }};
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn does_what_the_naive_pool_does(capacity in 0..5u16, steps in steps(), boxed: bool) {
        let (shared, local): (Pool<Record>, LocalPool<Record>) = if boxed {
            (Pool::boxed("records", capacity), LocalPool::boxed("records", capacity))
        } else {
            (Pool::new("records", capacity), LocalPool::new("records", capacity))
        };
        compare!(&shared, capacity, steps.clone());
        compare!(&local, capacity, steps);
    }

    #[test]
    fn nothing_of_one_use_is_visible_in_the_next(record in records()) {
        let pool: Pool<Record> = Pool::new("records", 1);
        *pool.try_acquire().unwrap() = record;
        let next = pool.try_acquire().unwrap();
        prop_assert_eq!(&*next, &Record::default());
        prop_assert!(next.name.capacity() <= NAME_CAP && next.levels.capacity() <= LEVELS_CAP);
    }
}
