//! Binance on a market: connections, subscriptions, what is sent with an event and by the clock.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use model::{Error, Nanos};
use serde_json::Value;

use super::Binance;
use super::arrays::Arrays;
use super::errors::{TOO_MANY, stream_error};
use super::feed::{Feed, Numbering};
use super::limits::{Connects, Weight};
use super::line::Line;
use super::list::contract_type;
use super::pulse::{Beat, End, Pulse, TOO_MUCH};
use super::streams::{INTERVALS, Topic};
use super::trading::{Trading, count_refused, is_report};
use super::wire::{Funding, Print};
use crate::accounts::Accounts;
use crate::dialect::{PlayDialect, Session};
use crate::faults::{Enumeration, Trouble};
use crate::machine::{ClientId, ControlFrame, Reply, Request};
use crate::market::Market;
use crate::market::instrument::Instrument;
use crate::market::order::{Event, Index, Trade, What};
use crate::market::tape::Candle;
use crate::rng::Rng;
use crate::venue::{Dialect, Floor, SimOptions};

/// Everything by the clock happens at whole multiples of it.
const GRID_MS: u64 = 50;
/// What was missed for longer than this is left out.
const LATE_MS: u64 = 1_000;

/// What may have new values: sorts of orders, how long they last, how they meet their own account's,
/// states of instruments. In market data the same letters are prices.
const ENUMERATIONS: &[Enumeration] = &[
    Enumeration { within: r#""e":"executionReport""#, field: r#""f":""# },
    Enumeration { within: r#""e":"executionReport""#, field: r#""o":""# },
    Enumeration { within: r#""e":"executionReport""#, field: r#""V":""# },
    Enumeration { within: r#""e":"ORDER_TRADE_UPDATE""#, field: r#""f":""# },
    Enumeration { within: r#""e":"ORDER_TRADE_UPDATE""#, field: r#""o":""# },
    Enumeration { within: r#""e":"ORDER_TRADE_UPDATE""#, field: r#""V":""# },
    Enumeration { within: r#""exchangeFilters":"#, field: r#""status":""# },
    Enumeration { within: r#""exchangeFilters":"#, field: r#""contractStatus":""# },
];

/// A client's connection.
struct Client {
    session: Session,
    pulse: Pulse,
}

/// One product line on a market.
pub struct SimulatedBinance {
    pub(super) line: &'static Line,
    pub(super) feeds: Vec<Feed>,
    pub(super) weight: Weight,
    pub(super) trading: Trading,
    pub(super) play: Binance,
    connects: Connects,
    numbering: Numbering,
    /// By the symbol in small letters.
    by_lower: BTreeMap<String, Index>,
    /// By pair and contract's type in small letters.
    by_contract: BTreeMap<String, Index>,
    clients: BTreeMap<ClientId, Client>,
    /// Who listens: at most a line's limit of streams for each client.
    topics: BTreeMap<(Index, Topic), BTreeSet<ClientId>>,
    /// The same of streams of all instruments.
    pub(super) arrays: Arrays,
    /// The candles that were last sent, of those that somebody listens to.
    candles: BTreeMap<(Index, Topic), Candle>,
    /// The next multiple of [`GRID_MS`].
    next_ms: u64,
}

impl SimulatedBinance {
    /// A line on a market.
    ///
    /// # Errors
    /// A contract has a day that does not exist, or two instruments the same symbol.
    pub fn new(line: &'static Line, market: &Market, options: &SimOptions) -> Result<Self, Error> {
        let mut dice = Rng::new(options.seed, 1_000_000);
        let first_id = 1_000_000 + dice.below(1_000_000_000);
        let (mut feeds, mut by_lower) = (Vec::new(), BTreeMap::new());
        let mut by_contract = BTreeMap::new();
        for index in 0..market.len() {
            let instrument = market.instrument(index);
            if let model::instrument::Contract::Dated(day) = instrument.contract {
                super::line::delivery_ms(day).ok_or_else(|| {
                    let name = &instrument.name;
                    Error::reject(format!("{name}: there is no day {day}; expected YYMMDD"))
                })?;
            }
            let feed = Feed::new(index, line.symbol(instrument), first_id, dice.below(1_000_000));
            if by_lower.insert(feed.lower.clone(), index).is_some() {
                let message =
                    format!("{}: another one has the symbol {}", instrument.name, feed.symbol);
                return Err(Error::reject(message));
            }
            by_contract.insert(contract_name(instrument), index);
            feeds.push(feed);
        }
        let numbering =
            if line.is_spot() { Numbering::ByOne } else { Numbering::Shared(first_id, dice) };
        Ok(Self {
            line,
            feeds,
            weight: Weight::new(line.weight_max),
            trading: Trading::default(),
            play: Binance { split: line.sort == super::line::Sort::Linear },
            connects: Connects::default(),
            numbering,
            by_lower,
            by_contract,
            clients: BTreeMap::new(),
            topics: BTreeMap::new(),
            arrays: Arrays::default(),
            candles: BTreeMap::new(),
            next_ms: 0,
        })
    }

    /// The instrument and the topic of a stream's name.
    fn topic(&self, stream: &str) -> Option<(Index, Topic)> {
        let (symbol, kind) = stream.split_once('@')?;
        let topic = Topic::parse(self.line, kind)?;
        let names = match topic {
            Topic::Continuous { .. } => &self.by_contract,
            _ => &self.by_lower,
        };
        Some((*names.get(symbol)?, topic))
    }

    /// Brings the list of listeners up to date with what a client has subscribed.
    fn listen(&mut self, client: ClientId, before: &BTreeSet<String>, after: &Session) {
        for stream in before.difference(&after.streams) {
            self.arrays.leave(client, stream);
            if let Some(topic) = self.topic(stream) {
                self.leave(client, topic);
            }
        }
        for stream in after.streams.difference(before) {
            // On the wrong one of the split addresses a stream is silent.
            if !self.play.serves(after, stream) {
                continue;
            }
            self.arrays.join(self.line, client, stream);
            if let Some((index, topic)) = self.topic(stream) {
                self.topics.entry((index, topic)).or_default().insert(client);
                if let Topic::Depth { every_ms, .. } = topic {
                    self.feeds[index].begin_diffs(every_ms);
                }
            }
        }
    }

    fn leave(&mut self, client: ClientId, (index, topic): (Index, Topic)) {
        let Some(clients) = self.topics.get_mut(&(index, topic)) else { return };
        clients.remove(&client);
        if !clients.is_empty() {
            return;
        }
        self.topics.remove(&(index, topic));
        match topic {
            Topic::Depth { every_ms, named } => {
                let twin = Topic::Depth { every_ms, named: !named };
                if !self.topics.contains_key(&(index, twin)) {
                    self.feeds[index].diffs.remove(&every_ms);
                }
            }
            Topic::Kline { .. } | Topic::Continuous { .. } => {
                self.candles.remove(&(index, topic));
            }
            _ => {}
        }
    }

    fn forget(&mut self, client: ClientId) {
        if let Some(gone) = self.clients.remove(&client) {
            self.listen(client, &gone.session.streams, &Session::default());
        }
    }

    /// Sends a message to all who listen.
    fn publish(&self, floor: &mut Floor<'_>, (index, topic): (Index, Topic), payload: String) {
        let Some(clients) = self.topics.get(&(index, topic)) else { return };
        let symbol = match topic {
            Topic::Continuous { .. } => contract_name(floor.market.instrument(index)),
            _ => self.feeds[index].lower.clone(),
        };
        let name = format!("{symbol}@{}", topic.name());
        self.send_named(floor, clients, &name, payload);
    }

    /// Sends a stream's message to clients, with its name to those who want it.
    pub(super) fn send_named(
        &self,
        floor: &mut Floor<'_>,
        clients: &BTreeSet<ClientId>,
        name: &str,
        payload: String,
    ) {
        let bare = Bytes::from(payload);
        for client in clients {
            let Some(Client { session, .. }) = self.clients.get(client) else { continue };
            let payload = if session.enveloped {
                self.play.payload(session, name, &bare, &(0..bare.len()))
            } else {
                bare.clone()
            };
            floor.send(*client, payload);
        }
    }

    fn has(&self, index: Index, topic: Topic) -> bool {
        self.topics.contains_key(&(index, topic))
    }

    /// Trades of one instrument in one action.
    fn trades(&mut self, floor: &mut Floor<'_>, index: Index, trades: &[Trade]) {
        let aggregates = self.feeds[index].aggregate(trades);
        let now = floor.now;
        if self.has(index, Topic::Trade) {
            for trade in trades {
                let payload = self.print(floor.market, index).trade(now, trade);
                self.publish(floor, (index, Topic::Trade), payload);
            }
        }
        if self.has(index, Topic::AggTrade) {
            for aggregate in &aggregates {
                let payload = self.print(floor.market, index).agg_trade(now, aggregate);
                self.publish(floor, (index, Topic::AggTrade), payload);
            }
        }
    }

    /// The best levels, where they have changed.
    fn quote(&mut self, floor: &mut Floor<'_>, index: Index) {
        let best = floor.market.best(index);
        if best == self.feeds[index].quoted {
            return;
        }
        self.feeds[index].quoted = best;
        if self.has(index, Topic::Quote) {
            let update_id = self.feeds[index].last_id;
            let payload = self.print(floor.market, index).quote(floor.now, update_id, best);
            self.publish(floor, (index, Topic::Quote), payload);
        }
    }

    pub(super) fn print<'a>(&'a self, market: &'a Market, index: Index) -> Print<'a> {
        Print::new(self.line, market, &self.feeds[index])
    }

    /// What a topic sends when its time has come.
    fn by_clock(&mut self, floor: &mut Floor<'_>, index: Index, topic: Topic) {
        let now = floor.now;
        let payload = match topic {
            Topic::Depth { every_ms, named } => {
                // A stream with and one without the speed in its name share their diffs.
                let twin = Topic::Depth { every_ms, named: !named };
                let Some(diff) = self.feeds[index].take_diff(every_ms) else { return };
                let payload = self.print(floor.market, index).diff(now, &diff);
                self.publish(floor, (index, twin), payload.clone());
                payload
            }
            Topic::Partial { levels, .. } => {
                let feed = &self.feeds[index];
                self.print(floor.market, index).partial(now, feed, floor.market, levels)
            }
            Topic::Kline { interval } | Topic::Continuous { interval } => {
                return self.kline(floor, (index, topic), interval);
            }
            _ => match self.row_by_clock(floor, index, topic) {
                Some(payload) => payload,
                None => return,
            },
        };
        self.publish(floor, (index, topic), payload);
    }

    /// Statistics and marks as of now.
    pub(super) fn row_by_clock(
        &self,
        floor: &mut Floor<'_>,
        index: Index,
        topic: Topic,
    ) -> Option<String> {
        let now = floor.now;
        floor.market.roll(index, now);
        let (print, feed) = (self.print(floor.market, index), &self.feeds[index]);
        Some(match topic {
            Topic::Day => print.day(now, floor.market, feed),
            Topic::MiniDay => print.mini_day(now, &floor.market.tape(index).day()),
            Topic::Mark { .. } => print.mark(now, &Funding::new(print, floor.market, feed, now)),
            _ => return None,
        })
    }

    /// A candle, where it has changed; before it the last one's end, where that is over.
    fn kline(&mut self, floor: &mut Floor<'_>, of: (Index, Topic), interval: usize) {
        let (index, topic) = of;
        let (_, bar) = INTERVALS.get(interval).copied().unwrap_or(INTERVALS[0]);
        let tape = floor.market.roll(index, floor.now);
        let candle = tape.candle(bar);
        let sent = self.candles.insert(of, candle);
        let over = sent.filter(|sent| sent.opened != candle.opened).and_then(|sent| {
            tape.candles(bar).into_iter().find(|other| other.opened == sent.opened)
        });
        let changed = Some(candle).filter(|candle| sent != Some(*candle));
        for (candle, closed) in
            over.map(|c| (c, true)).into_iter().chain(changed.map(|c| (c, false)))
        {
            let print = self.print(floor.market, index);
            let payload = match topic {
                Topic::Continuous { .. } => {
                    print.continuous_kline(floor.now, interval, &candle, closed)
                }
                _ => print.kline(floor.now, interval, &candle, closed),
            };
            self.publish(floor, of, payload);
        }
    }
}

/// `btcusdt_perpetual`.
fn contract_name(of: &Instrument) -> String {
    format!("{}{}_{}", of.base, of.quote, contract_type(of)).to_ascii_lowercase()
}

impl Dialect for SimulatedBinance {
    fn symbol(&self, index: Index) -> &str {
        &self.feeds[index].symbol
    }

    fn position(&self, index: Index) -> Option<u64> {
        Some(self.feeds[index].last_id)
    }

    fn connect(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        target: &str,
    ) -> Result<(), Reply> {
        self.connects.take(floor.now)?;
        if self.connect_trader(floor, client, target) {
            return Ok(());
        }
        let refused = |(status, message): (u16, String)| {
            Reply::new(status, self.play.refusal(status, &message))
        };
        let session = self.play.connect(target).map_err(refused)?;
        let (count, max) = (session.streams.len(), self.line.streams_max);
        if count > max {
            return Err(refused((
                400,
                format!("{count} streams asked for; at most {max} are had"),
            )));
        }
        self.listen(client, &BTreeSet::new(), &session);
        let pulse = Pulse::of_stream(self.line, floor.now);
        if self.clients.is_empty() {
            self.next_ms = (super::wire::ms(floor.now) / GRID_MS + 1) * GRID_MS;
        }
        self.clients.insert(client, Client { session, pulse });
        Ok(())
    }

    fn message(&mut self, floor: &mut Floor<'_>, client: ClientId, message: &[u8]) {
        if self.trading.is_private(client) {
            return self.hear_trader(floor, client, message);
        }
        let Some(known) = self.clients.get_mut(&client) else { return };
        if known.pulse.is_too_much(floor.now) {
            return self.end(floor, client, TOO_MUCH);
        }
        let before = known.session.clone();
        let mut replies = self.play.message(&mut known.session, message);
        if known.session.streams.len() > self.line.streams_max {
            known.session = before.clone();
            let id =
                serde_json::from_slice::<Value>(message).map_or(Value::Null, |m| m["id"].clone());
            let reply = stream_error(&id, TOO_MANY, "");
            replies = vec![Bytes::from(reply.to_string())];
        }
        let after = known.session.clone();
        self.listen(client, &before.streams, &after);
        for reply in replies {
            floor.send(client, reply);
        }
    }

    fn control(&mut self, floor: &mut Floor<'_>, client: ClientId, control: &ControlFrame) {
        let known = self.clients.get_mut(&client).map(|known| &mut known.pulse);
        let Some(pulse) = known.or_else(|| self.trading.pulse(client)) else { return };
        if pulse.control(floor.now, control) {
            self.end(floor, client, TOO_MUCH);
        }
    }

    fn disconnected(&mut self, client: ClientId) {
        self.trading.forget(client);
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
                match event.what {
                    What::Level { side, ticks, lots } => {
                        self.feeds[index].change(side, ticks, lots, &mut self.numbering);
                    }
                    What::Trade(trade) => trades.push(trade),
                    What::Report(_) => {}
                }
            }
            if !trades.is_empty() {
                self.trades(floor, index, &trades);
            }
            self.quote(floor, index);
        }
        self.tell_accounts(floor, events);
    }

    fn tick(&mut self, floor: &mut Floor<'_>) {
        self.expire(floor);
        self.beat(floor);
        if !self.clients.is_empty() && Nanos::from_millis(self.next_ms) <= floor.now {
            self.tick_streams(floor);
        }
    }

    fn deadline(&self) -> Option<Nanos> {
        let grid = (!self.clients.is_empty()).then(|| Nanos::from_millis(self.next_ms));
        let pulses = self.clients.values().map(|client| client.pulse.deadline());
        grid.into_iter().chain(pulses).chain(self.trading.deadline()).min()
    }

    fn is_private(&self, client: ClientId) -> bool {
        self.trading.is_private(client)
    }

    fn unknown_outcome(&self, request: &Request) -> Option<Reply> {
        self.outcome_unknown(request)
    }

    fn unknown_outcome_to(&self, message: &[u8]) -> Option<Bytes> {
        self.outcome_unknown_to(message)
    }

    fn is_report(&self, payload: &[u8]) -> bool {
        is_report(payload)
    }

    fn enumerations(&self) -> &'static [Enumeration] {
        ENUMERATIONS
    }

    fn turn_away(
        &mut self,
        now: Nanos,
        accounts: &mut Accounts,
        request: &Request,
        why: Trouble,
    ) -> Option<Reply> {
        count_refused(self.line, accounts, request);
        Some(self.weight.turn_away(now, why))
    }

    fn farewell(&self, now: Nanos, client: ClientId) -> Option<Bytes> {
        Some(self.says_farewell(now, client))
    }

    fn new_address(&mut self) {
        self.weight = Weight::new(self.line.weight_max);
        self.connects = Connects::default();
    }
}

impl SimulatedBinance {
    /// What streams send by the clock.
    fn tick_streams(&mut self, floor: &mut Floor<'_>) {
        let now_ms = super::wire::ms(floor.now);
        let at_ms = self.next_ms;
        self.next_ms += GRID_MS;
        if now_ms > at_ms + LATE_MS {
            self.next_ms = (now_ms / GRID_MS + 1) * GRID_MS;
        }
        let line = self.line;
        let due =
            |topic: &Topic| topic.every_ms(line).is_some_and(|every| at_ms.is_multiple_of(every));
        let topics: Vec<_> = self.topics.keys().filter(|(_, topic)| due(topic)).copied().collect();
        for (index, topic) in topics {
            self.by_clock(floor, index, topic);
        }
        self.tell_arrays(floor, at_ms);
    }

    /// What connections get by the clock beside their streams: pings, and an end.
    fn beat(&mut self, floor: &mut Floor<'_>) {
        let now = floor.now;
        let streams = self.clients.iter_mut().map(|(client, known)| (*client, &mut known.pulse));
        let all = streams.chain(self.trading.pulses());
        let due = all.filter_map(|(client, pulse)| Some((client, pulse.beat(now)?)));
        for (client, beat) in due.collect::<Vec<_>>() {
            match beat {
                Beat::Ping(payload) => floor.ping(client, payload),
                Beat::End(end) => self.end(floor, client, end),
            }
        }
    }

    pub(super) fn end(&mut self, floor: &mut Floor<'_>, client: ClientId, (code, reason): End) {
        self.disconnected(client);
        floor.close(client, code, reason);
    }
}

#[cfg(test)]
#[path = "simulated/tests.rs"]
mod tests;
