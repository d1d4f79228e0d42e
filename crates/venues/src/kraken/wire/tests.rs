//! Cursor and fallback on every payload, and on what is made of them by breaking them.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use model::Side;

/// One real shape per payload, as the documentation and the wire show them.
pub(crate) const SHAPES: [&str; 9] = [
    r#"{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[],"asks":[{"price":62807.0,"qty":0.00000000},{"price":62818.8,"qty":0.65540712}],"checksum":4249465476,"timestamp":"2026-08-16T23:37:03.745044Z"}]}"#,
    r#"{"channel":"book","type":"snapshot","data":[{"symbol":"ETH/BTC","bids":[{"price":0.031347,"qty":0.12000000}],"asks":[{"price":0.031368,"qty":0.00738649},{"price":0.031370,"qty":0.03740000}],"checksum":3619791617,"timestamp":"2026-08-26T15:16:16.637831Z"}]}"#,
    r#"{"channel":"book","type":"snapshot","data":[{"symbol":"SC/EUR","bids":[],"asks":[],"checksum":0}]}"#,
    r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":78568.6,"qty":0.04244195,"ord_type":"limit","trade_id":105994519,"timestamp":"2026-08-26T11:34:06.075373Z"}]}"#,
    r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":78568.7,"qty":0.1,"ord_type":"market","trade_id":105994520,"timestamp":"2026-08-26T11:34:07.075373Z"},{"symbol":"BTC/USD","side":"buy","price":78568.8,"qty":0.20000000,"ord_type":"market","trade_id":105994521,"timestamp":"2026-08-26T11:34:07.075373Z"},{"symbol":"ETH/USD","side":"sell","price":1.5,"qty":3,"ord_type":"limit","trade_id":7,"timestamp":"2026-08-26T11:34:08Z"}]}"#,
    r#"{"channel":"ticker","type":"snapshot","data":[{"symbol":"USDT/USD","bid":0.99980,"bid_qty":44620.68691883,"ask":0.99981,"ask_qty":1087605.70466858,"last":0.99981,"volume":270638277.50461281,"vwap":0.99983,"low":0.99959,"high":1.00000,"change":-0.00005,"change_pct":0.01,"trades":38144,"timestamp":"2026-09-24T03:54:18.054886Z"}]}"#,
    r#"{"channel":"ticker","type":"update","data":[{"symbol":"ALGO/USD","bid":0.10025,"bid_qty":740.0,"ask":0.10036,"ask_qty":1361.44813783,"last":0.10035,"volume":997038.98383185,"vwap":0.10148,"low":0.09979,"high":0.10285,"change":-0.00017,"change_pct":-0.17}]}"#,
    r#"{"channel":"ohlc","type":"update","timestamp":"2026-09-10T17:44:12.114514810Z","data":[{"symbol":"BTC/USDT","open":77340.1,"high":77361.0,"low":77340.1,"close":77358.4,"trades":6,"volume":0.10422131,"vwap":77349.5,"interval_begin":"2026-09-10T17:44:00.000000000Z","interval":1,"timestamp":"2026-09-10T17:45:00.000000Z"}]}"#,
    r#"{"channel":"ohlc","type":"update","timestamp":"2026-09-10T17:44:12.114514810Z","data":[{"symbol":"BTC/USDT","open":77340.1,"high":77361.0,"low":77340.1,"close":77358.4,"trades":6,"volume":0.10422131,"vwap":77349.5,"interval_begin":"2026-09-10T17:44:00.000000000Z","interval":5},{"symbol":"ETH/USDT","open":1,"high":2,"low":1,"close":2,"trades":0,"volume":0,"vwap":0,"interval_begin":"2026-09-10T17:44:00Z","interval":5}]}"#,
];

type Read = Vec<(String, CanonicalEvent)>;

/// Every entry of a message, each read by itself behind the first.
fn whole(
    first: (&str, CanonicalEvent),
    more: &[&[u8]],
    entry: impl Fn(&[u8], &mut CanonicalEvent) -> Option<String>,
) -> Option<Read> {
    let mut all = vec![(first.0.to_owned(), first.1)];
    for text in more {
        let mut event = CanonicalEvent::default();
        let symbol = entry(text, &mut event)?;
        all.push((symbol, event));
    }
    Some(all)
}

fn by_cursor(message: &[u8]) -> Option<Read> {
    let mut event = CanonicalEvent::default();
    let (symbol, more) = follow(message, &mut event)?;
    let kind = event.header.stream.kind;
    whole((symbol, event), &more, |text, event| {
        shape::entry_alone(kind, text, event).map(str::to_owned)
    })
}

