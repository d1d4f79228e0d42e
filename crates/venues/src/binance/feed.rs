//! The machine: frames, answers, commands and the time in; events, requests and frames out.
//!
//! One instrument's trouble never reaches another: all state below is per market and kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::event::{Reason, StreamState};
use model::venue::{
    Command, Discard, Notice, Outcome, Profile, Response, Sink, Subscription, Venue,
};
use model::{Body, CanonicalEvent, ConnId, Error, Instrument, Kind, LinkId, Nanos, RequestId};
use pool::LocalPooled;

use super::line::Line;
use super::links::{Link, Links};
use super::markets::Markets;
use super::rest;
use super::wire::{self, Message};
use crate::assembler::Ask;
use crate::registry::Settings;
use crate::track::{KINDS, Probe};

mod probes;
mod requests;

/// How often silent streams and due repairs are looked at.
const TICK: Duration = Duration::from_secs(1);

/// The machine of one provider.
#[derive(Debug)]
pub struct Binance {
    line: &'static Line,
    settings: Settings,
    markets: Markets,
    links: Links,
    /// Wanted, and not yet placed on a link because the venue's list is not there.
    wanted: BTreeSet<Subscription>,
    requests: BTreeMap<RequestId, Purpose>,
    next_request: u64,
    /// Connections of a recording, whose links are not ours.
    adopted: Vec<ConnId>,
    ticking: bool,
    /// When the instrument list is asked for again, after it was refused.
    list_again_at: Option<Nanos>,
}

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    Listings,
    Snapshot { market: usize },
    DepthProbe { market: usize },
    TradeProbe { market: usize },
}

impl Binance {
    /// A machine for a product line; it does nothing before the first command.
    #[must_use]
    pub fn new(line: &'static Line, settings: Settings) -> Self {
        let base = settings.ws_url.clone().unwrap_or_else(|| line.ws_url.to_owned());
        let base = base.trim_end_matches('/').to_owned();
        Self {
            line,
            markets: Markets::within(settings.limits),
            settings,
            links: Links::new(base, line.streams_max),
            wanted: BTreeSet::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            adopted: Vec::new(),
            ticking: false,
            list_again_at: None,
        }
    }

    /// An event of a known or unknown symbol.
    fn on_event(
        &mut self,
        symbol: &str,
        mut event: LocalPooled<CanonicalEvent>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let index = match self.markets.index(symbol) {
            Some(index) => index,
            None if self.settings.adopt => self.adopt(symbol, sink)?,
            None => {
                sink.pipeline.notice(Notice::UnexpectedSymbol(symbol));
                return Ok(());
            }
        };
        let market = &mut self.markets.all[index];
        let kind = event.header.stream.kind;
        event.header.stream.instrument = market.instrument;
        let track = &mut market.tracks[kind.index()];
        if !track.wanted {
            sink.pipeline.discard(event, Discard::Unsubscribed);
            return Ok(());
        }
        track.seen = now;
        if kind == Kind::BookUpdate {
            let ask = market.assembler.on_diff(event, now, sink.pipeline);
            self.see_to_book(index, ask, now, sink);
            return Ok(());
        }
        // Without a position (no kind of this venue today) every message passes. What the engine
        // puts in order passes too: of a renewal's two connections the older may still bring what
        // the newer has gone beyond.
        let position = event.header.seq_provider.or(event.header.ts_event.map(|ts| ts.0));
        let resequenced = self.line.profile.contiguous.contains(&kind);
        if !resequenced && position.is_some_and(|position| position <= track.position) {
            sink.pipeline.discard(event, Discard::Duplicate);
            return Ok(());
        }
        track.position = position.map_or(0, |position| position.max(track.position));
        if track.state != StreamState::Live {
            track.state = StreamState::Live;
            let (instrument, reason) = (market.instrument, Reason::Flowing);
            sink.pipeline.status(instrument, kind, StreamState::Live, reason);
        }
        if let Body::Quote(quote) = event.body {
            market.quote = quote;
        }
        sink.pipeline.emit(event);
        Ok(())
    }

