//! Silence: quiet is not stale. Only a probe that shows missed progress, or fails, says so.
//!
//! | stream | asked | it is behind when |
//! | --- | --- | --- |
//! | book, quote | the best levels, by REST | they differ from the book's, and no message follows |
//! | trade | the newest trade, by REST or in the heartbeat | its number is above the last trade's, and stays so |
//! | all of an instrument | its heartbeat, where there is one | it was there and is missing |
//!
//! The best levels are all that a book without numbers can be asked about: they prove that it is
//! right at the top at that moment, and nothing below.

use std::time::Duration;

use model::event::{Reason, StreamState};
use model::venue::{Count, DepthSnapshot, Sink};
use model::{Kind, Level, Nanos, Side};

use super::machine::Machine;
use super::requests::Purpose;
use crate::assembler::Ask;
use crate::track::{Probe, TRADE_PATIENCE};

/// Heartbeats come every second; so many seconds without one mean that a feed stands still.
const HEARTBEAT_PATIENCE: Duration = Duration::from_secs(10);

impl Machine {
    /// Looks at one market's silent streams and at the probes that are due.
    pub(super) fn check_silence(&mut self, index: usize, now: Nanos, sink: &mut Sink<'_>) {
        let market = &mut self.markets.all[index];
        if market.link.is_some()
            && market.heard.is_some_and(|heard| now.since(heard) >= HEARTBEAT_PATIENCE)
        {
            market.heard = None;
            for kind in [Kind::BookUpdate, Kind::Trade] {
                self.stale(index, kind, Reason::ProbeMissedProgress, now, sink);
            }
        }
        for kind in [Kind::BookUpdate, Kind::Trade] {
            let patience = match kind {
                Kind::Trade => self.settings.silence * TRADE_PATIENCE,
                _ => self.settings.silence,
            };
            let (needed, live) =
                (self.markets.all[index].needs(kind), self.is_live(index, kind, sink));
            let track = self.markets.all[index].track(kind);
            match track.probe {
                Probe::Behind { position, until } => {
                    if track.position >= position {
                        track.probe = Probe::Idle;
                    } else if now >= until {
                        self.stale(index, kind, Reason::ProbeMissedProgress, now, sink);
                    }
                }
                Probe::Idle if needed && live && now.since(track.seen) >= patience => {
                    self.probe(index, kind, sink);
                }
                _ => {}
            }
        }
    }

    fn probe(&mut self, index: usize, kind: Kind, sink: &mut Sink<'_>) {
        let (purpose, question) = match kind {
            Kind::Trade => (Purpose::Trade { market: index }, self.dialect.trade_probe),
            _ => (Purpose::Book { market: index }, Some(self.dialect.book_probe)),
        };
        let Some(question) = question else { return };
        let market = &self.markets.all[index];
        let (instrument, path) = (market.instrument, (question.path)(&market.symbol));
        let id = self.request(purpose, &path, question.weight, question.read, sink);
        sink.pipeline.count(instrument, kind, Count::Probe);
        self.markets.all[index].track(kind).probe = Probe::Asked(id);
    }

    /// The venue's best levels. A message that came after the question says more than they do.
    pub(super) fn on_best_levels(
        &mut self,
        index: usize,
        depth: &DepthSnapshot,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let market = &mut self.markets.all[index];
        let book = sink.pipeline.book(market.instrument);
        let quantities = self.dialect.probe_quantities;
        let same = |theirs: Option<&Level>, ours: Option<Level>| match (theirs, ours) {
            (Some(theirs), Some(ours)) => {
                theirs.price == ours.price && (!quantities || theirs.quantity == ours.quantity)
            }
            (theirs, ours) => theirs.is_none() && ours.is_none(),
        };
        let agree = same(depth.bids.first(), book.best(Side::Buy))
            && same(depth.asks.first(), book.best(Side::Sell));
        let track = market.track(Kind::BookUpdate);
        // Any message after this shows that the stream goes on.
        let due = (!agree).then_some(track.position + 1);
        self.judge(index, Kind::BookUpdate, due, now);
    }

    /// The venue's newest trade.
    pub(super) fn on_newest_trade(&mut self, index: usize, newest: Option<u64>, now: Nanos) {
        let position = self.markets.all[index].track(Kind::Trade).position;
        let due = newest.filter(|newest| *newest > position);
        self.judge(index, Kind::Trade, due, now);
    }

    /// An instrument's heartbeat.
    pub(super) fn on_alive(&mut self, symbol: &str, last_trade: u64, now: Nanos) {
        let Some(index) = self.markets.index(symbol) else { return };
        let market = &mut self.markets.all[index];
        market.heard = Some(now);
        let track = market.track(Kind::Trade);
        let known = track.wanted && track.state == StreamState::Live && track.position > 0;
        if known && track.probe == Probe::Idle && last_trade > track.position {
            track.probe = Probe::behind(last_trade, now);
        }
    }

    /// Nothing is missing, or the stream has a little time to bring what the venue has.
    fn judge(&mut self, index: usize, kind: Kind, due: Option<u64>, now: Nanos) {
        let track = self.markets.all[index].track(kind);
        track.probe.judge(due, &mut track.seen, now);
    }

    /// A probe that is not answered shows nothing, and that is what has to be said.
    pub(super) fn probe_failed(
        &mut self,
        index: usize,
        kind: Kind,
        reason: Reason,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        if matches!(self.markets.all[index].track(kind).probe, Probe::Asked(_)) {
            self.stale(index, kind, reason, now, sink);
        }
    }

    /// A probe that the venue found wrong says nothing about the stream: later, another one.
    pub(super) fn probe_void(&mut self, index: usize, kind: Kind, now: Nanos) {
        self.judge(index, kind, None, now);
    }

    /// The stream is behind: say so, and subscribe it anew.
    pub(super) fn stale(
        &mut self,
        index: usize,
        kind: Kind,
        reason: Reason,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let live = self.is_live(index, kind, sink);
        let market = &mut self.markets.all[index];
        let needed = market.needs(kind);
        let track = market.track(kind);
        if let Probe::Behind { position, .. } = track.probe {
            // It is known to be missing; whatever is newer than it shows progress again.
            track.position = track.position.max(position);
        }
        track.probe = Probe::Idle;
        track.seen = now;
        if !needed || !live {
            return;
        }
        if kind == Kind::BookUpdate {
            if market.assembler.on_stale(reason, now, sink.pipeline) == Ask::Snapshot {
                self.ask_book(index, now, sink);
            }
            self.quote_follows(index, sink);
            return;
        }
        track.state = StreamState::Stale;
        sink.pipeline.status(market.instrument, kind, StreamState::Stale, reason);
        self.resubscribe(index, kind, now, sink);
    }

    fn is_live(&self, index: usize, kind: Kind, sink: &mut Sink<'_>) -> bool {
        let market = &self.markets.all[index];
        let state = match kind {
            Kind::BookUpdate => sink.pipeline.book(market.instrument).state,
            _ => market.tracks[kind.index()].state,
        };
        state == StreamState::Live
    }
}
