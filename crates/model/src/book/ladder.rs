//! One side of a book: a sorted map of prices that asks for no memory once it has seen its size.
//!
//! Levels lie in chunks of up to [`CHUNK`], sorted within and among each other, with the chunks'
//! first keys in one row beside them: a look-up searches the row and then one chunk, an insertion
//! moves at most one chunk's levels. Chunks that run empty are kept and used again. A `BTreeMap` in
//! this place asks for memory with every seventh level that comes, and gives it back with the next
//! that go.

use std::fmt;

/// Levels in a chunk: few enough to move, enough that a deep book has few chunks.
const CHUNK: usize = 64;
/// A chunk with fewer levels is joined with a neighbour where both fit well.
const SPARSE: usize = CHUNK / 4;
/// Two neighbours are joined where they have no more than this together, so that the next level
/// does not tear them apart again.
const JOINED_MAX: usize = CHUNK * 3 / 4;
/// Empty chunks that are kept; a book that was much larger once gives the rest back.
const SPARE_MAX: usize = 64;

/// A sorted map from price to what stands there.
#[derive(Clone)]
pub(super) struct Ladder<V> {
    chunks: Vec<Box<Chunk<V>>>,
    /// The first key of each chunk.
    firsts: Vec<i64>,
    len: usize,
    spare: Vec<Box<Chunk<V>>>,
}

#[derive(Clone)]
struct Chunk<V> {
    len: usize,
    keys: [i64; CHUNK],
    values: [V; CHUNK],
}

impl<V: Copy + Default> Ladder<V> {
    /// How many levels there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Removes everything.
    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.firsts.clear();
        while let Some(chunk) = self.chunks.pop() {
            self.put_by(chunk);
        }
    }

    /// Sets what stands at a key.
    #[inline]
    pub(super) fn insert(&mut self, key: i64, value: V) {
        if self.chunks.is_empty() {
            self.add_chunk(0);
        }
        let at = self.chunk_of(key);
        match self.chunks[at].find(key) {
            Ok(place) => self.chunks[at].values[place] = value,
            Err(place) => self.insert_new(at, place, key, value),
        }
    }

    /// Removes a key; harmless where it is not there.
    #[inline]
    pub(super) fn remove(&mut self, key: i64) {
        if self.chunks.is_empty() {
            return;
        }
        let at = self.chunk_of(key);
        if let Ok(place) = self.chunks[at].find(key) {
            self.remove_at(at, place);
        }
    }

    /// Removes the smallest key.
    pub(super) fn pop_first(&mut self) {
        if !self.chunks.is_empty() {
            self.remove_at(0, 0);
        }
    }

    /// Removes the largest key.
    pub(super) fn pop_last(&mut self) {
        if let Some(last) = self.chunks.last() {
            self.remove_at(self.chunks.len() - 1, last.len - 1);
        }
    }

    /// The smallest key.
    pub(super) fn first_key(&self) -> Option<i64> {
        self.firsts.first().copied()
    }

    /// The largest key.
    pub(super) fn last_key(&self) -> Option<i64> {
        self.chunks.last().and_then(|chunk| chunk.keys().last().copied())
    }

    /// Every level, by ascending key.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.keys().iter().copied().zip(chunk.values()))
    }

    /// Whether every key still fits when it is multiplied.
    pub(super) fn fits(&self, factor: i64) -> bool {
        // The keys are sorted: where both ends fit, all do.
        let ends = [self.first_key(), self.last_key()];
        ends.into_iter().flatten().all(|key| key.checked_mul(factor).is_some())
    }

    /// Multiplies every key by a positive number; what does not [fit](Self::fits) stays as far out
    /// as keys go.
    pub(super) fn scale(&mut self, factor: i64) {
        for (chunk, first) in self.chunks.iter_mut().zip(&mut self.firsts) {
            let len = chunk.len;
            chunk.keys[..len].iter_mut().for_each(|key| *key = key.saturating_mul(factor));
            *first = first.saturating_mul(factor);
        }
    }

    /// The chunk that holds a key, or would.
    #[inline]
    fn chunk_of(&self, key: i64) -> usize {
        self.firsts.partition_point(|first| *first <= key).saturating_sub(1)
    }

    fn insert_new(&mut self, at: usize, place: usize, key: i64, value: V) {
        let (at, place) = self.make_room(at, place);
        self.chunks[at].insert(place, key, value);
        self.len += 1;
        if place == 0 {
            self.firsts[at] = key;
        }
    }

    /// Where a new level goes, given where it would have gone: a full chunk is cut in two, or left
    /// alone where the level comes behind or before all others, as they do in a snapshot.
    fn make_room(&mut self, at: usize, place: usize) -> (usize, usize) {
        if self.chunks[at].len < CHUNK {
            return (at, place);
        }
        if at + 1 == self.chunks.len() && place == CHUNK {
            self.add_chunk(at + 1);
            return (at + 1, 0);
        }
        if at == 0 && place == 0 {
            self.add_chunk(0);
            return (0, 0);
        }
        self.add_chunk(at + 1);
        let (left, right) = self.chunks.split_at_mut(at + 1);
        left[at].move_tail(CHUNK / 2, &mut right[0]);
        self.firsts[at + 1] = right[0].keys[0];
        if place > CHUNK / 2 { (at + 1, place - CHUNK / 2) } else { (at, place) }
    }

    fn remove_at(&mut self, at: usize, place: usize) {
        let chunk = &mut self.chunks[at];
        chunk.remove(place);
        self.len -= 1;
        if chunk.len == 0 {
            self.drop_chunk(at);
            return;
        }
        self.firsts[at] = chunk.keys[0];
        if chunk.len < SPARSE {
            self.join(at);
        }
    }

    /// Joins a sparse chunk with a neighbour, where both fit well.
    fn join(&mut self, at: usize) {
        let together = |left: usize| {
            let right = self.chunks.get(left + 1)?;
            (self.chunks[left].len + right.len <= JOINED_MAX).then_some(left)
        };
        let Some(left) = together(at).or_else(|| together(at.checked_sub(1)?)) else { return };
        let (first, rest) = self.chunks.split_at_mut(left + 1);
        first[left].append(&rest[0]);
        self.drop_chunk(left + 1);
    }

    fn add_chunk(&mut self, at: usize) {
        let chunk = self.spare.pop().unwrap_or_default();
        self.chunks.insert(at, chunk);
        self.firsts.insert(at, 0);
    }

    fn drop_chunk(&mut self, at: usize) {
        let chunk = self.chunks.remove(at);
        self.firsts.remove(at);
        self.put_by(chunk);
    }

    fn put_by(&mut self, mut chunk: Box<Chunk<V>>) {
        if self.spare.len() < SPARE_MAX {
            chunk.len = 0;
            self.spare.push(chunk);
        }
    }
}