    /// Does what a market's assembler asks for.
    fn see_to_book(&mut self, index: usize, ask: Ask, now: Nanos, sink: &mut Sink<'_>) {
        if let Some(at) = self.markets.all[index].assembler.look_at() {
            sink.outbox.wake_at(at);
        }
        if ask == Ask::Snapshot {
            self.ask_snapshot(index, now, sink);
        }
    }

    /// Looks at the diffs that wait for one before them.
    fn look(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        for index in 0..self.markets.all.len() {
            let ask = self.markets.all[index].assembler.on_look(now, sink.pipeline);
            self.see_to_book(index, ask, now, sink);
        }
    }

    /// Takes an instrument that a recording speaks of.
    fn adopt(&mut self, symbol: &str, sink: &mut Sink<'_>) -> Result<usize, Error> {
        let instrument = match self.markets.listings.of_symbol(symbol) {
            Some(listing) => listing.instrument.clone(),
            None => {
                let (base, quote, contract) = self.line.split_symbol(symbol).ok_or_else(|| {
                    Error::ignore(format!("the symbol '{symbol}' names no known quote asset"))
                })?;
                Instrument::unlisted(base, quote, contract)
            }
        };
        let id = sink.pipeline.list(&instrument)?;
        let index = self.markets.add(symbol, id, self.line.rules);
        for track in &mut self.markets.all[index].tracks {
            track.wanted = true;
        }
        Ok(index)
    }

    /// Puts what is wanted on links, as far as the venue's list names it.
    fn place_wanted(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        if !self.markets.listed {
            return;
        }
        let mut streams = Vec::new();
        for wanted in std::mem::take(&mut self.wanted) {
            let Some(index) = self.market_for(&wanted.instrument, sink) else { continue };
            let market = &mut self.markets.all[index];
            let Some(stream) = self.line.stream(&market.symbol, wanted.kind) else {
                let what = format!("{} {}", wanted.instrument, wanted.kind.name());
                sink.pipeline.notice(Notice::SubscriptionRefused(&what));
                continue;
            };
            let track = &mut market.tracks[wanted.kind.index()];
            if !track.wanted {
                track.wanted = true;
                track.seen = now;
                let (state, reason) = (StreamState::Syncing, Reason::Subscribed);
                sink.pipeline.status(market.instrument, wanted.kind, state, reason);
                streams.push((wanted.kind, stream));
            }
        }
        self.links.add(self.line, streams, sink.outbox);
        self.tick(now, sink);
    }

    /// The place of an instrument that the venue lists, made known if it is new.
    fn market_for(&mut self, name: &str, sink: &mut Sink<'_>) -> Option<usize> {
        if let Some(index) = self.markets.index_of_name(name) {
            return Some(index);
        }
        let Some(listing) = self.markets.listings.get(name) else {
            sink.pipeline.notice(Notice::UnknownInstrument(name));
            return None;
        };
        match sink.pipeline.list(&listing.instrument) {
            Ok(id) => {
                let symbol = listing.symbol.clone();
                Some(self.markets.add(&symbol, id, self.line.rules))
            }
            Err(error) => {
                sink.pipeline.notice(Notice::SubscriptionRefused(&error.message));
                None
            }
        }
    }

    fn unsubscribe(&mut self, subscriptions: &[Subscription], sink: &mut Sink<'_>) {
        let mut streams = Vec::new();
        for unwanted in subscriptions {
            self.wanted.remove(unwanted);
            let Some(index) = self.markets.index_of_name(&unwanted.instrument) else { continue };
            let market = &mut self.markets.all[index];
            let track = &mut market.tracks[unwanted.kind.index()];
            if std::mem::take(track).wanted {
                streams.extend(self.line.stream(&market.symbol, unwanted.kind));
            }
            if unwanted.kind == Kind::BookUpdate {
                sink.outbox.cancelled.extend(market.fetch.asked.take());
                market.fetch.retry_at = None;
                let book = sink.pipeline.book(market.instrument);
                book.clear();
                book.state = StreamState::Syncing;
            }
        }
        self.links.remove(&streams, sink.outbox);
    }