fn by_fallback(message: &[u8]) -> Result<Read, String> {
    let mut event = CanonicalEvent::default();
    match read_slowly(message, &mut event) {
        Ok(Message::Event { symbol, more }) => {
            let kind = event.header.stream.kind;
            let read = |text: &[u8], event: &mut CanonicalEvent| {
                fields::entry(kind, text, event).ok().map(Cow::into_owned)
            };
            whole((&symbol, event), &more, read).ok_or_else(|| "an entry".to_owned())
        }
        other => Err(format!("{other:?}")),
    }
}

/// The rule that makes the pair safe.
fn cursor_implies_fallback(message: &[u8]) -> Result<(), TestCaseError> {
    if let Some(read) = by_cursor(message) {
        let same = by_fallback(message);
        // Decimals compare by value; written out, they show their digits too.
        prop_assert_eq!(
            format!("{:?}", Ok::<_, String>(read)),
            format!("{same:?}"),
            "{}",
            String::from_utf8_lossy(message)
        );
    }
    Ok(())
}

#[test]
fn the_cursor_follows_every_shape() {
    for shape in SHAPES {
        let read = by_cursor(shape.as_bytes()).unwrap_or_else(|| panic!("declined: {shape}"));
        assert_eq!(by_fallback(shape.as_bytes()), Ok(read), "{shape}");
    }
}

#[test]
fn fields_land_where_they_belong() {
    let read = |at: usize| by_cursor(SHAPES[at].as_bytes()).unwrap();
    let (symbol, event) = &read(0)[0];
    assert_eq!((symbol.as_str(), event.header.stream.kind), ("BTC/USD", Kind::BookUpdate));
    assert_eq!(event.header.ts_event, Some(Nanos(1_786_923_423_745_044_000)));
    let Body::Book(meta) = event.body else { panic!() };
    assert_eq!(meta.checksum, Some(4_249_465_476));
    assert_eq!((event.bids.len(), event.asks.len()), (0, 2));
    assert_eq!(event.asks[0].quantity.to_string(), "0.00000000");

    let trades = read(4);
    assert_eq!(trades.len(), 3);
    let Body::Trade(trade) = trades[1].1.body else { panic!() };
    assert_eq!((trade.trade_id, trade.aggressor), (105_994_521, Side::Buy));
    assert_eq!(trades[1].1.header.seq_provider, Some(105_994_521));
    assert_eq!(
        (trades[2].0.as_str(), trade.quantity.to_string()),
        ("ETH/USD", "0.20000000".into())
    );

    let Body::Ticker(ticker) = read(5)[0].1.body else { panic!() };
    assert_eq!(ticker.bid.unwrap().to_string(), "0.99980");
    assert_eq!(ticker.high.unwrap().to_string(), "1.00000");
    assert_eq!((ticker.open, ticker.quote_volume), (None, None));

    let (_, event) = &read(7)[0];
    let Body::Kline(kline) = event.body else { panic!() };
    assert_eq!(kline.interval, Duration::from_secs(60));
    assert_eq!(kline.ts_close.since(kline.ts_open), Duration::from_secs(60));
    assert_eq!(
        (kline.close.to_string(), kline.trades, kline.closed),
        ("77358.4".into(), Some(6), false)
    );
    assert_eq!(event.header.ts_event, Some(Nanos(1_789_062_252_114_514_810)));
}

#[test]
fn other_spellings_are_read_by_the_fallback_to_the_same_event() {
    let expected = by_cursor(SHAPES[3].as_bytes()).unwrap();
    for spelling in [
        r#"{"type":"update", "data":[{"timestamp":"2026-08-26T11:34:06.075373Z","trade_id":105994519,"qty":"0.04244195","price":78568.6,"side":"sell","symbol":"BTC\/USD"}], "channel":"trade"}"#,
        r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":78568.6,"qty":0.04244195,"ord_type":"limit","trade_id":105994519,"timestamp":"2026-08-26T11:34:06.075373Z","new":[{}]}],"sequence":7}"#,
    ] {
        assert!(by_cursor(spelling.as_bytes()).is_none());
        assert_eq!(by_fallback(spelling.as_bytes()).as_ref(), Ok(&expected), "{spelling}");
    }
}

fn message(text: &str) -> Message<'_> {
    super::read(text.as_bytes(), &mut CanonicalEvent::default()).unwrap()
}

