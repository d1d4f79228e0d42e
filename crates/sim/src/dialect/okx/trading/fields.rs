//! The parameters of what an account sends: the venue writes numbers and flags as text.

use model::Decimal;
use serde_json::{Map, Value};

use super::super::errors::{INVALID, MISSING, Wrong};

/// One object of parameters.
pub(in super::super) type Fields = Map<String, Value>;

/// A parameter as text; `None` where it is not there or empty.
pub(in super::super) fn text(fields: &Fields, name: &str) -> Option<String> {
    let text = match fields.get(name)? {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(text).filter(|text| !text.is_empty())
}

/// A parameter that has to be there.
pub(super) fn need(fields: &Fields, name: &str) -> Result<String, Wrong> {
    text(fields, name).ok_or_else(|| MISSING.of(name))
}

/// A number above zero.
pub(super) fn positive(fields: &Fields, name: &str) -> Result<Option<Decimal>, Wrong> {
    let Some(text) = text(fields, name) else { return Ok(None) };
    let number = model::decimal::parse(text.as_bytes()).ok();
    let number = number.filter(|number| *number > Decimal::ZERO);
    number.map(Some).ok_or_else(|| INVALID.of(name))
}

/// `true` or `false`, the latter where nothing is said.
pub(super) fn flag(fields: &Fields, name: &str) -> Result<bool, Wrong> {
    match text(fields, name).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(INVALID.of(name)),
    }
}

/// One of the words that may be there, with what it stands for; the first where nothing is said.
pub(super) fn word<T: Copy>(fields: &Fields, name: &str, words: &[(&str, T)]) -> Result<T, Wrong> {
    let found = match text(fields, name) {
        None => words.first(),
        Some(text) => words.iter().find(|(word, _)| *word == text),
    };
    found.map(|(_, meaning)| *meaning).ok_or_else(|| INVALID.of(name))
}

/// A client's own name for something: 1 to `max` letters and digits.
pub(super) fn name(fields: &Fields, name: &str, max: usize) -> Result<Option<String>, Wrong> {
    let Some(text) = text(fields, name) else { return Ok(None) };
    let good = text.len() <= max && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    good.then_some(Some(text)).ok_or_else(|| INVALID.of(name))
}
