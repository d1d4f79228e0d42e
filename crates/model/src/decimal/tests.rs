//! The parser against examples and against an independent reading of the same text.

use proptest::prelude::*;

use super::*;

fn text(input: &str) -> Result<String, DecimalError> {
    parse(input.as_bytes()).map(|value| value.to_string())
}

#[test]
fn digits_are_kept_as_sent() {
    for input in
        ["0.35130000", "6195.00000000", "0", "0.00", "-12.50", "1000", "123456789.12345678"]
    {
        assert_eq!(text(input).as_deref(), Ok(input));
    }
}

#[test]
fn exponent_form_is_exact() {
    assert_eq!(text("1e-05").as_deref(), Ok("0.00001"));
    assert_eq!(text("1E+3").as_deref(), Ok("1000"));
    assert_eq!(text("12.5e2").as_deref(), Ok("1250"));
    assert_eq!(text("-2.50e1").as_deref(), Ok("-25.0"));
    assert_eq!(text("0e9").as_deref(), Ok("0"));
}

#[test]
fn thirty_digits_are_exact_or_refused() {
    assert_eq!(
        text("0.1234567890123456789012345678").as_deref(),
        Ok("0.1234567890123456789012345678")
    );
    assert_eq!(text("0.12345678901234567890123456789"), Err(DecimalError::OutOfRange));
    assert_eq!(text("123456789012345678901234567890"), Err(DecimalError::OutOfRange));
    // Zeros at the end of a fraction say nothing and may go.
    assert_eq!(text("1.000000000000000000000000000000").unwrap(), "1.0000000000000000000000000000");
    assert_eq!(
        text("79228162514264337593543950335").as_deref(),
        Ok("79228162514264337593543950335")
    );
    assert_eq!(text("79228162514264337593543950336"), Err(DecimalError::OutOfRange));
    let long = format!("0.5{}", "0".repeat(500));
    assert_eq!(parse(long.as_bytes()).unwrap().normalize().to_string(), "0.5");
}

#[test]
fn what_is_no_number_is_refused() {
    for input in [
        "", "-", ".", "5.", ".5", "+5", "1e", "1e+", "1e99999", "0x10", "1,5", "NaN", "inf", " 1",
        "1 ", "1.2.3", "--1", "１",
    ] {
        assert_eq!(text(input), Err(DecimalError::Malformed), "{input:?}");
    }
}

#[test]
fn plain_shows_no_trailing_zeros() {
    assert_eq!(Plain(parse(b"0.17300").unwrap()).to_string(), "0.173");
    assert_eq!(Plain(parse(b"100.000").unwrap()).to_string(), "100");
    assert_eq!(Plain(parse(b"0.000").unwrap()).to_string(), "0");
}

/// The value of `text` as (negative, digits without leading or trailing zeros, power of ten of
/// the last digit), by moving characters about: slow, and nothing like the parser.
fn naive(text: &str) -> (bool, String, i64) {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut power = exponent.parse::<i64>().unwrap() - i64::try_from(fraction.len()).unwrap();
    let mut digits = format!("{whole}{fraction}").trim_start_matches('0').to_owned();
    while digits.ends_with('0') {
        digits.pop();
        power += 1;
    }
    if digits.is_empty() { (false, digits, 0) } else { (negative, digits, power) }
}

