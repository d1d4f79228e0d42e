//! Near misses: the word that was probably meant.

/// `one of a, b, c`, with the one that `word` is probably meant to be.
pub(super) fn one_of(word: &str, known: &[&str]) -> String {
    format!("one of {}{}", known.join(", "), hint(word, known))
}

/// `; did you mean 'x'?` where one of the known words is near, else nothing.
pub(super) fn hint(word: &str, known: &[&str]) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("; did you mean '{near}'?"))
}

/// The known word that is nearest to `word`: a third of its letters may be wrong.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(WORD_CHARS_MAX + 1).collect();
    if word.is_empty() || word.len() > WORD_CHARS_MAX {
        return None;
    }
    known
        .iter()
        .map(|known| (distance(&word, &known.to_lowercase().chars().collect::<Vec<_>>()), *known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= (word.len() / 3).max(1))
        .map(|(_, known)| known)
}

/// Longer words are no slip of a finger.
const WORD_CHARS_MAX: usize = 120;

/// Letters to insert, delete, replace or swap with their neighbour to make one of the other
/// (optimal string alignment), over three rows of the usual table.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + differs);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_seen_through() {
        let known = ["name", "venue", "instruments", "kinds", "ws_url"];
        for (word, meant) in [
            ("instrument", "instruments"),
            ("intsruments", "instruments"),
            ("vneue", "venue"),
            ("ws-url", "ws_url"),
            ("KINDS", "kinds"),
        ] {
            assert_eq!(nearest(word, &known), Some(meant), "{word}");
        }
    }

    #[test]
    fn what_is_far_gets_no_hint() {
        for word in ["", "x", "certificate", &"a".repeat(5_000)] {
            assert_eq!(hint(word, &["name", "venue"]), "", "{word}");
        }
    }
}