#[test]
fn what_is_no_event_is_told_apart() {
    let ack = r#"{"method":"subscribe","result":{"channel":"ticker","event_trigger":"trades","snapshot":true,"symbol":"USDT/USD"},"success":true,"time_in":"2026-09-24T03:54:28.829165Z","time_out":"2026-09-24T03:54:28.829217Z"}"#;
    assert_eq!(message(ack), Message::Confirmed(vec![(Kind::Ticker, "USDT/USD".into())]));
    let ack = r#"{"method":"subscribe","req_id":79,"result":{"channel":"instrument","snapshot":true,"warnings":["x"]},"success":true}"#;
    assert_eq!(message(ack), Message::Confirmed(Vec::new()));
    let refused = r#"{"error":"Currency pair not supported NOPE/USD","method":"subscribe","success":false,"symbol":"NOPE/USD"}"#;
    let Message::Refused(what) = message(refused) else { panic!() };
    assert!(what.contains("subscribe \"NOPE/USD\"") && what.contains("not supported"), "{what}");
    let depth =
        r#"{"error":"Subscription depth not supported","method":"subscribe","success":false}"#;
    assert!(matches!(message(depth), Message::Refused(_)));
    for nothing in [
        r#"{"channel":"heartbeat"}"#,
        r#"{"method":"pong","req_id":101,"time_in":"2023-09-24T14:10:23.799685Z"}"#,
        r#"{"method":"unsubscribe","result":{"channel":"book","depth":10,"symbol":"A/B"},"success":true}"#,
        r#"{"channel":"trade","type":"snapshot","data":[{"symbol":"BTC/USD"}]}"#,
        r#"{"channel":"ohlc","type":"snapshot","data":[7]}"#,
        r#"{"channel":"book","type":"update","data":[]}"#,
        r#"{"channel":"status","type":"update","data":[{"version":"2.0.10","system":"online","api_version":"v2","connection_id":15113583034416118705}]}"#,
    ] {
        assert_eq!(message(nothing), Message::Nothing, "{nothing}");
    }
    let status = r#"{"channel":"status","type":"update","data":[{"system":"maintenance","api_version":"v2"}]}"#;
    assert_eq!(message(status), Message::Status("maintenance".into()));
    assert_eq!(message(r#"{"channel":"level3","data":[]}"#), Message::Unknown("level3".into()));
}

#[test]
fn pairs_are_listed_with_their_precisions() {
    let text = r#"{"channel":"instrument","type":"snapshot","data":{"assets":[{"id":"USD","precision":4}],"pairs":[
        {"symbol":"BTC/USD","base":"BTC","quote":"USD","status":"online","qty_precision":8,"qty_increment":1e-08,"price_precision":1,"cost_precision":5,"cost_min":0.5,"tick_size":0.1,"price_increment":0.1,"qty_min":5e-05},
        {"symbol":"OLD/USD","base":"OLD","quote":"USD","status":"cancel_only"},{"symbol":"BAD/USD"}]}}"#;
    let Message::Listings { listings, unreadable, whole } = message(text) else { panic!() };
    let instrument = &listings[0].instrument;
    assert_eq!((&*listings[0].symbol, &*instrument.name), ("BTC/USD", "BTC-USD"));
    assert_eq!((instrument.price_places, instrument.quantity_places), (Some(1), Some(8)));
    assert_eq!(instrument.lot.unwrap().to_string(), "0.00000001");
    assert_eq!(instrument.notional_min.unwrap().to_string(), "0.5");
    let cancel_only = model::instrument::Trading::Other("cancel_only".into());
    assert_eq!(listings[1].instrument.trading, cancel_only);
    assert!(whole && unreadable.len() == 1 && unreadable[0].contains("BAD/USD"));
    let update = text.replace("snapshot", "update");
    assert!(matches!(message(&update), Message::Listings { whole: false, .. }));
}

