//! OKX v5, spot and perpetual swaps, as its WebSocket and REST APIs are documented: market data here,
//! trading in `trading`.
//!
//! Written from www.okx.com/docs-v5/en (read 2026-11-24): "Overview" for connections, limits and
//! `ping`; "Order Book Trading", "Market Data" for the channels and requests; "Public Data" for
//! instruments, funding and time; "Error Code"; and docs-v5/log_en, "Delist initial snapshot and
//! checksum field in order book channels", for how a book is kept beside `/market/books`.
//!
//! | channel | address | what comes |
//! | --- | --- | --- |
//! | `books` | public | snapshot of 400 levels, then what has changed, each 100 ms |
//! | `books5`, `bbo-tbt` | public | the best 5 each 100 ms, the best each 10 ms, where they changed |
//! | `trades` | public | each order's trades at one price as one |
//! | `tickers` | public | each 100 ms in which something changed |
//! | `funding-rate` | public | each minute, swaps alone |
//! | `instruments` | public | the list |
//! | `candle1m` … `candle1Dutc` | business | each second in which something changed, and the end |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use model::instrument::Contract;
use model::{Error, Nanos};

use super::Simulated;
use crate::accounts::Accounts;
use crate::faults::{Enumeration, Trouble};
use crate::machine::{ClientId, Reply, Request};
use crate::market::Market;
use crate::market::bar::Bar;
use crate::market::instrument::{Instrument, Listing, Settlement, default_names};
use crate::market::money::Step;
use crate::market::order::{AccountId, Event, Index, Trade, What};
use crate::market::tape::Candle;
use crate::rng::Rng;
use crate::venue::{Dialect, Floor, SimOptions};
use ask::Place;
use errors::quoted;
use trading::channels::Private;
use trading::requests;

mod ask;
mod errors;
mod limits;
mod payload;
mod rest;
#[cfg(test)]
mod tests;
mod trading;

