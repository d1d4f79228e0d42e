//! Requests: instrument list and snapshots, and what becomes of their answers.

use std::time::Duration;

use model::capture::{params, split_url};
use model::event::Reason;
use model::venue::{Bulk, BulkDecoder, Count, DepthSnapshot, Notice, Request, Response, Sink};
use model::{Error, Kind, Nanos, RequestId};

use super::{Binance, Purpose, rest};
use crate::assembler::Ask;

/// A refused request is tried again after so long: whoever is asked has to change first.
const REFUSED_RETRY: Duration = Duration::from_secs(30);

/// Levels that a probe asks for: the best is enough.
pub(super) const PROBE_LEVELS: u32 = 5;

impl Binance {
    /// Asks for the instrument list, unless it is being asked for.
    pub(super) fn ask_listings(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        if self.requests.values().any(|purpose| *purpose == Purpose::Listings) {
            return;
        }
        let (path, weight) = ("exchangeInfo".to_owned(), self.line.list_weight);
        self.request(Purpose::Listings, &path, weight, sink);
        self.tick(now, sink);
    }

    /// Asks for a book's snapshot, unless one is on its way; at the earliest when the repeats of
    /// the last minute allow it.
    pub(super) fn ask_snapshot(&mut self, market: usize, now: Nanos, sink: &mut Sink<'_>) {
        let fetch = &mut self.markets.all[market].fetch;
        // Every diff that waits asks; one that was put off, after a refusal too, stays put off.
        if fetch.asked.is_some() || fetch.retry_at.is_some_and(|at| at > now) {
            return;
        }
        if let Err(due) = fetch.permit(now) {
            fetch.retry_at = Some(due);
            sink.outbox.wake_at(due);
            return;
        }
        let (levels, weight) = self.line.depth(self.settings.book_depth);
        let path = format!("depth?symbol={}&limit={levels}", self.markets.all[market].symbol);
        let id = self.request(Purpose::Snapshot { market }, &path, weight, sink);
        self.markets.all[market].fetch.sent(Some(id), now);
    }

    /// Sends a request to a path of the line.
    pub(super) fn request(
        &mut self,
        purpose: Purpose,
        path: &str,
        weight: u32,
        sink: &mut Sink<'_>,
    ) -> RequestId {
        let base = self.settings.rest_url.as_deref().unwrap_or(self.line.rest_url);
        let url = format!("{}{}/{path}", base.trim_end_matches('/'), self.line.rest_path);
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let bulk = Self::decoder(&purpose);
        self.requests.insert(id, purpose);
        sink.outbox.requests.push(Request::get(id, url, weight, bulk));
        id
    }

    /// How the answer to a request is read.
    pub(super) fn decoder(purpose: &Purpose) -> BulkDecoder {
        match purpose {
            Purpose::Listings => rest::read_listings,
            Purpose::Snapshot { .. } | Purpose::DepthProbe { .. } => rest::read_depth,
            Purpose::TradeProbe { .. } => rest::read_last_trade,
        }
    }

    /// What an answer is for: by its request, or by its address where a recording answers what
    /// was not asked. `None` for what nobody waits for any more.
    pub(super) fn purpose(
        &mut self,
        response: &Response<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Option<Purpose>, Error> {
        if let Some(id) = response.id {
            return Ok(self.requests.get(&id).cloned());
        }
        let (path, query) = split_url(response.url);
        if path.ends_with("/exchangeInfo") {
            return Ok(Some(Purpose::Listings));
        }
        let symbol = params(query).find(|(name, _)| *name == "symbol").map(|(_, value)| value);
        match symbol {
            Some(symbol) if path.ends_with("/depth") => {
                let market = match self.markets.index(symbol) {
                    Some(market) => market,
                    None if self.settings.adopt => self.adopt(symbol, sink)?,
                    None => return Ok(None),
                };
                // A probe's few levels are no book.
                let limit = params(query).find(|(name, _)| *name == "limit");
                let probe = self.line.depth(PROBE_LEVELS).0.to_string();
                Ok(Some(match limit {
                    Some((_, levels)) if levels == probe => Purpose::DepthProbe { market },
                    _ => Purpose::Snapshot { market },
                }))
            }
            _ => Ok(None),
        }
    }

    /// An answer that was read.
    pub(super) fn on_answer(
        &mut self,
        purpose: Purpose,
        bulk: Bulk,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        match (purpose, bulk) {
            (Purpose::Listings, Bulk::Listings { listings, unreadable }) => {
                for entry in &unreadable {
                    sink.pipeline.notice(Notice::UnreadableInstrument(entry));
                }
                self.markets.set_listings(listings);
                self.place_wanted(now, sink);
            }
            (Purpose::Snapshot { market }, Bulk::Depth(depth)) => {
                self.on_snapshot(market, &depth, now, sink);
            }
            (Purpose::DepthProbe { market }, Bulk::Depth(depth)) => {
                self.on_depth_probe(market, &depth, now, sink);
            }
            (Purpose::TradeProbe { market }, Bulk::LastTrade(id)) => {
                self.on_trade_probe(market, id, now, sink);
            }
            // A decoder gives what its purpose asks for; nothing else can arrive here.
            _ => {}
        }
    }

    fn on_snapshot(
        &mut self,
        index: usize,
        depth: &DepthSnapshot,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let market = &mut self.markets.all[index];
        market.fetch.asked = None;
        market.tracks[Kind::BookUpdate.index()].seen = now;
        sink.pipeline.count(market.instrument, Kind::BookSnapshot, Count::Decoded);
        if market.assembler.on_snapshot(depth, now, sink.pipeline) == Ask::Snapshot {
            self.ask_snapshot(index, now, sink);
        }
    }

    /// The session tries again later.
    pub(super) fn on_delay(
        &mut self,
        purpose: &Purpose,
        reason: Reason,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        match *purpose {
            Purpose::Snapshot { market } => {
                self.markets.all[market].assembler.on_delay(reason, now, sink.pipeline);
            }
            // No budget for a probe proves nothing; a venue that does not answer it does.
            Purpose::DepthProbe { market } if reason != Reason::RateLimited => {
                self.probe_failed(market, &[Kind::BookUpdate, Kind::Quote], reason, now, sink);
            }
            Purpose::TradeProbe { market } if reason != Reason::RateLimited => {
                self.probe_failed(market, &[Kind::Trade], reason, now, sink);
            }
            _ => {}
        }
    }

    /// The venue won't answer this, or not in a form that can be read.
    pub(super) fn on_refused(&mut self, purpose: &Purpose, now: Nanos, sink: &mut Sink<'_>) {
        self.requests.retain(|_, other| other != purpose);
        let again = now + REFUSED_RETRY;
        match *purpose {
            Purpose::Listings => self.list_again_at = Some(again),
            Purpose::Snapshot { market } => {
                let market = &mut self.markets.all[market];
                market.fetch.asked = None;
                market.fetch.retry_at = Some(again);
                market.assembler.on_delay(Reason::VenueUnavailable, now, sink.pipeline);
            }
            Purpose::DepthProbe { market } => {
                let kinds = [Kind::BookUpdate, Kind::Quote];
                self.probe_failed(market, &kinds, Reason::VenueUnavailable, now, sink);
            }
            Purpose::TradeProbe { market } => {
                let kinds = [Kind::Trade];
                self.probe_failed(market, &kinds, Reason::VenueUnavailable, now, sink);
            }
        }
        self.tick(now, sink);
    }
}
