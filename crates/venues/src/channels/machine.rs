//! The machine: frames, answers, commands and the time in; events, requests and messages out.
//!
//! One instrument's trouble never reaches another: all state below is per market and kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::event::{Reason, StreamState};
use model::venue::{
    Command, Discard, Listing, Notice, Profile, Response, Sink, Subscription, Venue,
};
use model::{Body, CanonicalEvent, ConnId, Error, Instrument, Kind, LinkId, Nanos, RequestId};
use pool::LocalPooled;

use super::links::Links;
use super::markets::{Markets, Repeat};
use super::requests::Purpose;
use super::{Dialect, List, Message};
use crate::listings::Listings;
use crate::registry::Settings;
use crate::track::{KINDS, Probe};

/// How often silent streams and due repairs are looked at.
const TICK: Duration = Duration::from_secs(1);

/// The machine of one provider.
#[derive(Debug)]
pub struct Machine {
    pub(super) dialect: &'static Dialect,
    pub(super) settings: Settings,
    /// Levels a side that books are subscribed to; `None` for whole books.
    pub(super) depth: Option<u32>,
    pub(super) markets: Markets,
    pub(super) links: Links,
    /// Wanted, and not yet placed on a link because the venue's list is not there.
    pub(super) wanted: BTreeSet<Subscription>,
    /// Questions that are out: at most one for a purpose.
    pub(super) requests: BTreeMap<RequestId, Purpose>,
    pub(super) next_request: u64,
    /// Connections of a recording, whose links are not ours.
    adopted: Vec<ConnId>,
    ticking: bool,
    /// When the instrument list is asked for again, after it was refused.
    pub(super) list_again_at: Option<Nanos>,
}