#[test]
fn a_number_in_quotation_marks_takes_its_closing_mark() {
    for number in [
        "0",
        "7",
        "1563",
        "1234567",
        "12345678",
        "0.1",
        "7.6150",
        "12.3456",
        "123456.7",
        "0.12345",
        "0.123456",
        "0.35130000",
        "6195.00000000",
        "150.00000000",
        "1234567.1",
        "1234567.1234567",
        "12345678.5",
        "123456789012345",
        "1.2345678901234",
        "12345678901234567890",
        "-0.5",
        "1e-05",
    ] {
        let scanned = parse(number.as_bytes()).unwrap();
        for rest in ["", "]", ",\"123456789012345\"]", "................"] {
            let text = format!("{number}\"{rest}");
            let (value, len) = scan_quoted(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((value.serialize(), len), (scanned.serialize(), number.len() + 1), "{text}");
        }
        assert_eq!(scan_quoted(number.as_bytes()), None);
        assert_eq!(scan_quoted(format!("{number},\"12345678901234\"").as_bytes()), None);
    }
}

proptest! {
    #[test]
    fn agrees_with_the_naive_reading(input in "-?[0-9]{1,24}(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?") {
        if let Ok(value) = parse(input.as_bytes()) {
            prop_assert_eq!(naive(&value.to_string()), naive(&input));
        } else {
            let (_, digits, power) = naive(&input);
            let whole = i64::try_from(digits.len()).unwrap() + power;
            // Refused only where 28 places or 96 bits (28 to 29 digits) are really exceeded.
            prop_assert!(power < -28 || digits.len() > 28 || whole > 28, "{}", input);
        }
    }

    #[test]
    fn short_plain_numbers_keep_every_digit(input in "(0|[1-9][0-9]{0,9})(\\.[0-9]{1,9})?") {
        prop_assert_eq!(text(&input).unwrap(), input);
    }

    #[test]
    fn scan_stops_where_the_number_ends(number in "[0-9]{1,12}\\.[0-9]{1,12}", rest in "[\",\\]} a-d]{0,12}") {
        let both = format!("{number}{rest}");
        let (value, len) = scan(both.as_bytes()).unwrap();
        prop_assert_eq!(len, number.len());
        prop_assert_eq!(value, parse(number.as_bytes()).unwrap());
    }

    #[test]
    fn any_bytes_are_a_number_or_an_error(input in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = parse(&input);
    }

    #[test]
    fn the_fast_way_in_reads_what_the_general_one_reads(
        text in prop_oneof![
            4 => "-?[0-9]{0,10}\\.?[0-9]{0,10}\"[0-9.,\"\\]]{0,20}",
            1 => "[0-9.\"e,\\-]{0,24}",
            1 => proptest::collection::vec(any::<u8>(), 0..24)
                .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        ],
    ) {
        let general = scan(text.as_bytes()).ok().and_then(|(value, len)| {
            (text.as_bytes().get(len) == Some(&b'"')).then_some((value.serialize(), len + 1))
        });
        let fast = scan_quoted(text.as_bytes()).map(|(value, len)| (value.serialize(), len));
        prop_assert_eq!(fast, general, "{}", text);
    }

    #[test]
    fn bare_numbers_are_read_as_the_general_way_reads_them(
        text in "-?[0-9]{0,20}(\\.[0-9]{0,20})?([eE][+-]?[0-9]{0,2})?[,}\\]\" ]?[0-9.,]{0,16}",
    ) {
        let bytes = text.as_bytes();
        let general = scan(bytes).ok().and_then(|(value, len)| {
            let ends = matches!(bytes.get(len), Some(b',' | b'}' | b']'));
            let digits = text.trim_start_matches('-');
            let zeros = digits.starts_with('0') && digits[1..].starts_with(|c: char| c.is_ascii_digit());
            (ends && !zeros).then_some((value.serialize(), len))
        });
        let fast = scan_bare(bytes).map(|(value, len)| (value.serialize(), len));
        prop_assert_eq!(fast, general, "{}", text);
    }

    #[test]
    fn integers_are_read_as_the_library_reads_them(text in "[0-9]{0,21}[,}x\u{e9}]?[0-9]{0,16}") {
        let run = text.bytes().take_while(u8::is_ascii_digit).count();
        let spelled = run == 1 || (run > 1 && !text.starts_with('0'));
        let value = text[..run].parse::<u64>().ok().filter(|_| spelled && run <= 19);
        prop_assert_eq!(scan_uint(text.as_bytes()), value.map(|value| (value, run)));
    }
}