impl<V: Copy + Default> Chunk<V> {
    fn keys(&self) -> &[i64] {
        &self.keys[..self.len]
    }

    fn values(&self) -> &[V] {
        &self.values[..self.len]
    }

    #[inline]
    fn find(&self, key: i64) -> Result<usize, usize> {
        self.keys().binary_search(&key)
    }

    fn insert(&mut self, place: usize, key: i64, value: V) {
        self.keys.copy_within(place..self.len, place + 1);
        self.values.copy_within(place..self.len, place + 1);
        (self.keys[place], self.values[place]) = (key, value);
        self.len += 1;
    }

    fn remove(&mut self, place: usize) {
        self.keys.copy_within(place + 1..self.len, place);
        self.values.copy_within(place + 1..self.len, place);
        self.len -= 1;
    }

    /// Moves what lies behind `from` into an empty chunk.
    fn move_tail(&mut self, from: usize, to: &mut Self) {
        to.append_slices(&self.keys[from..self.len], &self.values[from..self.len]);
        self.len = from;
    }

    fn append(&mut self, other: &Self) {
        self.append_slices(other.keys(), other.values());
    }

    fn append_slices(&mut self, keys: &[i64], values: &[V]) {
        let end = self.len + keys.len();
        self.keys[self.len..end].copy_from_slice(keys);
        self.values[self.len..end].copy_from_slice(values);
        self.len = end;
    }
}

impl<V: Copy + Default> Default for Chunk<V> {
    fn default() -> Self {
        Self { len: 0, keys: [0; CHUNK], values: [V::default(); CHUNK] }
    }
}

impl<V> Default for Ladder<V> {
    fn default() -> Self {
        Self { chunks: Vec::new(), firsts: Vec::new(), len: 0, spare: Vec::new() }
    }
}

impl<V: Copy + Default + PartialEq> PartialEq for Ladder<V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<V: Copy + Default + Eq> Eq for Ladder<V> {}

