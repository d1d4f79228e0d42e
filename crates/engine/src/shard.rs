//! A shard: one thread's pools, books, routes, queues and counters, joined by plain calls.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::Waker;

use model::event::{CanonicalEvent, Reason, StreamState};
use model::trading::Heard;
use model::venue::{Count, Discard, Notice, Pipeline};
use model::{
    Body, Book, ConnId, Decimal, Error, ExecReport, Header, Instrument, InstrumentId, Kind, Nanos,
    ProviderId, Side, Stream,
};
use pool::LocalPooled;

use crate::books::{Books, LANES, Lane, Slot, lane_kind};
use crate::capacity::{BOOKS_MAX, Capacity, Pools, QueueCapacity};
use crate::catalog::Catalog;
use crate::consumer::{Inbox, queue};
use crate::control::Control;
use crate::dead_letters::{Content, DeadLetters, LetterCounts, LetterReason, Letters};
use crate::fanout::Fanout;
use crate::merge::Merges;
use crate::resequence::{Place, Sequences};
use crate::route::RoutingTable;
use crate::stats::{ProviderStats, StreamStats, is_unmapped, parts};
use crate::tally::Tally;

mod control;
mod critical;
mod merging;
mod metrics;
mod order;
mod summary;

pub use metrics::{
    ConnectionMetrics, ConsumerMetrics, MergeMetrics, Metrics, StreamHanded, StreamMetrics,
};
pub use summary::{BookView, InstrumentView, ProviderView};

/// Everything between venue machines and consumers, on one thread: it is made where it runs.
///
/// ```compile_fail,E0277
/// # use engine::{Capacity, Catalog, Shard};
/// let shard = Shard::new(Capacity::default(), Catalog::new(), std::task::Waker::noop().clone());
/// std::thread::spawn(move || drop(shard)); // its pools stay on their thread
/// ```
#[derive(Debug)]
pub struct Shard {
    pools: Pools,
    catalog: Catalog,
    books: Books,
    sequences: Sequences,
    merges: Merges,
    fanout: Fanout,
    control: Control,
    /// The event with which each consumer was last found not to return.
    blocked: BTreeMap<model::ConsumerId, u64>,
    /// By slot and kind of market data.
    streams: Vec<StreamStats>,
    /// By provider.
    providers: Vec<ProviderStats>,
    /// What could not be used or was not delivered goes there.
    letters: Letters,
    /// Handed to consumers, who call it when they made room that is waited for.
    waker: Waker,
    trace_id: u64,
}

impl Shard {
    /// A shard without consumers. `waker` makes whoever drives the shard call
    /// [`end_turn`](Self::end_turn) soon; it may be called from any consumer's thread.
    #[must_use]
    pub fn new(capacity: Capacity, catalog: Catalog, waker: Waker) -> Self {
        Self {
            pools: Pools::new(capacity),
            catalog,
            books: Books::default(),
            sequences: Sequences::default(),
            merges: Merges::default(),
            fanout: Fanout::default(),
            control: Control::default(),
            blocked: BTreeMap::new(),
            streams: Vec::new(),
            providers: Vec::new(),
            letters: Letters::default(),
            waker,
            trace_id: 0,
        }
    }

    /// Makes a queue for a consumer and gives its other end. What it gets is the routing table's
    /// to say.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) where the name is taken, or there are too many.
    pub fn add_consumer(
        &mut self,
        name: &str,
        capacity: QueueCapacity,
        now: Nanos,
    ) -> Result<Inbox, Error> {
        let id = self.catalog.consumer(name)?;
        if self.fanout.outlets().iter().any(|outlet| outlet.consumer() == id) {
            return Err(Error::reject(format!(
                "a consumer named '{name}' is already there: give each a name of its own"
            )));
        }
        let (outlet, inbox, desk) = queue(id, name, &self.catalog, capacity, self.waker.clone())?;
        self.control.add(desk);
        let header = self.blank_header(now);
        self.fanout.add(outlet, &self.books, header);
        Ok(inbox)
    }

    /// Swaps the routing table. Who is new to a stream hears how it stands; who is new to a book
    /// that is already known gets its snapshot at the end of this turn, and then exactly the
    /// updates after it.
    pub fn set_routing(&mut self, table: Arc<RoutingTable>, now: Nanos) {
        let header = self.blank_header(now);
        let new = self.fanout.set_table(table, &self.books, header);
        for (outlet, lane) in new {
            if let Some(event) = self.status_now(lane, now) {
                self.fanout.tell_status(outlet, lane, event);
            }
        }
    }

