//! Silence: quiet is not stale. Only a probe that shows missed progress, or fails, says so.
//!
//! | stream | asked | it is behind when |
//! | --- | --- | --- |
//! | book | `books?sz=20` | `seqId` is above the book's, its best 20 levels differ, and both stay so |
//! | quote | the same answer | its best levels differ from the last quote, and no quote follows |
//! | trade | `trades?limit=1` | its id is above the last trade's, and stays so |
//!
//! `seqId` alone says nothing about a book: it also counts changes deeper than the 400 levels that
//! the channel sends. Ticker, kline and funding have no such question; they rely on the
//! connection's own pings.

use model::event::{Reason, StreamState};
use model::venue::{Count, DepthSnapshot, Sink};
use model::{Book, Kind, Level, Nanos, Side};

use super::requests::PROBE_LEVELS;
use super::{Okx, Purpose};
use crate::assembler::Ask;
use crate::track::{Probe, TRADE_PATIENCE};

impl Okx {
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
        let (instrument, symbol) = (market.instrument, &market.symbol);
        let (purpose, path, kinds): (_, _, &[Kind]) = match kind {
            Kind::Trade => {
                let path = format!("/market/trades?instId={symbol}&limit=1");
                (Purpose::TradeProbe { market: index }, path, &[Kind::Trade])
            }
            // Book and quote share an answer.
            _ => {
                let path = format!("/market/books?instId={symbol}&sz={PROBE_LEVELS}");
                (Purpose::DepthProbe { market: index }, path, &[Kind::BookUpdate, Kind::Quote])
            }
        };
        if self.requests.values().any(|other| *other == purpose) {
            return;
        }
        let id = self.request(purpose, &path, sink);
        sink.pipeline.count(instrument, kind, Count::Probe);
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
        let position = self.position(index, Kind::BookUpdate, sink);
        let market = &self.markets.all[index];
        let book = sink.pipeline.book(market.instrument);
        let same =
            begins_with(book, Side::Buy, &depth.bids) && begins_with(book, Side::Sell, &depth.asks);
        let best = |levels: &[Level]| levels.first().copied().unwrap_or_default();
        let same_quote =
            (best(&depth.bids), best(&depth.asks)) == (market.quote.bid, market.quote.ask);
        let quote_position = market.tracks[Kind::Quote.index()].position;
        let book_due = (depth.seq_last > position && !same).then_some(depth.seq_last);
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

    /// The stream is behind: say so, and subscribe it anew.
    fn stale(&mut self, index: usize, kind: Kind, reason: Reason, now: Nanos, sink: &mut Sink<'_>) {
        let market = &mut self.markets.all[index];
        market.tracks[kind.index()].probe = Probe::Idle;
        market.tracks[kind.index()].seen = now;
        if !market.tracks[kind.index()].wanted {
            return;
        }
        if kind == Kind::BookUpdate {
            if market.assembler.on_stale(reason, now, sink.pipeline) == Ask::Snapshot {
                self.ask_book(index, now, sink);
            }
            return;
        }
        if market.tracks[kind.index()].state == StreamState::Live {
            market.tracks[kind.index()].state = StreamState::Stale;
            sink.pipeline.status(market.instrument, kind, StreamState::Stale, reason);
        }
        if let Some(stream) = market.stream(kind) {
            self.links.resubscribe(&stream, sink.outbox);
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

/// Whether a side of the book begins with these levels.
fn begins_with(book: &Book, side: Side, levels: &[Level]) -> bool {
    let held = book.levels(side).take(levels.len());
    book.levels(side).count() >= levels.len() && held.eq(levels.iter().copied())
}