#[test]
fn errors_come_from_the_fallback_and_name_the_fault() {
    let error = |text: &str| {
        let mut event = CanonicalEvent::default();
        super::read(text.as_bytes(), &mut event).unwrap_err().message.into_owned()
    };
    assert!(error("{\"channel\":\"book\",").contains("EOF"));
    assert!(error(r#"{"hello":1}"#).contains("neither a channel nor a method"));
    assert!(error(r#"{"channel":"book","type":"update"}"#).contains("`data`"));
    assert!(error(&SHAPES[3].replace("\"sell\"", "\"short\"")).contains("'short' is neither"));
    assert!(
        error(&SHAPES[3].replace("\"price\":78568.6", "\"price\":\"dear\"")).contains("'dear'")
    );
    assert!(error(&SHAPES[0].replace("4249465476", "4294967296")).contains("u32"));
    assert!(error(&SHAPES[0].replace("T23:37", " 23:37")).contains("is no time"));
    // The third entry's fault refuses the message as a whole.
    assert!(error(&SHAPES[4].replace("\"trade_id\":7", "\"trade_id\":-7")).contains("-7"));
}

#[test]
fn a_declined_half_leaves_nothing_behind() {
    let message = SHAPES[0].replace("]}]}", "]} ]}").replace("\"Z", "\"Z ");
    let message = message.replace("Z\"}]}", "Z\"} ]}");
    assert!(by_cursor(message.as_bytes()).is_none());
    let mut event = CanonicalEvent::default();
    super::read(message.as_bytes(), &mut event).unwrap();
    assert_eq!(event, by_cursor(SHAPES[0].as_bytes()).unwrap().remove(0).1);
}

#[test]
fn truncation_at_every_byte_is_declined_and_refused() {
    for shape in SHAPES {
        for end in 0..shape.len() {
            let cut = &shape.as_bytes()[..end];
            assert!(by_cursor(cut).is_none(), "{}", &shape[..end]);
            assert!(read_slowly(cut, &mut CanonicalEvent::default()).is_err(), "{}", &shape[..end]);
        }
    }
}

/// Pieces that break messages where parsers break.
const SPLICES: [&str; 26] = [
    " ",
    "\n",
    "\\",
    "\\u0041",
    "\"",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    "0",
    "00",
    "-",
    "-0",
    ".",
    "e5",
    "1e-3",
    "Z",
    "\"x\":1,",
    "\"symbol\":\"Y\",",
    "},{\"price\":1,\"qty\":",
    "123456789012345678901234567890",
    "\u{e9}",
    "null",
    "true",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn spliced_messages_read_the_same_or_are_declined(
        shape in any::<Index>(), splice in any::<Index>(), at in any::<Index>(), cut in 0usize..6,
    ) {
        let mut message = shape.get(&SHAPES).as_bytes().to_vec();
        let at = at.index(message.len());
        let end = (at + cut).min(message.len());
        message.splice(at..end, splice.get(&SPLICES).bytes());
        cursor_implies_fallback(&message)?;
    }

    #[test]
    fn broken_bytes_read_the_same_or_are_declined(
        shape in any::<Index>(),
        breaks in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut message = shape.get(&SHAPES).as_bytes().to_vec();
        for (at, byte) in breaks {
            let at = at.index(message.len());
            message[at] = byte;
        }
        cursor_implies_fallback(&message)?;
    }

    #[test]
    fn shuffled_and_doubled_fields_read_the_same_or_are_declined(
        shape in any::<Index>(), from in any::<Index>(), to in any::<Index>(),
    ) {
        let shape = shape.get(&SHAPES);
        let mut parts: Vec<&str> = shape.split(",\"").collect();
        let part = parts[from.index(parts.len())];
        parts.insert(to.index(parts.len()), part);
        cursor_implies_fallback(parts.join(",\"").as_bytes())?;
    }

    #[test]
    fn numbers_of_any_length_read_the_same_or_are_declined(
        price in "-?[0-9]{1,32}(\\.[0-9]{1,32})?([eE][+-]?[0-9]{1,3})?", checksum in "[0-9]{1,22}",
    ) {
        let message = SHAPES[0].replace("62818.8", &price).replace("4249465476", &checksum);
        cursor_implies_fallback(message.as_bytes())?;
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        cursor_implies_fallback(&bytes)?;
        let _ = super::read(&bytes, &mut CanonicalEvent::default());
    }

    #[test]
    fn digits_survive_the_decoder(
        price in "[1-9][0-9]{0,7}\\.[0-9]{1,8}", quantity in "(0|[1-9][0-9]{0,7})\\.[0-9]{1,8}",
    ) {
        let level = format!("\"price\":{price},\"qty\":{quantity}");
        let message = SHAPES[0].replace(r#""price":62818.8,"qty":0.65540712"#, &level);
        let read = by_cursor(message.as_bytes()).unwrap();
        prop_assert_eq!(read[0].1.asks[1].price.to_string(), price);
        prop_assert_eq!(read[0].1.asks[1].quantity.to_string(), quantity);
    }
}
