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

/// Appends the digits from `at` on to `mantissa` (wrapping; the caller counts them) and gives
/// their end.
#[inline]
fn digits(text: &[u8], mut at: usize, mantissa: &mut u64) -> usize {
    while let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let Some(eight) = eight_digits(u64::from_le_bytes(*chunk)) else { break };
        *mantissa = mantissa.wrapping_mul(100_000_000).wrapping_add(eight);
        at += 8;
    }
    while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|&d| d < 10) {
        *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    at
}

/// The value of eight ASCII digits held in a word, first digit lowest; `None` if any isn't one.
///
/// Pairs, then fours, then all eight are joined by one multiplication each instead of eight.
#[inline]
fn eight_digits(word: u64) -> Option<u64> {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    // A byte is a digit when its high half is 3 both as it is and with 6 added.
    let high = word & 0xF0F0_F0F0_F0F0_F0F0;
    let carried = word.wrapping_add(0x0606_0606_0606_0606) & 0xF0F0_F0F0_F0F0_F0F0;
    if high != ZEROS || carried != ZEROS {
        return None;
    }
    let word = word - ZEROS;
    let pairs = (word.wrapping_mul(10) + (word >> 8)) & 0x00FF_00FF_00FF_00FF;
    let fours = (pairs.wrapping_mul(100) + (pairs >> 16)) & 0x0000_FFFF_0000_FFFF;
    Some((fours.wrapping_mul(10_000) + (fours >> 32)) & 0xFFFF_FFFF)
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
