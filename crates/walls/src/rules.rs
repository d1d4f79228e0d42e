//! The rules that neither the compiler nor clippy can hold: one row each, (where, what, what
//! instead), after tigerbeetle's `tidy.zig`.

use crate::house::File;
use crate::source::Source;

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What the message and the tests call it.
    pub name: &'static str,
    /// Where it holds: beginnings of paths. A `*` stands for one folder.
    pub paths: &'static [&'static str],
    /// Where it does not hold all the same.
    pub except: &'static [&'static str],
    /// Which lines of a file it looks at.
    pub lines: Lines,
    /// What is banned.
    pub banned: &'static [Pattern],
    /// What to do instead.
    pub instead: &'static str,
}

/// Which lines of a file a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Code outside tests, without comments and text literals.
    Code,
    /// The same with its text literals.
    CodeAndLiterals,
    /// Code of tests too.
    CodeAndTests,
    /// Code of tests alone.
    Tests,
    /// All that is written outside tests: code, comments, literals.
    Text,
    /// All that is written, in files of any kind.
    Any,
}

/// What is banned.
#[derive(Clone, Copy, Debug)]
pub enum Pattern {
    /// A name or path that stands alone: `f64` is not found in `to_f64`.
    Word(&'static str),
    /// Letters anywhere, large or small.
    Letters(&'static str),
    /// These texts, one after the other on one line.
    Sequence(&'static [&'static str]),
    /// A number that the compiler reads as a float.
    FloatLiteral,
    /// A venue's name, except in the folder or file that is called after it.
    VenueName,
}

/// A place that breaks a rule for a reason. A row goes when the place is gone.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// The rule's name.
    pub rule: &'static str,
    /// The file.
    pub path: &'static str,
    /// How many lines of the file break it.
    pub lines: usize,
    /// Why.
    pub why: &'static str,
}

/// The ratchet: every breach that stands, with its reason.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        rule: "venue's name in code",
        path: "crates/store/src/capture/line.rs",
        lines: 1,
        why: "an error says by example what would be right",
    },
    Exception {
        rule: "lifted ban",
        path: "crates/engine/examples/emit_cost.rs",
        lines: 2,
        why: "a measurement reads the clock",
    },
    Exception {
        rule: "lifted ban",
        path: "crates/engine/examples/control_bus.rs",
        lines: 2,
        why: "a measurement reads the clock",
    },
    Exception {
        rule: "lifted ban",
        path: "crates/engine/examples/load.rs",
        lines: 2,
        why: "a measurement reads the clock",
    },
    Exception {
        rule: "unwrap",
        path: "crates/engine/examples/load.rs",
        lines: 18,
        why: "a measurement ends where it can't be made",
    },
];

/// Exchanges, those that come later too. A folder of `venues` that is not in here fails a test.
pub const VENUE_NAMES: [&str; 12] = [
    "binance",
    "okx",
    "coinbase",
    "kraken",
    "bybit",
    "bitfinex",
    "bitstamp",
    "deribit",
    "hyperliquid",
    "kucoin",
    "bitget",
    "upbit",
];

use Pattern::{FloatLiteral, Letters, Sequence, VenueName, Word};

