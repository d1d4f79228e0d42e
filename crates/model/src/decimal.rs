//! The one parser through which every price and quantity enters.
//!
//! Plain (`0.35130000`) or exponent form (`1e-05`), exact or an error, never rounded. The digits
//! that the venue sent are kept, trailing zeros too, up to the 28 that a [`Decimal`] holds; only
//! zeros at the end of a fraction are given up where the number would not fit otherwise.

use std::fmt;

use rust_decimal::Decimal;

/// Why a text is not a decimal number that can be held exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// Not of the form `-?digits[.digits][e[+-]digits]`.
    Malformed,
    /// More digits than 28 places and 96 bits hold.
    OutOfRange,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a decimal number such as 0.351 or 1e-05",
            Self::OutOfRange => "a number with more digits than 28 places and 96 bits hold",
        })
    }
}

impl std::error::Error for DecimalError {}

/// Decimals hold up to this many places.
const SCALE_MAX: i64 = 28;
/// The largest mantissa of a [`Decimal`]: 96 bits.
const MANTISSA_MAX: u128 = (1 << 96) - 1;
/// Any number of up to this many digits fits in a `u64`.
const U64_DIGITS: usize = 19;

/// Reads `text` whole.
///
/// # Errors
/// [`DecimalError::Malformed`] when it is no number, [`DecimalError::OutOfRange`] when it can't be
/// held exactly.
///
/// ```
/// use model::decimal::parse;
/// assert_eq!(parse(b"0.35130000").unwrap().to_string(), "0.35130000");
/// assert_eq!(parse(b"1e-05").unwrap().to_string(), "0.00001");
/// assert!(parse(b"1,5").is_err());
/// ```
#[inline]
pub fn parse(text: &[u8]) -> Result<Decimal, DecimalError> {
    match scan(text)? {
        (value, len) if len == text.len() => Ok(value),
        _ => Err(DecimalError::Malformed),
    }
}

/// Reads the number at the start of `text` and says how many bytes it took.
///
/// # Errors
/// As [`parse`].
#[inline]
pub fn scan(text: &[u8]) -> Result<(Decimal, usize), DecimalError> {
    let negative = text.first() == Some(&b'-');
    let start = usize::from(negative);
    let mut mantissa = 0u64;
    let mut at = digits(text, start, &mut mantissa);
    let mut count = at - start;
    if count == 0 {
        return Err(DecimalError::Malformed);
    }
    let mut places = 0;
    if text.get(at) == Some(&b'.') {
        let end = digits(text, at + 1, &mut mantissa);
        places = end - at - 1;
        if places == 0 {
            return Err(DecimalError::Malformed);
        }
        count += places;
        at = end;
    }
    if count > U64_DIGITS || matches!(text.get(at), Some(b'e' | b'E')) {
        return scan_long(text, start, negative);
    }
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a u64")]
    let (low, middle) = (mantissa as u32, (mantissa >> 32) as u32);
    // At most 19 places, so the cast is exact and the scale valid.
    Ok((Decimal::from_parts(low, middle, 0, negative, places as u32), at))
}

/// Reads the number at the start of `text`, which has to end with a quotation mark, and says how
/// many bytes it took with that mark; `None` also where [`scan`] has an error.
///
/// ```
/// use model::decimal::scan_quoted;
/// let (price, len) = scan_quoted(br#"0.35130000","6195.0"]"#).unwrap();
/// assert_eq!((price.to_string().as_str(), len), ("0.35130000", 11));
/// assert!(scan_quoted(b"0.3").is_none());
/// ```
#[inline(always)]
#[must_use]
pub fn scan_quoted(text: &[u8]) -> Option<(Decimal, usize)> {
    let (value, end) = scan_to(text, |byte| byte == b'"')?;
    Some((value, end + 1))
}

/// Reads the number at the start of `text` as JSON spells it without quotation marks, and says how
/// many bytes it took; `None` where no comma or closing bracket follows, for a zero before other
/// digits, and where [`scan`] has an error.
///
/// ```
/// use model::decimal::scan_bare;
/// let (price, len) = scan_bare(b"56119.00000,").unwrap();
/// assert_eq!((price.to_string().as_str(), len), ("56119.00000", 11));
/// assert!(scan_bare(b"0.3").is_none() && scan_bare(b"00.3,").is_none());
/// ```
#[inline(always)]
#[must_use]
pub fn scan_bare(text: &[u8]) -> Option<(Decimal, usize)> {
    if let [b'0', b'0'..=b'9', ..] | [b'-', b'0', b'0'..=b'9', ..] = text {
        return None;
    }
    scan_to(text, |byte| matches!(byte, b',' | b'}' | b']'))
}

