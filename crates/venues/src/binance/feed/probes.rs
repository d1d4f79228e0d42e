//! Silence: quiet is not stale. Only a probe that shows missed progress, or fails, says so.
//!
//! | stream | asked | it is behind when |
//! | --- | --- | --- |
//! | book | `depth?limit=5` | `lastUpdateId` is above the book's, and stays so |
//! | quote | the same answer | its best levels differ from the last quote, and no quote follows |
//! | trade | `aggTrades?limit=1` | its id is above the last trade's, and stays so |
//!
//! Ticker, kline and funding have no such question; they rely on the connection's own pings.

use model::event::{Reason, StreamState};
use model::venue::{Count, DepthSnapshot, Sink};
use model::{Kind, Nanos};

use super::requests::PROBE_LEVELS;
use super::{Binance, Purpose};
use crate::assembler::Ask;
use crate::track::{Probe, TRADE_PATIENCE};

impl Binance {
    /// Looks at one market's silent streams and at the probes that are due.
    pub(super) fn check_silence(&mut self, index: usize, now: Nanos, sink: &mut Sink<'_>) {
        let silence = self.settings.silence;
        for kind in [Kind::BookUpdate, Kind::Quote, Kind::Trade] {
            let patience = if kind == Kind::Trade { silence * TRADE_PATIENCE } else { silence };
            let state = self.state(index, kind, sink);
            let track = self.markets.all[index].tracks[kind.index()];
            match track.probe {
                Probe::Behind { position, until } => {
                    if self.position(index, kind, sink) >= position {
                        self.markets.all[index].tracks[kind.index()].probe = Probe::Idle;
                    } else if now >= until {
                        self.stale(index, kind, Reason::ProbeMissedProgress, now, sink);
                    }
                }
                Probe::Idle
                    if track.wanted
                        && state == StreamState::Live
                        && now.since(track.seen) >= patience =>
                {
                    self.probe(index, kind, sink);
                }
                _ => {}
            }
        }
    }

    fn probe(&mut self, index: usize, kind: Kind, sink: &mut Sink<'_>) {
        let market = &self.markets.all[index];
        let (instrument, symbol) = (market.instrument, market.symbol.clone());
        let (purpose, path, weight) = match kind {
            Kind::Trade => {
                let path = format!("aggTrades?symbol={symbol}&limit=1");
                (Purpose::TradeProbe { market: index }, path, self.line.trades_weight)
            }
            _ => {
                let (levels, weight) = self.line.depth(PROBE_LEVELS);
                let path = format!("depth?symbol={symbol}&limit={levels}");
                (Purpose::DepthProbe { market: index }, path, weight)
            }
        };
        // Book and quote share an answer.
        if self.requests.values().any(|other| *other == purpose) {
            return;
        }
        let id = self.request(purpose, &path, weight, sink);
        sink.pipeline.count(instrument, kind, Count::Probe);
        let kinds: &[Kind] =
            if kind == Kind::Trade { &[Kind::Trade] } else { &[Kind::BookUpdate, Kind::Quote] };
        for kind in kinds {
            self.markets.all[index].tracks[kind.index()].probe = Probe::Asked(id);
        }
    }

    /// The venue's best levels and position.
    pub(super) fn on_depth_probe(
        &mut self,
        index: usize,
        depth: &DepthSnapshot,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let book_position = self.position(index, Kind::BookUpdate, sink);
        let market = &self.markets.all[index];
        let best = (depth.bids.first().copied(), depth.asks.first().copied());
        let quote = market.quote;
        let same_quote = best == (Some(quote.bid), Some(quote.ask));
        let quote_position = market.tracks[Kind::Quote.index()].position;
        let book_due = (depth.seq_last > book_position).then_some(depth.seq_last);
        let quote_due = (!same_quote).then_some(quote_position + 1);
        self.judge(index, Kind::BookUpdate, book_due, now);
        self.judge(index, Kind::Quote, quote_due, now);
    }

    /// The venue's newest trade.
    pub(super) fn on_trade_probe(
        &mut self,
        index: usize,
        newest: Option<u64>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let position = self.position(index, Kind::Trade, sink);
        let due = newest.filter(|newest| *newest > position);
        self.judge(index, Kind::Trade, due, now);
    }

    /// Nothing is missing, or the stream has a little time to bring what the venue has.
    fn judge(&mut self, index: usize, kind: Kind, due: Option<u64>, now: Nanos) {
        let track = &mut self.markets.all[index].tracks[kind.index()];
        track.probe.judge(due, &mut track.seen, now);
    }

    /// A probe that is not answered shows nothing, and that is what has to be said.
    pub(super) fn probe_failed(
        &mut self,
        index: usize,
        kinds: &[Kind],
        reason: Reason,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        for kind in kinds {
            let probe = self.markets.all[index].tracks[kind.index()].probe;
            if matches!(probe, Probe::Asked(_)) {
                self.stale(index, *kind, reason, now, sink);
            }
        }
    }

    /// The stream is behind: say so, subscribe it anew, and fetch the book.
    fn stale(&mut self, index: usize, kind: Kind, reason: Reason, now: Nanos, sink: &mut Sink<'_>) {
        let market = &mut self.markets.all[index];
        market.tracks[kind.index()].probe = Probe::Idle;
        market.tracks[kind.index()].seen = now;
        if !market.tracks[kind.index()].wanted {
            return;
        }
        if let Some(stream) = self.line.stream(&market.symbol, kind) {
            self.links.resubscribe(&stream, sink.outbox);
        }
        if kind == Kind::BookUpdate {
            if market.assembler.on_stale(reason, now, sink.pipeline) == Ask::Snapshot {
                self.ask_snapshot(index, now, sink);
            }
        } else if market.tracks[kind.index()].state == StreamState::Live {
            market.tracks[kind.index()].state = StreamState::Stale;
            sink.pipeline.status(market.instrument, kind, StreamState::Stale, reason);
        }
    }

    fn state(&self, index: usize, kind: Kind, sink: &mut Sink<'_>) -> StreamState {
        let market = &self.markets.all[index];
        match kind {
            Kind::BookUpdate => sink.pipeline.book(market.instrument).state,
            _ => market.tracks[kind.index()].state,
        }
    }

    fn position(&self, index: usize, kind: Kind, sink: &mut Sink<'_>) -> u64 {
        let market = &self.markets.all[index];
        match kind {
            Kind::BookUpdate => sink.pipeline.book(market.instrument).seq_last.unwrap_or(0),
            _ => market.tracks[kind.index()].position,
        }
    }
}