/// The table.
pub const RULES: [Rule; 14] = [
    Rule {
        name: "float",
        paths: &["crates/model/src/", "crates/venues/src/", "crates/engine/src/"],
        except: &[],
        lines: Lines::Code,
        banned: &[Word("f32"), Word("f64"), FloatLiteral],
        instead: "a number of the market is a `Decimal` from `model::decimal::parse`, any other \
                  an integer with its unit in its name",
    },
    Rule {
        name: "decimal from text",
        paths: &["crates/"],
        except: &["crates/model/src/decimal", "crates/yardstick/", "crates/walls/"],
        lines: Lines::CodeAndTests,
        banned: &[
            Word("Decimal::from_str"),
            Word("<Decimal as FromStr>"),
            Sequence(&["parse::<", "Decimal>("]),
            Sequence(&[": Decimal =", ".parse()"]),
            Sequence(&["Decimal::try_from(", "f64"]),
            Sequence(&["Decimal::try_from(", "f32"]),
        ],
        instead: "`model::decimal::parse`, which is exact or an error",
    },
    Rule {
        name: "serde_json",
        paths: &[
            "crates/model/src/",
            "crates/venues/src/",
            "crates/engine/src/",
            "crates/pool/src/",
        ],
        except: &["crates/venues/src/json/", "crates/venues/src/json.rs"],
        lines: Lines::Code,
        banned: &[Word("serde_json")],
        instead: "the codec in venues/src/json: its cursor on the hot path, its functions \
                  elsewhere",
    },
    Rule {
        name: "clock",
        paths: &[
            "crates/model/src/",
            "crates/venues/src/",
            "crates/engine/src/",
            "crates/net/src/session/",
            "crates/net/src/session.rs",
        ],
        except: &[],
        lines: Lines::Code,
        banned: &[Word("Instant"), Word("SystemTime"), Word("UNIX_EPOCH"), Word("tokio::time")],
        instead: "take `now` as a `model::time::Nanos` argument: the driver alone reads the clock",
    },
    Rule {
        name: "waiting and I/O",
        paths: &[
            "crates/model/src/",
            "crates/venues/src/",
            "crates/engine/src/",
            "crates/net/src/session/",
            "crates/net/src/session.rs",
        ],
        except: &[],
        lines: Lines::Code,
        banned: &[
            Word("async"),
            Word("await"),
            Word("tokio"),
            Word("std::net::TcpStream"),
            Word("std::net::TcpListener"),
            Word("std::net::UdpSocket"),
            Word("ToSocketAddrs"),
            Word("std::fs"),
            Word("std::env"),
            Word("std::process"),
        ],
        instead: "bytes and `now` in, bytes and the next deadline out: net and gateway do the rest",
    },
    Rule {
        name: "venue's name",
        paths: &[
            "crates/pool/src/",
            "crates/model/src/",
            "crates/venues/src/",
            "crates/net/src/",
            "crates/engine/src/",
        ],
        except: &["crates/venues/src/registry", "crates/venues/src/lib.rs"],
        lines: Lines::Text,
        banned: &[VenueName],
        instead: "say what the venue does, not which it is: names stand in the venue's own folder \
                  and in the registry",
    },
    Rule {
        name: "venue's name in code",
        paths: &["crates/store/src/", "crates/sim/src/", "crates/gateway/src/"],
        // The texts of `--help` are documents, and a benchmark says what it measures.
        except: &[
            "crates/sim/src/dialect.rs",
            "crates/gateway/src/cli/",
            "crates/gateway/src/bench/",
        ],
        lines: Lines::CodeAndLiterals,
        banned: &[VenueName],
        instead: "ask the registry of venues, or the simulator's of dialects",
    },
    Rule {
        name: "sleep in a test",
        paths: &["crates/"],
        except: &["crates/walls/"],
        lines: Lines::Tests,
        banned: &[
            Word("thread::sleep"),
            Word("time::sleep"),
            Word("time::sleep_until"),
            Word("thread::park_timeout"),
            Sequence(&["use tokio::time::{", "sleep"]),
            Sequence(&["use std::thread::{", "sleep"]),
        ],
        instead: "virtual time, or wait for the event itself with a time limit",
    },
    Rule {
        name: "lifted ban",
        paths: &["crates/"],
        except: &["crates/walls/", "crates/yardstick/"],
        lines: Lines::CodeAndTests,
        banned: &[Letters("clippy::disallowed_"), Letters("clippy::all")],
        instead: "what the ban's reason says; if nothing else is left, a row in EXCEPTIONS with \
                  the reason",
    },
    Rule {
        name: "left behind",
        paths: &["crates/"],
        except: &["crates/walls/"],
        lines: Lines::CodeAndTests,
        banned: &[Word("todo!"), Word("unimplemented!"), Word("dbg!")],
        instead: "write it, or leave its place out and say so in an issue",
    },
    Rule {
        name: "note to oneself",
        paths: &["crates/"],
        except: &["crates/walls/"],
        lines: Lines::Any,
        banned: &[Word("FIXME"), Word("XXX")],
        instead: "mend it, or open an issue",
    },
    Rule {
        name: "unwrap",
        paths: &["crates/"],
        except: &["crates/walls/"],
        lines: Lines::Code,
        banned: &[Letters(".unwrap()"), Letters(".unwrap_err()")],
        instead: "an error with its remedy, or a `let … else`",
    },
    Rule {
        name: "path of one machine",
        paths: &[""],
        except: &[],
        lines: Lines::Any,
        banned: &[
            Letters(concat!("/wo", "rk/")),
            Letters(concat!("/ro", "ot/")),
            Letters(concat!("/ho", "me/")),
            Letters(concat!("/Us", "ers/")),
        ],
        instead: "a path from the root of the repository, or an argument",
    },
    Rule {
        name: "package registry",
        paths: &[""],
        except: &["Cargo.lock"],
        lines: Lines::Any,
        banned: &[
            Letters(concat!("[regis", "tries")),
            Letters(concat!("replace-", "with")),
            Letters(concat!("index.cra", "tes")),
            Letters(concat!("CARGO_REGIS", "TR")),
        ],
        instead: "nothing: where packages come from is the machine's business",
    },
];

