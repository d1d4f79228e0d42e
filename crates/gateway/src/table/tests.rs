//! What fits into a terminal, and what a drawing covers.

use super::*;

fn table(size: fn() -> Size) -> Table<Vec<u8>> {
    let mut table = Table::new(Vec::new(), Duration::ZERO, size, Stop::default());
    for nth in 0..4 {
        let row = Row {
            provider: "merged-quotes".to_owned(),
            instrument: format!("DOGE-USDT-{nth}"),
            state: StreamState::Gapped,
            reason: Reason::ChecksumMismatch,
            ..Row::default()
        };
        table.rows.insert((1, nth), row);
    }
    table
}

fn lines(size: Size) -> Vec<String> {
    table(|| SIZE).lines(Duration::from_secs(1), size)
}

#[test]
fn every_line_fits_into_the_terminal() {
    for width in 1..130 {
        let lines = lines((width, 24));
        assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:?}");
    }
}

#[test]
fn a_narrow_terminal_costs_the_state_first() {
    let wide = lines((120, 24));
    assert!(
        wide[1].contains("Gapped (checksum_mismatch)") && wide[1].ends_with("0 ns"),
        "{wide:?}"
    );
    let narrow = lines((75, 24));
    assert!(narrow[1].contains(" Gapped ") && narrow[1].ends_with("0 ns"), "{narrow:?}");
    assert!(narrow[0].ends_with("p99"), "{narrow:?}");
}

#[test]
fn a_low_terminal_shows_what_it_has_room_for() {
    for height in 0..12 {
        let lines = lines((80, height));
        assert!(lines.len() < height.max(3), "{height}: {lines:?}");
        let cut = lines.iter().any(|line| line.starts_with("and "));
        assert_eq!(cut, height < 6, "{height}: {lines:?}");
    }
    assert_eq!(lines((80, 5))[3], "and 2 more, for which the terminal is too low");
}

#[test]
fn what_stands_below_has_what_room_the_rows_leave_and_a_line_at_least() {
    let below = ["first", "second", "third"];
    let mut table = table(|| SIZE).with_below(move || below.map(str::to_owned).to_vec());
    let mut lines = |size| table.lines(Duration::from_secs(1), size);
    assert_eq!(lines((80, 24))[5..], below);
    assert_eq!(lines((80, 8))[5..], below[..2]);
    assert_eq!(lines((80, 7))[5..], below[..1], "all rows and a line");
    let low = lines((80, 6));
    assert_eq!(low[3..], ["and 2 more, for which the terminal is too low", "first"]);
    assert_eq!(lines((3, 24))[5..], ["fir", "sec", "thi"]);
    for height in 0..12 {
        assert!(lines((80, height)).len() < height.max(3), "{height}");
    }
}

#[test]
fn each_drawing_covers_the_one_before_it() {
    let mut table = table(|| (80, 24));
    table.draw(Nanos(1)).unwrap();
    let first = std::mem::take(&mut table.out);
    assert!(!first.starts_with(b"\x1b["), "{first:?}");
    table.size = || (80, 4);
    table.draw(Nanos(2)).unwrap();
    let second = String::from_utf8(std::mem::take(&mut table.out)).unwrap();
    assert!(second.starts_with("\x1b[5A") && second.ends_with("\x1b[J"), "{second:?}");
    table.draw(Nanos(3)).unwrap();
    assert!(table.out.starts_with(b"\x1b[3A"), "{:?}", table.out);
}