impl Machine {
    /// A machine for a venue; it does nothing before the first command.
    #[must_use]
    pub fn new(dialect: &'static Dialect, settings: Settings) -> Self {
        let base = settings.ws_url.as_deref().unwrap_or(dialect.ws_url);
        let url = format!("{}{}", base.trim_end_matches('/'), dialect.ws_path);
        Self {
            dialect,
            depth: dialect.depth(settings.book_depth),
            markets: Markets::within(settings.limits),
            settings,
            links: Links::new(url, dialect.instruments_max),
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
        conn: ConnId,
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
        let carrier = if kind == Kind::BookSnapshot { Kind::BookUpdate } else { kind };
        if !market.needs(carrier) {
            sink.pipeline.discard(event, Discard::Unsubscribed);
        } else if carrier == Kind::BookUpdate {
            self.on_book(index, conn, event, now, sink);
        } else {
            self.on_other(index, conn, event, now, sink);
        }
        Ok(())
    }

    /// An event of a kind without a book.
    fn on_other(
        &mut self,
        index: usize,
        conn: ConnId,
        event: LocalPooled<CanonicalEvent>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let market = &mut self.markets.all[index];
        let (instrument, kind) = (market.instrument, event.header.stream.kind);
        let track = market.track(kind);
        track.seen = now;
        track.conn = Some(conn);
        track.repeat.answered();
        let position = event.header.seq_provider.or(event.header.ts_event.map(|ts| ts.0));
        let position = position.unwrap_or(track.position);
        // Two messages can share a time, but not a number.
        let numbered = event.header.seq_provider.is_some();
        let same = position == track.position && (numbered || event.body == track.newest);
        // What the engine puts in order passes: it knows what it had.
        let resequenced = self.dialect.profile.contiguous.contains(&kind);
        if !resequenced && (position < track.position || same) {
            sink.pipeline.discard(event, Discard::Duplicate);
            return;
        }
        track.position = track.position.max(position);
        if !numbered {
            track.newest = event.body.clone();
        }
        if track.state != StreamState::Live {
            track.state = StreamState::Live;
            sink.pipeline.status(instrument, kind, StreamState::Live, Reason::Flowing);
        }
        sink.pipeline.emit(event);
    }

    /// Takes an instrument that a recording speaks of.
    fn adopt(&mut self, symbol: &str, sink: &mut Sink<'_>) -> Result<usize, Error> {
        let instrument = match self.markets.listings.of_symbol(symbol) {
            Some(listing) => listing.instrument.clone(),
            None => {
                let (base, quote) = self.dialect.split_symbol(symbol).ok_or_else(|| {
                    let mark = self.dialect.separator;
                    Error::ignore(format!(
                        "the symbol '{symbol}' is not of the form BASE{mark}QUOTE"
                    ))
                })?;
                Instrument::unlisted(base, quote, model::instrument::Contract::Spot)
            }
        };
        let id = sink.pipeline.list(&instrument)?;
        let index = self.markets.add(symbol, id, self.dialect, self.depth);
        for track in &mut self.markets.all[index].tracks {
            track.wanted = true;
        }
        Ok(index)
    }

    /// A connection is gone: what it brought of the markets that pass is lost or goes on elsewhere.
    fn lost(&mut self, conn: ConnId, link: Option<LinkId>, now: Nanos, sink: &mut Sink<'_>) {
        let last = link.is_none_or(|link| self.links.conns(link).is_empty());
        for index in 0..self.markets.all.len() {
            let market = &mut self.markets.all[index];
            if link.is_some() && market.link != link {
                continue;
            }
            market.heard = None;
            for kind in Kind::ALL.into_iter().take(KINDS) {
                let market = &mut self.markets.all[index];
                let track = market.track(kind);
                let brought = track.conn == Some(conn);
                if last {
                    track.position = 0;
                    track.newest = Body::Empty;
                    track.probe = Probe::Idle;
                    track.conn = None;
                    track.repeat = Repeat::default();
                }
                match kind {
                    Kind::BookUpdate if last || brought => {
                        market.assembler.on_disconnect(now, sink.pipeline);
                        if !last {
                            self.ask_book(index, now, sink);
                        }
                        self.quote_follows(index, sink);
                    }
                    // It follows from the book.
                    Kind::Quote => {}
                    _ if last => self.gap(index, kind, sink),
                    _ if brought => {
                        track.conn = None;
                        track.repeat.sent(now);
                    }
                    _ => {}
                }
            }
        }
    }

    /// A stream without a book has lost its connection.
    fn gap(&mut self, index: usize, kind: Kind, sink: &mut Sink<'_>) {
        let market = &mut self.markets.all[index];
        let track = market.track(kind);
        if matches!(track.state, StreamState::Live | StreamState::Stale) {
            track.state = StreamState::Gapped;
            let (state, reason) = (StreamState::Gapped, Reason::Disconnected);
            sink.pipeline.status(market.instrument, kind, state, reason);
        }
    }

    /// Asks for the timer, once.
    pub(super) fn tick(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        if !self.ticking {
            self.ticking = true;
            sink.outbox.wake_at(now + TICK);
        }
    }

    /// Takes the venue's list, and the newer facts about what is known already.
    pub(super) fn on_listings(
        &mut self,
        listings: Vec<Listing>,
        unreadable: &[String],
        whole: bool,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        for entry in unreadable {
            sink.pipeline.notice(Notice::UnreadableInstrument(entry));
        }
        if whole {
            self.markets.listings = Listings::default();
        }
        self.markets.listings.extend(listings);
        self.markets.listed = true;
        for index in 0..self.markets.all.len() {
            let symbol = &self.markets.all[index].symbol;
            let known = self.markets.listings.of_symbol(symbol);
            // It has a number, so there is room for it.
            let _ = known.map(|listing| sink.pipeline.list(&listing.instrument));
            self.markets.set_places(index);
        }
        self.place_wanted(now, sink);
    }

    /// What is no event.
    fn on_message(&mut self, conn: ConnId, message: Message<'_>, now: Nanos, sink: &mut Sink<'_>) {
        match message {
            Message::History { kind, symbol, position } => {
                if let Some(index) = self.markets.index(&symbol) {
                    let track = self.markets.all[index].track(kind);
                    track.position = track.position.max(position);
                    track.repeat.answered();
                }
            }
            Message::Alive { symbol, last_trade } => self.on_alive(&symbol, last_trade, now),
            Message::Confirmed(subscriptions) => {
                for (kind, symbol) in subscriptions {
                    // A book's subscription is answered by its snapshot.
                    let index = self.markets.index(&symbol).filter(|_| kind != Kind::BookUpdate);
                    if let Some(index) = index {
                        let market = &mut self.markets.all[index];
                        let instrument = market.instrument;
                        let track = market.track(kind);
                        track.conn = Some(conn);
                        track.repeat.answered();
                        if track.wanted && track.state == StreamState::Syncing {
                            let (state, reason) = (StreamState::Syncing, Reason::Confirmed);
                            sink.pipeline.status(instrument, kind, state, reason);
                        }
                    }
                }
            }
            Message::Refused(what) => sink.pipeline.notice(Notice::SubscriptionRefused(&what)),
            Message::Listings { listings, unreadable, whole } => {
                self.on_listings(listings, &unreadable, whole, now, sink);
            }
            Message::Status(state) => sink.pipeline.notice(Notice::VenueStatus(&state)),
            Message::Unknown(kind) => sink.pipeline.notice(Notice::UnknownType(&kind)),
            Message::Nothing | Message::Event { .. } => {}
        }
    }
}

impl Venue for Machine {
    fn profile(&self) -> &Profile {
        &self.dialect.profile
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
        self.links.opened(link, conn);
        if let List::Channel(channel) = self.dialect.list
            && link == LinkId(0)
        {
            self.links.change_whole(conn, true, self.dialect, channel, sink.outbox);
            self.expect_list(now, sink);
        }
        self.subscribe_on(conn, link, None, now, sink);
    }