/// A line that breaks a rule.
#[derive(Clone, Debug)]
pub struct Breach {
    /// The rule.
    pub rule: &'static Rule,
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What stands there.
    pub found: String,
}

impl std::fmt::Display for Breach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rule, path, line, found } = self;
        write!(f, "{path}:{line}: {}: {found}\n  instead: {}", rule.name, rule.instead)
    }
}

/// All lines of `file` that break a rule.
#[must_use]
pub fn check(file: &File) -> Vec<Breach> {
    static TABLE: [Rule; RULES.len()] = RULES;
    let source = source(file);
    let mut breaches = Vec::new();
    for rule in TABLE.iter().filter(|rule| holds(rule, &file.path)) {
        for (at, text) in file.text.lines().enumerate() {
            let Some(line) = view(rule.lines, text, source.as_ref(), at) else { continue };
            if rule.banned.iter().any(|pattern| finds(pattern, line, &file.path)) {
                let found = text.trim().to_owned();
                breaches.push(Breach { rule, path: file.path.clone(), line: at + 1, found });
            }
        }
    }
    breaches
}

/// Whether `pattern` is somewhere in those lines of `file` that are looked at.
#[must_use]
pub fn finds_in(pattern: &Pattern, lines: Lines, file: &File) -> bool {
    let source = source(file);
    file.text.lines().enumerate().any(|(at, text)| {
        view(lines, text, source.as_ref(), at).is_some_and(|line| finds(pattern, line, &file.path))
    })
}

fn source(file: &File) -> Option<Source> {
    file.path.ends_with(".rs").then(|| Source::new(&file.path, &file.text))
}

/// What is looked at of the line `text`, which is line `at` of `source`.
fn view<'a>(lines: Lines, text: &'a str, source: Option<&'a Source>, at: usize) -> Option<&'a str> {
    if lines == Lines::Any {
        return Some(text);
    }
    let source = source?;
    let in_test = source.in_test.get(at).copied().unwrap_or(false);
    let code = source.code.get(at).map_or("", String::as_str);
    match (lines, in_test) {
        (Lines::Text, false) => Some(text),
        (Lines::CodeAndLiterals, false) => source.code_and_literals.get(at).map(String::as_str),
        (Lines::Code, false) | (Lines::Tests, true) | (Lines::CodeAndTests, _) => Some(code),
        _ => None,
    }
}

/// Takes the `exceptions` out of `breaches`; what is left is wrong, rows without use among it.
#[must_use]
pub fn settle(breaches: &[Breach], exceptions: &[Exception]) -> Vec<String> {
    let row = |b: &Breach| exceptions.iter().find(|e| e.rule == b.rule.name && e.path == b.path);
    let mut wrong: Vec<String> =
        breaches.iter().filter(|b| row(b).is_none()).map(ToString::to_string).collect();
    for Exception { rule, path, lines, .. } in exceptions {
        let found = breaches.iter().filter(|b| b.rule.name == *rule && b.path == *path).count();
        if found != *lines {
            wrong.push(format!(
                "{path}: {rule}: {found} lines where EXCEPTIONS says {lines}: correct its row, or \
                 remove it"
            ));
        }
    }
    wrong
}

