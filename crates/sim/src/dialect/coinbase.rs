//! Coinbase Exchange, as its public WebSocket feed and its public REST API are described.
//!
//! What it rests on (compared 2026-11-25):
//!
//! - docs.cdp.coinbase.com, `exchange/websocket-feed/{overview,channels}`, read in excerpts: requests
//!   and their answer `subscriptions`, products per channel or for all, the five seconds, which
//!   channels need a signature, the fields and the second of `heartbeat`, and that new types may come;
//! - a public recording of the feed of April 2021: fields, their order and whose side they tell in
//!   `snapshot`, `l2update`, `match`, `last_match` and `ticker`, and that trade ids count up by one;
//!   one of December 2024 shows the ticker's two sizes that came later;
//! - `exchange/websocket-feed/authentication`: what is signed (read 2026-11-29, as clients quote it);
//! - `exchange/rest-api/rate-limits` and `api-reference/exchange-api/rest-api/products/{get-product-trades,
//!   get-product-candles}`, read whole; `exchange/rest-api/{requests,pagination}` and `…/products/{
//!   get-product-book,get-all-known-trading-pairs}`, read in excerpts: paths, parameters, what a row
//!   holds, statuses, that an error is a `message`.
//!
//! Of the page on the last trade (`…/get-product-ticker`) no more could be read than what it is for, of
//! those on statistics, currencies and the time nothing: what these answers hold is unproven.
//!
//! Not written there, and so ours: the words of errors, close codes, what `status` holds besides the
//! example's fields, that sizes of books have all eight places (the recording of 2021 has fewer).
//!
//! | channel | what comes |
//! | --- | --- |
//! | `level2_batch` | snapshot, then every 50 ms what has changed |
//! | `level2` | the same, for those who sign |
//! | `matches` | the last one, then each |
//! | `ticker` | the last one, then one for the matches of one order |
//! | `heartbeat` | each second and product: sequence and last trade |
//! | `status` | products and currencies, every five seconds |

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use model::{Error, Nanos, Side};

use super::Simulated;
use crate::accounts::Accounts;
use crate::bucket::Bucket;
use crate::faults::{Enumeration, Trouble};
use crate::machine::{ClientId, Reply, Request};
use crate::market::Market;
use crate::market::instrument::{Instrument, Listing, Settlement, default_names};
use crate::market::order::{Event, Index, What};
use crate::rng::Rng;
use crate::venue::{Dialect, Floor, SimOptions};

mod ask;
mod errors;
mod payload;
mod rest;
mod sign;
#[cfg(test)]
mod tests;