    /// From here on all consumers together get at most so many events of market data a second, by
    /// fair [`share`](crate::share); what finds no token waits and is conflated. `None`, as at the
    /// start, sets no limit.
    pub fn set_budget(&mut self, events_per_s: Option<NonZeroU32>, now: Nanos) {
        self.fanout.set_budget(events_per_s, now);
    }

    /// In how many seconds the fair shares came to more than the budget and were scaled down.
    #[must_use]
    pub fn shares_scaled(&self) -> u64 {
        self.fanout.shares_scaled()
    }

    /// What a provider's machine sees of the engine at that moment.
    pub fn port(&mut self, provider: ProviderId, now: Nanos) -> Port<'_> {
        Port { shard: self, provider, now, ts_emit: now, room: None }
    }

    /// The same for a provider's trading machine: what it hears is taken in by `room` at once.
    pub fn trading_port<'a>(
        &'a mut self,
        provider: ProviderId,
        now: Nanos,
        room: &'a mut dyn TradingRoom,
    ) -> Port<'a> {
        Port { room: Some(room), ..self.port(provider, now) }
    }

    /// Ends a turn: what is due by now is done, commands are taken and the table is flipped, what waits goes on as far as there is room, and
    /// whoever sleeps over a queue that got something is woken, once.
    pub fn end_turn(&mut self, now: Nanos) {
        self.look(now);
        self.close_windows(now);
        self.control_turn(now);
        self.fanout.end_turn(&self.books, now);
        self.fanout.bury(&mut self.letters, now);
    }

    /// When [`end_turn`](Self::end_turn) is wanted though nothing arrives.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        let at_once = self.command_waits().then_some(Nanos::default());
        let (sequences, merges) = (self.sequences.deadline(), self.merges.deadline());
        let (fanout, control) = (self.fanout.deadline(), self.control.deadline());
        let due = [sequences, merges, fanout, control, at_once];
        due.into_iter().flatten().min()
    }

    /// Whether the pools have room for another frame and its events; where not, reading stops
    /// until the next turn.
    #[must_use]
    pub fn can_read(&self) -> bool {
        self.pools.have_room()
    }

    /// The same for frames of a trading machine and its reports.
    #[must_use]
    pub fn can_hear(&self) -> bool {
        self.pools.exec_reports.has_free()
    }

    /// From here on dead letters are handed over. Whoever had the end before gets no more.
    pub fn dead_letters(&mut self) -> DeadLetters {
        self.letters.open()
    }

    /// How many dead letters there were, by reason.
    pub fn letter_counts(&self) -> impl Iterator<Item = (LetterReason, LetterCounts)> {
        self.letters.counts()
    }

    /// Calls for the end of a turn soon; see [`new`](Self::new).
    #[must_use]
    pub fn waker(&self) -> &Waker {
        &self.waker
    }

    /// The middle of a proven book's best levels, in quote currency; `None` while the book is not
    /// proven or has an empty side.
    #[must_use]
    pub fn mid(&self, provider: ProviderId, instrument: InstrumentId) -> Option<Decimal> {
        let live = self.stream(provider, instrument, Kind::BookUpdate)?;
        let book = self.book(provider, instrument);
        let book = book.filter(|_| live.state == StreamState::Live)?;
        let (bid, ask) = (book.best(Side::Buy)?.price, book.best(Side::Sell)?.price);
        bid.checked_add(ask).map(|sum| sum / Decimal::TWO)
    }

    /// The shard's pools.
    #[must_use]
    pub fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The directory of names.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The version of the routing table in force.
    #[must_use]
    pub fn routing_version(&self) -> u32 {
        self.fanout.version()
    }

    /// The counters of every consumer, in order of arrival.
    pub fn consumers(&self) -> impl Iterator<Item = (model::ConsumerId, &Arc<Tally>)> {
        self.fanout.outlets().iter().map(|outlet| (outlet.consumer(), outlet.tally()))
    }

    /// For how many further pairs there is room.
    pub(crate) fn slots_free(&self) -> usize {
        self.books.room()
    }

    /// The slot of a pair, new or known; `None` where there is no room for another.
    #[inline]
    fn slot(&mut self, provider: ProviderId, instrument: InstrumentId) -> Option<Slot> {
        self.books.find(provider, instrument).or_else(|| self.new_slot(provider, instrument))
    }

    #[cold]
    fn new_slot(&mut self, provider: ProviderId, instrument: InstrumentId) -> Option<Slot> {
        let slot = self.books.add(provider, instrument)?;
        let facts = self.catalog.facts(provider, instrument);
        self.books.set_places(slot, facts.and_then(|facts| facts.price_places));
        self.streams.resize_with((slot.index() + 1) * LANES, StreamStats::default);
        self.sequences.add_slot(slot, provider);
        if let Some(entry) = self.books.get(slot) {
            self.fanout.add_slot(slot, entry, Header::default());
        }
        Some(slot)
    }

    #[inline]
    fn stream_mut(&mut self, slot: Slot, kind: Kind) -> Option<&mut StreamStats> {
        if kind.index() >= LANES {
            return None;
        }
        self.streams.get_mut(slot.index() * LANES + kind.index())
    }

    fn provider_mut(&mut self, provider: ProviderId) -> &mut ProviderStats {
        let index = provider.index();
        if self.providers.len() <= index {
            self.providers.resize_with(index + 1, ProviderStats::default);
        }
        &mut self.providers[index]
    }

    fn next_trace(&mut self) -> u64 {
        self.trace_id += 1;
        self.trace_id
    }

    /// A header that belongs to no stream yet.
    fn blank_header(&mut self, now: Nanos) -> Header {
        let trace_id = self.next_trace();
        let routing_version = self.fanout.version();
        Header { ts_recv: now, ts_emit: now, routing_version, trace_id, ..Header::default() }
    }
}

