//! Requests: the instrument list and probes, and what becomes of their answers.

use std::time::Duration;

use model::capture::split_url;
use model::event::Reason;
use model::venue::{Bulk, BulkDecoder, Notice, Outcome, Request, Response, Sink};
use model::{Error, Kind, LinkId, Nanos, Remedy, RequestId};

use super::List;
use super::machine::Machine;
use super::markets::PATIENCE;

/// A refused request is tried again after so long: whoever is asked has to change first.
const REFUSED_RETRY: Duration = Duration::from_secs(30);

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Listings,
    Book { market: usize },
    Trade { market: usize },
}

impl Machine {
    /// Asks for the instrument list, unless it is being asked for.
    pub(super) fn ask_listings(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        match self.dialect.list {
            List::Channel(_) => self.links.open_first(sink.outbox),
            List::Rest(path, weight, read) => {
                if !self.requests.values().any(|purpose| *purpose == Purpose::Listings) {
                    self.request(Purpose::Listings, path, weight, read, sink);
                }
            }
        }
        self.tick(now, sink);
    }

    /// Asks once more for a list that did not come.
    pub(super) fn ask_listings_again(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        let List::Channel(channel) = self.dialect.list else { return self.ask_listings(now, sink) };
        if self.markets.listed {
            return;
        }
        for conn in self.links.conns(LinkId(0)).to_vec() {
            // A venue that believes it subscribed sends no list again.
            self.links.change_whole(conn, false, self.dialect, channel, sink.outbox);
            self.links.change_whole(conn, true, self.dialect, channel, sink.outbox);
        }
        self.expect_list(now, sink);
    }

    /// A list that comes over a connection is there within the time of a subscription, or is asked
    /// for again.
    pub(super) fn expect_list(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        if !self.markets.listed {
            let due = now + PATIENCE;
            self.list_again_at = Some(due);
            sink.outbox.wake_at(due);
        }
    }

    /// Sends a request to a path of the venue.
    pub(super) fn request(
        &mut self,
        purpose: Purpose,
        path: &str,
        weight: u32,
        bulk: BulkDecoder,
        sink: &mut Sink<'_>,
    ) -> RequestId {
        let base = self.settings.rest_url.as_deref().unwrap_or(self.dialect.rest_url);
        let url = format!("{}{path}", base.trim_end_matches('/'));
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.requests.insert(id, purpose);
        sink.outbox.requests.push(Request::get(id, url, weight, bulk));
        id
    }

    /// What an answer is for: by its request, or by its address where a recording answers what was
    /// not asked; and how it is read. `None` for what nobody waits for.
    fn purpose(&self, response: &Response<'_>) -> Option<(Purpose, BulkDecoder)> {
        let list = match self.dialect.list {
            List::Rest(path, _, read) => Some((path, read)),
            List::Channel(_) => None,
        };
        let Some(id) = response.id else {
            let (path, _) = split_url(response.url);
            return list
                .filter(|(list, _)| *list == path)
                .map(|(_, read)| (Purpose::Listings, read));
        };
        let purpose = *self.requests.get(&id)?;
        let read = match purpose {
            Purpose::Listings => list.map(|(_, read)| read),
            Purpose::Book { .. } => Some(self.dialect.book_probe.read),
            Purpose::Trade { .. } => self.dialect.trade_probe.map(|probe| probe.read),
        };
        read.map(|read| (purpose, read))
    }

    /// A request was answered, or will be later.
    pub(super) fn answered(
        &mut self,
        response: Response<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let Some((purpose, read)) = self.purpose(&response) else { return Ok(()) };
        let bulk = match response.outcome {
            Outcome::Answered(body) => read(body),
            Outcome::Decoded(bulk) => bulk,
            Outcome::Delayed(reason, _) => {
                self.on_delay(purpose, reason, now, sink);
                return Ok(());
            }
            Outcome::Refused(status, body) => {
                let what = format!("{}: status {status}: {body}", response.url);
                sink.pipeline.notice(Notice::RequestRefused(&what));
                self.on_refused(purpose, now, sink);
                return Ok(());
            }
            // Only of what is made once, which nothing of this machine is.
            Outcome::Status(..) | Outcome::Lost(_) | Outcome::Unsent(_) => return Ok(()),
        };
        self.requests.retain(|_, other| *other != purpose);
        match bulk {
            Ok(bulk) => {
                self.on_answer(purpose, bulk, now, sink);
                Ok(())
            }
            // The venue's own complaint, sent as an answer.
            Err(error) if error.remedy == Remedy::Reject => {
                let what = format!("{}: {}", response.url, error.message);
                sink.pipeline.notice(Notice::RequestRefused(&what));
                match purpose {
                    Purpose::Listings => self.on_refused(purpose, now, sink),
                    Purpose::Book { market } => self.probe_void(market, Kind::BookUpdate, now),
                    Purpose::Trade { market } => self.probe_void(market, Kind::Trade, now),
                }
                Ok(())
            }
            Err(error) => {
                self.on_refused(purpose, now, sink);
                Err(error)
            }
        }
    }

    fn on_answer(&mut self, purpose: Purpose, bulk: Bulk, now: Nanos, sink: &mut Sink<'_>) {
        match (purpose, bulk) {
            (Purpose::Listings, Bulk::Listings { listings, unreadable }) => {
                self.on_listings(listings, &unreadable, true, now, sink);
            }
            (Purpose::Book { market }, Bulk::Depth(depth)) => {
                self.on_best_levels(market, &depth, now, sink);
            }
            (Purpose::Trade { market }, Bulk::LastTrade(id)) => {
                self.on_newest_trade(market, id, now);
            }
            // A decoder gives what its purpose asks for; nothing else can arrive here.
            _ => {}
        }
    }

    /// The session tries again later. No budget for a probe proves nothing; a venue that does not
    /// answer it does.
    fn on_delay(&mut self, purpose: Purpose, reason: Reason, now: Nanos, sink: &mut Sink<'_>) {
        if reason == Reason::RateLimited {
            return;
        }
        match purpose {
            Purpose::Listings => {}
            Purpose::Book { market } => {
                self.probe_failed(market, Kind::BookUpdate, reason, now, sink);
            }
            Purpose::Trade { market } => self.probe_failed(market, Kind::Trade, reason, now, sink),
        }
    }

    /// The venue won't answer this, or not in a form that can be read.
    fn on_refused(&mut self, purpose: Purpose, now: Nanos, sink: &mut Sink<'_>) {
        self.requests.retain(|_, other| *other != purpose);
        let reason = Reason::VenueUnavailable;
        match purpose {
            Purpose::Listings => self.list_again_at = Some(now + REFUSED_RETRY),
            Purpose::Book { market } => {
                self.probe_failed(market, Kind::BookUpdate, reason, now, sink);
            }
            Purpose::Trade { market } => self.probe_failed(market, Kind::Trade, reason, now, sink),
        }
        self.tick(now, sink);
    }
}
