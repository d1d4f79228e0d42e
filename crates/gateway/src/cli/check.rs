//! `meltica check`: everything that is wrong with a configuration; starts nothing.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::config::{self, Config, Fault};

/// Done.
const OK: u8 = 0;
/// What was asked for could not be written.
const FAILED: u8 = 1;
/// Wrong configuration.
const WRONG: u8 = 2;

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    ok: bool,
    errors: Vec<Error<'a>>,
}

/// One fault in it.
#[derive(Serialize)]
struct Error<'a> {
    key: &'a str,
    value: &'a str,
    expected: &'a str,
}

/// Checks the file at `path`. For people the faults go to `err`, one a line, and a summary of a
/// good file to `out`; for programs one JSON object goes to `out`, either way. Gives the exit code.
pub fn run(path: &Path, json: bool, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let outcome = config::load(path);
    let code = if outcome.is_ok() { OK } else { WRONG };
    let faults = outcome.as_ref().map_or_else(Vec::as_slice, |_| &[]);
    let written = match &outcome {
        _ if json => answer(faults, out),
        Ok(config) => summary(config, out),
        Err(faults) => report(faults, err),
    };
    if written.and_then(|()| out.flush()).is_ok() { code } else { FAILED }
}

/// Writes one line for each fault, as every command does that reads a configuration.
///
/// # Errors
/// When `err` can't be written.
pub fn report(faults: &[Fault], err: &mut dyn Write) -> io::Result<()> {
    faults.iter().try_for_each(|fault| writeln!(err, "{fault}"))
}

fn answer(faults: &[Fault], out: &mut dyn Write) -> io::Result<()> {
    let errors = faults.iter();
    let errors = errors.map(|Fault { key, value, expected }| Error { key, value, expected });
    let answer = Answer { ok: faults.is_empty(), errors: errors.collect() };
    serde_json::to_writer(&mut *out, &answer)?;
    writeln!(out)
}

fn summary(config: &Config, out: &mut dyn Write) -> io::Result<()> {
    let counted = |count: usize, noun: &str| {
        if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
    };
    let providers = counted(config.providers.len(), "provider");
    let streams = counted(config.streams(), "stream");
    writeln!(out, "ok: {providers}, {streams}")
}
