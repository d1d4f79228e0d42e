//! Rust source as a scan needs it: comments and literals blanked, tests told apart.
//!
//! Written for code that `rustfmt` has laid out, which CI demands.

/// A file with its code laid bare.
#[derive(Clone, Debug)]
pub struct Source {
    /// The text without its comments and without the contents of its text literals, line by line
    /// as it was.
    pub code: Vec<String>,
    /// The same with its literals.
    pub code_and_literals: Vec<String>,
    /// For each line whether it belongs to a test.
    pub in_test: Vec<bool>,
}

impl Source {
    /// Reads the file at `path` with the contents `text`.
    #[must_use]
    pub fn new(path: &str, text: &str) -> Self {
        let lines = |text: String| text.lines().map(str::to_owned).collect::<Vec<String>>();
        let code = lines(blank(text, Literals::Blank));
        let code_and_literals = lines(blank(text, Literals::Keep));
        let in_test =
            if is_test_file(path) { vec![true; code.len()] } else { mark_test_items(&code) };
        Self { code, code_and_literals, in_test }
    }
}

/// Whether a whole file is there for tests or measurements.
#[must_use]
pub fn is_test_file(path: &str) -> bool {
    let mut folders: Vec<&str> = path.split('/').collect();
    let name = folders.pop().unwrap_or_default();
    let is_test_folder =
        |folder: &&str| matches!(*folder, "tests" | "testing" | "benches" | "fuzz");
    folders.iter().any(is_test_folder)
        || matches!(name, "tests.rs" | "testing.rs")
        || name.ends_with("_tests.rs")
}

/// Marks the items under `#[cfg(test)]` and `#[test]`: from the attribute to the closing brace
/// that stands as far to the right as the attribute does.
fn mark_test_items(code: &[String]) -> Vec<bool> {
    let mut marks = vec![false; code.len()];
    let mut at = 0;
    while at < code.len() {
        let line = code[at].trim_start();
        if line.starts_with("#[cfg(test)]")
            || line.starts_with("#[test]")
            || line.starts_with("#[cfg(all(test")
            || line.starts_with("#[cfg(all(loom, test")
        {
            let end = end_of_item(code, at);
            marks[at..=end].fill(true);
            at = end;
        }
        at += 1;
    }
    marks
}

/// The last line of the item that begins at line `start`, attributes included.
#[must_use]
pub fn end_of_item(code: &[String], start: usize) -> usize {
    let indent = indent(&code[start]);
    let mut depth = 0_usize;
    for (at, line) in code.iter().enumerate().skip(start) {
        let attribute = depth == 0 && line.trim_start().starts_with("#[");
        for byte in line.bytes() {
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        let closed = line.trim_end().ends_with(['}', ';']);
        if depth == 0 && closed && !attribute && self::indent(line) == indent {
            return at;
        }
    }
    code.len() - 1
}

/// How many blanks a line begins with.
#[must_use]
pub fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// What the reader stands in.
enum State {
    Code,
    LineComment,
    /// So many `/*` deep.
    BlockComment(u32),
    Text,
    /// Ended by a quote and so many `#`.
    RawText(usize),
}

/// What becomes of the contents of text literals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Literals {
    /// They go, as comments do.
    Blank,
    /// They stay.
    Keep,
}

/// Replaces comments, and literals if asked, by blanks; line breaks stay.
#[must_use]
pub fn blank(text: &str, literals: Literals) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut state = State::Code;
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let (next, len, code) = step(&state, rest, at.checked_sub(1).map(|i| chars[i]));
        let literal = matches!(state, State::Text | State::RawText(_)) || rest[0] == '\'';
        let kept = code || (literal && literals == Literals::Keep);
        state = next;
        for c in &rest[..len.min(rest.len())] {
            out.push(if kept || *c == '\n' { *c } else { ' ' });
        }
        at += len;
    }
    out
}