/// What may have new values: states of products and currencies.
const ENUMERATIONS: &[Enumeration] =
    &[Enumeration { within: r#""base_currency":"#, field: r#""status":""# }];

/// The venue, to be simulated.
#[derive(Debug)]
pub struct Venue;

/// The one there is.
pub static VENUE: Venue = Venue;

/// "You are disconnected if no subscribe has been received within 5 seconds."
const SUBSCRIBE_WITHIN: Duration = Duration::from_secs(5);
/// Changes of books are told at whole multiples of it.
const BATCH_MS: u64 = 50;
/// `status` comes so often; the documentation says "on a preset interval".
const STATUS_EVERY_S: u64 = 5;
/// Sizes have so many places on this venue.
const SIZE_PLACES: u32 = 8;

impl Simulated for Venue {
    fn name(&self) -> &'static str {
        "coinbase"
    }

    fn listing(&self, name: &str) -> Result<Listing, Error> {
        if name.split('-').count() != 2 {
            return Err(Error::reject(format!("{name}: this venue lists BASE-QUOTE alone")));
        }
        Ok(Listing { name: name.to_owned(), settlement: Settlement::Spot })
    }

    fn default_symbols(&self, count: usize) -> Vec<String> {
        default_names(count, &["USD", "USDT", "EUR"], "")
    }

    fn dialect(&self, market: &Market, options: &SimOptions) -> Result<Box<dyn Dialect>, Error> {
        let mut dice = Rng::new(options.seed, 1_000_000);
        let product = |index| {
            let Instrument { base, quote, .. } = market.instrument(index);
            let sequence = 1_000_000 + dice.below(1_000_000_000);
            let (id, changed) = (format!("{base}-{quote}"), Default::default());
            Product { id, sequence, match_sequence: sequence, changed }
        };
        Ok(Box::new(Coinbase {
            products: (0..market.len()).map(product).collect(),
            clients: BTreeMap::new(),
            next_ms: 0,
            second: 0,
            requests: full_bucket(),
        }))
    }
}

/// The venue's way to speak.
struct Coinbase {
    /// By place in the market.
    products: Vec<Product>,
    clients: BTreeMap<ClientId, Client>,
    /// The next multiple of [`BATCH_MS`].
    next_ms: u64,
    /// The last one in which heartbeats were sent, since the epoch.
    second: u64,
    /// What may be asked by REST. All clients of a simulator count as one address.
    requests: Bucket,
}

/// "Requests per second per IP: 10. Requests per second per IP in bursts: up to 15", by "a lazy-fill token
/// bucket" (`exchange/rest-api/rate-limits`).
fn full_bucket() -> Bucket {
    Bucket::new(15, Duration::from_millis(100))
}

struct Product {
    /// `BTC-USD`.
    id: String,
    /// Counts what happens to the book; `matches` show some of it.
    sequence: u64,
    /// That of the last match.
    match_sequence: u64,
    /// Ticks of bids and asks that have changed since the last batch, where somebody wants them:
    /// at most what 50 ms can change.
    changed: [BTreeSet<u64>; 2],
}

#[derive(Debug)]
struct Client {
    /// At most one for each channel and product.
    streams: BTreeSet<Stream>,
    /// When it is too late for the first subscription.
    subscribe_by: Option<Nanos>,
}

/// A channel and a product's place; `status` has place 0.
type Stream = (Channel, Index);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Channel {
    Heartbeat,
    Level2,
    Level2Batch,
    Matches,
    Status,
    Ticker,
}

impl Channel {
    const ALL: [(&'static str, Self); 6] = [
        ("heartbeat", Self::Heartbeat),
        ("level2", Self::Level2),
        ("level2_batch", Self::Level2Batch),
        ("matches", Self::Matches),
        ("status", Self::Status),
        ("ticker", Self::Ticker),
    ];

    fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, channel)| *channel)
    }

    fn is_book(self) -> bool {
        matches!(self, Self::Level2 | Self::Level2Batch)
    }
}

fn place(side: Side) -> usize {
    usize::from(side == Side::Sell)
}

impl Coinbase {
    /// Who has one of these streams; once, whoever has two.
    fn listeners(&self, is_wanted: impl Fn(&Stream) -> bool) -> Vec<ClientId> {
        let has = |(client, of): (&ClientId, &Client)| {
            of.streams.iter().any(&is_wanted).then_some(*client)
        };
        self.clients.iter().filter_map(has).collect()
    }

    /// Sends a message, which is made where somebody wants it.
    fn publish(&self, floor: &mut Floor<'_>, stream: Stream, text: impl Fn(&Market) -> String) {
        let to = self.listeners(|other| *other == stream);
        if to.is_empty() {
            return;
        }
        let text = Bytes::from(text(floor.market));
        to.into_iter().for_each(|client| floor.send(client, text.clone()));
    }

    /// Tells of all books what has changed since the last batch.
    fn batch(&mut self, floor: &mut Floor<'_>) {
        for index in 0..self.products.len() {
            let changed = std::mem::take(&mut self.products[index].changed);
            if changed.iter().all(BTreeSet::is_empty) {
                continue;
            }
            let text = Bytes::from(self.update(floor.market, floor.now, index, &changed));
            for client in self.listeners(|(channel, of)| channel.is_book() && *of == index) {
                floor.send(client, text.clone());
            }
        }
    }

