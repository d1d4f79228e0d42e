//! The book against a naive one that searches a list.

use proptest::prelude::*;

use super::*;
use crate::decimal::parse;

fn level(price: &str, quantity: &str) -> Level {
    Level { price: parse(price.as_bytes()).unwrap(), quantity: parse(quantity.as_bytes()).unwrap() }
}

fn prices(book: &Book, side: Side) -> Vec<String> {
    book.levels(side).map(|l| l.price.normalize().to_string()).collect()
}

#[test]
fn sides_are_best_first_and_zero_removes() {
    let mut book = Book::with_places(2);
    book.apply(
        &[level("9.50", "1"), level("9.70", "2")],
        &[level("9.90", "3"), level("9.80", "4")],
    )
    .unwrap();
    assert_eq!(prices(&book, Side::Buy), ["9.7", "9.5"]);
    assert_eq!(prices(&book, Side::Sell), ["9.8", "9.9"]);
    book.apply(&[level("9.7", "0.000")], &[]).unwrap();
    assert_eq!(book.best(Side::Buy), Some(level("9.50", "1")));
    assert_eq!(book.depth(), (1, 2));
}

#[test]
fn two_spellings_of_a_price_are_one_level() {
    let mut book = Book::with_places(1);
    book.apply(&[level("0.10", "1"), level("0.1", "2"), level("0.1000000", "3")], &[]).unwrap();
    assert_eq!(book.depth(), (1, 0));
    assert_eq!(book.best(Side::Buy).unwrap().quantity, Decimal::from(3));
}

#[test]
fn a_finer_price_widens_the_scale_and_loses_nothing() {
    let mut book = Book::with_places(0);
    book.apply(&[level("7", "1"), level("7.25", "2"), level("7.125", "3")], &[]).unwrap();
    assert_eq!(prices(&book, Side::Buy), ["7.25", "7.125", "7"]);
}

#[test]
fn what_can_not_be_held_is_refused_and_changes_nothing() {
    let mut book = Book::with_places(2);
    book.apply(&[level("1.5", "1")], &[level("12345678901234", "1")]).unwrap();
    let before = book.clone();
    for wrong in [
        level("0.0000000000000000001", "1"),
        level("99999999999999999999", "1"),
        level("0.000000000001", "1"),
        level("1.5", "-1"),
    ] {
        let error = book.set(Side::Buy, wrong).unwrap_err();
        assert_eq!(error.remedy, crate::Remedy::Resync);
        assert_eq!(book, before);
    }
}

#[test]
fn truncation_keeps_the_best_levels_of_both_sides() {
    let mut book = Book::default();
    for n in 1..=5i64 {
        let quantity = Decimal::ONE;
        book.set(Side::Buy, Level { price: Decimal::from(n), quantity }).unwrap();
        book.set(Side::Sell, Level { price: Decimal::from(n + 10), quantity }).unwrap();
    }
    book.truncate(2);
    assert_eq!(prices(&book, Side::Buy), ["5", "4"]);
    assert_eq!(prices(&book, Side::Sell), ["11", "12"]);
    assert_eq!(book.levels_dropped(), 0, "cut on purpose, not lost");
}

#[test]
fn what_there_is_no_room_for_is_lost_and_counted() {
    let mut book = Book::default();
    for n in 1..=LEVELS_MAX as i64 + 3 {
        book.set(Side::Buy, Level { price: Decimal::from(n), quantity: Decimal::ONE }).unwrap();
    }
    assert_eq!(book.depth(), (LEVELS_MAX, 0));
    assert_eq!(book.levels_dropped(), 3);
    assert_eq!(book.best(Side::Buy).unwrap().price, Decimal::from(LEVELS_MAX + 3));
}

#[test]
fn digits_are_read_back_as_they_were_sent_last() {
    let mut book = Book::with_places(1);
    let sent = ["30215", "30215.2", "30215.30", "30216.000", "0.0001"];
    for price in sent {
        book.set(Side::Sell, level(price, "1.50")).unwrap();
    }
    let read: Vec<_> = book.levels(Side::Sell).map(|l| l.price.to_string()).collect();
    assert_eq!(read, ["0.0001", "30215", "30215.2", "30215.30", "30216.000"]);
    assert_eq!(book.best(Side::Sell).unwrap().quantity.to_string(), "1.50");
    book.set(Side::Sell, level("30216.0", "2")).unwrap();
    assert_eq!(book.levels(Side::Sell).last().unwrap().price.to_string(), "30216.0");
}

#[test]
fn a_book_is_crossed_when_bid_reaches_offer() {
    let mut book = Book::default();
    assert!(!book.is_crossed());
    book.apply(&[level("5", "1")], &[level("6", "1")]).unwrap();
    assert!(!book.is_crossed());
    book.apply(&[level("6", "1")], &[]).unwrap();
    assert!(book.is_crossed());
}

/// Looks for the price in a list: the way that needs no explanation.
#[derive(Default)]
struct Naive(Vec<(Decimal, Decimal)>);

impl Naive {
    fn set(&mut self, level: Level) {
        self.0.retain(|(price, _)| *price != level.price);
        if !level.quantity.is_zero() {
            self.0.push((level.price, level.quantity));
        }
        self.0.sort_by_key(|(price, _)| *price);
    }
}

proptest! {
    #[test]
    fn agrees_with_a_list(
        places in 0u32..6,
        updates in proptest::collection::vec((any::<bool>(), 0i64..40, 0u32..5, 0i64..3), 0..200),
    ) {
        let (mut book, mut bids, mut asks) = (Book::with_places(places), Naive::default(), Naive::default());
        for (buy, mantissa, scale, quantity) in updates {
            let level = Level { price: Decimal::new(mantissa, scale), quantity: Decimal::from(quantity) };
            let (side, naive) = if buy { (Side::Buy, &mut bids) } else { (Side::Sell, &mut asks) };
            book.set(side, level).unwrap();
            naive.set(level);
        }
        bids.0.reverse();
        for (side, naive) in [(Side::Buy, bids), (Side::Sell, asks)] {
            let spelled = |levels: &[(Decimal, Decimal)]| -> Vec<_> {
                levels.iter().map(|(price, quantity)| format!("{price} {quantity}")).collect()
            };
            let held: Vec<_> = book.levels(side).map(|l| (l.price, l.quantity)).collect();
            prop_assert_eq!(spelled(&held), spelled(&naive.0));
        }
    }
}