/// Reads a number up to a byte that `ends` it, and gives that byte's place.
///
/// This is how nearly every price and quantity is written, so it is the fast way in: up to seven
/// characters are taken at once from one word, up to fifteen from two, with no loop whose length
/// depends on the digits.
#[inline(always)]
fn scan_to(text: &[u8], ends: impl Fn(u8) -> bool) -> Option<(Decimal, usize)> {
    if let Some(chunk) = text.first_chunk::<8>() {
        let word = swar::values(*chunk);
        let marks = swar::marks(word);
        let first = swar::index(marks);
        if ends(chunk[first]) && first != 0 {
            let value = swar::join(swar::right(word, first));
            return Some((from_u64(value, 0), first));
        }
        let second = swar::index(marks & marks.wrapping_sub(1));
        if chunk[first] == b'.' && ends(chunk[second]) && first != 0 && second > first + 1 {
            let value = swar::join(swar::right(swar::without(word, marks), second - 1));
            return Some((from_u64(value, second - first - 1), second));
        }
    }
    scan_to_long(text, ends)
}

/// Numbers of eight to fifteen characters, and whatever is written in another way.
#[inline(always)]
fn scan_to_long(text: &[u8], ends: impl Fn(u8) -> bool) -> Option<(Decimal, usize)> {
    if let Some((chunk, next)) = two_chunks(text) {
        let (word, more) = (swar::values(*chunk), swar::values(*next));
        let (marks, more_marks) = (swar::marks(word), swar::marks(more));
        let (first, end) = (swar::index(marks), swar::index(more_marks));
        // The point in the first eight characters, the end in the second eight.
        let only_mark = marks & marks.wrapping_sub(1) == 0;
        let places = 7 - first + end;
        if chunk[first] == b'.' && only_mark && ends(next[end]) && first != 0 && places != 0 {
            let head = swar::without(word, marks) & (u64::MAX >> 8);
            let digits = (u128::from(head) | u128::from(more) << 56) << (8 * (9 - end));
            #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
            let (head, tail) = (digits as u64, (digits >> 64) as u64);
            let value = swar::join(head) * 100_000_000 + swar::join(tail);
            return Some((from_u64(value, places), end + 8));
        }
    }
    scan_to_any(text, ends)
}

#[inline(never)]
fn scan_to_any(text: &[u8], ends: impl Fn(u8) -> bool) -> Option<(Decimal, usize)> {
    let (value, len) = scan(text).ok()?;
    ends(*text.get(len)?).then_some((value, len))
}

#[inline(always)]
fn two_chunks(text: &[u8]) -> Option<(&[u8; 8], &[u8; 8])> {
    let both = text.first_chunk::<16>()?;
    Some((both.first_chunk()?, both.last_chunk()?))
}

/// At most 15 places, which is always a valid scale.
#[inline(always)]
fn from_u64(mantissa: u64, places: usize) -> Decimal {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves of a u64, up to 15 places")]
    let (low, middle, places) = (mantissa as u32, (mantissa >> 32) as u32, (places & 15) as u32);
    Decimal::from_parts(low, middle, 0, false, places)
}

/// Reads the digits at the start of `text` as an integer, without leading zeros, and says how many
/// they are: up to 19.
///
/// ```
/// use model::decimal::scan_uint;
/// assert_eq!(scan_uint(b"1672515782136,"), Some((1_672_515_782_136, 13)));
/// assert_eq!(scan_uint(b"007"), None);
/// ```
#[inline(always)]
#[must_use]
pub fn scan_uint(text: &[u8]) -> Option<(u64, usize)> {
    if let Some((chunk, next)) = two_chunks(text) {
        let (word, more) = (swar::values(*chunk), swar::values(*next));
        let (marks, more_marks) = (swar::marks(word), swar::marks(more));
        let leading_zero = chunk[0] == b'0';
        if marks == 0 && more_marks != 0 && !leading_zero {
            let end = swar::index(more_marks);
            let value = swar::join(word) * TENS[end] + swar::join(swar::right(more, end));
            return Some((value, 8 + end));
        }
        let end = swar::index(marks);
        if marks != 0 && end != 0 && !leading_zero {
            return Some((swar::join(swar::right(word, end)), end));
        }
    }
    scan_uint_long(text)
}

/// The powers of ten that up to seven digits have behind them.
const TENS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

#[cold]
fn scan_uint_long(text: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    let len = digits(text, 0, &mut value);
    let leading_zero = len > 1 && text.first() == Some(&b'0');
    (1..=U64_DIGITS).contains(&len).then_some((value, len)).filter(|_| !leading_zero)
}