/// The engine, as one provider's machine sees it at one moment.
#[derive(Debug)]
pub struct Port<'a> {
    shard: &'a mut Shard,
    provider: ProviderId,
    now: Nanos,
    /// Stamped on events as the time of their hand-over; the same as `now` unless set later.
    pub ts_emit: Nanos,
    /// Of a trading machine: where what it hears is taken in.
    room: Option<&'a mut dyn TradingRoom>,
}

/// Who takes in what trading machines hear, in the call that tells it: nothing of it waits, so that no
/// [`ExecReport`] is out for longer than that.
pub trait TradingRoom: std::fmt::Debug {
    /// A provider's machine has heard something.
    fn heard(&mut self, provider: ProviderId, heard: Heard, now: Nanos);

    /// A provider's machine had something to tell, and no [`ExecReport`] was free for it: its account
    /// is to be asked for it.
    fn missed(&mut self, provider: ProviderId, now: Nanos);
}

impl Port<'_> {
    /// Sends an event to whoever subscribed, and gives the pooled original back.
    #[inline]
    fn publish(&mut self, (slot, lane): (Slot, Lane), mut event: LocalPooled<CanonicalEvent>) {
        let kind = event.header.stream.kind;
        let (now, provider, ts_emit) = (self.now, self.provider, self.ts_emit);
        let shard = &mut *self.shard;
        if let Some(stream) = shard.stream_mut(slot, kind) {
            stream.emit(event.header.seq_provider, ts_emit.0.saturating_sub(now.0));
        }
        event.header.trace_id = shard.next_trace();
        event.header.stream.provider = provider;
        // What was early says itself when it was received.
        if event.header.ts_recv == Nanos::default() {
            event.header.ts_recv = now;
        }
        event.header.ts_emit = ts_emit;
        event.header.routing_version = shard.fanout.version();
        if let (Kind::BookSnapshot, Body::Book(meta)) = (kind, &event.body) {
            shard.books.announced(slot, meta.generation);
        }
        shard.fanout.send(lane, &event);
        if shard.merges.takes(lane) {
            shard.merge(lane, (&event.header, &event.body), now, ts_emit);
        }
    }

    /// The slot and lane of a stream; without one, the event is refused and counted.
    #[inline]
    fn lane(&mut self, instrument: InstrumentId, kind: Kind) -> Option<(Slot, Lane)> {
        let slot = self.shard.slot(self.provider, instrument);
        let found = slot.and_then(|slot| Some((slot, slot.lane(kind)?)));
        if found.is_none() {
            self.refuse(instrument, kind);
        }
        found
    }

    #[cold]
    fn refuse(&mut self, instrument: InstrumentId, kind: Kind) {
        let provider = self.provider;
        let refused = &mut self.shard.provider_mut(provider).refused;
        *refused += 1;
        if refused.is_power_of_two() {
            tracing::error!(
                %provider, %instrument, kind = kind.name(), refused = *refused,
                "an event has no lane: the shard holds all the books that it may, or the kind is \
                 no market data"
            );
        }
    }
}

impl Port<'_> {
    /// The first of its kind that nothing is known of: also those who don't read logs are to find it.
    #[cold]
    fn unmapped(&mut self, what: &'static str, name: &str) {
        let (provider, now) = (self.provider, self.now);
        self.shard.letters.put(LetterReason::Unmapped, now, || {
            Some(Content::Unmapped { provider, what, name: name.into() })
        });
    }
}

