//! A small spot exchange that can be made to misbehave: an instrument list, books of its own with
//! diffs every tick, trades, snapshots, acknowledgements. Written from the venue's documentation,
//! in virtual time, and the same at every run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use model::Nanos;
use serde_json::{Value, json};
use sim::machine::{ClientId, ControlFrame, Machine, Output, Reply, Request, RequestId};

/// A side of a book: quantity by price, both in hundredths.
pub type Side = BTreeMap<u64, u64>;

/// An exchange, and the test's hold on it: clones are the same one.
#[derive(Clone)]
pub struct Exchange(Arc<Mutex<State>>);

pub struct State {
    pub markets: Vec<Market>,
    pub faults: Faults,
    /// How often something happens on every market.
    pub every: Duration,
    /// Nothing changes any more.
    pub frozen: bool,
    /// Targets of all requests, in order, with their times.
    pub requests: Vec<(Nanos, String)>,
    pub clients: BTreeMap<ClientId, Client>,
    pub connects: u32,
    /// Connections that the exchange ended because they were too old.
    pub expired: u32,
    next_tick: Option<Nanos>,
    random: u64,
}

/// What is wrong with it now.
#[derive(Clone, Default)]
pub struct Faults {
    /// So many diffs of each market are not sent.
    pub lose: u32,
    /// So many diffs and trades of each market are sent twice.
    pub double: u32,
    /// So many diffs of each market change places with the one after.
    pub swap: u32,
    /// So many trades of each market are not sent.
    pub lose_trades: u32,
    /// So many trades of each market change places with the one after.
    pub swap_trades: u32,
    /// So many snapshots are as old as so many ticks.
    pub old_snapshots: (u32, usize),
    /// Every request but the list is answered like this; without a status, never.
    pub rest: Option<(Option<u16>, Option<u64>)>,
    /// The list is this.
    pub list: Option<(u16, String)>,
    /// Messages that every client gets at the next tick.
    pub inject: Vec<String>,
    /// Connections end with this code at the next tick.
    pub close: Option<u16>,
    /// New connections are refused with this status.
    pub refuse: Option<u16>,
    /// Nothing more is sent on one market's streams, though it goes on.
    pub mute: Option<&'static str>,
}

#[derive(Default)]
pub struct Client {
    pub streams: BTreeSet<String>,
    since: Nanos,
}

pub struct Market {
    pub symbol: &'static str,
    pub bids: Side,
    pub asks: Side,
    pub update_id: u64,
    pub trade_id: u64,
    lost: u32,
    doubled: u32,
    swapped: u32,
    held: Option<String>,
    trades_lost: u32,
    trades_swapped: u32,
    trade_held: Option<String>,
    past: VecDeque<(u64, Side, Side)>,
}

const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

fn shown(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn levels<'a>(side: impl Iterator<Item = (&'a u64, &'a u64)>) -> Vec<[String; 2]> {
    side.map(|(price, quantity)| [shown(*price), shown(*quantity)]).collect()
}

impl Market {
    fn new(symbol: &'static str, middle: u64) -> Self {
        let side = |first: u64, up: bool| {
            (0..20).map(move |n| (if up { first + n } else { first - n }, 100 + n)).collect()
        };
        let mut market = Self {
            symbol,
            bids: side(middle - 1, false),
            asks: side(middle + 1, true),
            update_id: middle * 10,
            trade_id: middle,
            lost: 0,
            doubled: 0,
            swapped: 0,
            held: None,
            trades_lost: 0,
            trades_swapped: 0,
            trade_held: None,
            past: VecDeque::new(),
        };
        market.remember();
        market
    }

    /// The book as it is now, or as it was so many ticks ago.
    fn snapshot(&self, age: usize) -> String {
        let (id, bids, asks) = &self.past[self.past.len() - 1 - age];
        let (bids, asks) = (levels(bids.iter().rev()), levels(asks.iter()));
        json!({"lastUpdateId": id, "bids": bids, "asks": asks}).to_string()
    }

    fn remember(&mut self) {
        self.past.push_back((self.update_id, self.bids.clone(), self.asks.clone()));
        if self.past.len() > 16 {
            self.past.pop_front();
        }
    }

    /// Some levels change; gives the diff.
    fn change(&mut self, now: Nanos, mut random: impl FnMut(u64) -> u64) -> String {
        let first = self.update_id + 1;
        let (mut bids, mut asks) = (Side::new(), Side::new());
        for _ in 0..1 + random(3) {
            self.update_id += 1;
            // Zero removes; a level that is not there may be removed too, as venues do.
            let quantity = random(4) * random(500);
            let (side, changed, best) = if random(2) == 0 {
                let best = *self.asks.first_key_value().map_or(&20_000, |(price, _)| price);
                (&mut self.bids, &mut bids, best - 1 - random(20))
            } else {
                let best = *self.bids.last_key_value().map_or(&20_000, |(price, _)| price);
                (&mut self.asks, &mut asks, best + 1 + random(20))
            };
            changed.insert(best, quantity);
            if quantity == 0 {
                side.remove(&best)
            } else {
                side.insert(best, quantity)
            };
        }
        self.remember();
        let (bids, asks) = (levels(bids.iter()), levels(asks.iter()));
        envelope(
            &self.stream("depth@100ms"),
            &json!({
                "e": "depthUpdate", "E": now.0 / 1_000_000, "s": self.symbol,
                "U": first, "u": self.update_id, "b": bids, "a": asks,
            }),
        )
    }