/// Appends the digits from `at` on to `mantissa` (wrapping; the caller counts them) and gives
/// their end.
#[inline]
fn digits(text: &[u8], mut at: usize, mantissa: &mut u64) -> usize {
    while let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = swar::values(*chunk);
        if swar::marks(word) != 0 {
            break;
        }
        *mantissa = mantissa.wrapping_mul(100_000_000).wrapping_add(swar::join(word));
        at += 8;
    }
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&d| d < 10) {
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// Eight characters at once, held in a word, the first one lowest.
mod swar {
    const ONES: u64 = u64::MAX / 0xFF;

    /// Each character's value, where it is a digit.
    #[inline(always)]
    pub fn values(chunk: [u8; 8]) -> u64 {
        u64::from_le_bytes(chunk) ^ (ONES * 0x30)
    }

    /// Marks the high bit of each byte that is no digit's value.
    #[inline(always)]
    pub fn marks(word: u64) -> u64 {
        (((word & (ONES * 0x7F)) + ONES * 0x76) | word) & (ONES * 0x80)
    }

    /// Which byte carries the lowest mark; 0 if none does.
    #[inline(always)]
    pub fn index(marks: u64) -> usize {
        ((marks.trailing_zeros() / 8) & 7) as usize
    }

    /// The lowest `count` bytes, moved to the upper end; up to seven.
    #[inline(always)]
    pub fn right(word: u64, count: usize) -> u64 {
        (word << ((56 - 8 * count) & 63)) << 8
    }

    /// The bytes without the one of the lowest mark: those above it move down.
    #[inline(always)]
    pub fn without(word: u64, marks: u64) -> u64 {
        let below = ((marks & marks.wrapping_neg()) >> 7).wrapping_sub(1);
        (word & below) | ((word >> 8) & !below)
    }

    /// The number that eight digits make: pairs are joined by one multiplication for all, then
    /// the first and third pair, and the second and fourth, by one each.
    #[inline(always)]
    pub fn join(word: u64) -> u64 {
        const EVERY_OTHER_PAIR: u64 = 0x0000_00FF_0000_00FF;
        let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
        let odd = (pairs & EVERY_OTHER_PAIR).wrapping_mul(100 + (1_000_000 << 32));
        let even = ((pairs >> 16) & EVERY_OTHER_PAIR).wrapping_mul(1 + (10_000 << 32));
        odd.wrapping_add(even) >> 32
    }
}

/// The general form, for exponents and for more digits than a `u64` holds.
#[cold]
fn scan_long(text: &[u8], start: usize, negative: bool) -> Result<(Decimal, usize), DecimalError> {
    let run = |from: usize| text[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = &text[start..start + run(start)];
    let mut at = start + whole.len();
    let mut fraction: &[u8] = &[];
    if text.get(at) == Some(&b'.') {
        fraction = &text[at + 1..at + 1 + run(at + 1)];
        at += 1 + fraction.len();
    }
    let mut exponent = 0i64;
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1;
        let sign = match text.get(at) {
            Some(b'-') => -1,
            _ => 1,
        };
        at += usize::from(matches!(text.get(at), Some(b'-' | b'+')));
        let len = run(at);
        // Longer exponents are zeros or out of range; both are absurd from a venue.
        if len == 0 || len > 4 {
            return Err(DecimalError::Malformed);
        }
        let value = text[at..at + len].iter().fold(0, |n, b| n * 10 + i64::from(b - b'0'));
        exponent = sign * value;
        at += len;
    }
    let value = assemble(whole, fraction, exponent)?;
    Ok((if negative { -value } else { value }, at))
}

/// The exact decimal `whole.fraction × 10^exponent`.
fn assemble(whole: &[u8], fraction: &[u8], exponent: i64) -> Result<Decimal, DecimalError> {
    let digits = || whole.iter().chain(fraction).skip_while(|b| **b == b'0');
    let count = digits().count();
    let zeros = whole.iter().chain(fraction).rev().take_while(|b| **b == b'0').count().min(count);
    let mut scale = i64::try_from(fraction.len()).map_err(|_| DecimalError::OutOfRange)? - exponent;
    if count == zeros {
        let scale = u32::try_from(scale.clamp(0, SCALE_MAX)).unwrap_or(0);
        return Ok(Decimal::from_parts(0, 0, 0, false, scale));
    }
    // Everything but trailing zeros has to fit; 38 digits always fit in a u128.
    if count - zeros > 38 {
        return Err(DecimalError::OutOfRange);
    }
    let kept = count.min(38);
    let mut mantissa = digits().take(kept).fold(0u128, |n, b| n * 10 + u128::from(b - b'0'));
    scale -= i64::try_from(count - kept).map_err(|_| DecimalError::OutOfRange)?;
    while (scale > SCALE_MAX || (mantissa > MANTISSA_MAX && scale > 0))
        && mantissa.is_multiple_of(10)
    {
        mantissa /= 10;
        scale -= 1;
    }
    while scale < 0 && mantissa <= MANTISSA_MAX {
        mantissa *= 10;
        scale += 1;
    }
    if mantissa > MANTISSA_MAX || !(0..=SCALE_MAX).contains(&scale) {
        return Err(DecimalError::OutOfRange);
    }
    let mantissa = i128::try_from(mantissa).map_err(|_| DecimalError::OutOfRange)?;
    Decimal::try_from_i128_with_scale(mantissa, u32::try_from(scale).unwrap_or(0))
        .map_err(|_| DecimalError::OutOfRange)
}

/// Shows a decimal without trailing zeros, as programs outside read it.
#[derive(Clone, Copy, Debug)]
pub struct Plain(pub Decimal);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.normalize(), f)
    }
}

#[cfg(test)]
mod tests;
