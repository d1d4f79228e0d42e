//! Every pooled type, filled in every field, comes back from its pool as its default.
//!
//! Each `fill` is a struct literal without `..`: a new field does not compile until it is filled
//! here, and a field that `reset` forgets is found.

use std::fmt::Debug;
use std::time::Duration;

use model::event::{BookMeta, Funding, Kline, Merged, Quote, Reason, StreamStatus, Ticker, Trade};
use model::merged::Fragment;
use model::order::{Intent, OrderType, TimeInForce};
use model::trading::{Ticket, VenueState};
use model::{
    Body, CanonicalEvent, ConnId, ConsumerId, Decimal, ExecReport, Header, InstrumentId, Kind,
    Level, MergedEvent, Nanos, OrderRequest, ProviderId, ProviderRaw, Remedy, Side, Stream,
    StreamState, WsFrame,
};
use pool::{LocalPool, Pool, Reset};
use proptest::prelude::*;

/// Contents from one number, none of them a default.
struct Contents(u64);

impl Contents {
    /// A number that is not 0.
    fn number(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) | 1
    }

    fn small(&mut self) -> u16 {
        (self.number() % 1_000) as u16 | 1
    }

    fn decimal(&mut self) -> Decimal {
        Decimal::new(self.number() as i64, u32::from(self.small() % 18))
    }

    fn nanos(&mut self) -> Nanos {
        Nanos(self.number())
    }

    fn text(&mut self) -> String {
        "x".repeat(usize::from(self.small()))
    }

    fn level(&mut self) -> Level {
        Level { price: self.decimal(), quantity: self.decimal() }
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.small() % 300).chain(0..1).map(|_| one(self)).collect()
    }

    fn header(&mut self) -> Header {
        Header {
            stream: Stream {
                provider: ProviderId(self.small()),
                instrument: InstrumentId(self.small().into()),
                kind: Kind::Funding,
            },
            seq_provider: Some(self.number()),
            ts_event: Some(self.nanos()),
            ts_recv: self.nanos(),
            ts_emit: self.nanos(),
            routing_version: self.small().into(),
            dropped: self.small().into(),
            trace_id: self.number(),
        }
    }

    fn body(&mut self) -> Body {
        let some = |c: &mut Self| Some(c.decimal());
        match self.number() / 2 % 8 {
            0 => Body::Trade(Trade {
                price: self.decimal(),
                quantity: self.decimal(),
                aggressor: Side::Sell,
                trade_id: self.number(),
            }),
            1 => Body::Quote(Quote { bid: self.level(), ask: self.level() }),
            2 => Body::Ticker(Ticker {
                last: self.decimal(),
                last_quantity: some(self),
                open: some(self),
                high: some(self),
                low: some(self),
                volume: some(self),
                quote_volume: some(self),
                bid: some(self),
                ask: some(self),
            }),
            3 => Body::Book(BookMeta {
                seq_first: Some(self.number()),
                seq_last: Some(self.number()),
                seq_prev: Some(self.number()),
                checksum: Some(self.small().into()),
                generation: self.small().into(),
                bids: self.small().into(),
            }),
            4 => Body::Kline(Kline {
                interval: Duration::from_secs(self.number()),
                ts_open: self.nanos(),
                ts_close: self.nanos(),
                open: self.decimal(),
                high: self.decimal(),
                low: self.decimal(),
                close: self.decimal(),
                volume: self.decimal(),
                quote_volume: some(self),
                trades: Some(self.number()),
                closed: true,
            }),
            5 => Body::Funding(Funding {
                rate: some(self),
                ts_next: Some(self.nanos()),
                mark: some(self),
                index: some(self),
            }),
            6 => Body::Merged(Merged {
                of: Kind::Ticker,
                merge_id: self.number(),
                ts_open: self.nanos(),
                ts_close: self.nanos(),
                fragments: [Fragment::default()].into(),
            }),
            _ => Body::Status(StreamStatus {
                of: Kind::Quote,
                state: StreamState::Stale,
                reason: Reason::Malformed,
                since: self.nanos(),
                transitions: self.small().into(),
            }),
        }
    }
}

/// A pooled type that can be filled.
trait Fill: Reset + Debug + PartialEq + Send + 'static {
    fn fill(contents: &mut Contents) -> Self;
}

impl Fill for WsFrame {
    fn fill(c: &mut Contents) -> Self {
        Self { ts_recv: c.nanos(), conn: ConnId(c.small().into()), payload: c.text().into_bytes() }
    }
}

