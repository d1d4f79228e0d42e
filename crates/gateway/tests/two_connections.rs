//! Of two connections to a venue, each with losses and delays of its own: what either brought reaches
//! the consumer, once; held against a naive set.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::time::Duration;

use meltica::replay::Replay;
use meltica::{Body, Consumer, Context, Event};
use model::Nanos;
use model::capture::{CaptureLine, Direction, Wire};
use proptest::prelude::*;

#[derive(Default)]
struct Trades(Vec<u64>);

impl Consumer for Trades {
    fn on_event(&mut self, event: Event, _: &mut Context<'_>) {
        if let Body::Trade(trade) = &event.body {
            self.0.push(trade.trade_id);
        }
    }
}

/// A venue's message of one trade.
fn message(venue: &str, id: u64) -> String {
    match venue {
        "okx" => format!(
            r#"{{"arg":{{"channel":"trades","instId":"BTC-USDT"}},"data":[{{"instId":"BTC-USDT","tradeId":"{id}","px":"1","sz":"1","side":"buy","ts":"{id}"}}]}}"#
        ),
        "kraken" => format!(
            r#"{{"channel":"trade","type":"update","data":[{{"symbol":"BTC/USD","side":"buy","price":1.0,"qty":2.0,"ord_type":"market","trade_id":{id},"timestamp":"2026-08-26T11:34:06.075373Z"}}]}}"#
        ),
        "coinbase" => format!(
            r#"{{"type":"match","trade_id":{id},"maker_order_id":"a","taker_order_id":"b","size":"1","price":"2","product_id":"BTC-USD","side":"sell","sequence":{id},"time":"2026-08-26T11:34:06.075373Z"}}"#
        ),
        _ => panic!("{venue}"),
    }
}

struct Rig {
    venue: &'static str,
    replay: Replay,
    inbox: engine::Inbox,
    trades: Trades,
}

impl Rig {
    fn new(venue: &'static str) -> Self {
        let mut replay = Replay::new(venue).unwrap();
        let inbox = replay.subscribe().unwrap();
        let mut rig = Self { venue, replay, inbox, trades: Trades::default() };
        for conn in [0, 1] {
            rig.line(0, conn, Direction::Open, String::new());
        }
        rig
    }

    fn line(&mut self, ms: u64, conn: usize, direction: Direction, data: String) {
        let (venue, conn) = (self.venue.to_owned(), conn.to_string());
        let (t, wire) = (Nanos(0) + Duration::from_millis(1_000 + ms), Wire::Ws);
        let (url, data) = (String::new(), data.into_bytes());
        self.replay.line(&CaptureLine { t, venue, conn, wire, direction, url, data, status: None });
        while self.inbox.drain(&mut self.trades, || t) > 0 {}
    }

    fn finish(mut self) -> (Vec<u64>, engine::StreamStats) {
        self.replay.finish();
        while self.inbox.drain(&mut self.trades, || Nanos(0)) > 0 {}
        let shard = self.replay.shard();
        let (_, provider) = shard.providers().next().unwrap();
        let stats =
            provider.instruments()[0].streams().find(|(kind, _)| *kind == meltica::Kind::Trade);
        let stats = stats.unwrap().1.clone();
        assert_eq!(self.replay.report("").unwrap().malformed, 0);
        (self.trades.0, stats)
    }
}

/// How many ms after its sending each of the two connections brings a trade; `None` never. The first
/// is how far its id is above the one before it.
type Sent = (u64, [Option<u64>; 2]);

fn sent() -> impl Strategy<Value = Sent> {
    let delay = || prop_oneof![3 => (0..100u64).prop_map(Some), 1 => Just(None)];
    (1..4u64, [delay(), delay()])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_either_connection_brings_comes_once(
        which in 0..3usize,
        sent in prop::collection::vec(sent(), 1..60),
    ) {
        let venue = ["okx", "kraken", "coinbase"][which];
        // The stream is known from before, and where ids count up by one they do so here.
        let (mut id, mut arrivals) = (1_000, vec![(0, 0, 1_000)]);
        for (n, (above, delays)) in (1..).zip(sent) {
            id += if venue == "okx" { above } else { 1 };
            let came = delays.iter().enumerate();
            arrivals.extend(came.filter_map(|(conn, ms)| Some((10 * n + (*ms)?, conn, id))));
        }
        arrivals.sort_unstable();
        let mut rig = Rig::new(venue);
        let mut naive = BTreeSet::new();
        let mut doubles = 0;
        for (ms, conn, id) in arrivals {
            doubles += u64::from(!naive.insert(id));
            rig.line(ms, conn, Direction::In, message(venue, id));
        }
        let (mut trades, stats) = rig.finish();
        if venue != "okx" {
            prop_assert!(trades.is_sorted_by(|a, b| a < b), "{:?}", trades);
        }
        trades.sort_unstable();
        prop_assert_eq!(trades, naive.into_iter().collect::<Vec<_>>());
        prop_assert_eq!((stats.duplicates, stats.late), (doubles, 0));
    }
}

#[test]
fn what_only_the_slower_connection_brings_is_not_lost_where_ids_skip() {
    let mut rig = Rig::new("okx");
    for (ms, conn, id) in
        [(0, 0, 4), (1, 0, 6), (2, 1, 4), (3, 1, 5), (4, 1, 6), (5, 1, 9), (6, 0, 9)]
    {
        rig.line(ms, conn, Direction::In, message("okx", id));
    }
    let (trades, stats) = rig.finish();
    assert_eq!(trades, [4, 6, 5, 9]);
    assert_eq!((stats.emitted, stats.duplicates, stats.late, stats.out_of_order), (4, 3, 0, 1));
}
