//! What a caller may rely on, one behaviour a test.

#![allow(clippy::unwrap_used)]

use pool::{Pool, Reset};

#[derive(Default, Debug, PartialEq)]
struct Item {
    n: u64,
    bytes: Vec<u8>,
}

impl Reset for Item {
    fn reset(&mut self) {
        let Self { n, bytes } = self;
        *n = 0;
        pool::reset_vec(bytes, 64);
    }
}

#[test]
fn lends_up_to_capacity_and_resets_on_return() {
    for pool in [Pool::<Item>::new("items", 2), Pool::boxed("items", 2)] {
        let mut first = pool.try_acquire().unwrap();
        first.n = 7;
        first.bytes.push(1);
        let second = pool.try_acquire().unwrap();
        assert!(pool.try_acquire().is_none());
        drop(first);
        let again = pool.try_acquire().unwrap();
        assert_eq!(*again, Item::default());
        drop((second, again));
        let stats = pool.stats();
        assert_eq!((stats.in_use, stats.high_water, stats.exhausted), (0, 2, 1));
    }
}
