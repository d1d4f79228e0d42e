//! The fallback: any order of fields, any white space, escapes, numbers with or without quotes.
//!
//! Numbers stay text until [`model::decimal`] reads them, so that no digit is lost.

use std::borrow::Cow;
use std::fmt;

use model::decimal;
use model::{Decimal, Error, Level, Nanos};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::timestamp;

/// Reads a whole message into a borrowed struct.
///
/// # Errors
/// [`Remedy::Ignore`](model::Remedy::Ignore): it is no JSON, or not of that form.
pub fn read<'a, T: Deserialize<'a>>(message: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(message)
        .map_err(|error| Error::ignore(format!("unreadable JSON: {error}")))
}

/// A piece of a message that is read later, when it is known what it is.
pub type Raw<'a> = &'a RawValue;

/// Reads a piece that was kept.
///
/// # Errors
/// As [`read`].
pub fn read_raw<'a, T: Deserialize<'a>>(raw: Raw<'a>) -> Result<T, Error> {
    serde_json::from_str(raw.get())
        .map_err(|error| Error::ignore(format!("unreadable JSON: {error}")))
}

/// Enough of an unreadable piece to find it by.
#[must_use]
pub fn start_of(text: &str) -> &str {
    &text[..text.floor_char_boundary(80)]
}

/// A decimal between quotation marks, or an integer without; a fraction without them has lost
/// its digits before it could be read exactly, and is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number(pub Decimal);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal number between quotation marks")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                decimal::parse(text.as_bytes())
                    .map(Number)
                    .map_err(|error| E::custom(format_args!("'{text}' is {error}")))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(Decimal::from(value)))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(Decimal::from(value)))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

/// A decimal from its own digits, written with or without quotation marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact(pub Decimal);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if text.starts_with('"') {
            let Number(value) = serde_json::from_str(text).map_err(de::Error::custom)?;
            return Ok(Self(value));
        }
        decimal::parse(text.as_bytes())
            .map(Self)
            .map_err(|error| de::Error::custom(format_args!("'{text}' is {error}")))
    }
}

/// A time as `2022-12-25T09:30:59.123456Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utc(pub Nanos);

impl<'de> Deserialize<'de> for Utc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Text(text) = Text::deserialize(deserializer)?;
        timestamp::scan_utc(text.as_bytes())
            .filter(|(_, len)| *len == text.len())
            .map(|(time, _)| Self(time))
            .ok_or_else(|| {
                de::Error::custom(format_args!(
                    "'{text}' is no time as 2022-12-25T09:30:59.123456Z"
                ))
            })
    }
}

/// A text, borrowed where it holds no escape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A list of `[price, quantity, …]`; further entries of a level are passed over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels(pub Vec<Level>);

impl<'de> Deserialize<'de> for Levels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LevelsVisitor;
        impl<'de> Visitor<'de> for LevelsVisitor {
            type Value = Levels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of [price, quantity] pairs")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Levels, A::Error> {
                let mut levels = Vec::new();
                while let Some(OneLevel(level)) = seq.next_element()? {
                    levels.push(level);
                }
                Ok(Levels(levels))
            }
        }
        deserializer.deserialize_seq(LevelsVisitor)
    }
}

struct OneLevel(Level);

impl<'de> Deserialize<'de> for OneLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LevelVisitor;
        impl<'de> Visitor<'de> for LevelVisitor {
            type Value = OneLevel;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a [price, quantity] pair")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OneLevel, A::Error> {
                let missing = |n| de::Error::invalid_length(n, &"a price and a quantity");
                let Number(price) = seq.next_element()?.ok_or_else(|| missing(0))?;
                let Number(quantity) = seq.next_element()?.ok_or_else(|| missing(1))?;
                while seq.next_element::<de::IgnoredAny>()?.is_some() {}
                Ok(OneLevel(Level { price, quantity }))
            }
        }
        deserializer.deserialize_seq(LevelVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let read = |text: &'static str| read::<Number>(text.as_bytes()).map(|n| n.0.to_string());
        assert_eq!(read("\"0.10\"").unwrap(), "0.10");
        assert_eq!(read("\"1e-05\"").unwrap(), "0.00001");
        assert_eq!(read("\"\\u0031.5\"").unwrap(), "1.5");
        assert_eq!(read("-7").unwrap(), "-7");
        assert!(read("\"abc\"").unwrap_err().message.contains("'abc'"));
        for wrong in ["null", "[1]", "\"\"", "0.1", "1e5"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn exact_numbers_keep_their_digits_with_and_without_marks() {
        let read = |text: &'static str| read::<Exact>(text.as_bytes()).map(|n| n.0.to_string());
        assert_eq!(read("0.14370").unwrap(), "0.14370");
        assert_eq!(read(" 1e-05 ").unwrap(), "0.00001");
        assert_eq!(read("\"2.50\"").unwrap(), "2.50");
        assert_eq!(read("-7").unwrap(), "-7");
        for wrong in ["null", "[1]", "\"\"", "1.", "01", "true", "1e99"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read("1e99").unwrap_err().message.contains("'1e99'"));
    }

    #[test]
    fn times_say_what_is_wrong_with_them() {
        let Utc(time) = read(b"\"2021-04-17T16:48:53.370507Z\"").unwrap();
        assert_eq!(time.0, 1_618_678_133_370_507_000);
        assert!(read::<Utc>(b"\"noon\"").unwrap_err().message.contains("'noon' is no time"));
    }

    #[test]
    fn levels_may_have_more_entries_and_any_spacing() {
        let Levels(levels) = read(br#"[ ["1.5" , 2, "0", "7"], [3,"4"] ]"#).unwrap();
        assert_eq!(levels.len(), 2);
        assert_eq!(levels[0].quantity, Decimal::TWO);
        let error = read::<Levels>(br#"[["1.5"]]"#).unwrap_err();
        assert!(error.message.contains("quantity"));
    }
}
