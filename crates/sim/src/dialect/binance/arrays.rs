//! Streams of all instruments at once.
//!
//! | name | sent |
//! | --- | --- |
//! | `!miniTicker@arr` | every second, those in one list that changed |
//! | `!ticker@arr` | futures: the same |
//! | `!markPrice@arr`, `!markPrice@arr@1s` | futures: every 3 s or 1 s, all in one list |
//! | `!bookTicker` | futures: every 5 s, each alone that changed |
//!
//! `web-socket-streams.md`, "All Market Mini Tickers Stream"; developers.binance.com, USDⓈ-M and
//! COIN-M, "Websocket Market Streams".

use std::collections::{BTreeMap, BTreeSet};

use super::line::Line;
use super::simulated::SimulatedBinance;
use super::streams::Topic;
use crate::machine::ClientId;
use crate::market::Market;
use crate::market::order::Index;
use crate::venue::Floor;

/// A stream of all instruments: what of each, and how often.
type Array = (&'static str, Topic, u64);

const SPOT: [Array; 1] = [("!miniTicker@arr", Topic::MiniDay, 1_000)];
const FUTURES: [Array; 5] = [
    ("!miniTicker@arr", Topic::MiniDay, 1_000),
    ("!ticker@arr", Topic::Day, 1_000),
    ("!markPrice@arr", Topic::Mark { every_ms: 3_000 }, 3_000),
    ("!markPrice@arr@1s", Topic::Mark { every_ms: 1_000 }, 1_000),
    ("!bookTicker", Topic::Quote, 5_000),
];

/// Who listens to which, by its name.
#[derive(Debug, Default)]
pub(super) struct Arrays {
    listeners: BTreeMap<&'static str, BTreeSet<ClientId>>,
    /// Up to where each instrument was last shown, of streams that somebody listens to.
    shown: BTreeMap<(&'static str, Index), u64>,
}

fn table(line: &Line) -> &'static [Array] {
    if line.is_spot() { &SPOT } else { &FUTURES }
}

impl Arrays {
    /// Takes a client in, where it is the name of such a stream.
    pub fn join(&mut self, line: &Line, client: ClientId, stream: &str) {
        if let Some((name, ..)) = table(line).iter().find(|(name, ..)| *name == stream) {
            self.listeners.entry(name).or_default().insert(client);
        }
    }

    /// Lets a client go.
    pub fn leave(&mut self, client: ClientId, stream: &str) {
        let Some((name, clients)) = self.listeners.iter_mut().find(|(name, _)| **name == stream)
        else {
            return;
        };
        let name = *name;
        clients.remove(&client);
        if clients.is_empty() {
            self.listeners.remove(name);
            self.shown.retain(|(of, _), _| *of != name);
        }
    }
}

impl SimulatedBinance {
    /// Sends what is due of these streams.
    pub(super) fn tell_arrays(&mut self, floor: &mut Floor<'_>, at_ms: u64) {
        for (name, topic, every_ms) in table(self.line) {
            let Some(clients) = self.arrays.listeners.get(name) else { continue };
            if !at_ms.is_multiple_of(*every_ms) {
                continue;
            }
            let clients = clients.clone();
            let rows = self.array_rows(floor, name, *topic);
            let messages = match topic {
                Topic::Quote => rows,
                _ if rows.is_empty() => Vec::new(),
                _ => vec![format!("[{}]", rows.join(","))],
            };
            for message in messages {
                self.send_named(floor, &clients, name, message);
            }
        }
    }

    /// What is to be said of each instrument that is not as it was last shown.
    fn array_rows(
        &mut self,
        floor: &mut Floor<'_>,
        name: &'static str,
        topic: Topic,
    ) -> Vec<String> {
        let mut rows = Vec::new();
        for index in 0..self.feeds.len() {
            let state = self.array_state(floor.market, index, topic);
            let shown = self.arrays.shown.insert((name, index), state);
            if shown == Some(state) && !matches!(topic, Topic::Mark { .. }) {
                continue;
            }
            let row = match topic {
                Topic::Quote => {
                    let (feed, best) = (&self.feeds[index], floor.market.best(index));
                    let print = self.print(floor.market, index);
                    Some(print.quote(floor.now, feed.last_id, best))
                }
                _ => self.row_by_clock(floor, index, topic),
            };
            rows.extend(row);
        }
        rows
    }

    /// What changes with what a stream tells of an instrument.
    fn array_state(&self, market: &Market, index: Index, topic: Topic) -> u64 {
        match topic {
            Topic::Quote => self.feeds[index].last_id,
            _ => market.tape(index).next_trade(),
        }
    }
}
