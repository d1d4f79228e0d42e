//! What is wanted becomes subscriptions on links, and stops being them.

use model::event::{Reason, StreamState};
use model::venue::{Notice, Sink, Subscription};
use model::{ConnId, Kind, LinkId, Nanos};

use super::machine::Machine;
use super::markets::Track;

impl Machine {
    /// Puts what is wanted on links, as far as the venue's list names it.
    pub(super) fn place_wanted(&mut self, now: Nanos, sink: &mut Sink<'_>) {
        if !self.markets.listed {
            return;
        }
        let mut fresh = Vec::new();
        for wanted in std::mem::take(&mut self.wanted) {
            let Some(carrier) = self.dialect.carrier(wanted.kind) else {
                let what = format!(
                    "{} {}: {} has no such stream",
                    wanted.instrument,
                    wanted.kind.name(),
                    self.dialect.name
                );
                sink.pipeline.notice(Notice::SubscriptionRefused(&what));
                continue;
            };
            let Some(index) = self.market_for(&wanted.instrument, sink) else { continue };
            if !self.markets.all[index].is_wanted() {
                self.markets.all[index].link = Some(self.links.place(sink.outbox));
                fresh.extend(self.dialect.heartbeat.map(|channel| (index, channel)));
            }
            let market = &mut self.markets.all[index];
            let carried = market.needs(carrier);
            let track = market.track(wanted.kind);
            if !track.wanted {
                track.wanted = true;
                track.seen = now;
                let (state, reason) = (StreamState::Syncing, Reason::Subscribed);
                sink.pipeline.status(market.instrument, wanted.kind, state, reason);
            }
            if !carried {
                fresh.extend(self.dialect.channel(carrier).map(|channel| (index, channel)));
            }
            self.quote_follows(index, sink);
        }
        self.subscribe_fresh(&fresh, now, sink);
        self.tick(now, sink);
    }

    /// Subscribes what is new on connections that are up; the others do it when they open.
    fn subscribe_fresh(
        &mut self,
        fresh: &[(usize, &'static str)],
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let mut links: Vec<LinkId> =
            fresh.iter().filter_map(|(index, _)| self.markets.all[*index].link).collect();
        links.sort_unstable();
        links.dedup();
        for link in links {
            for conn in self.links.conns(link).to_vec() {
                self.subscribe_on(conn, link, Some(fresh), now, sink);
            }
        }
    }

    /// Subscribes on a connection what its link carries, or only what is new.
    pub(super) fn subscribe_on(
        &mut self,
        conn: ConnId,
        link: LinkId,
        only: Option<&[(usize, &'static str)]>,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let channels = self.dialect.channels.iter().map(|(kind, channel)| (Some(*kind), *channel));
        let heartbeat = self.dialect.heartbeat.map(|channel| (None, channel));
        for (carrier, channel) in channels.chain(heartbeat) {
            let mut symbols = Vec::new();
            for (index, market) in self.markets.all.iter_mut().enumerate() {
                let needed = carrier.map_or_else(|| market.is_wanted(), |kind| market.needs(kind));
                let asked = only.is_none_or(|only| only.contains(&(index, channel)));
                if market.link != Some(link) || !needed || !asked {
                    continue;
                }
                if let Some(carrier) = carrier {
                    market.track(carrier).repeat.sent(now);
                }
                symbols.push(&*market.symbol);
            }
            let depth = (self.dialect, self.depth);
            self.links.change(conn, true, depth, (channel, &symbols), sink.outbox);
        }
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
                Some(self.markets.add(&symbol, id, self.dialect, self.depth))
            }
            Err(error) => {
                sink.pipeline.notice(Notice::SubscriptionRefused(&error.message));
                None
            }
        }
    }

    pub(super) fn unsubscribe(&mut self, subscriptions: &[Subscription], sink: &mut Sink<'_>) {
        for unwanted in subscriptions {
            self.wanted.remove(unwanted);
            let Some(index) = self.markets.index_of_name(&unwanted.instrument) else { continue };
            let Some(carrier) = self.dialect.carrier(unwanted.kind) else { continue };
            let market = &mut self.markets.all[index];
            let track = market.track(unwanted.kind);
            if !std::mem::take(&mut track.wanted) {
                continue;
            }
            // Of a book that a quote still follows from, only the wish goes.
            track.state = StreamState::Syncing;
            let mut channels = Vec::new();
            if !market.needs(carrier) {
                channels.extend(self.dialect.channel(carrier));
                *market.track(carrier) = Track::default();
                if carrier == Kind::BookUpdate {
                    let book = sink.pipeline.book(market.instrument);
                    book.clear();
                    book.state = StreamState::Syncing;
                }
            }
            let gone = !market.is_wanted();
            channels.extend(self.dialect.heartbeat.filter(|_| gone));
            for channel in channels {
                self.change(index, false, channel, sink);
            }
            let link = self.markets.all[index].link.filter(|_| gone);
            if let Some(link) = link {
                self.markets.all[index].link = None;
                self.links.displace(link, sink.outbox);
            }
        }
    }

    /// Changes a channel's subscription of one market, on every connection of its link.
    fn change(
        &mut self,
        index: usize,
        subscribe: bool,
        channel: &'static str,
        sink: &mut Sink<'_>,
    ) {
        let market = &self.markets.all[index];
        let Some(link) = market.link else { return };
        let depth = (self.dialect, self.depth);
        for conn in self.links.conns(link).to_vec() {
            let symbols = [&*self.markets.all[index].symbol];
            self.links.change(conn, subscribe, depth, (channel, &symbols), sink.outbox);
        }
    }

    /// Subscribes a market's channel anew: the repair of a stream that fell silent or of a book
    /// that is not proven.
    pub(super) fn resubscribe(
        &mut self,
        index: usize,
        carrier: Kind,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let Some(channel) = self.dialect.channel(carrier) else { return };
        self.markets.all[index].track(carrier).repeat.sent(now);
        self.change(index, false, channel, sink);
        self.change(index, true, channel, sink);
    }
}
