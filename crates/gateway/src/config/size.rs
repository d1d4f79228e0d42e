//! Sizes as people write them: `512B`, `64KiB`, `16MiB`, `1GiB`.

/// The units, largest first.
const UNITS: [(&str, usize); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a whole number of bytes with its unit: `B`, `KiB`, `MiB` or `GiB`.
///
/// # Errors
/// What would be right, to be put after "expected".
pub fn parse(text: &str) -> Result<usize, String> {
    let wrong = || {
        "a whole number with its unit (B, KiB, MiB, GiB), such as 64KiB, 16MiB or 1GiB".to_owned()
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, each) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    if number.is_empty() {
        return Err(wrong());
    }
    let bytes = number.parse::<usize>().ok().and_then(|number| number.checked_mul(*each));
    bytes.ok_or_else(|| "a size that fits into 64 bits".to_owned())
}

/// The shortest form that [`parse`] reads back.
#[must_use]
pub fn show(bytes: usize) -> String {
    let fits = |(_, each): &&(&str, usize)| bytes >= *each && bytes.is_multiple_of(*each);
    let (unit, each) = UNITS.iter().find(fits).unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_shown() {
        for (text, bytes) in
            [("0B", 0), ("512B", 512), ("64KiB", 65_536), ("16MiB", 1 << 24), ("2GiB", 1 << 31)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            assert_eq!(show(bytes), text);
        }
        assert_eq!(show(1_025), "1025B");
    }

    #[test]
    fn anything_else_says_what_would_be_right() {
        for wrong in ["", "10", "KiB", "-1B", "1.5MiB", "1 MiB", "1MB", "1mib", "1B5"] {
            assert!(parse(wrong).is_err_and(|said| said.contains("16MiB")), "{wrong}");
        }
        assert!(parse("99999999999999999999B").is_err() && parse("99999999999999GiB").is_err());
    }
}