    /// Every stream that stood on a link whose last connection is gone.
    fn lost(&mut self, link: Option<LinkId>, now: Nanos, sink: &mut Sink<'_>) {
        for market in &mut self.markets.all {
            for kind in Kind::ALL.into_iter().take(KINDS) {
                if !market.tracks[kind.index()].wanted {
                    continue;
                }
                let on_link = link.is_none_or(|link| {
                    let stream = self.line.stream(&market.symbol, kind);
                    let link = self.links.get(link);
                    stream.is_some_and(|stream| link.is_some_and(|link| link.has(&stream)))
                });
                if on_link {
                    market.lost(kind, now, sink);
                }
            }
        }
    }

    /// Asks for the timer, once.
    fn tick(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        if !self.ticking {
            self.ticking = true;
            sink.outbox.wake_at(now + TICK);
        }
    }

    /// Streams of a link are subscribed, of which nothing need come for a long time; a book's
    /// snapshot says so by itself.
    fn confirmed(&self, link: LinkId, which: fn(&Link, &str) -> bool, sink: &mut Sink<'_>) {
        let Some(link) = self.links.get(link) else { return };
        for market in &self.markets.all {
            for kind in Kind::ALL.into_iter().take(KINDS).filter(|kind| *kind != Kind::BookUpdate) {
                let track = &market.tracks[kind.index()];
                let waits = track.wanted && track.state == StreamState::Syncing;
                let stream = self.line.stream(&market.symbol, kind).filter(|_| waits);
                if stream.is_some_and(|stream| which(link, &stream)) {
                    let (state, reason) = (StreamState::Syncing, Reason::Confirmed);
                    sink.pipeline.status(market.instrument, kind, state, reason);
                }
            }
        }
    }

    /// Fetches the books of a link's markets that have none; all of them after a connect.
    fn ask_missing_snapshots(&mut self, link: LinkId, now: Nanos, sink: &mut Sink<'_>) {
        for index in 0..self.markets.all.len() {
            let market = &self.markets.all[index];
            let wanted = market.tracks[Kind::BookUpdate.index()].wanted;
            let live = sink.pipeline.book(market.instrument).state == StreamState::Live;
            let stream = self.line.stream(&market.symbol, Kind::BookUpdate);
            let here = self.links.get(link).is_some_and(|l| stream.is_some_and(|s| l.has(&s)));
            if wanted && !live && here {
                self.ask_snapshot(index, now, sink);
            }
        }
    }
}

impl super::markets::Market {
    /// The kind's connection is gone. Positions are forgotten too: a venue that restarted may
    /// count from anywhere.
    fn lost(&mut self, kind: Kind, now: Nanos, sink: &mut Sink<'_>) {
        let track = &mut self.tracks[kind.index()];
        track.position = 0;
        track.probe = Probe::Idle;
        if kind == Kind::BookUpdate {
            sink.outbox.cancelled.extend(self.fetch.asked.take());
            self.fetch.retry_at = None;
            self.assembler.on_disconnect(now, sink.pipeline);
        } else if matches!(track.state, StreamState::Live | StreamState::Stale) {
            track.state = StreamState::Gapped;
            let (state, reason) = (StreamState::Gapped, Reason::Disconnected);
            sink.pipeline.status(self.instrument, kind, state, reason);
        }
    }
}

impl Venue for Binance {
    fn profile(&self) -> &Profile {
        &self.line.profile
    }

    fn on_command(&mut self, command: &Command, now: Nanos, sink: &mut Sink<'_>) {
        match command {
            Command::Subscribe(subscriptions) => {
                self.wanted.extend(subscriptions.iter().cloned());
                if !self.markets.listed {
                    self.ask_listings(now, sink);
                }
                self.place_wanted(now, sink);
            }
            Command::Unsubscribe(subscriptions) => self.unsubscribe(subscriptions, sink),
            // Orders have a machine of their own; see `model::trading`.
            Command::Trade(_) => {
                sink.pipeline.notice(Notice::RequestRefused("no machine of orders"))
            }
        }
    }

