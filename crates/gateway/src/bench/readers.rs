//! How each venue's frames are read, so that they can race.

use model::CanonicalEvent;
use pool::Reset;
use venues::{binance, channels, coinbase, kraken, okx};

/// Reads a frame into an empty event; of a frame with several, the last one stays. False for what
/// is no event.
pub type Reader = fn(&[u8], &mut CanonicalEvent) -> bool;

/// The two ways of a venue.
#[derive(Clone, Copy, Debug)]
pub struct Readers {
    /// By the cursor.
    pub cursor: Reader,
    /// By the fallback.
    pub fallback: Reader,
}

impl Readers {
    /// Those of the venue of that name.
    #[must_use]
    pub fn of(venue: &str) -> Self {
        match venue {
            "kraken" => Self { cursor: kraken_cursor, fallback: kraken_fallback },
            "coinbase" => Self {
                cursor: |frame, event| coinbase::wire::follow(frame, event).is_some(),
                fallback: |frame, event| {
                    let read = coinbase::wire::read_slowly(frame, event);
                    matches!(read, Ok(channels::Message::Event { .. }))
                },
            },
            "okx" => Self {
                cursor: |frame, event| okx::wire::follow(frame, event).is_some(),
                fallback: |frame, event| {
                    let read = okx::wire::read_slowly(frame, event);
                    matches!(read, Ok(okx::wire::Message::Event { .. }))
                },
            },
            _ => Self {
                cursor: |frame, event| binance::wire::follow(frame, event).is_some(),
                fallback: |frame, event| {
                    let read = binance::wire::read_slowly(frame, event);
                    matches!(read, Ok(binance::wire::Message::Event { .. }))
                },
            },
        }
    }
}

fn kraken_cursor(frame: &[u8], event: &mut CanonicalEvent) -> bool {
    let Some((_, more)) = kraken::wire::follow(frame, event) else { return false };
    entries(&more, event)
}

fn kraken_fallback(frame: &[u8], event: &mut CanonicalEvent) -> bool {
    match kraken::wire::read_slowly(frame, event) {
        Ok(channels::Message::Event { more, .. }) => entries(&more, event),
        _ => false,
    }
}

fn entries(more: &[&[u8]], event: &mut CanonicalEvent) -> bool {
    let kind = event.header.stream.kind;
    more.iter().all(|entry| {
        event.reset();
        kraken::wire::read_entry(kind, entry, event).is_ok()
    })
}
