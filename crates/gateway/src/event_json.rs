//! An event as one line of JSON, for people and for programs in other languages. Times are ns
//! since the Unix epoch, decimals are strings without trailing zeros.

use std::sync::Arc;

use engine::Catalog;
use model::control::Verdict;
use model::decimal::Plain;
use model::event::{BookMeta, Funding, Kline, Merged, Quote, StreamStatus, Ticker, Trade};
use model::ledger::Report;
use model::merged::Fragment;
use model::order::OrderState;
use model::reply::{OrderReply, OrderView, ReplyAnswer};
use model::trading::{Balance, Position};
use model::{Body, CommandId, Decimal, Event, Kind, Level, Nanos};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// An event with the names behind its numbers.
#[derive(Clone, Copy, Debug)]
pub struct EventLine<'a> {
    /// The event.
    pub event: &'a Event,
    /// The names.
    pub catalog: &'a Catalog,
}

impl Serialize for EventLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let header = &self.event.header;
        let mut map = serializer.serialize_map(None)?;
        let stream = header.stream;
        map.serialize_entry("provider", &known(self.catalog.provider_name(stream.provider)))?;
        map.serialize_entry("instrument", &known(self.catalog.instrument_name(stream.instrument)))?;
        map.serialize_entry("kind", stream.kind.name())?;
        map.serialize_entry("seq_provider", &header.seq_provider)?;
        map.serialize_entry("ts_event", &header.ts_event.map(|ts| ts.0))?;
        map.serialize_entry("ts_recv", &header.ts_recv.0)?;
        map.serialize_entry("ts_emit", &header.ts_emit.0)?;
        map.serialize_entry("routing_version", &header.routing_version)?;
        map.serialize_entry("trace_id", &header.trace_id)?;
        if header.dropped > 0 {
            map.serialize_entry("dropped", &header.dropped)?;
        }
        match &self.event.body {
            Body::Book(meta) => put_book(&mut map, meta, self.event)?,
            Body::Merged(merged) => self.put_merged(&mut map, merged)?,
            body => put_body(&mut map, body)?,
        }
        map.end()
    }
}

impl EventLine<'_> {
    fn put_merged<M: SerializeMap>(&self, map: &mut M, merged: &Merged) -> Result<(), M::Error> {
        map.serialize_entry("of", merged.of.name())?;
        map.serialize_entry("merge_id", &merged.merge_id)?;
        map.serialize_entry("ts_open", &merged.ts_open.0)?;
        map.serialize_entry("ts_close", &merged.ts_close.0)?;
        let fragments = merged.fragments.iter();
        let fragments = fragments.map(|fragment| FragmentPart { fragment, catalog: self.catalog });
        map.serialize_entry("fragments", &fragments.collect::<Vec<_>>())
    }
}

/// One provider's part of a merged event.
struct FragmentPart<'a> {
    fragment: &'a Fragment,
    catalog: &'a Catalog,
}

impl Serialize for FragmentPart<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Fragment { provider, header, body, count } = self.fragment;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("provider", &known(self.catalog.provider_name(*provider)))?;
        map.serialize_entry("count", count)?;
        map.serialize_entry("seq_provider", &header.seq_provider)?;
        map.serialize_entry("ts_event", &header.ts_event.map(|ts| ts.0))?;
        map.serialize_entry("ts_recv", &header.ts_recv.0)?;
        map.serialize_entry("trace_id", &header.trace_id)?;
        put_body(&mut map, body)?;
        map.end()
    }
}

fn known(name: Option<Arc<str>>) -> String {
    name.as_deref().unwrap_or("").to_owned()
}

/// What stands in the body itself.
fn put_body<M: SerializeMap>(map: &mut M, body: &Body) -> Result<(), M::Error> {
    match body {
        Body::Trade(trade) => put_trade(map, trade),
        Body::Quote(quote) => put_quote(map, quote),
        Body::Ticker(ticker) => put_ticker(map, ticker),
        Body::Kline(kline) => put_kline(map, kline),
        Body::Funding(funding) => put_funding(map, funding),
        Body::Status(status) => put_status(map, status),
        Body::Ack(ack) => put_verdict(map, ack.command, ack.verdict),
        Body::Result(result) => put_verdict(map, result.command, result.verdict),
        Body::Exec(report) => put_report(map, report),
        Body::Reply(reply) => put_reply(map, reply),
        Body::Balance(balance) => put_balance(map, balance),
        Body::Position(position) => put_position(map, position),
        Body::Empty | Body::Book(_) | Body::Merged(_) => Ok(()),
    }
}

