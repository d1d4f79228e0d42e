//! A consumer that keeps every book from its events alone, and says where it differs from what the
//! venue itself has.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::{Consumer, Context};
use model::decimal::Plain;
use model::{Body, Book, Event, Kind, Level, Side, StreamState};

/// The consumer; clones share the books.
#[derive(Clone, Debug, Default)]
pub struct Books(Arc<Mutex<BTreeMap<Name, Kept>>>);

/// Provider and instrument.
type Name = (String, String);

#[derive(Debug, Default)]
struct Kept {
    book: Book,
    state: StreamState,
}

/// Where a kept book and the venue's differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The provider's name.
    pub provider: String,
    /// Canonical name.
    pub instrument: String,
    /// What is different, in words.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.provider, self.instrument, self.what)
    }
}

impl Books {
    /// Compares a book with the venue's own levels, best first, as deep as both are known.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(
        &self,
        (provider, instrument): (&str, &str),
        bids: &[Level],
        asks: &[Level],
        depth: usize,
    ) -> Result<(), Difference> {
        let books = self.lock();
        let kept = books.get(&(provider.to_owned(), instrument.to_owned()));
        let compared = match kept {
            None => Err("no book came".to_owned()),
            Some(kept) => kept.compare(bids, asks, depth),
        };
        compared.map_err(|what| Difference {
            provider: provider.to_owned(),
            instrument: instrument.to_owned(),
            what,
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn compare(&self, bids: &[Level], asks: &[Level], depth: usize) -> Result<(), String> {
        if self.state != StreamState::Live {
            return Err(format!("it is {}", self.state.name()));
        }
        for (side, theirs) in [(Side::Buy, bids), (Side::Sell, asks)] {
            let mut ours = self.book.levels(side).take(depth);
            let mut theirs = theirs.iter().copied().take(depth);
            loop {
                match (ours.next(), theirs.next()) {
                    (None, None) => break,
                    (ours, theirs) if ours == theirs => {}
                    (ours, theirs) => {
                        let (ours, theirs) = (shown(ours), shown(theirs));
                        return Err(format!("it has {ours} where the venue has {theirs}"));
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, event: &Event) {
        match event.body {
            Body::Book(_) => {
                if event.kind() == Kind::BookSnapshot {
                    self.book.clear();
                }
                // The engine applied the same levels; what it could hold this can hold.
                let _ = self.book.apply(event.bids(), event.asks());
            }
            Body::Status(status) if status.of == Kind::BookUpdate => self.state = status.state,
            _ => {}
        }
    }
}

impl Consumer for Books {
    fn on_event(&mut self, event: Event, ctx: &mut Context<'_>) {
        let about_books = match event.body {
            Body::Book(_) => true,
            Body::Status(status) => status.of == Kind::BookUpdate,
            _ => false,
        };
        if !about_books {
            return;
        }
        let stream = event.header.stream;
        let names = (
            ctx.catalog.provider_name(stream.provider),
            ctx.catalog.instrument_name(stream.instrument),
        );
        let (Some(provider), Some(instrument)) = names else { return };
        self.lock().entry((provider.to_string(), instrument.to_string())).or_default().take(&event);
    }
}

fn shown(level: Option<Level>) -> String {
    level.map_or_else(
        || "no level".to_owned(),
        |level| format!("{} at {}", Plain(level.quantity), Plain(level.price)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Decimal;

    fn level(price: i64, quantity: i64) -> Level {
        Level { price: Decimal::from(price), quantity: Decimal::from(quantity) }
    }

    fn kept(state: StreamState) -> Books {
        let mut book = Book::default();
        book.apply(&[level(10, 1), level(9, 2), level(8, 3)], &[level(11, 4)]).unwrap();
        let books = Books::default();
        books.lock().insert(("p".to_owned(), "i".to_owned()), Kept { book, state });
        books
    }

    #[test]
    fn a_book_is_equal_as_deep_as_is_asked_and_only_while_it_is_live() {
        let (bids, asks) = ([level(10, 1), level(9, 2)], [level(11, 4)]);
        let live = kept(StreamState::Live);
        let compare = |books: &Books, bids: &[Level], asks: &[Level], depth| {
            books
                .compare(("p", "i"), bids, asks, depth)
                .map_err(|difference| difference.to_string())
        };
        assert_eq!(compare(&live, &bids, &asks, 2), Ok(()));
        assert_eq!(
            compare(&live, &bids, &asks, 3),
            Err("p i: it has 3 at 8 where the venue has no level".to_owned())
        );
        assert_eq!(
            compare(&live, &bids, &[level(11, 5)], 2),
            Err("p i: it has 4 at 11 where the venue has 5 at 11".to_owned())
        );
        assert_eq!(
            compare(&kept(StreamState::Gapped), &bids, &asks, 2),
            Err("p i: it is Gapped".to_owned())
        );
        let other = live.compare(("p", "j"), &[], &[], 1).unwrap_err();
        assert_eq!(other.to_string(), "p j: no book came");
    }
}
