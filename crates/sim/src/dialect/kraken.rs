//! Kraken, spot, as its WebSocket API v2 and its public REST API describe it.
//!
//! Written from docs.kraken.com/api/docs (read 2026-11-24): `websocket-v2/{book,trade,ticker,ohlc,
//! instrument,status,heartbeat,ping}`, `guides/spot-ws-book-v2` for the checksum, and
//! `rest-api/{get-server-time,get-system-status,get-asset-info,get-tradable-asset-pairs,get-order-book,
//! get-recent-trades,get-ticker-information,get-ohlc-data}`.
//!
//! | stream | what comes |
//! | --- | --- |
//! | `book` | snapshot, then one update per change of the subscribed depth, each with its checksum |
//! | `trade` | the last 50, then each |
//! | `ticker` | with each trade |
//! | `ohlc` | the last candles, then with each trade |
//! | `instrument` | assets and pairs |
//! | `status` | once per connection |
//! | `heartbeat` | each second in which nothing else came |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use model::{Error, Nanos, Side};

use super::Simulated;
use crate::accounts::Accounts;
use crate::faults::{Enumeration, Trouble};
use crate::machine::{ClientId, Reply, Request};
use crate::market::Market;
use crate::market::instrument::{Instrument, Listing, Settlement, default_names};
use crate::market::order::{Event, Index, Trade, What};
use crate::venue::{Dialect, Floor, SimOptions};
use limits::Limits;

mod ask;
mod errors;
mod limits;
mod names;
mod payload;
mod rest;
#[cfg(test)]
mod tests;

