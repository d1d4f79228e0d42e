//! Requests: instrument lists and books, and what becomes of their answers.

use std::time::Duration;

use model::capture::{params, split_url};
use model::event::Reason;
use model::venue::{Bulk, BulkDecoder, Count, DepthSnapshot, Notice, Request, Response, Sink};
use model::{Error, Kind, Nanos, RequestId};

use super::super::habits::{LISTS, REST_URL, list_of};
use super::super::rest;
use super::Okx;
use crate::assembler::Ask;

/// A refused request is tried again after so long: whoever is asked has to change first.
const REFUSED_RETRY: Duration = Duration::from_secs(30);

/// Levels that a probe asks for.
pub(super) const PROBE_LEVELS: u32 = 20;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Listings { list: &'static str },
    Snapshot { market: usize },
    DepthProbe { market: usize },
    TradeProbe { market: usize },
}

impl Purpose {
    /// How the answer is read.
    pub(super) fn decoder(self) -> BulkDecoder {
        match self {
            Self::Listings { .. } => rest::read_listings,
            Self::Snapshot { .. } | Self::DepthProbe { .. } => rest::read_depth,
            Self::TradeProbe { .. } => rest::read_last_trade,
        }
    }
}

impl Okx {
    /// Asks for the lists that wanted instruments stand in, unless they are being asked for.
    pub(super) fn ask_lists(&mut self, sink: &mut Sink<'_>) {
        for list in LISTS {
            let missing = self.wanted.iter().any(|wanted| list_of(&wanted.instrument) == list);
            let purpose = Purpose::Listings { list };
            let asked = self.requests.values().any(|other| *other == purpose);
            if missing && !asked {
                self.request(purpose, &format!("/public/instruments?instType={list}"), sink);
            }
        }
    }

    /// Sends a request to a path of the API.
    pub(super) fn request(
        &mut self,
        purpose: Purpose,
        path: &str,
        sink: &mut Sink<'_>,
    ) -> RequestId {
        let base = self.settings.rest_url.as_deref().unwrap_or(REST_URL);
        let url = format!("{}/api/v5{path}", base.trim_end_matches('/'));
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.requests.insert(id, purpose);
        sink.outbox.requests.push(Request::get(id, url, 1, purpose.decoder()));
        id
    }

    /// What an answer is for: by its request, or by its address where a recording answers what
    /// was not asked. `None` for what nobody waits for any more.
    pub(super) fn purpose(
        &mut self,
        response: &Response<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Option<Purpose>, Error> {
        if let Some(id) = response.id {
            return Ok(self.requests.get(&id).copied());
        }
        let (path, query) = split_url(response.url);
        let param = |name| params(query).find(|(other, _)| *other == name).map(|(_, value)| value);
        if path.ends_with("/public/instruments") {
            let list = LISTS.into_iter().find(|list| param("instType") == Some(list));
            return Ok(list.map(|list| Purpose::Listings { list }));
        }
        let Some(symbol) = param("instId").filter(|_| path.ends_with("/market/books")) else {
            return Ok(None);
        };
        // A probe's few levels are no book.
        let probe = param("sz") == Some(PROBE_LEVELS.to_string().as_str());
        let market = self.market(symbol, sink)?;
        Ok(market.map(|market| match probe {
            true => Purpose::DepthProbe { market },
            false => Purpose::Snapshot { market },
        }))
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
            (Purpose::Listings { list }, Bulk::Listings { listings, unreadable }) => {
                for entry in &unreadable {
                    sink.pipeline.notice(Notice::UnreadableInstrument(entry));
                }
                if !self.markets.listed.contains(&list) {
                    self.markets.listed.push(list);
                }
                self.markets.listings.extend(listings);
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
            self.ask_book(index, now, sink);
        }
    }

    /// The session tries again later.
    pub(super) fn on_delay(
        &mut self,
        purpose: Purpose,
        reason: Reason,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        match purpose {
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
    pub(super) fn on_refused(&mut self, purpose: Purpose, now: Nanos, sink: &mut Sink<'_>) {
        self.requests.retain(|_, other| *other != purpose);
        let again = now + REFUSED_RETRY;
        let unavailable = Reason::VenueUnavailable;
        match purpose {
            Purpose::Listings { .. } => self.lists_again_at = Some(again),
            Purpose::Snapshot { market } => {
                let market = &mut self.markets.all[market];
                market.fetch.asked = None;
                market.fetch.retry_at = Some(again);
                market.assembler.on_delay(unavailable, now, sink.pipeline);
            }
            Purpose::DepthProbe { market } => {
                let kinds = [Kind::BookUpdate, Kind::Quote];
                self.probe_failed(market, &kinds, unavailable, now, sink);
            }
            Purpose::TradeProbe { market } => {
                self.probe_failed(market, &[Kind::Trade], unavailable, now, sink);
            }
        }
        self.tick(now, sink);
    }
}