    /// What comes with each second.
    fn beat(&self, floor: &mut Floor<'_>) {
        let now = floor.now;
        for index in 0..self.products.len() {
            let text = |market: &Market| self.heartbeat(market, now, index);
            self.publish(floor, (Channel::Heartbeat, index), text);
        }
        if self.second.is_multiple_of(STATUS_EVERY_S) {
            self.publish(floor, (Channel::Status, 0), |market| self.status(market));
        }
    }

    fn close_silent(&mut self, floor: &mut Floor<'_>) {
        let is_late = |of: &Client| of.subscribe_by.is_some_and(|by| by <= floor.now);
        let late: Vec<_> =
            self.clients.iter().filter(|(_, of)| is_late(of)).map(|(client, _)| *client).collect();
        for client in late {
            self.clients.remove(&client);
            let (code, reason) = errors::SILENT;
            floor.close(client, code, reason);
        }
    }
}

impl Dialect for Coinbase {
    fn symbol(&self, index: Index) -> &str {
        &self.products[index].id
    }

    fn position(&self, index: Index) -> Option<u64> {
        Some(self.products[index].sequence)
    }

    fn connect(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        target: &str,
    ) -> Result<(), Reply> {
        if target.split('?').next() != Some("/") {
            return Err(errors::refusal(errors::NOT_FOUND));
        }
        if self.clients.is_empty() {
            self.next_ms = (floor.now.0 / 1_000_000 / BATCH_MS + 1) * BATCH_MS;
            self.second = floor.now.0 / 1_000_000_000;
        }
        let subscribe_by = Some(floor.now + SUBSCRIBE_WITHIN);
        self.clients.insert(client, Client { streams: BTreeSet::new(), subscribe_by });
        Ok(())
    }

    fn message(&mut self, floor: &mut Floor<'_>, client: ClientId, message: &[u8]) {
        self.answer(floor, client, message);
    }

    fn disconnected(&mut self, client: ClientId) {
        self.clients.remove(&client);
    }

    fn request(&mut self, floor: &mut Floor<'_>, request: &Request) -> Reply {
        self.rest(floor, request)
    }

    fn events(&mut self, floor: &mut Floor<'_>, events: &[Event]) {
        let mut traded = BTreeSet::new();
        for Event { instrument: index, what, .. } in events {
            let index = *index;
            match what {
                What::Level { side, ticks, .. } => {
                    let is_book = |(of, at): &Stream| of.is_book() && *at == index;
                    let is_wanted = !self.listeners(is_book).is_empty();
                    let product = &mut self.products[index];
                    product.sequence += 1;
                    if is_wanted {
                        product.changed[place(*side)].insert(*ticks);
                    }
                }
                What::Trade(trade) => {
                    let product = &mut self.products[index];
                    product.sequence += 1;
                    product.match_sequence = product.sequence;
                    traded.insert(index);
                    let text = |market: &Market| self.matched(market, index, trade, "match");
                    self.publish(floor, (Channel::Matches, index), text);
                }
                What::Report(_) => {}
            }
        }
        // Matches of one order are one change of the price.
        for index in traded {
            let last = floor.market.tape(index).trades().back().copied();
            if let Some(trade) = last {
                let text = |market: &Market| self.ticker(market, index, &trade);
                self.publish(floor, (Channel::Ticker, index), text);
            }
        }
    }

    fn tick(&mut self, floor: &mut Floor<'_>) {
        let now_ms = floor.now.0 / 1_000_000;
        self.next_ms = (now_ms / BATCH_MS + 1) * BATCH_MS;
        self.batch(floor);
        if now_ms / 1_000 > self.second {
            self.second = now_ms / 1_000;
            self.beat(floor);
        }
        self.close_silent(floor);
    }

    fn deadline(&self) -> Option<Nanos> {
        (!self.clients.is_empty()).then(|| Nanos::from_millis(self.next_ms))
    }

    fn new_address(&mut self) {
        self.requests = full_bucket();
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