/// What may have new values: the maker's sort of order, states of assets and pairs.
const ENUMERATIONS: &[Enumeration] = &[
    Enumeration { within: r#""channel":"trade""#, field: r#""ord_type":""# },
    Enumeration { within: r#""channel":"instrument""#, field: r#""status":""# },
    Enumeration { within: r#""wsname":"#, field: r#""status":""# },
];

/// The venue, to be simulated.
#[derive(Debug)]
pub struct Venue;

/// The one there is.
pub static VENUE: Venue = Venue;

/// Depths that may be subscribed.
const DEPTHS: [usize; 5] = [10, 25, 100, 500, 1_000];
/// Quantities have so many places on this venue.
const LOT_PLACES: u32 = 8;
/// Levels a side that the checksum covers.
const CHECKSUM_LEVELS: usize = 10;
/// Silence is broken so often.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Trades that a new subscriber is told of.
const TRADES_TOLD: usize = 50;
/// Candles that a new subscriber is told of.
const CANDLES_TOLD: usize = 100;
/// At most so many subscriptions of one client.
const SUBSCRIPTIONS_MAX: usize = 10_000;

impl Simulated for Venue {
    fn name(&self) -> &'static str {
        "kraken"
    }

    fn listing(&self, name: &str) -> Result<Listing, Error> {
        if name.split('-').count() != 2 {
            return Err(Error::reject(format!("{name}: this venue lists BASE-QUOTE alone")));
        }
        Ok(Listing { name: name.to_owned(), settlement: Settlement::Spot })
    }

    fn default_symbols(&self, count: usize) -> Vec<String> {
        default_names(count, &["USDT", "USD", "EUR"], "")
    }

    fn dialect(&self, market: &Market, _: &SimOptions) -> Result<Box<dyn Dialect>, Error> {
        let symbol = |index| {
            let Instrument { base, quote, .. } = market.instrument(index);
            format!("{base}/{quote}")
        };
        Ok(Box::new(Kraken {
            symbols: (0..market.len()).map(symbol).collect(),
            clients: BTreeMap::new(),
            told: BTreeMap::new(),
            connections: 0,
            limits: Limits::default(),
        }))
    }
}

/// The venue's way to speak.
struct Kraken {
    /// By place in the market: `BTC/USD`.
    symbols: Vec<String>,
    clients: BTreeMap<ClientId, Client>,
    /// What was last told of a book, by place and depth.
    told: BTreeMap<(Index, usize), Told>,
    /// How many there were.
    connections: u64,
    limits: Limits,
}

/// Ticks and lots of bids and asks, best first.
type Sides = [Vec<(u64, u64)>; 2];
/// Lots by ticks, of bids and asks.
type Told = [BTreeMap<u64, u64>; 2];

#[derive(Debug, Default)]
struct Client {
    streams: BTreeSet<Stream>,
    /// When silence is to be broken.
    heartbeat_at: Option<Nanos>,
}

/// What a client is subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stream {
    Book(Index, usize),
    Trade(Index),
    Ticker(Index),
    Candle(Index, u32),
    Instrument,
}

impl Kraken {
    fn send(&mut self, floor: &mut Floor<'_>, client: ClientId, text: impl Into<Bytes>) {
        if let Some(of) = self.clients.get_mut(&client) {
            of.heartbeat_at = (!of.streams.is_empty()).then(|| floor.now + HEARTBEAT);
            floor.send(client, text.into());
        }
    }

    fn send_all(&mut self, floor: &mut Floor<'_>, stream: Stream, text: &Bytes) {
        let has =
            |(client, of): (&ClientId, &Client)| of.streams.contains(&stream).then_some(*client);
        let to: Vec<_> = self.clients.iter().filter_map(has).collect();
        for client in to {
            self.send(floor, client, text.clone());
        }
    }

    fn is_wanted(&self, stream: Stream) -> bool {
        self.clients.values().any(|client| client.streams.contains(&stream))
    }

    /// Tells what has changed of a book, to each depth that somebody has.
    fn tell_book(&mut self, floor: &mut Floor<'_>, index: Index) {
        for depth in DEPTHS {
            let stream = Stream::Book(index, depth);
            let Some(told) = self.told.remove(&(index, depth)).filter(|_| self.is_wanted(stream))
            else {
                continue;
            };
            let visible = Self::visible(floor.market, index, depth);
            let book = floor.market.book(index);
            let sides = [Side::Buy, Side::Sell];
            let changes: Sides = std::array::from_fn(|side| {
                // A level that fell out of the depth is not told of; one that is gone is.
                let is_gone = |ticks: &&u64| book.lots(sides[side], **ticks) == 0;
                let gone = told[side].keys().filter(is_gone).map(|ticks| (*ticks, 0));
                let is_new = |(ticks, lots): &&(u64, u64)| told[side].get(ticks) != Some(lots);
                gone.chain(visible[side].iter().filter(is_new).copied()).collect()
            });
            if changes.iter().any(|side| !side.is_empty()) {
                let text = self.book_message(floor.market, floor.now, index, "update", &changes);
                self.send_all(floor, stream, &text);
            }
            self.told.insert((index, depth), visible.map(|side| side.into_iter().collect()));
        }
    }

    fn tell_trades(&mut self, floor: &mut Floor<'_>, index: Index, trades: &[&Trade]) {
        let rows = trades.iter().map(|trade| self.trade_json(floor.market, index, trade));
        let data = rows.collect::<Vec<_>>().join(",");
        let text = format!(r#"{{"channel":"trade","type":"update","data":[{data}]}}"#).into();
        self.send_all(floor, Stream::Trade(index), &text);
        if self.is_wanted(Stream::Ticker(index)) {
            let text = self.ticker_message(floor.market, index, "update");
            self.send_all(floor, Stream::Ticker(index), &text);
        }
        for minutes in rest::INTERVALS {
            if self.is_wanted(Stream::Candle(index, minutes)) {
                let text = self.candle_message(floor.market, floor.now, index, minutes, 1);
                self.send_all(floor, Stream::Candle(index, minutes), &text);
            }
        }
    }
}

impl Dialect for Kraken {
    fn symbol(&self, index: Index) -> &str {
        &self.symbols[index]
    }

    fn position(&self, _: Index) -> Option<u64> {
        None
    }

    fn connect(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        target: &str,
    ) -> Result<(), Reply> {
        if target.split('?').next() != Some("/v2") {
            return Err(errors::no_path());
        }
        self.clients.insert(client, Client::default());
        self.connections += 1;
        let text = format!(
            r#"{{"channel":"status","type":"update","data":[{{"version":"2.0.10","system":"online","api_version":"v2","connection_id":{}}}]}}"#,
            self.connections
        );
        self.send(floor, client, text);
        Ok(())
    }

    fn message(&mut self, floor: &mut Floor<'_>, client: ClientId, message: &[u8]) {
        self.answer(floor, client, message);
    }

    fn disconnected(&mut self, client: ClientId) {
        self.clients.remove(&client);
    }

    fn request(&mut self, floor: &mut Floor<'_>, request: &Request) -> Reply {
        rest::answer(&self.symbols, &mut self.limits, floor, request)
    }

    fn events(&mut self, floor: &mut Floor<'_>, events: &[Event]) {
        let instruments: BTreeSet<Index> = events.iter().map(|event| event.instrument).collect();
        for index in instruments {
            self.tell_book(floor, index);
            let of = events.iter().filter(|event| event.instrument == index);
            let trades: Vec<_> = of
                .filter_map(|event| match &event.what {
                    What::Trade(trade) => Some(trade),
                    What::Level { .. } | What::Report(_) => None,
                })
                .collect();
            if !trades.is_empty() {
                self.tell_trades(floor, index, &trades);
            }
        }
    }

    fn tick(&mut self, floor: &mut Floor<'_>) {
        let is_due = |of: &Client| of.heartbeat_at.is_some_and(|at| at <= floor.now);
        let due: Vec<_> =
            self.clients.iter().filter(|(_, of)| is_due(of)).map(|(client, _)| *client).collect();
        for client in due {
            self.send(floor, client, r#"{"channel":"heartbeat"}"#);
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        self.clients.values().filter_map(|client| client.heartbeat_at).min()
    }

    fn new_address(&mut self) {
        self.limits = Limits::default();
    }

    fn enumerations(&self) -> &'static [Enumeration] {
        ENUMERATIONS
    }

    fn turn_away(
        &mut self,
        _now: Nanos,
        _accounts: &mut Accounts,
        _request: &Request,
        why: Trouble,
    ) -> Option<Reply> {
        rest::turn_away(why)
    }
}