/// From `state` with `rest` ahead: the next state, how many characters that takes, and whether
/// they are kept.
fn step(state: &State, rest: &[char], before: Option<char>) -> (State, usize, bool) {
    match state {
        State::Code => step_code(rest, before),
        State::LineComment if rest[0] == '\n' => (State::Code, 1, true),
        State::LineComment => (State::LineComment, 1, false),
        State::BlockComment(depth) => match rest {
            ['/', '*', ..] => (State::BlockComment(depth + 1), 2, false),
            ['*', '/', ..] if *depth == 1 => (State::Code, 2, false),
            ['*', '/', ..] => (State::BlockComment(depth - 1), 2, false),
            _ => (State::BlockComment(*depth), 1, false),
        },
        State::Text => match rest {
            ['\\', ..] => (State::Text, 2, false),
            ['"', ..] => (State::Code, 1, true),
            _ => (State::Text, 1, false),
        },
        State::RawText(hashes) => {
            let ended = rest[0] == '"'
                && rest.len() > *hashes
                && rest[1..=*hashes].iter().all(|c| *c == '#');
            if ended {
                (State::Code, hashes + 1, true)
            } else {
                (State::RawText(*hashes), 1, false)
            }
        }
    }
}

fn step_code(rest: &[char], before: Option<char>) -> (State, usize, bool) {
    let starts_word = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match rest {
        ['/', '/', ..] => (State::LineComment, 2, false),
        ['/', '*', ..] => (State::BlockComment(1), 2, false),
        ['"', ..] => (State::Text, 1, true),
        ['b' | 'c', 'r', tail @ ..] if starts_word && raw_hashes(tail).is_some() => {
            let hashes = raw_hashes(tail).unwrap_or(0);
            (State::RawText(hashes), hashes + 3, true)
        }
        ['r', tail @ ..] if starts_word && raw_hashes(tail).is_some() => {
            let hashes = raw_hashes(tail).unwrap_or(0);
            (State::RawText(hashes), hashes + 2, true)
        }
        // A character, else the quote begins a lifetime.
        ['\'', '\\', _, tail @ ..] => match tail.iter().position(|c| *c == '\'') {
            Some(len) if len < 9 => (State::Code, len + 4, false),
            _ => (State::Code, 1, true),
        },
        ['\'', _, '\'', ..] => (State::Code, 3, false),
        _ => (State::Code, 1, true),
    }
}

/// How many `#` stand before a quote.
fn raw_hashes(rest: &[char]) -> Option<usize> {
    let hashes = rest.iter().take_while(|c| **c == '#').count();
    (rest.get(hashes) == Some(&'"')).then_some(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_is_kept() {
        let cases = [
            ("let a = 1; // f64", "let a = 1;       "),
            ("/* f64 /* x */ y */ b", "                    b"),
            (r#"let s = "f64 \" // x"; f64"#, r#"let s = "           "; f64"#),
            (r##"r#"f64 " x"# f64"##, r##"r#"       "# f64"##),
            (r#"br"a" f64"#, r#"br" " f64"#),
            (r#"'"' f64 "x""#, r#"    f64 " ""#),
            (r"'\'' f64 '\u{1F600}'", "     f64            "),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("for\"x\"", "for\" \""),
        ];
        for (text, expected) in cases {
            assert_eq!(blank(text, Literals::Blank), expected, "{text}");
        }
        let text = "\"a\nb\" // c\nd 'e'";
        assert_eq!(blank(text, Literals::Blank), "\" \n \"     \nd    ");
        assert_eq!(blank(text, Literals::Keep), "\"a\nb\"     \nd 'e'");
    }

    #[test]
    fn tests_are_told_from_the_rest() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn b() {\n    }\n}\n\
                    fn c() {}\n#[cfg(test)]\nmod other;\n#[test]\n#[should_panic]\nfn d() {\n}\n\
                    fn e() {}\n";
        let source = Source::new("crates/model/src/lib.rs", text);
        let free: Vec<&str> =
            text.lines().zip(&source.in_test).filter(|(_, t)| !**t).map(|(l, _)| l).collect();
        assert_eq!(free, ["fn a() {}", "", "fn c() {}", "fn e() {}"]);
    }

    #[test]
    fn whole_files_of_tests_are_known_by_their_place() {
        for path in ["crates/a/tests/b.rs", "crates/a/src/b/tests.rs", "crates/a/benches/c.rs"] {
            assert!(is_test_file(path), "{path}");
        }
        assert!(!is_test_file("crates/a/src/contest.rs"));
    }
}