fn holds(rule: &Rule, path: &str) -> bool {
    rule.paths.iter().any(|prefix| begins(path, prefix))
        && !rule.except.iter().any(|prefix| begins(path, prefix))
}

fn begins(path: &str, prefix: &str) -> bool {
    match prefix.split_once('*') {
        None => path.starts_with(prefix),
        Some((before, after)) => path
            .strip_prefix(before)
            .and_then(|rest| rest.find('/').map(|end| &rest[end..]))
            .is_some_and(|rest| rest.starts_with(after)),
    }
}

fn finds(pattern: &Pattern, line: &str, path: &str) -> bool {
    match pattern {
        Word(word) => has_word(line, word),
        Letters(letters) => line.to_lowercase().contains(&letters.to_lowercase()),
        Sequence(parts) => {
            let mut rest = Some(line);
            for part in *parts {
                rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, after)| after);
            }
            rest.is_some()
        }
        FloatLiteral => has_float_literal(line),
        VenueName => {
            let line = line.to_lowercase();
            let place = path.strip_prefix("crates/").and_then(|p| p.split_once('/'));
            let place = place.map_or("", |(_, place)| place);
            VENUE_NAMES.iter().any(|name| line.contains(name) && !place.contains(name))
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// Whether a float stands in `line`: `1.5`, `2.`, `1e9`, `3_f64`; but not `a.0.1`, `0..5`, `1.max`.
fn has_float_literal(line: &str) -> bool {
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let before = at.checked_sub(1).map_or(b' ', |i| bytes[i]);
        let range = at >= 2 && bytes[at - 2] == b'.';
        let begins = bytes[at].is_ascii_digit()
            && !(before.is_ascii_alphanumeric() || before == b'_' || (before == b'.' && !range));
        if !begins {
            at += 1;
            continue;
        }
        let is_part = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
        let token = &line[at..at + bytes[at..].iter().take_while(is_part).count()];
        at += token.len();
        let fraction = match &bytes[at..] {
            [b'.', b'.', ..] => false,
            [b'.', next, ..] => !(next.is_ascii_alphabetic() || *next == b'_'),
            [b'.'] => true,
            _ => false,
        };
        let exponent = token.find(['e', 'E']).is_some_and(|e| {
            token[..e].bytes().all(|b| b.is_ascii_digit() || b == b'_')
                && token[e + 1..].bytes().all(|b| b.is_ascii_digit() || b == b'_')
        });
        let decimal = !["0x", "0b", "0o"].iter().any(|radix| token.starts_with(radix));
        let suffix = token.ends_with("f32") || token.ends_with("f64");
        if decimal && (fraction || exponent || suffix) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_told_from_other_numbers() {
        for float in
            ["1.5", "x = 2.;", "f(2.)", "1e9", "1_000e-3", "3f64", "3_f32", "0..1.5", "1E+5"]
        {
            assert!(has_float_literal(float), "{float}");
        }
        for other in ["1", "a.0.1", "0..5", "1.max(2)", "0xe5", "0x1f64", "1usize", "x1e5", "x.0"] {
            assert!(!has_float_literal(other), "{other}");
        }
    }

    #[test]
    fn words_stand_alone() {
        assert!(has_word("a as f64;", "f64") && has_word("f64", "f64"));
        assert!(!has_word("to_f64()", "f64") && !has_word("f64x", "f64"));
    }

    #[test]
    fn a_star_stands_for_one_folder() {
        assert!(begins("crates/net/src/lib.rs", "crates/*/src/"));
        assert!(!begins("crates/net/tests/lib.rs", "crates/*/src/"));
        assert!(!begins("crates/net/tests/src/lib.rs", "crates/*/src/"));
    }
}
