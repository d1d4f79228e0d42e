//! The configuration as it stands in a file, with the environment over it.

use std::fmt;
use std::path::Path;

use super::written::{self, show};
use super::{Config, checked, environment, values};

/// Something wrong in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where: `provider[0].ws_url`, the environment variable, a line and column, or the file.
    pub key: String,
    /// What stands there, without secrets; empty where nothing does.
    pub value: String,
    /// What would be right.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, value, expected } = self;
        if value.is_empty() {
            write!(f, "{key} is missing: expected {expected}")
        } else {
            write!(f, "{key} = {value}: expected {expected}")
        }
    }
}

impl std::error::Error for Fault {}

/// Reads and checks a file, with this process' environment over it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load(path: &Path) -> Result<Config, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut environment = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with(environment::PREFIX)) else {
            continue;
        };
        match value.into_string() {
            Ok(value) => environment.push((name.to_owned(), value)),
            Err(_) => faults.push(Fault {
                key: show(name),
                value: "(not UTF-8)".to_owned(),
                expected: "text in UTF-8".to_owned(),
            }),
        }
    }
    // The system gives them in no order; faults are told in one.
    environment.sort();
    let text = values::read(path).map_err(|why| {
        vec![Fault {
            key: show(&path.display().to_string()),
            value: format!("({})", show(&why)),
            expected: "a readable configuration file; config/meltica.toml explains every key"
                .to_owned(),
        }]
    });
    match text.and_then(|text| load_str(&text, &environment)) {
        Ok(config) if faults.is_empty() => Ok(config),
        Ok(_) => Err(faults),
        Err(more) => {
            faults.extend(more);
            Err(faults)
        }
    }
}

/// Reads and checks a text, with the given environment over it; variables that don't begin with
/// `MELTICA_` are no concern of it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn load_str(text: &str, environment: &[(String, String)]) -> Result<Config, Vec<Fault>> {
    let mut root = written::parse(text).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    environment::apply(&mut root, environment, &mut faults);
    let config = checked::config(&root, &mut faults);
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}
