//! The cursor: reads a message whose shape is known, one field after the other.
//!
//! Every method either takes exactly what it names from the front and gives `Some`, or gives
//! `None`, after which the message has to be read by the fallback from its start.

use model::decimal;
use model::{Decimal, Level, Nanos};

use super::timestamp;

/// A position in a message.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the start of a message.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// Takes exactly these bytes.
    #[inline(always)]
    pub fn lit<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        let (head, tail) = self.rest.split_first_chunk::<N>()?;
        if head != expected {
            return None;
        }
        self.rest = tail;
        Some(())
    }

    /// Whether these bytes come next; takes them if so.
    #[inline(always)]
    pub fn at<const N: usize>(&mut self, expected: &[u8; N]) -> bool {
        self.lit(expected).is_some()
    }

    /// Takes an unsigned integer of up to 19 digits, without leading zeros.
    #[inline(always)]
    pub fn uint(&mut self) -> Option<u64> {
        let (value, len) = decimal::scan_uint(self.rest)?;
        self.rest = self.rest.get(len..)?;
        Some(value)
    }

    /// Takes a decimal number between quotation marks.
    #[inline(always)]
    pub fn quoted_decimal(&mut self) -> Option<Decimal> {
        self.lit(b"\"")?;
        self.decimal_and_mark()
    }

    /// Takes a decimal number and the quotation mark after it.
    #[inline(always)]
    fn decimal_and_mark(&mut self) -> Option<Decimal> {
        let (value, len) = decimal::scan_quoted(self.rest)?;
        self.rest = self.rest.get(len..)?;
        Some(value)
    }

    /// Takes a decimal number without quotation marks, up to the comma or bracket behind it.
    #[inline(always)]
    pub fn bare_decimal(&mut self) -> Option<Decimal> {
        let (value, len) = decimal::scan_bare(self.rest)?;
        self.rest = self.rest.get(len..)?;
        Some(value)
    }

    /// Takes a time of the form `"2022-12-25T09:30:59.123456Z"`, quotation marks included.
    #[inline]
    pub fn utc(&mut self) -> Option<Nanos> {
        self.lit(b"\"")?;
        let (time, len) = timestamp::scan_utc(self.rest)?;
        self.rest = self.rest.get(len..)?;
        self.lit(b"\"")?;
        Some(time)
    }

    /// Takes printable ASCII without escapes up to and with the closing quotation mark; the
    /// opening one has been taken.
    #[inline]
    pub fn text(&mut self) -> Option<&'a str> {
        let len = plain_len(self.rest);
        let (text, tail) = self.rest.split_at(len);
        self.rest = tail;
        self.lit(b"\"")?;
        std::str::from_utf8(text).ok()
    }

    /// Takes the rest of a text as [`text`](Self::text) does, without giving it.
    #[inline]
    pub fn skip_text(&mut self) -> Option<()> {
        self.rest = &self.rest[plain_len(self.rest)..];
        self.lit(b"\"")
    }

    /// Takes `true` or `false`.
    #[inline]
    pub fn boolean(&mut self) -> Option<bool> {
        if self.at(b"true") { Some(true) } else { self.lit(b"false").map(|()| false) }
    }

    /// Takes `[["price","quantity"],…]` onto the end of `levels`.
    #[inline]
    pub fn levels(&mut self, levels: &mut Vec<Level>) -> Option<()> {
        if self.at(b"[]") {
            return Some(());
        }
        self.lit(b"[[\"")?;
        loop {
            let price = self.decimal_and_mark()?;
            self.lit(b",\"")?;
            let quantity = self.decimal_and_mark()?;
            levels.push(Level { price, quantity });
            if !self.at(b"],[\"") {
                return self.lit(b"]]");
            }
        }
    }

    /// What was taken since `start`, which is this cursor at an earlier time.
    #[must_use]
    pub fn since(&self, start: &Self) -> &'a [u8] {
        let len = start.rest.len().saturating_sub(self.rest.len());
        start.rest.get(..len).unwrap_or_default()
    }

    /// Whether nothing is left.
    #[inline]
    pub fn end(&self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

/// How many bytes from the start are printable ASCII other than `"` and `\`, eight at a time.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let special = special_bytes(u64::from_le_bytes(*chunk));
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|b| is_plain(**b)).count()
}

fn is_plain(byte: u8) -> bool {
    (0x20..0x7F).contains(&byte) && byte != b'"' && byte != b'\\'
}

/// Marks the high bit of each byte that isn't plain. Bytes above the first marked one may be
/// marked wrongly (carries and borrows run upwards), so only the lowest mark counts.
#[inline(always)]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    let above_ascii = word;
    let delete = word.wrapping_add(ONES);
    let below_space = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * 0x22)).wrapping_sub(ONES);
    let escape = (word ^ (ONES * 0x5C)).wrapping_sub(ONES);
    (above_ascii | delete | below_space | quote | escape) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cursor(text: &str) -> Cursor<'_> {
        Cursor::new(text.as_bytes())
    }

    #[test]
    fn integers_are_taken_only_as_json_spells_them() {
        assert_eq!(cursor("120,").uint(), Some(120));
        assert_eq!(cursor("0]").uint(), Some(0));
        assert_eq!(cursor("9999999999999999999").uint(), Some(9_999_999_999_999_999_999));
        for declined in ["", "-1", "01", "00", "99999999999999999999", "x"] {
            assert_eq!(cursor(declined).uint(), None, "{declined}");
        }
    }

    #[test]
    fn levels_are_taken_in_order_and_empty_lists_too() {
        let mut levels = Vec::new();
        cursor(r#"[["1.50","2"],["1.4","0.000"]]"#).levels(&mut levels).unwrap();
        assert_eq!(levels.len(), 2);
        assert_eq!(levels[1].price.to_string(), "1.4");
        assert!(cursor("[]").levels(&mut levels).is_some());
        for declined in
            ["[[]]", r#"[["1"]]"#, r#"[["1","2",]]"#, r#"[["1","2"]"#, r#"[ ["1","2"]]"#]
        {
            assert!(cursor(declined).levels(&mut Vec::new()).is_none(), "{declined}");
        }
    }

    #[test]
    fn texts_end_at_the_mark_and_decline_escapes() {
        assert_eq!(cursor("BTCUSDT\",").text(), Some("BTCUSDT"));
        assert_eq!(cursor("\"").text(), Some(""));
        for declined in ["no end", "back\\\"slash\"", "tab\t\"", "é\"", "del\u{7f}\""] {
            assert_eq!(cursor(declined).text(), None, "{declined:?}");
        }
    }

    proptest! {
        #[test]
        fn eight_at_a_time_finds_what_one_at_a_time_finds(
            bytes in proptest::collection::vec(
                prop_oneof![8 => 0x20u8..0x7F, 1 => any::<u8>()], 0..40),
        ) {
            let naive = bytes.iter().take_while(|b| is_plain(**b)).count();
            prop_assert_eq!(plain_len(&bytes), naive);
        }
    }
}