    fn on_open(&mut self, link: LinkId, conn: ConnId, now: Nanos, sink: &mut Sink<'_>) {
        if self.settings.adopt {
            self.adopted.push(conn);
            return;
        }
        self.links.opened(link, conn, sink.outbox);
        self.confirmed(link, Link::is_in_address, sink);
        if self.links.get(link).is_some_and(|link| link.conns.len() == 1) {
            self.ask_missing_snapshots(link, now, sink);
        }
    }

    fn on_frame(
        &mut self,
        conn: ConnId,
        frame: &[u8],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let Some(mut event) = sink.pipeline.event() else {
            return Err(Error::resync("no free event: the pool of canonical events is exhausted"));
        };
        match wire::read(frame, &mut event)? {
            Message::Event { symbol } => return self.on_event(&symbol, event, now, sink),
            Message::Reply { error: Some(error) } => {
                sink.pipeline.notice(Notice::SubscriptionRefused(&error));
            }
            // Streams that were subscribed by message are effective from here on.
            Message::Reply { error: None } => {
                if let Some(link) = self.links.of_conn(conn) {
                    self.confirmed(link, Link::has, sink);
                    self.ask_missing_snapshots(link, now, sink);
                }
            }
            Message::ServerShutdown => {
                sink.pipeline.notice(Notice::ShutdownAnnounced("serverShutdown"));
                sink.outbox.renew.push((conn, Reason::VenueReset));
            }
            Message::Unknown(kind) => sink.pipeline.notice(Notice::UnknownType(&kind)),
        }
        Ok(())
    }

    fn on_close(&mut self, conn: ConnId, now: Nanos, sink: &mut Sink<'_>) {
        if self.settings.adopt {
            self.adopted.retain(|other| *other != conn);
            if self.adopted.is_empty() {
                self.lost(None, now, sink);
            }
            return;
        }
        let lost = self.links.closed(conn).filter(|link| link.conns.is_empty()).map(|link| link.id);
        if lost.is_some() {
            self.lost(lost, now, sink);
        }
    }

    fn on_response(
        &mut self,
        response: Response<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let Some(purpose) = self.purpose(&response, sink)? else { return Ok(()) };
        let bulk = match response.outcome {
            Outcome::Answered(body) => Self::decoder(&purpose)(body),
            Outcome::Decoded(bulk) => bulk,
            Outcome::Delayed(reason, _) => {
                self.on_delay(&purpose, reason, now, sink);
                return Ok(());
            }
            Outcome::Refused(status, body) => {
                let what = format!("{}: status {status}: {body}", response.url);
                sink.pipeline.notice(Notice::RequestRefused(&what));
                self.on_refused(&purpose, now, sink);
                return Ok(());
            }
            // Only of what is made once, which nothing of this machine is.
            Outcome::Status(..) | Outcome::Lost(_) | Outcome::Unsent(_) => return Ok(()),
        };
        // There is at most one request for a purpose, whoever answered it.
        self.requests.retain(|_, other| *other != purpose);
        match bulk {
            Ok(bulk) => {
                self.on_answer(purpose, bulk, now, sink);
                Ok(())
            }
            Err(error) => {
                self.on_refused(&purpose, now, sink);
                Err(error)
            }
        }
    }

    fn on_timer(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        self.look(now, sink);
        // Of a recording nothing can be asked.
        if self.settings.adopt {
            return;
        }
        self.ticking = false;
        if self.list_again_at.is_some_and(|at| at <= now) {
            self.list_again_at = None;
            self.ask_listings(now, sink);
        }
        for index in 0..self.markets.all.len() {
            if self.markets.all[index].fetch.retry_at.is_some_and(|at| at <= now) {
                self.ask_snapshot(index, now, sink);
            }
            self.check_silence(index, now, sink);
        }
        self.tick(now, sink);
    }
}