impl Fill for ProviderRaw {
    fn fill(c: &mut Contents) -> Self {
        Self {
            ts_recv: c.nanos(),
            provider: ProviderId(c.small()),
            conn: ConnId(c.small().into()),
            payload: c.text().into_bytes(),
            bytes: usize::from(c.small()),
            remedy: Some(Remedy::Resync),
            error: c.text(),
        }
    }
}

impl Fill for CanonicalEvent {
    fn fill(c: &mut Contents) -> Self {
        Self {
            header: c.header(),
            body: c.body(),
            bids: c.list(Contents::level),
            asks: c.list(Contents::level),
        }
    }
}

impl Fill for MergedEvent {
    fn fill(c: &mut Contents) -> Self {
        Self {
            header: c.header(),
            of: Kind::Quote,
            merge_id: c.number(),
            ts_open: c.nanos(),
            ts_close: c.nanos(),
            fragments: c.list(|c| Fragment {
                provider: ProviderId(c.small()),
                header: c.header(),
                body: c.body(),
                count: c.small().into(),
            }),
        }
    }
}

impl Fill for OrderRequest {
    fn fill(c: &mut Contents) -> Self {
        Self {
            consumer: ConsumerId(c.small()),
            client_order_id: c.text(),
            provider: ProviderId(c.small()),
            instrument: InstrumentId(c.small().into()),
            intent: Intent::Amend,
            side: Side::Sell,
            order_type: OrderType::Market,
            time_in_force: TimeInForce::PostOnly,
            price: Some(c.decimal()),
            quantity: c.decimal(),
            ts_submit: c.nanos(),
            decision_id: c.number(),
        }
    }
}

impl Fill for ExecReport {
    fn fill(c: &mut Contents) -> Self {
        Self {
            ticket: Some(Ticket(c.number())),
            instrument: c.text(),
            venue_client_id: c.text(),
            venue_order_id: c.text(),
            side: Some(Side::Sell),
            price: Some(c.decimal()),
            state: Some(VenueState::Expired),
            quantity: Some(c.decimal()),
            filled: Some(c.decimal()),
            trade_id: c.text(),
            last_price: c.decimal(),
            last_quantity: c.decimal(),
            venue_event_id: Some(c.number()),
            text: c.text(),
            ts_event: Some(c.nanos()),
            ts_recv: c.nanos(),
        }
    }
}

/// Fills an object of a pool of one, returns it, and looks at what the next owner gets.
fn comes_back_empty<T: Fill>(seed: u64) -> Result<(), TestCaseError> {
    let (shared, local) = (Pool::<T>::new("shared", 1), LocalPool::<T>::new("local", 1));
    let filled = || T::fill(&mut Contents(seed));
    prop_assert_ne!(filled(), T::default());
    let mut object = shared.try_acquire().ok_or_else(|| TestCaseError::fail("empty"))?;
    *object = filled();
    drop(object);
    let next = shared.try_acquire().ok_or_else(|| TestCaseError::fail("not returned"))?;
    prop_assert_eq!(&*next, &T::default());
    let mut object = local.try_acquire().ok_or_else(|| TestCaseError::fail("empty"))?;
    *object = filled();
    drop(object);
    let next = local.try_acquire().ok_or_else(|| TestCaseError::fail("not returned"))?;
    prop_assert_eq!(&*next, &T::default());
    Ok(())
}

proptest! {
    #[test]
    fn nothing_of_one_use_is_visible_in_the_next(seed in any::<u64>()) {
        comes_back_empty::<WsFrame>(seed)?;
        comes_back_empty::<ProviderRaw>(seed)?;
        comes_back_empty::<CanonicalEvent>(seed)?;
        comes_back_empty::<MergedEvent>(seed)?;
        comes_back_empty::<OrderRequest>(seed)?;
        comes_back_empty::<ExecReport>(seed)?;
    }
}

#[test]
fn a_huge_payload_is_not_pinned_for_ever() {
    let pool = Pool::<ProviderRaw>::new("ProviderRaw", 1);
    let mut raw = pool.try_acquire().unwrap();
    raw.payload = vec![1; 8 << 20];
    drop(raw);
    assert!(pool.try_acquire().unwrap().payload.capacity() <= 2 * model::frame::PAYLOAD_KEPT);
}

#[test]
fn a_report_without_a_trade_is_no_fill() {
    let mut report = ExecReport { last_quantity: Decimal::TWO, ..ExecReport::default() };
    assert_eq!(report.fill(), None);
    report.trade_id.push('7');
    assert_eq!(report.fill().unwrap().quantity, Decimal::TWO);
    report.clear_fill();
    assert_eq!(report, ExecReport::default());
}