/// What may have new values: sorts of orders, states and rules of instruments.
const ENUMERATIONS: &[Enumeration] = &[
    Enumeration { within: r#""channel":"orders""#, field: r#""ordType":""# },
    Enumeration { within: r#""instIdCode""#, field: r#""state":""# },
    Enumeration { within: r#""instIdCode""#, field: r#""ruleType":""# },
    Enumeration { within: r#""settFundingRate""#, field: r#""method":""# },
];

/// The venue, to be simulated.
#[derive(Debug)]
pub struct Venue;

/// The one there is.
pub static VENUE: Venue = Venue;

/// Levels a side that `books` shows.
const LEVELS: usize = 400;
/// Levels a side that `books5` shows.
const LEVELS_FEW: usize = 5;
/// A book that does not change says so after this long.
const QUIET: Duration = Duration::from_secs(60);
/// A connection ends where for so long neither side has said anything.
const SILENCE: Duration = Duration::from_secs(30);
/// Below this a book's numbers go back when they begin anew.
const SEQ_RESET: u64 = 1_000;
/// Everything by the clock happens at whole multiples of it.
const GRID_MS: u64 = 10;
/// The same where nobody has `bbo-tbt`.
const GRID_COARSE_MS: u64 = 100;
/// What was missed for longer than this is left out.
const LATE_MS: u64 = 1_000;

/// Hong Kong's clock is ahead of UTC; days begin by it unless a candle's name says otherwise.
const AHEAD: u64 = 8;
/// Lengths of candles. From which day on two and three are counted is written nowhere.
const BARS: [(&str, Bar); 24] = [
    ("1m", Bar::minutes(1)),
    ("3m", Bar::minutes(3)),
    ("5m", Bar::minutes(5)),
    ("15m", Bar::minutes(15)),
    ("30m", Bar::minutes(30)),
    ("1H", Bar::minutes(60)),
    ("2H", Bar::minutes(120)),
    ("4H", Bar::minutes(240)),
    ("6H", Bar::minutes(360).ahead(AHEAD)),
    ("12H", Bar::minutes(720).ahead(AHEAD)),
    ("1D", Bar::days(1).ahead(AHEAD)),
    ("2D", Bar::days(2).ahead(AHEAD)),
    ("3D", Bar::days(3).ahead(AHEAD)),
    ("1W", Bar::WEEK.ahead(AHEAD)),
    ("1M", Bar::months(1).ahead(AHEAD)),
    ("3M", Bar::months(3).ahead(AHEAD)),
    ("6Hutc", Bar::minutes(360)),
    ("12Hutc", Bar::minutes(720)),
    ("1Dutc", Bar::days(1)),
    ("2Dutc", Bar::days(2)),
    ("3Dutc", Bar::days(3)),
    ("1Wutc", Bar::WEEK),
    ("1Mutc", Bar::months(1)),
    ("3Mutc", Bar::months(3)),
];

/// Sorts of instruments that may be asked for; only the first two are listed here.
const INST_TYPES: [&str; 5] = ["SPOT", "SWAP", "FUTURES", "OPTION", "MARGIN"];

impl Simulated for Venue {
    fn name(&self) -> &'static str {
        "okx"
    }

    fn listing(&self, name: &str) -> Result<Listing, Error> {
        let settlement = match name.split('-').collect::<Vec<_>>().as_slice() {
            [_, _] => Settlement::Spot,
            [base, "USD", "PERP"] => {
                Settlement::Inverse { size: if *base == "BTC" { 100 } else { 10 } }
            }
            ["BTC", _, "PERP"] => Settlement::Linear { size: Step::tenth(2) },
            ["ETH", _, "PERP"] => Settlement::Linear { size: Step::tenth(1) },
            [_, _, "PERP"] => Settlement::Linear { size: Step::tenth(0) },
            _ => {
                let lists = "spot pairs such as BTC-USDT and swaps such as BTC-USDT-PERP";
                return Err(Error::reject(format!("okx lists {lists}, not '{name}'")));
            }
        };
        Ok(Listing { name: name.to_owned(), settlement })
    }

    fn default_symbols(&self, count: usize) -> Vec<String> {
        let with_swap = |spot: String| {
            let swap = format!("{spot}-PERP");
            [spot, swap]
        };
        let pairs = default_names(count, &["USDT"], "").into_iter().flat_map(with_swap);
        pairs.chain(default_names(count, &["USDC"], "")).take(count).collect()
    }

    fn dialect(&self, market: &Market, options: &SimOptions) -> Result<Box<dyn Dialect>, Error> {
        let mut dice = Rng::new(options.seed, 1_000_000);
        let feed = |index| Feed {
            inst_id: inst_id(market.instrument(index)),
            seq: 1_000_000 + dice.below(1_000_000_000),
            told: None,
        };
        Ok(Box::new(Okx {
            feeds: (0..market.len()).map(feed).collect(),
            clients: BTreeMap::new(),
            topics: BTreeMap::new(),
            limits: limits::Limits::default(),
            trading: trading::Trading::default(),
            connections: 0,
            next_ms: 0,
        }))
    }
}

/// `BTC-USDT`, `BTC-USDT-SWAP`.
fn inst_id(of: &Instrument) -> String {
    let suffix = if of.is_derivative() { "-SWAP" } else { "" };
    format!("{}-{}{suffix}", of.base, of.quote)
}

fn inst_type(of: &Instrument) -> &'static str {
    if of.contract == Contract::Perpetual { "SWAP" } else { "SPOT" }
}

/// The time as the venue writes it.
fn ms(at: Nanos) -> u64 {
    at.0 / 1_000_000
}

/// Ticks and lots of bids and asks, best first.
type Sides = [Vec<(u64, u64)>; 2];

/// An instrument of the venue.
struct Feed {
    inst_id: String,
    /// Counts every change of its book.
    seq: u64,
    /// The book as `books` has shown it, while somebody listens.
    told: Option<Told>,
}

/// A book as all who listen have it.
struct Told {
    seq: u64,
    at: Nanos,
    /// Lots by ticks, of bids and asks.
    sides: [BTreeMap<u64, u64>; 2],
}

/// A client's connection.
struct Client {
    place: Place,
    conn_id: String,
    /// Which it has logged in to.
    account: Option<AccountId>,
    /// What it is told of its account, by how it asked for it; bounded by the requests it may make.
    private: BTreeMap<String, Private>,
    /// At most all that there are.
    topics: BTreeSet<Topic>,
    /// When anything was last said.
    heard: Nanos,
    /// The hour of its last subscription or login, and how many it had in it.
    asked: (u64, u32),
}

/// What can be subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Books(Index),
    Books5(Index),
    Bbo(Index),
    Trades(Index),
    Ticker(Index),
    /// With the place in [`BARS`].
    Candle(Index, usize),
    Funding(Index),
    /// One of [`INST_TYPES`].
    Instruments(&'static str),
}

impl Topic {
    /// How often it is looked at, where that is by the clock.
    fn every_ms(self) -> Option<u64> {
        match self {
            Self::Trades(_) | Self::Instruments(_) => None,
            Self::Bbo(_) => Some(GRID_MS),
            Self::Books(_) | Self::Books5(_) | Self::Ticker(_) => Some(100),
            Self::Candle(..) => Some(1_000),
            Self::Funding(_) => Some(60_000),
        }
    }
}

/// What of a topic was last sent to all who listen; only what differs is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shown {
    levels: Sides,
    next_trade: u64,
    candle: Candle,
}

/// Who listens to a topic.
#[derive(Default)]
struct Listened {
    clients: BTreeSet<ClientId>,
    shown: Shown,
}

/// The venue's way to speak.
struct Okx {
    feeds: Vec<Feed>,
    clients: BTreeMap<ClientId, Client>,
    /// Those that somebody listens to.
    topics: BTreeMap<Topic, Listened>,
    limits: limits::Limits,
    trading: trading::Trading,
    /// How many there were.
    connections: u32,
    /// The next multiple of [`GRID_MS`] that something happens at.
    next_ms: u64,
}

impl Okx {
    fn send(&mut self, floor: &mut Floor<'_>, client: ClientId, text: impl Into<Bytes>) {
        if let Some(of) = self.clients.get_mut(&client) {
            of.heard = floor.now;
            floor.send(client, text.into());
        }
    }

    fn publish(&mut self, floor: &mut Floor<'_>, topic: Topic, text: String) {
        let Some(listened) = self.topics.get(&topic) else { return };
        let text = Bytes::from(text);
        for client in listened.clients.clone() {
            self.send(floor, client, text.clone());
        }
    }

    /// A client listens from now on, and is told how things stand.
    fn listen(&mut self, floor: &mut Floor<'_>, client: ClientId, topic: Topic) {
        let next_ms = (ms(floor.now) / GRID_MS + 1) * GRID_MS;
        self.next_ms = if self.topics.is_empty() { next_ms } else { self.next_ms.min(next_ms) };
        if let Topic::Books(index) = topic {
            let feed = &mut self.feeds[index];
            let visible = || payload::visible(floor.market, index, LEVELS).map(BTreeMap::from_iter);
            let seq = feed.seq;
            feed.told.get_or_insert_with(|| Told { seq, at: floor.now, sides: visible() });
        }
        let listened = self.topics.entry(topic).or_insert_with(|| {
            let shown = Self::shown(floor, topic);
            Listened { clients: BTreeSet::new(), shown }
        });
        listened.clients.insert(client);
        if let Some(text) = self.state(floor, topic) {
            self.send(floor, client, text);
        }
    }

    fn leave(&mut self, client: ClientId, topic: Topic) {
        let Some(listened) = self.topics.get_mut(&topic) else { return };
        listened.clients.remove(&client);
        if !listened.clients.is_empty() {
            return;
        }
        self.topics.remove(&topic);
        if let Topic::Books(index) = topic {
            self.feeds[index].told = None;
        }
    }

    fn forget(&mut self, client: ClientId) {
        if let Some(gone) = self.clients.remove(&client) {
            gone.topics.iter().for_each(|topic| self.leave(client, *topic));
        }
    }

    /// What there is to be shown of a topic by the clock.
    fn shown(floor: &mut Floor<'_>, topic: Topic) -> Shown {
        let levels = |index, depth| payload::visible(floor.market, index, depth);
        match topic {
            Topic::Books5(index) => Shown { levels: levels(index, LEVELS_FEW), ..Shown::default() },
            Topic::Bbo(index) => Shown { levels: levels(index, 1), ..Shown::default() },
            Topic::Ticker(index) => Shown {
                levels: levels(index, 1),
                next_trade: floor.market.tape(index).next_trade(),
                ..Shown::default()
            },
            Topic::Candle(index, bar) => Shown {
                candle: floor.market.roll(index, floor.now).candle(BARS[bar].1),
                ..Shown::default()
            },
            Topic::Books(_) | Topic::Trades(_) | Topic::Funding(_) | Topic::Instruments(_) => {
                Shown::default()
            }
        }
    }

    /// What a topic sends when its time has come.
    fn by_clock(&mut self, floor: &mut Floor<'_>, topic: Topic) {
        match topic {
            Topic::Books(index) => {
                if let Some(text) = self.update(floor, index) {
                    self.publish(floor, topic, text);
                }
            }
            Topic::Funding(_) => self.publish_state(floor, topic),
            _ => self.where_changed(floor, topic),
        }
    }

    fn publish_state(&mut self, floor: &mut Floor<'_>, topic: Topic) {
        if let Some(text) = self.state(floor, topic) {
            self.publish(floor, topic, text);
        }
    }

    fn where_changed(&mut self, floor: &mut Floor<'_>, topic: Topic) {
        let shown = Self::shown(floor, topic);
        let Some(listened) = self.topics.get_mut(&topic).filter(|of| of.shown != shown) else {
            return;
        };
        let before = std::mem::replace(&mut listened.shown, shown);
        if let Topic::Candle(index, bar) = topic
            && let Some(ended) = payload::ended(floor.market, index, bar, before.candle.opened)
        {
            let row = payload::candle_row(floor.market.instrument(index), &ended, true);
            let text = self.push(topic, &row);
            self.publish(floor, topic, text);
        }
        self.publish_state(floor, topic);
    }

    /// Trades of one instrument in one action: one message for each price of an order.
    fn trades(&mut self, floor: &mut Floor<'_>, index: Index, trades: &[Trade]) {
        if !self.topics.contains_key(&Topic::Trades(index)) {
            return;
        }
        for same in trades.chunk_by(|a, b| (a.taker, a.ticks) == (b.taker, b.ticks)) {
            let row = self.trade_row(floor.market, index, same);
            let text = self.push(Topic::Trades(index), &row);
            self.publish(floor, Topic::Trades(index), text);
        }
    }

    fn grid_ms(&self) -> u64 {
        let fine = self.topics.keys().any(|topic| matches!(topic, Topic::Bbo(_)));
        if fine { GRID_MS } else { GRID_COARSE_MS }
    }

    fn end_silent(&mut self, floor: &mut Floor<'_>) {
        let is_silent = |of: &Client| of.heard + SILENCE <= floor.now;
        let silent: Vec<_> =
            self.clients.iter().filter(|(_, of)| is_silent(of)).map(|(id, _)| *id).collect();
        for client in silent {
            self.forget(client);
            floor.close(client, 4004, "No data received in 30s");
        }
    }
}

impl Dialect for Okx {
    fn symbol(&self, index: Index) -> &str {
        &self.feeds[index].inst_id
    }

    fn position(&self, index: Index) -> Option<u64> {
        Some(self.feeds[index].seq)
    }

    fn connect(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        target: &str,
    ) -> Result<(), Reply> {
        let place = match target.split('?').next() {
            Some("/ws/v5/public") => Place::Public,
            Some("/ws/v5/private") => Place::Private,
            Some("/ws/v5/business") => Place::Business,
            _ => return Err(errors::PATH.reply()),
        };
        self.connections = self.connections.wrapping_add(1);
        let conn_id = format!("{:08x}", self.connections.wrapping_mul(0x9e37_79b1));
        let of = Client {
            place,
            conn_id,
            account: None,
            private: BTreeMap::new(),
            topics: BTreeSet::new(),
            heard: floor.now,
            asked: (0, 0),
        };
        self.clients.insert(client, of);
        Ok(())
    }

    fn message(&mut self, floor: &mut Floor<'_>, client: ClientId, message: &[u8]) {
        self.answer(floor, client, message);
    }

    fn disconnected(&mut self, client: ClientId) {
        self.forget(client);
    }

    fn request(&mut self, floor: &mut Floor<'_>, request: &Request) -> Reply {
        self.rest(floor, request)
    }

    fn events(&mut self, floor: &mut Floor<'_>, events: &[Event]) {
        for same in events.chunk_by(|a, b| a.instrument == b.instrument) {
            let Some(index) = same.first().map(|event| event.instrument) else { continue };
            let mut trades = Vec::new();
            for event in same {
                match &event.what {
                    What::Level { .. } => self.feeds[index].seq += 1,
                    What::Trade(trade) => trades.push(*trade),
                    What::Report(_) => {}
                }
            }
            self.trades(floor, index, &trades);
        }
        let reports = events.iter().filter_map(|event| match &event.what {
            What::Report(report) => Some(&**report),
            What::Level { .. } | What::Trade(_) => None,
        });
        self.reported(floor, &reports.collect::<Vec<_>>());
    }

    fn tick(&mut self, floor: &mut Floor<'_>) {
        let now_ms = ms(floor.now);
        if !self.topics.is_empty() && self.next_ms <= now_ms {
            let at_ms = self.next_ms;
            let from_ms = if now_ms > at_ms + LATE_MS { now_ms } else { at_ms };
            let grid_ms = self.grid_ms();
            self.next_ms = (from_ms / grid_ms + 1) * grid_ms;
            let is_due = |topic: &Topic| {
                topic.every_ms().is_some_and(|every_ms| at_ms.is_multiple_of(every_ms))
            };
            let due: Vec<_> = self.topics.keys().filter(|topic| is_due(topic)).copied().collect();
            due.into_iter().for_each(|topic| self.by_clock(floor, topic));
        }
        self.tick_private(floor);
        self.end_silent(floor);
    }

    /// "In case of maintenance seqId may be smaller than prevSeqId" (docs-v5, "Order book channel").
    fn reset(&mut self) -> bool {
        self.feeds.iter_mut().for_each(|feed| feed.seq = 1 + feed.seq % SEQ_RESET);
        true
    }

    fn farewell(&self, _now: Nanos, client: ClientId) -> Option<Bytes> {
        let conn_id = &self.clients.get(&client)?.conn_id;
        let (code, words) = (errors::WS_UPGRADE.code, quoted(&errors::WS_UPGRADE.words()));
        let text =
            format!(r#"{{"event":"notice","code":"{code}","msg":{words},"connId":"{conn_id}"}}"#);
        Some(text.into())
    }

    fn is_private(&self, client: ClientId) -> bool {
        let logged_in = |of: &Client| of.place == Place::Private && of.account.is_some();
        self.clients.get(&client).is_some_and(logged_in)
    }

    fn unknown_outcome(&self, request: &Request) -> Option<Reply> {
        requests::asks_for_orders(request).then(|| errors::OUTCOME.reply())
    }

    fn unknown_outcome_to(&self, message: &[u8]) -> Option<Bytes> {
        let heard = self.clients.values().map(|of| of.heard).max();
        requests::unknown_outcome(heard.unwrap_or_default(), message).map(Bytes::from)
    }

    fn is_report(&self, payload: &[u8]) -> bool {
        requests::is_report(payload)
    }

    fn enumerations(&self) -> &'static [Enumeration] {
        ENUMERATIONS
    }

    fn turn_away(
        &mut self,
        _now: Nanos,
        accounts: &mut Accounts,
        request: &Request,
        why: Trouble,
    ) -> Option<Reply> {
        let wrong = match why {
            Trouble::Unavailable => errors::UNAVAILABLE,
            Trouble::TooOften(_) => errors::LIMIT,
            // Who goes on asking is not banned.
            Trouble::Banned(_) => return None,
        };
        requests::turned_away(accounts, request);
        Some(wrong.reply())
    }

    fn deadline(&self) -> Option<Nanos> {
        let silence = self.clients.values().map(|client| client.heard + SILENCE);
        let grid = (!self.topics.is_empty()).then(|| Nanos::from_millis(self.next_ms));
        let regular = self.clients.values().flat_map(|of| of.private.values());
        let regular = regular.filter_map(Private::next);
        silence.chain(grid).chain(regular).chain(self.trading.deadline()).min()
    }
}