fn money<M: SerializeMap>(map: &mut M, name: &str, value: Decimal) -> Result<(), M::Error> {
    map.serialize_entry(name, &Plain(value).to_string())
}

/// What the venue did not send is left out.
fn money_if<M: SerializeMap>(
    map: &mut M,
    name: &str,
    value: Option<Decimal>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| money(map, name, value))
}

fn time_if<M: SerializeMap>(map: &mut M, name: &str, at: Option<Nanos>) -> Result<(), M::Error> {
    at.map_or(Ok(()), |at| map.serialize_entry(name, &at.0))
}

fn put_trade<M: SerializeMap>(map: &mut M, trade: &Trade) -> Result<(), M::Error> {
    money(map, "price", trade.price)?;
    money(map, "quantity", trade.quantity)?;
    map.serialize_entry("aggressor", trade.aggressor.name())?;
    map.serialize_entry("trade_id", &trade.trade_id)
}

fn put_quote<M: SerializeMap>(map: &mut M, quote: &Quote) -> Result<(), M::Error> {
    money(map, "bid", quote.bid.price)?;
    money(map, "bid_quantity", quote.bid.quantity)?;
    money(map, "ask", quote.ask.price)?;
    money(map, "ask_quantity", quote.ask.quantity)
}

fn put_ticker<M: SerializeMap>(map: &mut M, ticker: &Ticker) -> Result<(), M::Error> {
    money(map, "last", ticker.last)?;
    money_if(map, "last_quantity", ticker.last_quantity)?;
    money_if(map, "open", ticker.open)?;
    money_if(map, "high", ticker.high)?;
    money_if(map, "low", ticker.low)?;
    money_if(map, "volume", ticker.volume)?;
    money_if(map, "quote_volume", ticker.quote_volume)?;
    money_if(map, "bid", ticker.bid)?;
    money_if(map, "ask", ticker.ask)
}

fn put_book<M: SerializeMap>(map: &mut M, meta: &BookMeta, event: &Event) -> Result<(), M::Error> {
    map.serialize_entry("generation", &meta.generation)?;
    if event.kind() == Kind::BookUpdate {
        map.serialize_entry("seq_first", &meta.seq_first)?;
        map.serialize_entry("seq_last", &meta.seq_last)?;
    }
    map.serialize_entry("bids", &levels(event.bids()))?;
    map.serialize_entry("asks", &levels(event.asks()))
}

fn levels(levels: &[Level]) -> Vec<[String; 2]> {
    let text = |level: &Level| [Plain(level.price).to_string(), Plain(level.quantity).to_string()];
    levels.iter().map(text).collect()
}

fn put_kline<M: SerializeMap>(map: &mut M, kline: &Kline) -> Result<(), M::Error> {
    map.serialize_entry("interval_s", &kline.interval.as_secs())?;
    map.serialize_entry("ts_open", &kline.ts_open.0)?;
    map.serialize_entry("ts_close", &kline.ts_close.0)?;
    money(map, "open", kline.open)?;
    money(map, "high", kline.high)?;
    money(map, "low", kline.low)?;
    money(map, "close", kline.close)?;
    money(map, "volume", kline.volume)?;
    money_if(map, "quote_volume", kline.quote_volume)?;
    if let Some(trades) = kline.trades {
        map.serialize_entry("trades", &trades)?;
    }
    map.serialize_entry("closed", &kline.closed)
}

fn put_funding<M: SerializeMap>(map: &mut M, funding: &Funding) -> Result<(), M::Error> {
    money_if(map, "rate", funding.rate)?;
    time_if(map, "ts_next", funding.ts_next)?;
    money_if(map, "mark", funding.mark)?;
    money_if(map, "index", funding.index)
}

fn put_status<M: SerializeMap>(map: &mut M, status: &StreamStatus) -> Result<(), M::Error> {
    map.serialize_entry("of", status.of.name())?;
    map.serialize_entry("state", status.state.name())?;
    map.serialize_entry("reason", status.reason.name())?;
    map.serialize_entry("since", &status.since.0)?;
    map.serialize_entry("transitions", &status.transitions)
}

fn put_report<M: SerializeMap>(map: &mut M, report: &Report) -> Result<(), M::Error> {
    map.serialize_entry("client_order_id", &*report.order.client_order_id)?;
    map.serialize_entry("venue_order_id", &*report.venue_order_id)?;
    map.serialize_entry("state", report.state.name())?;
    map.serialize_entry("side", report.side.name())?;
    money(map, "quantity", report.quantity)?;
    money(map, "filled", report.filled)?;
    money(map, "remaining", report.remaining())?;
    money(map, "leaves", report.leaves())?;
    if let Some(fill) = &report.fill {
        map.serialize_entry("trade_id", &*fill.trade_id)?;
        money(map, "last_price", fill.price)?;
        money(map, "last_quantity", fill.quantity)?;
    }
    if report.text.is_empty() { Ok(()) } else { map.serialize_entry("text", &*report.text) }
}

