//! What is kept in memory: bounded by number and by bytes; the lowest priority goes first, and of that
//! the oldest.

use std::collections::VecDeque;
use std::sync::Arc;

use engine::dead_letters::Priority;
use store::dead_letters::DeadLetter;

/// The letters, by priority, each line in order of arrival.
#[derive(Debug)]
pub(super) struct Queue {
    lines: [VecDeque<Arc<DeadLetter>>; Priority::ALL.len()],
    entries_max: usize,
    bytes_max: usize,
    bytes: usize,
    /// The number of the letter that came last.
    seq: u64,
    evicted: u64,
}

impl Queue {
    /// An empty one.
    pub(super) fn new(entries_max: usize, bytes_max: usize) -> Self {
        let lines = Default::default();
        Self { lines, entries_max, bytes_max, bytes: 0, seq: 0, evicted: 0 }
    }

    /// Numbers a letter and puts it in; what there is no room for goes, perhaps the letter itself.
    pub(super) fn put(&mut self, priority: Priority, letter: DeadLetter) -> Arc<DeadLetter> {
        self.seq += 1;
        let letter = Arc::new(DeadLetter { seq: self.seq, ..letter });
        self.bytes += letter.weight();
        self.lines[priority as usize].push_back(letter.clone());
        while self.len() > self.entries_max || self.bytes > self.bytes_max {
            let Some(gone) = self.lines.iter_mut().find_map(VecDeque::pop_front) else { break };
            self.bytes -= gone.weight();
            self.evicted += 1;
        }
        letter
    }

    /// All of them, in no order between priorities.
    pub(super) fn iter(&self) -> impl Iterator<Item = Arc<DeadLetter>> + '_ {
        self.lines.iter().flatten().cloned()
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.lines.iter().map(VecDeque::len).sum()
    }

    /// How much memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many went.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn letter(detail: usize) -> DeadLetter {
        DeadLetter { detail: "x".repeat(detail), ..DeadLetter::default() }
    }

    fn numbers(queue: &Queue) -> Vec<u64> {
        let mut numbers: Vec<_> = queue.iter().map(|letter| letter.seq).collect();
        numbers.sort_unstable();
        numbers
    }

    #[test]
    fn the_oldest_of_the_lowest_priority_goes_first() {
        let mut queue = Queue::new(3, usize::MAX);
        for priority in [Priority::High, Priority::Low, Priority::Normal, Priority::Low] {
            queue.put(priority, letter(0));
        }
        assert_eq!(numbers(&queue), [1, 3, 4], "not the oldest of all");
        queue.put(Priority::Normal, letter(0));
        assert_eq!(numbers(&queue), [1, 3, 5]);
        queue.put(Priority::Low, letter(0));
        assert_eq!(numbers(&queue), [1, 3, 5], "what is worth least does not come in at all");
        queue.put(Priority::High, letter(0));
        assert_eq!(numbers(&queue), [1, 5, 7]);
        assert_eq!(queue.evicted(), 4);
    }

    #[test]
    fn a_large_letter_takes_the_place_of_several() {
        let weight = letter(0).weight();
        let mut queue = Queue::new(100, 4 * weight);
        (0..4).for_each(|_| drop(queue.put(Priority::Low, letter(0))));
        queue.put(Priority::High, letter(weight));
        assert_eq!((numbers(&queue), queue.bytes()), (vec![3, 4, 5], 4 * weight));
    }

    /// Keeps a list of everything and searches it from end to end.
    fn naive(kept: &mut Vec<(u64, Priority, usize)>, entries_max: usize, bytes_max: usize) {
        let over = |kept: &[(u64, Priority, usize)]| {
            let bytes: usize = kept.iter().map(|(_, _, weight)| weight).sum();
            kept.len() > entries_max || bytes > bytes_max
        };
        while over(kept) {
            let Some(first) = kept.iter().map(|(seq, priority, _)| (*priority, *seq)).min() else {
                return;
            };
            kept.retain(|(seq, priority, _)| (*priority, *seq) != first);
        }
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_a_list_of_everything_comes_to(
            letters in prop::collection::vec((0..3usize, 0..2_000usize), 0..120),
            entries_max in 1..20usize,
            bytes_max in 1_000..20_000usize,
        ) {
            let (mut queue, mut kept) = (Queue::new(entries_max, bytes_max), Vec::new());
            for (seq, (priority, detail)) in (1..).zip(letters) {
                let (priority, letter) = (Priority::ALL[priority], letter(detail));
                kept.push((seq, priority, letter.weight()));
                queue.put(priority, letter);
                naive(&mut kept, entries_max, bytes_max);
                let expected: Vec<_> = kept.iter().map(|(seq, _, _)| *seq).collect();
                prop_assert_eq!(numbers(&queue), expected);
                prop_assert_eq!(queue.bytes(), kept.iter().map(|(_, _, w)| w).sum::<usize>());
                prop_assert_eq!(queue.evicted(), seq - kept.len() as u64);
            }
        }
    }
}
