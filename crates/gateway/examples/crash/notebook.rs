//! The trader's memory, which a kill does not take: a line for each report that it dealt with.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use model::ledger::Report;
use serde::{Deserialize, Serialize};

use crate::account::plain;

/// The trader's name.
pub const TRADER: &str = "trader";
/// The file's, in the folder of a round.
pub const FILE: &str = "dealt-with.jsonl";

/// A report that was dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which start of the gateway it was, from 1.
    pub life: u32,
    /// Its position in the ledger.
    pub position: u64,
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
}

/// What a report is about, as the ledger and the trader both have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Who says so.
    pub provider: String,
    /// Canonical name.
    pub instrument: String,
    /// The trader's own id of the order.
    pub client_order_id: String,
    /// The venue's id of the order; empty where it has none.
    pub venue_order_id: String,
    /// The fill, where it is one.
    pub fill: Option<Filled>,
    /// The state that it brought.
    pub state: String,
    /// Whether that state is the order's end.
    pub over: bool,
    /// How much is wanted.
    pub quantity: String,
    /// How much of it is filled.
    pub filled: String,
    /// How much is not.
    pub remaining: String,
}

/// A fill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// The trade.
    pub trade_id: String,
    /// At which price.
    pub price: String,
    /// How much.
    pub quantity: String,
}

impl About {
    /// Of a report.
    pub fn of(report: &Report) -> Self {
        Self {
            provider: report.provider.to_string(),
            instrument: report.instrument.to_string(),
            client_order_id: report.order.client_order_id.to_string(),
            venue_order_id: report.venue_order_id.to_string(),
            fill: report.fill.as_ref().map(|fill| Filled {
                trade_id: fill.trade_id.to_string(),
                price: plain(fill.price),
                quantity: plain(fill.quantity),
            }),
            state: report.state.name().to_owned(),
            over: report.state.is_terminal(),
            quantity: plain(report.quantity),
            filled: plain(report.filled),
            remaining: plain(report.remaining()),
        }
    }
}

/// The file, open for the next line.
#[derive(Debug)]
pub struct Notebook(File);

impl Notebook {
    /// Opens it, with what is in it. A line that a kill cut short was not acknowledged: it goes.
    pub fn open(folder: &Path) -> Result<(Self, Vec<Line>), String> {
        let path = folder.join(FILE);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let (lines, whole) = read(&path)?;
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(failed)?;
        file.set_len(whole).map_err(failed)?;
        Ok((Self(file), lines))
    }

    /// Adds a line, with one write.
    pub fn note(&mut self, line: &Line) -> Result<(), String> {
        let mut text = serde_json::to_string(line).map_err(|error| error.to_string())?;
        text.push('\n');
        self.0.write_all(text.as_bytes()).map_err(|error| error.to_string())
    }
}

/// The lines of a notebook, and how many bytes they are; none where there is no file.
pub fn read(path: &Path) -> Result<(Vec<Line>, u64), String> {
    let mut text = String::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_string(&mut text).map_err(|error| error.to_string())?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let parsed = text[..whole].lines().map(|line| {
        serde_json::from_str(line).map_err(|error| format!("{}: {error}: {line}", path.display()))
    });
    Ok((parsed.collect::<Result<_, _>>()?, whole as u64))
}
