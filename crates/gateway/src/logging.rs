//! Structured logs on standard error, so that standard output stays for what was asked.

use std::io::IsTerminal;

use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Fault, Log, LogFormat, values};

/// Sends the logs of this process to standard error. Where somebody who embeds the gateway has
/// already said where logs go, it stays so.
///
/// # Errors
/// The key `log.filter`, where the filter can't be read; a checked configuration has none such.
pub fn init(log: &Log) -> Result<(), Fault> {
    let filter = values::parse_filter(&log.filter).map_err(|expected| Fault {
        key: "log.filter".to_owned(),
        value: log.filter.clone(),
        expected,
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    let started = match log.format {
        LogFormat::Json => registry
            .with(layer().json().flatten_event(true).with_writer(std::io::stderr))
            .try_init(),
        LogFormat::Text => {
            registry.with(layer().with_ansi(is_coloured()).with_writer(std::io::stderr)).try_init()
        }
    };
    // The one way to fail is that there is a subscriber already.
    drop(started);
    Ok(())
}

/// Colours are for people: on a terminal, unless <https://no-color.org> is asked for.
fn is_coloured() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_a_fault() {
        let log = Log { filter: "net=loud".to_owned(), ..Log::default() };
        let fault = init(&log).unwrap_err();
        assert_eq!((fault.key.as_str(), fault.value.as_str()), ("log.filter", "net=loud"));
        assert!(fault.expected.contains("warn,net=debug"), "{}", fault.expected);
    }
}
