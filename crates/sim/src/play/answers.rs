//! The REST answers of a capture, and which request gets which.

use bytes::Bytes;
use model::capture::answers;

/// A recorded answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) url: String,
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// Recorded before the first WebSocket line: there from the start, for any number of requests.
    pub(super) from_start: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// Given to a request, not yet written.
    InFlight,
    Given,
}

#[derive(Clone, Debug)]
struct Entry {
    answer: Answer,
    state: State,
    /// Whether playback has to wait until this has been given.
    blocks: bool,
}

/// What a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// The answer with this number.
    Answer(usize),
    /// The capture answers this, but nothing is left.
    NoneLeft,
    /// The capture never answers this.
    Unknown,
}

/// All answers, numbered in the order of the capture.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    entries: Vec<Entry>,
}

impl Answers {
    /// Adds the next answer and gives its number.
    pub(super) fn push(&mut self, answer: Answer) -> usize {
        let mut from_start = self.entries.iter().filter(|entry| entry.answer.from_start);
        let repeats = from_start.any(|entry| answers(&entry.answer.url, &answer.url));
        let blocks = !answer.from_start && !repeats;
        self.entries.push(Entry { answer, state: State::Waiting, blocks });
        self.entries.len() - 1
    }

    pub(super) fn get(&self, number: usize) -> &Answer {
        &self.entries[number].answer
    }

    /// Whether playback can't go past this answer yet.
    pub(super) fn blocks(&self, number: usize) -> bool {
        let entry = &self.entries[number];
        entry.blocks && entry.state != State::Given
    }

    /// Playback has come past an answer: one that held nothing up is now the latest.
    pub(super) fn pass(&mut self, number: usize) {
        self.entries[number].state = State::Given;
    }

    /// Chooses for a request, which [`settle`](Self::settle) ends.
    pub(super) fn pick(&mut self, asked: &str) -> Pick {
        let matches = |entry: &&mut Entry| answers(&entry.answer.url, asked);
        let numbered = self.entries.iter_mut().enumerate();
        let mut found: Vec<_> = numbered.filter(|(_, entry)| matches(entry)).collect();
        if found.is_empty() {
            return Pick::Unknown;
        }
        let lasting = found.iter().any(|(_, entry)| entry.answer.from_start);
        if lasting {
            let fresh = found
                .iter()
                .position(|(_, entry)| entry.answer.from_start && entry.state == State::Waiting);
            let latest = || found.iter().rposition(|(_, entry)| entry.state == State::Given);
            let Some(at) = fresh.or_else(latest) else { return Pick::NoneLeft };
            found[at].1.state = State::Given;
            return Pick::Answer(found[at].0);
        }
        match found.iter_mut().find(|(_, entry)| entry.state == State::Waiting) {
            Some((number, entry)) => {
                entry.state = State::InFlight;
                Pick::Answer(*number)
            }
            None => Pick::NoneLeft,
        }
    }

    /// A given answer was written, or could not be and waits again.
    pub(super) fn settle(&mut self, number: usize, written: bool) {
        let entry = &mut self.entries[number];
        if entry.state == State::InFlight {
            entry.state = if written { State::Given } else { State::Waiting };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(answers: &[(&str, bool)]) -> Answers {
        let mut book = Answers::default();
        for (url, from_start) in answers {
            let (url, body) = ((*url).to_owned(), Bytes::new());
            book.push(Answer { url, status: 200, body, from_start: *from_start });
        }
        book
    }

    #[test]
    fn answers_are_given_once_in_order_then_none_is_left() {
        let mut book = book(&[("https://h/depth?symbol=A", false); 2]);
        assert_eq!(book.pick("/depth?symbol=A&limit=5"), Pick::Answer(0));
        assert!(book.blocks(0));
        book.settle(0, true);
        assert!(!book.blocks(0));
        assert_eq!(book.pick("/depth?symbol=A"), Pick::Answer(1));
        assert_eq!(book.pick("/depth?symbol=A"), Pick::NoneLeft);
        assert_eq!(book.pick("/depth?symbol=B"), Pick::Unknown);
    }

    #[test]
    fn one_that_could_not_be_written_is_given_again() {
        let mut book = book(&[("https://h/depth", false)]);
        assert_eq!(book.pick("/depth"), Pick::Answer(0));
        book.settle(0, false);
        assert!(book.blocks(0));
        assert_eq!(book.pick("/depth"), Pick::Answer(0));
    }

    #[test]
    fn what_was_there_from_the_start_lasts_and_its_refresh_blocks_nothing() {
        let mut book =
            book(&[("https://h/info", true), ("https://h/info", true), ("https://h/info", false)]);
        let picks: Vec<_> = (0..3).map(|_| book.pick("/info")).collect();
        assert_eq!(picks, [Pick::Answer(0), Pick::Answer(1), Pick::Answer(1)]);
        assert!(!book.blocks(2));
        book.pass(2);
        assert_eq!(book.pick("/info"), Pick::Answer(2));
        assert_eq!(book.pick("/info"), Pick::Answer(2));
    }
}
