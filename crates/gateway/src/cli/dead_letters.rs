//! `meltica dead-letters`: what could not be used or was not delivered, from the files of a gateway.

use std::collections::BinaryHeap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use engine::dead_letters::LetterReason;
use model::Nanos;
use serde::Serialize;
use store::dead_letters::{DeadLetter, files_of, read};

use super::{Failure, Outcome, finish, print_json};
use crate::clock::SystemClock;
use crate::dead_letters::{Filter, Since};

/// Shows what could not be used or was not delivered.
///
/// Reads the files that a gateway writes where its configuration has a folder in [dead_letters];
/// also while it runs. The newest letters are shown, oldest first, with two lines each: what it is,
/// and the start of its payload.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  meltica dead-letters dead-letters
  meltica dead-letters dead-letters --reason unreadable --provider spot --since 10m
  meltica dead-letters dead-letters --consumer table --tail 20
  meltica dead-letters dead-letters-20261103T142501Z-0001.jsonl --json")]
pub(super) struct DeadLettersArguments {
    /// Folders of dead letters, or single files of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Those about this provider only
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Those for or from this consumer only
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    /// Those for this reason only
    #[arg(long, value_name = "REASON", value_parser = reasons())]
    reason: Option<String>,
    /// Those from then on only: a duration before now (10m), or a day or time in UTC (2026-11-03T14:25)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Of those, the newest so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tail: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The reasons that there are.
fn reasons() -> PossibleValuesParser {
    PossibleValuesParser::new(LetterReason::ALL.map(LetterReason::name))
}

/// What `--json` prints.
#[derive(Debug, Default, Serialize)]
struct Found {
    /// The newest of those that were asked for, oldest first.
    letters: Vec<DeadLetter>,
    /// How many there are of those that were asked for.
    matched: u64,
    /// How many there are at all.
    read: u64,
    /// How many the gateway counted and did not keep, by what the letters say.
    lost: u64,
    /// Files.
    files: u64,
    /// Files whose last line is torn, as a kill or a full disk leaves it.
    torn: u64,
}

pub(super) fn run(arguments: &DeadLettersArguments) -> Outcome {
    let filter = filter(arguments, SystemClock::start().now())?;
    let tail = usize::try_from(arguments.tail).unwrap_or(usize::MAX);
    let found = find(&arguments.paths, &filter, tail)?;
    if arguments.json {
        return print_json(&found);
    }
    finish(io::stdout().lock().write_all(text(&found).as_bytes()))
}

fn filter(arguments: &DeadLettersArguments, now: Nanos) -> Result<Filter, Failure> {
    let since = arguments.since.as_deref().map(|since| {
        let parsed = Since::parse(since, now);
        parsed.map_err(|right| Failure::usage(format!("--since {since}: expected {right}")))
    });
    let named = arguments.reason.as_deref();
    Ok(Filter {
        provider: arguments.provider.clone(),
        consumer: arguments.consumer.clone(),
        reason: LetterReason::ALL.into_iter().find(|reason| Some(reason.name()) == named),
        since: since.transpose()?,
    })
}

/// A letter in the order of time; of one moment in the order in which they were read.
struct InTime(DeadLetter, u64);

impl InTime {
    /// The newest is the least, so that of a heap the oldest comes out first.
    fn key(&self) -> std::cmp::Reverse<(u64, u64)> {
        std::cmp::Reverse((self.0.t, self.1))
    }
}

impl PartialEq for InTime {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for InTime {}

impl PartialOrd for InTime {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InTime {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Reads everything and keeps the newest `tail` of what the filter lets through.
fn find(paths: &[PathBuf], filter: &Filter, tail: usize) -> Result<Found, Failure> {
    let (mut found, mut newest) = (Found::default(), BinaryHeap::new());
    for path in paths {
        for file in files_of(path).map_err(Failure::failed)? {
            let mut take = |letter: DeadLetter| {
                found.read += 1;
                found.lost += letter.lost;
                if filter.admits(&letter) {
                    found.matched += 1;
                    newest.push(InTime(letter, found.read));
                    if newest.len() > tail {
                        newest.pop();
                    }
                }
            };
            let torn = read(&file, &mut take).map_err(Failure::failed)?;
            found.files += 1;
            found.torn += u64::from(torn);
        }
    }
    // Sorted ascending by the reversed key: newest first.
    let newest = newest.into_sorted_vec().into_iter().rev();
    found.letters = newest.map(|InTime(letter, _)| letter).collect();
    Ok(found)
}

/// The letters for people.
fn text(found: &Found) -> String {
    let mut text = String::new();
    for letter in &found.letters {
        put(&mut text, letter);
    }
    let Found { letters, matched, read, lost, files, torn } = found;
    let counted = |count: u64, noun: &str| {
        if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
    };
    let _ = write!(text, "{} shown", counted(letters.len() as u64, "letter"));
    if *matched > letters.len() as u64 {
        let _ = write!(text, " of {matched} that were asked for");
    }
    let _ = write!(text, "; {read} in {}", counted(*files, "file"));
    if *lost > 0 {
        let _ = write!(text, ", and {lost} more were counted and not kept");
    }
    if *torn > 0 {
        let _ = write!(text, "; the last line of {} is torn", counted(*torn, "file"));
    }
    text.push('\n');
    text
}

/// How much of a payload is shown.
const SHOWN_CHARS: usize = 160;

fn put(text: &mut String, letter: &DeadLetter) {
    let _ = write!(text, "{}  {:<15}", letter.time(), plain(&letter.reason, usize::MAX));
    let about = [&letter.provider, &letter.instrument].into_iter().flatten().map(|name| &**name);
    for part in about.chain(letter.kind.as_deref()) {
        let _ = write!(text, " {}", plain(part, usize::MAX));
    }
    if let Some(consumer) = &letter.consumer {
        let _ = write!(text, " consumer {}", plain(consumer, usize::MAX));
    }
    if let Some(conn) = letter.conn {
        let _ = write!(text, " conn {conn}");
    }
    if let Some(trace_id) = letter.trace_id {
        let _ = write!(text, " trace {trace_id}");
    }
    let _ = write!(text, ": {}", plain(&letter.detail, usize::MAX));
    if letter.lost > 0 {
        let _ = write!(text, " (and {} more before it)", letter.lost);
    }
    text.push('\n');
    let (payload, form) = match (&letter.payload, &letter.payload_b64) {
        (Some(payload), _) => (payload, ""),
        (None, Some(payload)) => (payload, "base64 "),
        (None, None) => return,
    };
    let shown = plain(payload, SHOWN_CHARS);
    let whole = !letter.cut && payload.chars().count() <= SHOWN_CHARS;
    let more = if whole { String::new() } else { format!(" … ({} bytes)", letter.bytes) };
    let _ = writeln!(text, "    {form}{shown}{more}");
}

/// Fit for a terminal: so many characters, none of them a control character.
fn plain(text: &str, most: usize) -> String {
    text.chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use store::dead_letters::{Files, FilesOptions};

    proptest! {
        /// Against a list of everything, whatever files the letters are in.
        #[test]
        fn the_newest_of_those_asked_for_are_found_in_their_order(
            letters in prop::collection::vec((0..50u64, 0..3usize, 0..3u64), 1..60),
            tail in 1..20usize,
            file_bytes_max in 100..2_000u64,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path().to_owned();
            let options = FilesOptions { folder: folder.clone(), file_bytes_max, files_max: 1_000 };
            let mut files = Files::open(options).unwrap();
            let letters: Vec<_> = (0..).zip(letters).map(|(seq, (t, reason, lost))| {
                let reason = LetterReason::ALL[reason].name().into();
                DeadLetter { t, seq, reason, priority: "low".into(), lost, ..DeadLetter::default() }
            }).collect();
            letters.iter().for_each(|letter| files.write(letter).unwrap());
            let filter = Filter { reason: Some(LetterReason::ALL[1]), ..Filter::default() };
            let found = find(&[folder], &filter, tail).ok().unwrap();
            let mut expected: Vec<_> =
                letters.iter().filter(|letter| filter.admits(letter)).cloned().collect();
            expected.sort_by_key(|letter| (letter.t, letter.seq));
            prop_assert_eq!(found.matched, expected.len() as u64);
            let expected = expected.split_off(expected.len().saturating_sub(tail));
            prop_assert_eq!(found.letters, expected);
            prop_assert_eq!(found.read, letters.len() as u64);
            prop_assert_eq!(found.lost, letters.iter().map(|letter| letter.lost).sum::<u64>());
        }

        #[test]
        fn any_letter_is_shown_in_lines_fit_for_a_terminal(
            detail in "(?s).{0,30}",
            payload in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let mut letter = DeadLetter { detail, ..DeadLetter::default() };
            letter.set_payload(&payload, payload.len(), 256);
            let found = Found { letters: vec![letter], ..Found::default() };
            let text = text(&found);
            prop_assert_eq!(text.lines().count(), 3);
            prop_assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
        }
    }
}