fn put_verdict<M: SerializeMap>(
    map: &mut M,
    command: CommandId,
    verdict: Verdict,
) -> Result<(), M::Error> {
    map.serialize_entry("command", &command.0)?;
    map.serialize_entry("verdict", verdict.name())?;
    match verdict {
        Verdict::Effective => Ok(()),
        Verdict::Pending { why, until } => {
            map.serialize_entry("why", why.name())?;
            map.serialize_entry("until", &until.0)
        }
        Verdict::Refused(refusal) => map.serialize_entry("why", refusal.code()),
    }
}

fn put_reply<M: SerializeMap>(map: &mut M, reply: &OrderReply) -> Result<(), M::Error> {
    map.serialize_entry("client_order_id", &*reply.order.client_order_id)?;
    map.serialize_entry("about", reply.intent.name())?;
    match &reply.answer {
        ReplyAnswer::Denied(denial) => {
            map.serialize_entry("answer", "denied")?;
            map.serialize_entry("code", denial.code())?;
            map.serialize_entry("text", denial.text())
        }
        ReplyAnswer::Refused { code, text } => {
            map.serialize_entry("answer", "refused")?;
            map.serialize_entry("code", &**code)?;
            map.serialize_entry("text", &**text)
        }
        ReplyAnswer::Duplicate(view) => {
            map.serialize_entry("answer", "duplicate")?;
            put_view(map, view)
        }
        ReplyAnswer::Stands(view) => {
            map.serialize_entry("answer", "stands")?;
            put_view(map, view)
        }
    }
}

fn put_view<M: SerializeMap>(map: &mut M, view: &OrderView) -> Result<(), M::Error> {
    map.serialize_entry("state", &view.state.map(OrderState::name))?;
    money(map, "quantity", view.quantity)?;
    money(map, "filled", view.filled)
}

fn put_balance<M: SerializeMap>(map: &mut M, balance: &Balance) -> Result<(), M::Error> {
    map.serialize_entry("asset", &*balance.asset)?;
    money(map, "free", balance.free)?;
    money(map, "locked", balance.locked)
}

fn put_position<M: SerializeMap>(map: &mut M, position: &Position) -> Result<(), M::Error> {
    money(map, "position", position.quantity)?;
    money_if(map, "entry_price", position.entry_price)
}

#[cfg(test)]
mod tests {
    use model::{Header, ProviderId, Stream};

    use super::*;

    #[test]
    fn a_merged_event_shows_its_window_and_what_each_provider_sent() {
        let catalog = Catalog::new();
        for name in ["spot", "best"] {
            catalog.provider(name).unwrap();
        }
        let instrument = catalog.instrument("BTC-USDT").unwrap();
        let (spot, best) = (ProviderId(0), ProviderId(1));
        let bid = Level { price: Decimal::new(1_050, 2), quantity: Decimal::ONE };
        let fragment = Fragment {
            provider: spot,
            header: Header { seq_provider: Some(7), ts_recv: Nanos(30), ..Header::default() },
            body: Body::Quote(Quote { bid, ..Quote::default() }),
            count: 3,
        };
        let event = Event {
            header: Header {
                stream: Stream { provider: best, instrument, kind: Kind::Merged },
                seq_provider: Some(4),
                ..Header::default()
            },
            body: Body::Merged(Merged {
                of: Kind::Quote,
                merge_id: 20,
                ts_open: Nanos(20),
                ts_close: Nanos(40),
                fragments: [fragment].into(),
            }),
            ..Event::default()
        };
        let line = serde_json::to_value(EventLine { event: &event, catalog: &catalog }).unwrap();
        let expected = serde_json::json!({
            "provider": "best", "instrument": "BTC-USDT", "kind": "merged", "seq_provider": 4,
            "ts_event": null, "ts_recv": 0, "ts_emit": 0, "routing_version": 0, "trace_id": 0,
            "of": "quote", "merge_id": 20, "ts_open": 20, "ts_close": 40,
            "fragments": [{
                "provider": "spot", "count": 3, "seq_provider": 7, "ts_event": null, "ts_recv": 30,
                "trace_id": 0, "bid": "10.5", "bid_quantity": "1", "ask": "0", "ask_quantity": "0",
            }],
        });
        assert_eq!(line, expected);
    }
}