    fn on_frame(
        &mut self,
        conn: ConnId,
        frame: &[u8],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let Some(mut event) = sink.pipeline.event() else {
            return Err(self.not_taken(conn, now, sink));
        };
        let message = match (self.dialect.read)(frame, &mut event) {
            Ok(message) => message,
            Err(error) => {
                self.unreadable(frame, now, sink);
                return Err(error);
            }
        };
        let Message::Event { symbol, more } = message else {
            drop(event);
            self.on_message(conn, message, now, sink);
            return Ok(());
        };
        let (kind, ts_event) = (event.header.stream.kind, event.header.ts_event);
        self.on_event(conn, &symbol, event, now, sink)?;
        for entry in more {
            let Some(reader) = self.dialect.read_entry else { break };
            let Some(mut event) = sink.pipeline.event() else {
                return Err(self.not_taken(conn, now, sink));
            };
            let symbol = reader(kind, entry, &mut event)?;
            // The message's time, where its entries have none of their own.
            event.header.ts_event = event.header.ts_event.or(ts_event);
            self.on_event(conn, &symbol, event, now, sink)?;
        }
        Ok(())
    }

    fn on_close(&mut self, conn: ConnId, now: Nanos, sink: &mut Sink<'_>) {
        if self.settings.adopt {
            self.adopted.retain(|other| *other != conn);
            if self.adopted.is_empty() {
                self.lost(conn, None, now, sink);
            }
            return;
        }
        if let Some(link) = self.links.closed(conn).map(|link| link.id) {
            self.lost(conn, Some(link), now, sink);
        }
    }

    fn on_response(
        &mut self,
        response: Response<'_>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        self.answered(response, now, sink)
    }

    fn on_timer(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        // Of a recording nothing can be asked.
        if self.settings.adopt {
            return;
        }
        self.ticking = false;
        if self.list_again_at.is_some_and(|at| at <= now) {
            self.list_again_at = None;
            self.ask_listings_again(now, sink);
        }
        for index in 0..self.markets.all.len() {
            self.repeat_due(index, now, sink);
            self.check_silence(index, now, sink);
        }
        self.tick(now, sink);
    }
}