impl<V: Copy + Default + fmt::Debug> fmt::Debug for Ladder<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert(i64, u32),
        Remove(i64),
        PopFirst,
        PopLast,
        Clear,
        Scale(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        // Few prices, so that levels meet; long runs, so that chunks are cut and joined.
        let key = 0..600_i64;
        let step = prop_oneof![
            40 => (key.clone(), any::<u32>()).prop_map(|(key, value)| Step::Insert(key, value)),
            35 => key.prop_map(Step::Remove),
            2 => Just(Step::PopFirst),
            2 => Just(Step::PopLast),
            1 => (1..3_i64).prop_map(Step::Scale),
        ];
        let rarely_clear = prop_oneof![1_000 => step, 1 => Just(Step::Clear)];
        prop::collection::vec(rarely_clear, 0..3_000)
    }

    fn check(ladder: &Ladder<u32>, model: &BTreeMap<i64, u32>) -> Result<(), TestCaseError> {
        prop_assert_eq!(ladder.len(), model.len());
        prop_assert_eq!(ladder.first_key(), model.keys().next().copied());
        prop_assert_eq!(ladder.last_key(), model.keys().next_back().copied());
        prop_assert!(ladder.iter().eq(model.iter().map(|(key, value)| (*key, value))));
        prop_assert!(ladder.iter().rev().eq(model.iter().rev().map(|(key, value)| (*key, value))));
        for (chunk, first) in ladder.chunks.iter().zip(&ladder.firsts) {
            prop_assert_eq!(chunk.keys().first(), Some(first), "no chunk is empty");
        }
        // A removal joins what it left sparse; a cut and a fresh end leave at least one side full.
        let chunks = ladder.chunks.len();
        prop_assert!(chunks <= 2 + ladder.len() / (SPARSE / 2), "{} for {}", chunks, ladder.len());
        Ok(())
    }

    proptest! {
        #[test]
        fn a_ladder_is_a_sorted_map(steps in steps()) {
            let (mut ladder, mut model) = (Ladder::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        ladder.insert(key, value);
                        model.insert(key, value);
                    }
                    Step::Remove(key) => {
                        ladder.remove(key);
                        model.remove(&key);
                    }
                    Step::PopFirst => {
                        ladder.pop_first();
                        model.pop_first();
                    }
                    Step::PopLast => {
                        ladder.pop_last();
                        model.pop_last();
                    }
                    Step::Clear => {
                        ladder.clear();
                        model.clear();
                    }
                    Step::Scale(factor) => {
                        let fits = model.keys().all(|key| key.checked_mul(factor).is_some());
                        prop_assert_eq!(ladder.fits(factor), fits);
                        if fits {
                            ladder.scale(factor);
                            model = model.iter().map(|(k, v)| (k * factor, *v)).collect();
                        }
                    }
                }
                prop_assert_eq!(ladder.len(), model.len());
            }
            check(&ladder, &model)?;
        }
    }

    #[test]
    fn keys_at_either_end_tell_whether_all_fit() {
        for far in [i64::MIN / 10 - 1, i64::MAX / 10 + 1] {
            let mut ladder = Ladder::default();
            ladder.insert(3, 2_u32);
            assert!(ladder.fits(10));
            ladder.insert(far, 1);
            assert!(!ladder.fits(10) && ladder.fits(9));
        }
    }

    #[test]
    fn a_snapshot_in_either_order_packs_its_chunks() {
        for order in [1, -1] {
            let mut ladder = Ladder::default();
            (1..=1_000).for_each(|n| ladder.insert(n * order, 0_u32));
            assert_eq!(ladder.chunks.len(), 1_000_usize.div_ceil(CHUNK), "{order}");
        }
    }

    #[test]
    fn levels_that_come_and_go_leave_few_chunks_behind() {
        let mut ladder = Ladder::default();
        (0..10_000).for_each(|n| ladder.insert(n, 0_u32));
        (0..10_000).filter(|n| n % 50 != 0).for_each(|n| ladder.remove(n));
        assert_eq!(ladder.len(), 200);
        assert!(ladder.chunks.len() <= 200 / (JOINED_MAX / 2) + 1, "{}", ladder.chunks.len());
        assert_eq!(ladder.spare.len(), SPARE_MAX);
        (0..10_000).for_each(|n| ladder.remove(n));
        assert_eq!((ladder.len(), ladder.chunks.len(), ladder.first_key()), (0, 0, None));
    }
}