    fn trade(&mut self, now: Nanos) -> String {
        self.trade_id += 1;
        let at = now.0 / 1_000_000;
        envelope(
            &self.stream("aggTrade"),
            &json!({
                "e": "aggTrade", "E": at, "s": self.symbol, "a": self.trade_id, "p": "100.00",
                "q": "0.5", "f": self.trade_id, "l": self.trade_id, "T": at, "m": true, "M": true,
            }),
        )
    }

    /// What is really sent of a trade.
    fn faulted_trades(&mut self, trade: String, copies: usize, faults: &Faults) -> Vec<String> {
        if self.trades_lost < faults.lose_trades {
            self.trades_lost += 1;
            return Vec::new();
        }
        if let Some(held) = self.trade_held.take() {
            return vec![trade, held];
        }
        if self.trades_swapped < faults.swap_trades {
            self.trades_swapped += 1;
            self.trade_held = Some(trade);
            return Vec::new();
        }
        vec![trade; copies]
    }

    fn stream(&self, kind: &str) -> String {
        format!("{}@{kind}", self.symbol.to_lowercase())
    }

    /// What is really sent of a diff.
    fn faulted(&mut self, diff: String, faults: &Faults) -> Vec<String> {
        if self.lost < faults.lose {
            self.lost += 1;
            return Vec::new();
        }
        if self.doubled < faults.double {
            self.doubled += 1;
            return vec![diff.clone(), diff];
        }
        if let Some(held) = self.held.take() {
            return vec![diff, held];
        }
        if self.swapped < faults.swap {
            self.swapped += 1;
            self.held = Some(diff);
            return Vec::new();
        }
        vec![diff]
    }
}

fn envelope(stream: &str, data: &Value) -> String {
    // The venue's own order of fields is of no interest here: the fallback reads any.
    format!(r#"{{"stream":"{stream}","data":{data}}}"#)
}

impl Exchange {
    /// Two markets, BTCUSDT and ETHUSDT, that change every 100 ms.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            markets: vec![Market::new("BTCUSDT", 20_000), Market::new("ETHUSDT", 10_000)],
            faults: Faults::default(),
            every: Duration::from_millis(100),
            frozen: false,
            requests: Vec::new(),
            clients: BTreeMap::new(),
            connects: 0,
            expired: 0,
            next_tick: None,
            random: seed * 2 + 1,
        })))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn set(&self, faults: Faults) {
        let mut state = self.state();
        for market in &mut state.markets {
            (market.lost, market.doubled, market.swapped) = (0, 0, 0);
            (market.trades_lost, market.trades_swapped) = (0, 0);
        }
        state.faults = faults;
    }

    /// Requests to paths with `part`.
    pub fn asked(&self, part: &str) -> usize {
        self.state().requests.iter().filter(|(_, target)| target.contains(part)).count()
    }

    /// As after a restart: it knows no client, and its books go on.
    pub fn restarted(&self) -> Box<dyn Machine> {
        self.state().clients.clear();
        Box::new(self.clone())
    }
}

impl State {
    fn random(&mut self, below: u64) -> u64 {
        // Knuth's constants; the high bits are the good ones.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.random >> 33) % below
    }

    fn tick(&mut self, now: Nanos, out: &mut Vec<Output>) {
        let mut markets = std::mem::take(&mut self.markets);
        let faults = self.faults.clone();
        let changing = if self.frozen { 0 } else { markets.len() };
        for market in markets.iter_mut().take(changing) {
            let diff = market.change(now, |below| self.random(below));
            let (trade, muted) = (market.trade(now), faults.mute == Some(market.symbol));
            let diffs = if muted { Vec::new() } else { market.faulted(diff, &faults) };
            for diff in &diffs {
                self.send(&market.stream("depth@100ms"), diff, out);
            }
            let copies = if muted { 0 } else { diffs.len().max(1) };
            for trade in market.faulted_trades(trade, copies, &faults) {
                self.send(&market.stream("aggTrade"), &trade, out);
            }
        }
        self.markets = markets;
        for text in std::mem::take(&mut self.faults.inject) {
            let all = self.clients.keys().copied();
            out.extend(all.map(|client| Output::Send { client, payload: text.clone().into() }));
        }
        self.close_connections(now, out);
    }

    fn send(&self, stream: &str, text: &str, out: &mut Vec<Output>) {
        for (client, _) in self.clients.iter().filter(|(_, c)| c.streams.contains(stream)) {
            out.push(Output::Send { client: *client, payload: Bytes::from(text.to_owned()) });
        }
    }

