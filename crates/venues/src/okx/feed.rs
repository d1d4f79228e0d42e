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

use super::habits::{self, PROFILE, channel, list_of, path, split_symbol};
use super::links::{Links, stream};
use super::markets::{Market, Markets};
use super::wire::{self, Message};
use crate::registry::Settings;
use crate::track::{KINDS, Probe};

mod books;
mod probes;
mod requests;

use requests::Purpose;

/// How often silent streams and due repairs are looked at.
const TICK: Duration = Duration::from_secs(1);

/// The machine of one provider.
#[derive(Debug)]
pub struct Okx {
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
    /// When lists are asked for again, after one was refused.
    lists_again_at: Option<Nanos>,
}

impl Okx {
    /// A machine; it does nothing before the first command.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let base = settings.ws_url.as_deref().unwrap_or(habits::WS_URL);
        Self {
            links: Links::new(base.trim_end_matches('/').to_owned()),
            markets: Markets::within(settings.limits),
            settings,
            wanted: BTreeSet::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            adopted: Vec::new(),
            ticking: false,
            lists_again_at: None,
        }
    }

    /// The place of a symbol that a frame or an answer speaks of; a recording's are taken as they
    /// come.
    fn market(&mut self, symbol: &str, sink: &mut Sink<'_>) -> Result<Option<usize>, Error> {
        match self.markets.index(symbol) {
            Some(index) => Ok(Some(index)),
            None if self.settings.adopt => self.adopt(symbol, sink).map(Some),
            None => {
                sink.pipeline.notice(Notice::UnexpectedSymbol(symbol));
                Ok(None)
            }
        }
    }

    /// An event of a market.
    fn on_event(
        &mut self,
        index: usize,
        conn: ConnId,
        mut event: LocalPooled<CanonicalEvent>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let market = &mut self.markets.all[index];
        event.header.stream.instrument = market.instrument;
        let kind = event.header.stream.kind;
        // Both book kinds are one stream.
        let of = if kind == Kind::BookSnapshot { Kind::BookUpdate } else { kind };
        let track = &mut market.tracks[of.index()];
        if !track.wanted {
            sink.pipeline.discard(event, Discard::Unsubscribed);
            return;
        }
        track.seen = now;
        if of == Kind::BookUpdate {
            self.on_book(index, conn, event, now, sink);
            return;
        }
        // The engine knows which trades it had: what a second connection brings later may be new.
        if !market.is_newer(&event) && !PROFILE.skipping.contains(&kind) {
            sink.pipeline.discard(event, Discard::Duplicate);
            return;
        }
        let track = &mut market.tracks[of.index()];
        if track.state != StreamState::Live {
            track.state = StreamState::Live;
            let (instrument, reason) = (market.instrument, Reason::Flowing);
            sink.pipeline.status(instrument, kind, StreamState::Live, reason);
        }
        sink.pipeline.emit(event);
    }

    /// Takes an instrument that a recording speaks of.
    fn adopt(&mut self, symbol: &str, sink: &mut Sink<'_>) -> Result<usize, Error> {
        let instrument = match self.markets.listings.of_symbol(symbol) {
            Some(listing) => listing.instrument.clone(),
            None => {
                let (base, quote, contract) = split_symbol(symbol).ok_or_else(|| {
                    Error::ignore(format!(
                        "the symbol '{symbol}' is not BASE-QUOTE, alone or with -SWAP or -YYMMDD"
                    ))
                })?;
                Instrument::unlisted(base, quote, contract)
            }
        };
        let id = sink.pipeline.list(&instrument)?;
        let index = self.markets.add(symbol, id);
        for track in &mut self.markets.all[index].tracks {
            track.wanted = true;
        }
        Ok(index)
    }

    /// Puts what is wanted on links, as far as the venue's lists are there to name it.
    fn place_wanted(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        let mut streams = Vec::new();
        for wanted in std::mem::take(&mut self.wanted) {
            if !self.markets.listed.contains(&list_of(&wanted.instrument)) {
                self.wanted.insert(wanted);
                continue;
            }
            let Some((index, channel)) = self.place(&wanted, sink) else { continue };
            let market = &mut self.markets.all[index];
            let track = &mut market.tracks[wanted.kind.index()];
            if !track.wanted {
                track.wanted = true;
                track.seen = now;
                let (state, reason) = (StreamState::Syncing, Reason::Subscribed);
                sink.pipeline.status(market.instrument, wanted.kind, state, reason);
                streams.push((path(wanted.kind), stream(channel, &market.symbol)));
            }
        }
        self.links.add(streams, sink.outbox);
        self.tick(now, sink);
    }

    /// The place of a wanted instrument, made known if it is new, and the channel of the kind.
    fn place(
        &mut self,
        wanted: &Subscription,
        sink: &mut Sink<'_>,
    ) -> Option<(usize, &'static str)> {
        let Some(listing) = self.markets.listings.get(&wanted.instrument) else {
            sink.pipeline.notice(Notice::UnknownInstrument(&wanted.instrument));
            return None;
        };
        let Some(channel) = channel(wanted.kind, listing.instrument.contract) else {
            let what = format!("{} {}", wanted.instrument, wanted.kind.name());
            sink.pipeline.notice(Notice::SubscriptionRefused(&what));
            return None;
        };
        if let Some(index) = self.markets.index(&listing.symbol) {
            return Some((index, channel));
        }
        match sink.pipeline.list(&listing.instrument) {
            Ok(id) => {
                let symbol = listing.symbol.clone();
                Some((self.markets.add(&symbol, id), channel))
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
                streams.extend(market.stream(unwanted.kind));
            }
            if unwanted.kind == Kind::BookUpdate {
                market.forget_book(sink);
                let book = sink.pipeline.book(market.instrument);
                book.clear();
                book.state = StreamState::Syncing;
            }
        }
        self.links.remove(&streams, sink.outbox);
    }

    /// Every stream that stood on a link whose last connection is gone.
    fn lost(&mut self, link: Option<LinkId>, now: Nanos, sink: &mut Sink<'_>) {
        let link = link.and_then(|link| self.links.get(link));
        for market in &mut self.markets.all {
            for kind in Kind::ALL.into_iter().take(KINDS) {
                let on_link = link
                    .is_none_or(|link| market.stream(kind).is_some_and(|stream| link.has(&stream)));
                if market.tracks[kind.index()].wanted && on_link {
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

    /// A message that was read.
    fn on_message(
        &mut self,
        conn: ConnId,
        message: Message<'_>,
        event: LocalPooled<CanonicalEvent>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        match message {
            Message::Event { symbol, more } => {
                let Some(index) = self.market(&symbol, sink)? else { return Ok(()) };
                self.on_event(index, conn, event, now, sink);
                for mut next in more {
                    let mut event = sink.pipeline.event().ok_or_else(exhausted)?;
                    std::mem::swap(&mut *event, &mut next);
                    self.on_event(index, conn, event, now, sink);
                }
            }
            Message::Subscribed { channel, symbol } => match self.markets.index(&symbol) {
                Some(index) if channel == "books" => self.expect_snapshot(index, now, sink),
                Some(index) => self.markets.all[index].confirmed(&channel, sink),
                None => {}
            },
            Message::Nothing => {}
            Message::Refused(words) => sink.pipeline.notice(Notice::SubscriptionRefused(&words)),
            Message::ShutdownAnnounced => {
                sink.pipeline.notice(Notice::ShutdownAnnounced("notice 64008"));
                sink.outbox.renew.push((conn, Reason::VenueReset));
            }
            Message::Unknown(kind) => sink.pipeline.notice(Notice::UnknownType(&kind)),
        }
        Ok(())
    }
}

fn exhausted() -> Error {
    Error::resync("no free event: the pool of canonical events is exhausted")
}

impl Market {
    /// How the venue's messages name the market's channel of a kind.
    fn stream(&self, kind: Kind) -> Option<String> {
        let (_, _, contract) = split_symbol(&self.symbol)?;
        channel(kind, contract).map(|channel| stream(channel, &self.symbol))
    }

    /// The venue has taken a subscription, of which nothing need come for a long time.
    fn confirmed(&self, name: &str, sink: &mut Sink<'_>) {
        let Some((_, _, contract)) = split_symbol(&self.symbol) else { return };
        let kind = Kind::ALL.into_iter().find(|kind| channel(*kind, contract) == Some(name));
        let waits = |kind: &Kind| {
            let track = &self.tracks[kind.index()];
            track.wanted && track.state == StreamState::Syncing
        };
        if let Some(kind) = kind.filter(waits) {
            let (state, reason) = (StreamState::Syncing, Reason::Confirmed);
            sink.pipeline.status(self.instrument, kind, state, reason);
        }
    }

    /// Whether an event is newer than its stream's position, which then becomes its own. A candle
    /// is sent again and again until it closes.
    fn is_newer(&mut self, event: &CanonicalEvent) -> bool {
        let header = &event.header;
        let track = &mut self.tracks[header.stream.kind.index()];
        let ts = header.ts_event;
        let (newer, position) = match event.body {
            Body::Kline(kline) => (kline.ts_open.0 >= track.position, kline.ts_open.0),
            // Its numbers start over with the book's, so its time comes first.
            Body::Quote(quote) => {
                let position = header.seq_provider.unwrap_or(0);
                let newer = (ts, position) > (self.quote_ts, track.position);
                if newer {
                    (self.quote, self.quote_ts) = (quote, ts);
                }
                (newer, position)
            }
            _ => {
                let position = header.seq_provider.or(ts.map(|ts| ts.0)).unwrap_or(0);
                (position > track.position, position)
            }
        };
        if newer {
            track.position = position;
        }
        newer
    }

    /// The kind's connection is gone. Positions are forgotten too: a venue that restarted may
    /// count from anywhere.
    fn lost(&mut self, kind: Kind, now: Nanos, sink: &mut Sink<'_>) {
        let track = &mut self.tracks[kind.index()];
        track.position = 0;
        track.probe = Probe::Idle;
        if kind == Kind::Quote {
            self.quote_ts = None;
        }
        if kind == Kind::BookUpdate {
            self.forget_book(sink);
            self.assembler.on_disconnect(now, sink.pipeline);
        } else if matches!(track.state, StreamState::Live | StreamState::Stale) {
            track.state = StreamState::Gapped;
            let (state, reason) = (StreamState::Gapped, Reason::Disconnected);
            sink.pipeline.status(self.instrument, kind, state, reason);
        }
    }
}

impl Venue for Okx {
    fn profile(&self) -> &Profile {
        &PROFILE
    }

    fn on_command(&mut self, command: &Command, now: Nanos, sink: &mut Sink<'_>) {
        match command {
            Command::Subscribe(subscriptions) => {
                self.wanted.extend(subscriptions.iter().cloned());
                self.place_wanted(now, sink);
                self.ask_lists(sink);
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
        self.expect_snapshots(link, now, sink);
    }

    fn on_frame(
        &mut self,
        conn: ConnId,
        frame: &[u8],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let mut event = sink.pipeline.event().ok_or_else(exhausted)?;
        let message = wire::read(frame, &mut event)?;
        self.on_message(conn, message, event, now, sink)
    }

    fn on_close(&mut self, conn: ConnId, now: Nanos, sink: &mut Sink<'_>) {
        for market in &mut self.markets.all {
            market.book_conn = market.book_conn.filter(|other| *other != conn);
        }
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
            Outcome::Answered(body) => purpose.decoder()(body),
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
        // There is at most one request for a purpose, whoever answered it.
        self.requests.retain(|_, other| *other != purpose);
        match bulk {
            Ok(bulk) => {
                self.on_answer(purpose, bulk, now, sink);
                Ok(())
            }
            Err(error) => {
                self.on_refused(purpose, now, sink);
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
        if self.lists_again_at.is_some_and(|at| at <= now) {
            self.lists_again_at = None;
            self.ask_lists(sink);
        }
        for index in 0..self.markets.all.len() {
            self.check_repair(index, now, sink);
            self.check_silence(index, now, sink);
        }
        self.tick(now, sink);
    }
}
