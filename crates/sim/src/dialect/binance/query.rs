//! The parameters of a request.

use model::Nanos;
use model::capture::params;

use super::errors::Wrong;
use super::percent_decoded;
use super::wire::ms;

/// Rows of trades and candles at most, and where nothing is said.
pub(super) const ROWS_MAX: u64 = 1_000;
const ROWS: u64 = 500;

/// The parameters of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(pub(super) Vec<(String, String)>);

impl Query {
    /// What a query or a form says.
    pub(super) fn parse(text: &str) -> Self {
        let pairs = params(text).map(|(name, value)| (name.to_owned(), percent_decoded(value)));
        Self(pairs.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Wrong<'static>> {
        let wrong = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => Wrong::Invalid(name),
            false => Wrong::Illegal(name),
        };
        self.get(name).map(|text| text.parse().map_err(|_| wrong(text))).transpose()
    }

    pub(super) fn rows(&self) -> Result<usize, Wrong<'static>> {
        let rows = self.number("limit")?.unwrap_or(ROWS).min(ROWS_MAX);
        if rows == 0 {
            return Err(Wrong::Invalid("limit"));
        }
        Ok(usize::try_from(rows).unwrap_or(usize::MAX))
    }

    /// Whether a time lies between `startTime` and `endTime`.
    pub(super) fn holds(&self) -> Result<impl Fn(Nanos) -> bool, Wrong<'static>> {
        let (start, end) = (self.number("startTime")?, self.number("endTime")?);
        Ok(move |at: Nanos| {
            start.is_none_or(|start| ms(at) >= start) && end.is_none_or(|end| ms(at) <= end)
        })
    }
}
