//! The checksum that goes with every snapshot and update.
//!
//! CRC-32 over the best ten offers, low to high, then the best ten bids, high to low; of each level
//! the price and then the quantity, without the point and without zeros in front. Source:
//! docs.kraken.com/exchange/guides/websockets/book-checksum-v2.
//!
//! The venue computes it over as many places as it prints. Where a message leaves zeros at the end
//! out, the places of the instrument list say how many there were.

use std::fmt::Write as _;

use model::{Book, Decimal, Side};

use crate::assembler::Places;
use crate::crc32::Crc32;

/// Levels a side that it covers.
pub const LEVELS: usize = 10;

/// The checksum of a book.
#[must_use]
pub fn compute(book: &Book, places: Places) -> u32 {
    let mut crc = Crc32::default();
    for side in [Side::Sell, Side::Buy] {
        for level in book.levels(side).take(LEVELS) {
            digits(&mut crc, level.price, places.price);
            digits(&mut crc, level.quantity, places.quantity);
        }
    }
    crc.value()
}

/// The digits of a number, printed with `places` places or with its own where it has more.
fn digits(crc: &mut Crc32, number: Decimal, places: Option<u32>) {
    let mantissa = number.mantissa().unsigned_abs();
    match u64::try_from(mantissa) {
        // Zeros in front don't count, and here are no others.
        Ok(0) => return,
        Ok(mut rest) => {
            let mut text = [0; 20];
            let mut at = text.len();
            while rest > 0 {
                at -= 1;
                text[at] = b"0123456789"[(rest % 10) as usize];
                rest /= 10;
            }
            crc.update(&text[at..]);
        }
        // A checksum can always be written to.
        Err(_) => drop(write!(crc, "{mantissa}")),
    }
    let zeros = places.unwrap_or(0).saturating_sub(number.scale());
    (0..zeros).for_each(|_| crc.update(b"0"));
}

#[cfg(test)]
mod tests {
    use model::Level;
    use model::decimal::parse;
    use proptest::prelude::*;

    use super::*;

    fn level(price: &str, quantity: &str) -> Level {
        let number = |text: &str| parse(text.as_bytes()).unwrap();
        Level { price: number(price), quantity: number(quantity) }
    }

    /// As the documentation says it, on text.
    fn naive(asks: &[(String, String)], bids: &[(String, String)]) -> u32 {
        let mut text = String::new();
        for (price, quantity) in asks.iter().take(10).chain(bids.iter().take(10)) {
            for number in [price, quantity] {
                text += number.replace('.', "").trim_start_matches('0');
            }
        }
        let mut crc = u32::MAX;
        for byte in text.bytes() {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            }
        }
        !crc
    }

    #[test]
    fn the_example_of_the_documentation() {
        // docs.kraken.com/exchange/guides/websockets/book-checksum-v2, "Example".
        let asks = [
            ("45285.2", "0.00100000"),
            ("45286.4", "1.54571953"),
            ("45286.6", "1.54571109"),
            ("45289.6", "1.54560911"),
            ("45290.2", "0.15890660"),
            ("45291.8", "1.54553491"),
            ("45294.7", "0.04454749"),
            ("45296.1", "0.35380000"),
            ("45297.5", "0.09945542"),
            ("45299.5", "0.18772827"),
        ];
        let bids = [
            ("45283.5", "0.10000000"),
            ("45283.4", "1.54582015"),
            ("45282.1", "0.10000000"),
            ("45281.0", "0.10000000"),
            ("45280.3", "1.54592586"),
            ("45279.0", "0.07990000"),
            ("45277.6", "0.03310103"),
            ("45277.5", "0.30000000"),
            ("45277.3", "1.54602737"),
            ("45276.6", "0.15445238"),
        ];
        let mut book = Book::with_places(1);
        let levels =
            |side: &[(&str, &str)]| side.iter().map(|(p, q)| level(p, q)).collect::<Vec<_>>();
        book.apply(&levels(&bids), &levels(&asks)).unwrap();
        let text = |side: &[(&str, &str)]| {
            side.iter().map(|(p, q)| ((*p).to_owned(), (*q).to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(compute(&book, Places::default()), naive(&text(&asks), &text(&bids)));
        assert_eq!(compute(&book, Places::default()), 3_310_070_434);
    }

    proptest! {
        /// However the zeros at the end are written, the checksum is that of the whole print.
        #[test]
        fn zeros_at_the_end_may_be_missing(
            levels in proptest::collection::btree_map(1u32..2_000_000, 1u32..2_000_000, 1..30),
            price_places in 0u32..10, quantity_places in 0u32..10, cut in any::<u64>(),
        ) {
            let print = |n: u32, places: u32| Decimal::new(i64::from(n), places).to_string();
            let printed: Vec<_> = levels
                .iter()
                .map(|(p, q)| (print(*p, price_places), print(*q, quantity_places)))
                .collect();
            let (bids, asks) = printed.split_at(printed.len() / 2);
            let bids: Vec<_> = bids.iter().rev().cloned().collect();
            let mut book = Book::default();
            for (at, (price, quantity)) in printed.iter().enumerate() {
                let side = if at < printed.len() / 2 { Side::Buy } else { Side::Sell };
                let mut sent = level(price, quantity);
                if cut >> (at % 64) & 1 == 1 {
                    sent = Level { price: sent.price.normalize(), quantity: sent.quantity.normalize() };
                }
                book.set(side, sent).unwrap();
            }
            let places = Places { price: Some(price_places), quantity: Some(quantity_places) };
            prop_assert_eq!(compute(&book, places), naive(asks, &bids));
        }
    }
}
