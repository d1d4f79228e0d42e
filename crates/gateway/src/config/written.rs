//! The first life of a configuration: a tree of values as they were written, each with its key
//! and the text to show when something is wrong with it.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::file::Fault;

/// A value that somebody wrote.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where: `provider[0].ws_url`, or the environment variable.
    pub key: String,
    /// What stands there, fit for a terminal, without secrets.
    pub shown: String,
    /// The value.
    pub data: Data,
}

/// What kinds of value there are.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// Text in quotation marks.
    Text(String),
    /// What an environment variable holds: may be read as text, number, truth value or list.
    Variable(String),
    /// A whole number; `None` beyond 128 bits.
    Integer(Option<i128>),
    /// `true` or `false`.
    Bool(bool),
    /// Values in order.
    List(Vec<Node>),
    /// Values by key.
    Table(BTreeMap<String, Node>),
    /// A float or a date: no key takes one.
    Other,
}

/// Stands in place of what may be a secret.
const HIDDEN: &str = "(not shown)";

/// Longer values are cut.
const SHOWN_CHARS_MAX: usize = 100;

impl Node {
    /// A table without a text of its own.
    pub fn table(key: &str) -> Self {
        let data = Data::Table(BTreeMap::new());
        Self { key: key.to_owned(), shown: "{…}".to_owned(), data }
    }

    /// What stands in the environment.
    pub fn variable(name: &str, value: &str) -> Self {
        let shown = if is_secret(name) { HIDDEN.to_owned() } else { show(value) };
        Self { key: show(name), shown, data: Data::Variable(value.to_owned()) }
    }

    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) | Data::Variable(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, where it is one.
    pub fn integer(&self) -> Option<i128> {
        match &self.data {
            Data::Integer(number) => *number,
            Data::Variable(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The truth value, where it is one.
    pub fn bool(&self) -> Option<bool> {
        match &self.data {
            Data::Bool(bool) => Some(*bool),
            Data::Variable(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The list, where it is one; a variable's values stand between commas.
    pub fn list(&self) -> Option<Vec<Self>> {
        match &self.data {
            Data::List(nodes) => Some(nodes.clone()),
            Data::Variable(text) if text.trim().is_empty() => Some(Vec::new()),
            Data::Variable(text) => {
                Some(text.split(',').map(|item| Self::variable(&self.key, item.trim())).collect())
            }
            _ => None,
        }
    }

    /// The value of a key, where this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.data {
            Data::Table(table) => table.get(key),
            _ => None,
        }
    }
}

/// Reads TOML.
///
/// # Errors
/// The first fault of syntax, with its line and column.
pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let start = |error: &toml::de::Error| error.span().map_or(usize::MAX, |span| span.start);
    match errors.iter().min_by_key(|error| start(error)) {
        Some(error) => Err(syntax_fault(text, error)),
        None => Ok(Node { data: table(text, "", root.get_ref()), ..Node::table("") }),
    }
}

fn syntax_fault(text: &str, error: &toml::de::Error) -> Fault {
    let at = error.span().map_or(text.len(), |span| span.start);
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].chars().count() + 1;
    let content = text[line_start..].lines().next().unwrap_or_default().trim();
    // A broken quotation mark may leave anything on this line.
    let shown = if is_secret(text) { HIDDEN.to_owned() } else { show(content) };
    Fault {
        key: format!("line {line}, column {column}"),
        value: shown,
        expected: format!("TOML ({})", show(error.message())),
    }
}

fn table(text: &str, key: &str, table: &DeTable<'_>) -> Data {
    let entries = table.iter().map(|(name, value)| {
        let name = name.get_ref().as_ref();
        let key = child_key(key, name);
        let mut node = node(text, key, value.get_ref(), value.span());
        if is_secret(name) {
            node.shown = HIDDEN.to_owned();
        }
        (name.to_owned(), node)
    });
    Data::Table(entries.collect())
}

fn node(text: &str, key: String, value: &DeValue<'_>, span: std::ops::Range<usize>) -> Node {
    let source = text.get(span).unwrap_or_default();
    let (shown, data) = match value {
        DeValue::String(value) => (show(value), Data::Text(value.clone().into_owned())),
        DeValue::Integer(value) => {
            let number = i128::from_str_radix(value.as_str(), value.radix()).ok();
            (show(source), Data::Integer(number))
        }
        DeValue::Boolean(value) => (show(source), Data::Bool(*value)),
        DeValue::Float(_) | DeValue::Datetime(_) => (show(source), Data::Other),
        DeValue::Array(values) => {
            let nested =
                values.iter().any(|item| item.get_ref().is_table() || item.get_ref().is_array());
            let shown = if nested { "[…]".to_owned() } else { show(source) };
            let item = |(index, item): (usize, &toml::Spanned<DeValue<'_>>)| {
                node(text, format!("{key}[{index}]"), item.get_ref(), item.span())
            };
            (shown, Data::List(values.iter().enumerate().map(item).collect()))
        }
        DeValue::Table(values) => ("{…}".to_owned(), table(text, &key, values)),
    };
    Node { key, shown, data }
}

fn child_key(parent: &str, name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let name = if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        format!("\"{}\"", show(name))
    };
    if parent.is_empty() { name } else { format!("{parent}.{name}") }
}

/// Whether a key by its name, or a text by its words, may hold a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    ["secret", "passw", "passphrase", "token", "api_key", "apikey", "private_key", "credential"]
        .iter()
        .any(|word| name.contains(word))
}

/// Text fit for one line of a terminal: cut where it is long, control characters escaped, and
/// without what an address may carry beside its host.
pub(super) fn show(text: &str) -> String {
    let text = without_credentials(text);
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN_CHARS_MAX {
            shown.push('…');
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    if shown.is_empty() { "\"\"".to_owned() } else { shown }
}

/// Hides user and password (`user:password@`) and the query of an address.
fn without_credentials(text: &str) -> String {
    let (scheme, rest) = match text.find("://") {
        Some(at) => text.split_at(at + 3),
        None => ("", text),
    };
    let place = match rest.rsplit_once('@') {
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => rest.to_owned(),
    };
    match place.split_once('?') {
        Some((place, _)) if !scheme.is_empty() => format!("{scheme}{place}?{HIDDEN}"),
        _ => format!("{scheme}{place}"),
    }
}