    fn close_connections(&mut self, now: Nanos, out: &mut Vec<Output>) {
        let code = self.faults.close.take();
        let (expired, mut closed) = (&mut self.expired, Vec::new());
        self.clients.retain(|client, at| {
            let old = now.since(at.since) >= LIFE;
            *expired += u32::from(old);
            if old || code.is_some() {
                closed.push(*client);
            }
            !old && code.is_none()
        });
        out.extend(closed.into_iter().map(|client| Output::Close {
            client,
            code: code.unwrap_or(1_001),
            reason: "so it is".to_owned(),
        }));
    }

    fn list(&self) -> String {
        let entry = |market: &Market| {
            let (base, quote) = market.symbol.split_at(3);
            json!({"symbol": market.symbol, "status": "TRADING", "baseAsset": base,
                "quoteAsset": quote, "filters": [
                    {"filterType": "PRICE_FILTER", "tickSize": "0.01"},
                    {"filterType": "LOT_SIZE", "stepSize": "0.01"}]})
        };
        json!({"symbols": self.markets.iter().map(entry).collect::<Vec<_>>()}).to_string()
    }

    fn depth(&mut self, target: &str) -> String {
        let at = self.markets.iter().position(|market| target.contains(market.symbol)).unwrap();
        let market = &self.markets[at];
        let (left, age) = self.faults.old_snapshots;
        if left == 0 {
            return market.snapshot(0);
        }
        self.faults.old_snapshots.0 -= 1;
        market.snapshot(age)
    }

    fn answer(&mut self, target: &str) -> Option<Reply> {
        if target.contains("/exchangeInfo") {
            let list = self.faults.list.clone().unwrap_or_else(|| (200, self.list()));
            return Some(Reply::new(list.0, list.1));
        }
        if let Some((status, retry_after)) = self.faults.rest {
            let seconds = retry_after.map(|s| ("retry-after".to_owned(), s.to_string()));
            let body = r#"{"code":-1003,"msg":"not now"}"#;
            let headers = seconds.into_iter().collect();
            return status.map(|status| Reply { headers, ..Reply::new(status, body) });
        }
        if target.contains("/depth") {
            return Some(Reply::new(200, self.depth(target)));
        }
        if target.contains("/aggTrades") {
            let market = self.markets.iter().find(|market| target.contains(market.symbol)).unwrap();
            return Some(Reply::new(200, format!(r#"[{{"a":{}}}]"#, market.trade_id)));
        }
        Some(Reply::new(404, "{}"))
    }
}

impl Machine for Exchange {
    fn connect(
        &mut self,
        now: Nanos,
        client: ClientId,
        target: &str,
        _: &mut Vec<Output>,
    ) -> Result<(), Reply> {
        let mut state = self.state();
        if let Some(status) = state.faults.refuse {
            return Err(Reply::new(status, "no"));
        }
        let streams = target.split_once("streams=").map_or("", |(_, names)| names);
        let streams = streams.split('/').map(str::to_owned).collect();
        state.connects += 1;
        state.clients.insert(client, Client { streams, since: now });
        let every = state.every;
        state.next_tick.get_or_insert(now + every);
        Ok(())
    }

    fn message(&mut self, _: Nanos, client: ClientId, message: &[u8], out: &mut Vec<Output>) {
        let asked: Value = serde_json::from_slice(message).unwrap();
        let mut state = self.state();
        let Some(at) = state.clients.get_mut(&client) else { return };
        for stream in asked["params"].as_array().unwrap() {
            let stream = stream.as_str().unwrap().to_owned();
            match asked["method"].as_str().unwrap() {
                "SUBSCRIBE" => at.streams.insert(stream),
                _ => at.streams.remove(&stream),
            };
        }
        let ack = json!({"result": null, "id": asked["id"]}).to_string();
        out.push(Output::Send { client, payload: ack.into() });
    }

    fn control(&mut self, _: Nanos, _: ClientId, _: &ControlFrame, _: &mut Vec<Output>) {}

    fn disconnected(&mut self, _: Nanos, client: ClientId, _: &mut Vec<Output>) {
        self.state().clients.remove(&client);
    }

    fn request(&mut self, now: Nanos, id: RequestId, request: &Request, out: &mut Vec<Output>) {
        let mut state = self.state();
        state.requests.push((now, request.target.clone()));
        let reply = state.answer(&request.target);
        out.extend(reply.map(|reply| Output::Answer { request: id, reply }));
    }

    fn answered(&mut self, _: Nanos, _: RequestId, _: bool, _: &mut Vec<Output>) {}

    fn tick(&mut self, now: Nanos, out: &mut Vec<Output>) {
        let mut state = self.state();
        let every = state.every;
        state.next_tick = Some(now + every);
        state.tick(now, out);
    }

    fn deadline(&self) -> Option<Nanos> {
        self.state().next_tick
    }
}