impl Pipeline for Port<'_> {
    fn event(&mut self) -> Option<LocalPooled<CanonicalEvent>> {
        let event = self.shard.pools.canonical_events.try_acquire();
        if event.is_none() {
            self.shard.provider_mut(self.provider).exhausted += 1;
        }
        event
    }

    fn emit(&mut self, event: LocalPooled<CanonicalEvent>) -> bool {
        let Stream { instrument, kind, .. } = event.header.stream;
        let Some((slot, lane)) = self.lane(instrument, kind) else { return true };
        if let Some(stream) = self.shard.stream_mut(slot, kind) {
            stream.decoded += 1;
        }
        let place = self.place(lane, &event);
        match place {
            Place::Next => self.publish((slot, lane), event),
            Place::Filler => {
                self.publish((slot, lane), event);
                self.shard.release(lane, self.now, self.ts_emit);
            }
            Place::Early => self.hold(lane, &event),
            Place::Duplicate | Place::Late => self.behind(lane, place, &event),
        }
        !matches!(place, Place::Duplicate | Place::Late)
    }

    fn derive(&mut self, event: LocalPooled<CanonicalEvent>) {
        let Stream { instrument, kind, .. } = event.header.stream;
        if let Some(found) = self.lane(instrument, kind) {
            self.publish(found, event);
        }
    }

    fn discard(&mut self, event: LocalPooled<CanonicalEvent>, why: Discard) {
        let Stream { instrument, kind, .. } = event.header.stream;
        if let Some((slot, _)) = self.lane(instrument, kind)
            && let Some(stream) = self.shard.stream_mut(slot, kind)
        {
            stream.discard(why);
        }
    }

    fn status(&mut self, instrument: InstrumentId, of: Kind, state: StreamState, reason: Reason) {
        let Some((_, lane)) = self.lane(instrument, of) else { return };
        let (now, ts_emit) = (self.now, self.ts_emit);
        if state != StreamState::Live {
            self.shard.interrupt(lane, reason, now, ts_emit);
        }
        self.shard.turn_stream(lane, (state, reason), now, ts_emit);
    }

    fn count(&mut self, instrument: InstrumentId, kind: Kind, what: Count) {
        // Messages are counted per kind; what happens to a book is counted with its state.
        let kind = if what == Count::Decoded { kind } else { lane_kind(kind) };
        if let Some((slot, _)) = self.lane(instrument, kind)
            && let Some(stream) = self.shard.stream_mut(slot, kind)
        {
            stream.count(what);
        }
    }

    fn notice(&mut self, notice: Notice<'_>) {
        let provider = self.provider;
        let (what, name) = parts(notice);
        if let Notice::UnknownInstrument(name) = notice
            && let Some(instrument) = self.shard.catalog.find_instrument(name)
        {
            self.shard.control.refused(provider, instrument);
        }
        if self.shard.provider_mut(provider).notices.count(notice) {
            let provider = self.shard.catalog.provider_name(provider);
            tracing::warn!(provider = provider.as_deref(), what, name, "notice; counted from here");
            if is_unmapped(notice) {
                self.unmapped(what, name);
            }
        }
    }

    fn unreadable(&mut self, conn: ConnId, payload: &[u8], error: &Error) {
        let shard = &mut *self.shard;
        let (from, pool) = ((self.provider, conn), &shard.pools.provider_raws);
        let kept = shard.letters.put_unreadable(pool, from, self.now, payload, error);
        let stats = shard.provider_mut(self.provider);
        stats.unreadable += 1;
        stats.unreadable_not_kept += u64::from(!kept);
    }

    fn exec_report(&mut self) -> Option<LocalPooled<ExecReport>> {
        let report = self.shard.pools.exec_reports.try_acquire();
        if report.is_none() {
            self.shard.provider_mut(self.provider).exhausted += 1;
            if let Some(room) = &mut self.room {
                room.missed(self.provider, self.ts_emit);
            }
        }
        report
    }

    fn heard(&mut self, heard: Heard) {
        if let Some(room) = &mut self.room {
            room.heard(self.provider, heard, self.ts_emit);
        }
    }

    fn book(&mut self, instrument: InstrumentId) -> &mut Book {
        let slot = self.shard.slot(self.provider, instrument);
        self.shard.books.book_mut(slot)
    }

    fn list(&mut self, instrument: &Instrument) -> Result<InstrumentId, Error> {
        let id = self.shard.catalog.list(self.provider, instrument)?;
        let slot = self.shard.books.find(self.provider, id);
        if slot.is_none() && self.shard.books.is_full() {
            return Err(Error::reject(format!(
                "no room for '{}': the shard holds its limit of {BOOKS_MAX} books",
                instrument.name
            )));
        }
        if let Some(slot) = slot {
            self.shard.books.set_places(slot, instrument.price_places);
        }
        Ok(id)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
