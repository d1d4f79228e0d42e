//! What clients ask over WebSocket, and what they are answered.

use model::Nanos;
use serde::Deserialize;

use super::errors::{
    WS_CHANNEL, WS_DEPTH, WS_INTERVAL, WS_JSON, WS_METHOD, WS_NO_SYMBOLS, WS_SYMBOL, WS_TOO_MANY,
    WS_TWICE, WS_UNKNOWN, ws_error,
};
use super::{CANDLES_TOLD, Client, DEPTHS, Kraken, SUBSCRIPTIONS_MAX, Stream, TRADES_TOLD, rest};
use crate::digits::rfc3339;
use crate::machine::ClientId;
use crate::market::order::Index;
use crate::venue::Floor;

#[derive(Debug, Deserialize)]
struct Ask {
    method: String,
    #[serde(default)]
    params: Params,
    req_id: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Params {
    channel: String,
    symbol: Vec<String>,
    depth: Option<usize>,
    interval: Option<u32>,
    snapshot: Option<bool>,
}

/// A request of one symbol.
struct One<'a> {
    method: &'a str,
    channel: &'a str,
    symbol: Option<&'a str>,
    req_id: Option<u64>,
    now: Nanos,
}

impl One<'_> {
    fn tail(&self) -> String {
        let time = rfc3339(self.now, 6);
        let id = self.req_id.map_or(String::new(), |id| format!(r#","req_id":{id}"#));
        format!(r#""time_in":"{time}","time_out":"{time}"{id}"#)
    }

    /// With what belongs to the stream beside channel and symbol.
    fn done(&self, more: &str) -> String {
        let Self { method, channel, .. } = self;
        let symbol = self.symbol.map_or(String::new(), |of| format!(r#","symbol":"{of}""#));
        format!(
            r#"{{"method":"{method}","result":{{"channel":"{channel}"{symbol}{more}}},"success":true,{}}}"#,
            self.tail()
        )
    }

    fn refused(&self, why: &str) -> String {
        let Self { method, .. } = self;
        let symbol = self.symbol.map_or(String::new(), |of| {
            // Somebody else's words: written as JSON would.
            format!(r#","symbol":{}"#, serde_json::to_string(of).unwrap_or_default())
        });
        format!(
            r#"{{"error":{},"method":"{method}","success":false{symbol},{}}}"#,
            serde_json::to_string(why).unwrap_or_default(),
            self.tail()
        )
    }
}

impl Kraken {
    /// Answers a message.
    pub(super) fn answer(&mut self, floor: &mut Floor<'_>, client: ClientId, message: &[u8]) {
        let ask: Ask = match serde_json::from_slice(message) {
            Ok(ask) => ask,
            Err(_) => return self.send(floor, client, ws_error(WS_JSON)),
        };
        let now = floor.now;
        match ask.method.as_str() {
            "ping" => {
                let one =
                    One { method: "pong", channel: "", symbol: None, req_id: ask.req_id, now };
                let text = format!(r#"{{"method":"pong",{}}}"#, one.tail());
                self.send(floor, client, text);
            }
            "subscribe" | "unsubscribe" => self.change(floor, client, &ask),
            _ => self.send(floor, client, ws_error(WS_METHOD)),
        }
    }

    fn change(&mut self, floor: &mut Floor<'_>, client: ClientId, ask: &Ask) {
        let Ask { method, params, req_id } = ask;
        let one = |symbol| One {
            method: if method == "subscribe" { "subscribe" } else { "unsubscribe" },
            channel: &params.channel,
            symbol,
            req_id: *req_id,
            now: floor.now,
        };
        if params.channel == "instrument" {
            return self.change_one(floor, client, ask, &one(None));
        }
        if params.symbol.is_empty() {
            let text = one(None).refused(WS_NO_SYMBOLS);
            return self.send(floor, client, text);
        }
        let all: Vec<_> = params.symbol.iter().map(|symbol| one(Some(symbol))).collect();
        for one in all {
            self.change_one(floor, client, ask, &one);
        }
    }

    fn change_one(&mut self, floor: &mut Floor<'_>, client: ClientId, ask: &Ask, one: &One<'_>) {
        let found = self.stream(&ask.params, one.symbol);
        let (stream, more) = match found {
            Ok(found) => found,
            Err(why) => return self.send(floor, client, one.refused(&why)),
        };
        let Some(Client { streams, .. }) = self.clients.get_mut(&client) else { return };
        if one.method == "unsubscribe" {
            let known = streams.remove(&stream);
            let text = if known { one.done(&more) } else { one.refused(WS_UNKNOWN) };
            return self.send(floor, client, text);
        }
        if streams.len() >= SUBSCRIPTIONS_MAX {
            return self.send(floor, client, one.refused(WS_TOO_MANY));
        }
        if !streams.insert(stream) {
            let text = one.refused(WS_TWICE);
            return self.send(floor, client, text);
        }
        self.send(floor, client, one.done(&more));
        if ask.params.snapshot.unwrap_or(true) {
            self.begin(floor, client, stream);
        }
    }

    /// The stream that is meant, and what an answer says of it.
    fn stream(&self, params: &Params, symbol: Option<&str>) -> Result<(Stream, String), String> {
        let place = || -> Result<Index, String> {
            let symbol = symbol.unwrap_or_default();
            let found = self.symbols.iter().position(|known| known == symbol);
            found.ok_or_else(|| format!("{WS_SYMBOL} {symbol}"))
        };
        match params.channel.as_str() {
            "book" => {
                let depth = params.depth.unwrap_or(10);
                if !DEPTHS.contains(&depth) {
                    return Err(WS_DEPTH.to_owned());
                }
                Ok((Stream::Book(place()?, depth), format!(r#","depth":{depth},"snapshot":true"#)))
            }
            "trade" => Ok((Stream::Trade(place()?), r#","snapshot":true"#.to_owned())),
            "ticker" => Ok((Stream::Ticker(place()?), r#","snapshot":true"#.to_owned())),
            "ohlc" => {
                let minutes = params.interval.unwrap_or(1);
                if !rest::INTERVALS.contains(&minutes) {
                    return Err(WS_INTERVAL.to_owned());
                }
                Ok((Stream::Candle(place()?, minutes), format!(r#","interval":{minutes}"#)))
            }
            "instrument" => Ok((Stream::Instrument, r#","snapshot":true"#.to_owned())),
            other => Err(format!("{WS_CHANNEL} {other}")),
        }
    }

    /// What a new subscriber is told first.
    fn begin(&mut self, floor: &mut Floor<'_>, client: ClientId, stream: Stream) {
        let (market, now) = (&*floor.market, floor.now);
        let text = match stream {
            Stream::Book(index, depth) => {
                // What others were told of this depth is what the market is now: events are told
                // before anybody asks.
                let visible = Self::visible(market, index, depth);
                let text = self.book_message(market, now, index, "snapshot", &visible);
                let told = visible.map(|side| side.into_iter().collect());
                self.told.insert((index, depth), told);
                text
            }
            Stream::Trade(index) => {
                let trades = market.tape(index).trades();
                let last = trades.iter().skip(trades.len().saturating_sub(TRADES_TOLD));
                let rows = last.map(|trade| self.trade_json(market, index, trade));
                let data = rows.collect::<Vec<_>>().join(",");
                format!(r#"{{"channel":"trade","type":"snapshot","data":[{data}]}}"#).into()
            }
            Stream::Ticker(index) => self.ticker_message(market, index, "snapshot"),
            Stream::Candle(index, minutes) => {
                self.candle_message(market, now, index, minutes, CANDLES_TOLD)
            }
            Stream::Instrument => self.instrument_message(market),
        };
        self.send(floor, client, text);
    }
}
