//! Cursor and fallback on every payload, and on what is made of them by breaking them.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// One real shape per payload, as the documentation and the wire show them.
pub(crate) const SHAPES: [&str; 8] = [
    r#"{"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5"]],"time":"2021-04-17T16:43:37.075687Z"}"#,
    r#"{"type":"l2update","product_id":"BTC-USD","changes":[["buy","22356.270000","0.00000000"],["sell","22356.300000","1.00000000"],["buy","22356.2","1"]],"time":"2022-08-04T15:25:05.010758Z"}"#,
    r#"{"type":"snapshot","product_id":"BAND-GBP","asks":[["14.8024","12.77"],["14.8069","12.49"]],"bids":[["14.7550","1.00"]]}"#,
    r#"{"type":"snapshot","product_id":"BTC-USD","bids":[["10101.10","0.45054140"]],"asks":[],"time":"2026-09-30T01:41:50Z"}"#,
    r#"{"type":"match","trade_id":280232,"maker_order_id":"2a0da34e-61f7-4c36-88e5-c9dd15927b16","taker_order_id":"3c82abaa-c01e-4608-be59-6a1e69742891","side":"sell","size":"985","price":"0.00001305","product_id":"SKL-BTC","sequence":177100030,"time":"2021-04-17T16:43:37.089723Z"}"#,
    r#"{"type":"match","trade_id":280233,"maker_order_id":"","taker_order_id":"","side":"buy","size":"0.5","price":"1","product_id":"SKL-BTC","sequence":177100031,"time":"2021-04-17T16:43:38Z"}"#,
    r#"{"type":"ticker","sequence":333938798,"product_id":"BAND-GBP","price":"14.7775","open_24h":"14.6647","volume_24h":"94381.28000000","low_24h":"14.3691","high_24h":"16.55","volume_30d":"2295579.57000000","best_bid":"14.7550","best_ask":"14.8060","side":"buy","time":"2021-04-17T16:43:30.244075Z","trade_id":881613,"last_size":"0.04"}"#,
    r#"{"type":"ticker","sequence":26459104740,"product_id":"ETH-USDT","price":"1969.16","open_24h":"1880.47","volume_24h":"511.73577630","low_24h":"1879.01","high_24h":"1980.99","volume_30d":"19731.57018241","best_bid":"1968.88","best_bid_size":"0.25418808","best_ask":"1969.17","best_ask_size":"0.10120000","side":"sell","time":"2026-07-27T07:10:02.486766Z","trade_id":38422555,"last_size":"0.03689"}"#,
];

fn by_cursor(message: &[u8]) -> Option<(String, CanonicalEvent)> {
    let mut event = CanonicalEvent::default();
    let symbol = follow(message, &mut event)?.to_owned();
    Some((symbol, event))
}

fn by_fallback(message: &[u8]) -> Result<(String, CanonicalEvent), String> {
    let mut event = CanonicalEvent::default();
    match read_slowly(message, &mut event) {
        Ok(Message::Event { symbol, more }) if more.is_empty() => Ok((symbol.into_owned(), event)),
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
    let (product, event) = by_cursor(SHAPES[1].as_bytes()).unwrap();
    assert_eq!((product.as_str(), event.header.stream.kind), ("BTC-USD", Kind::BookUpdate));
    assert_eq!(event.header.ts_event, Some(Nanos(1_659_626_705_010_758_000)));
    assert_eq!((event.bids.len(), event.asks.len()), (2, 1));
    assert_eq!(event.bids[1].price.to_string(), "22356.2");
    assert!(event.bids[0].quantity.is_zero());

    let (_, event) = by_cursor(SHAPES[2].as_bytes()).unwrap();
    assert_eq!((event.bids.len(), event.asks.len()), (1, 2));
    assert_eq!((event.header.stream.kind, event.header.ts_event), (Kind::BookSnapshot, None));

    // The venue names the maker's side: one that sold was bought from.
    let (_, event) = by_cursor(SHAPES[4].as_bytes()).unwrap();
    let Body::Trade(trade) = event.body else { panic!() };
    assert_eq!((trade.trade_id, trade.aggressor), (280_232, Side::Buy));
    assert_eq!(
        (trade.price.to_string(), trade.quantity.to_string()),
        ("0.00001305".into(), "985".into())
    );
    let (_, event) = by_cursor(SHAPES[5].as_bytes()).unwrap();
    let Body::Trade(trade) = event.body else { panic!() };
    assert_eq!(trade.aggressor, Side::Sell);

    let (_, event) = by_cursor(SHAPES[7].as_bytes()).unwrap();
    let Body::Ticker(ticker) = event.body else { panic!() };
    assert_eq!(event.header.seq_provider, Some(26_459_104_740));
    assert_eq!(ticker.open.unwrap().to_string(), "1880.47");
    assert_eq!(ticker.ask.unwrap().to_string(), "1969.17");
    assert_eq!(ticker.last_quantity.unwrap().to_string(), "0.03689");
}

#[test]
fn other_spellings_are_read_by_the_fallback_to_the_same_event() {
    let expected = by_cursor(SHAPES[0].as_bytes()).unwrap();
    for spelling in [
        r#"{"time":"2021-04-17T16:43:37.075687Z","changes":[ ["sell","0.00001306","660.5"] ],"product_id":"SKL\u002dBTC","type":"l2update"}"#,
        r#"{"type":"l2update","product_id":"SKL-BTC","changes":[["sell","0.00001306","660.5","new"]],"time":"2021-04-17T16:43:37.075687Z","more":{}}"#,
    ] {
        assert!(by_cursor(spelling.as_bytes()).is_none());
        assert_eq!(by_fallback(spelling.as_bytes()).as_ref(), Ok(&expected), "{spelling}");
    }
}

#[test]
fn what_is_no_event_is_told_apart() {
    let message =
        |text: &'static str| super::read(text.as_bytes(), &mut CanonicalEvent::default()).unwrap();
    let last = r#"{"type":"last_match","trade_id":881613,"maker_order_id":"a","taker_order_id":"b","side":"sell","size":"0.04","price":"14.7775","product_id":"BAND-GBP","sequence":333938798,"time":"2021-04-17T16:43:30.244075Z"}"#;
    let symbol = Cow::Borrowed("BAND-GBP");
    assert_eq!(message(last), Message::History { kind: Kind::Trade, symbol, position: 881_613 });
    let heartbeat = r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}"#;
    assert_eq!(message(heartbeat), Message::Alive { symbol: "BTC-USD".into(), last_trade: 20 });
    let subscriptions = r#"{"type":"subscriptions","channels":[{"name":"level2_batch","product_ids":["A-B"],"account_ids":null},{"name":"matches","product_ids":["A-B","C-D"]},{"name":"heartbeat","product_ids":["A-B"]}]}"#;
    let confirmed = [(Kind::BookUpdate, "A-B"), (Kind::Trade, "A-B"), (Kind::Trade, "C-D")];
    let confirmed = confirmed.map(|(kind, product)| (kind, Cow::Borrowed(product)));
    assert_eq!(message(subscriptions), Message::Confirmed(confirmed.into()));
    let refused = r#"{"type":"error","message":"Failed to subscribe","reason":"ETH-USD is not a valid product"}"#;
    let Message::Refused(what) = message(refused) else { panic!() };
    assert!(what.contains("Failed to subscribe: ETH-USD is not a valid product"), "{what}");
    assert_eq!(message(r#"{"type":"auction"}"#), Message::Unknown("auction".into()));
}

#[test]
fn a_message_that_cannot_be_read_still_names_its_book() {
    let broken = SHAPES[0].replace("0.00001306", "cheap");
    assert_eq!(book_of(broken.as_bytes()).as_deref(), Some("SKL-BTC"));
    assert_eq!(book_of(SHAPES[4].as_bytes()), None, "a trade");
    assert_eq!(book_of(b"{\"type\":\"l2update\","), None);
}

#[test]
fn errors_come_from_the_fallback_and_name_the_fault() {
    let error = |text: &str| {
        let mut event = CanonicalEvent::default();
        super::read(text.as_bytes(), &mut event).unwrap_err().message.into_owned()
    };
    assert!(error("{\"type\":\"match\",").contains("EOF"));
    assert!(error(r#"{"x":1}"#).contains("`type`"));
    assert!(error(r#"{"type":"match","trade_id":1}"#).contains("missing field"));
    assert!(error(&SHAPES[0].replace("\"sell\"", "\"short\"")).contains("'short' is neither"));
    assert!(error(&SHAPES[0].replace("0.00001306", "cheap")).contains("'cheap'"));
    assert!(error(&SHAPES[0].replace(",\"660.5\"", "")).contains("a size"));
    assert!(error(&SHAPES[4].replace("T16:43", "T25:43")).contains("is no time"));
    assert!(error(&format!("{}x", SHAPES[0])).contains("trailing"));
}

#[test]
fn a_declined_half_leaves_nothing_behind() {
    let message = SHAPES[1].replace("Z\"}", "Z\" }");
    assert!(by_cursor(message.as_bytes()).is_none());
    let mut event = CanonicalEvent::default();
    super::read(message.as_bytes(), &mut event).unwrap();
    assert_eq!(event, by_cursor(SHAPES[1].as_bytes()).unwrap().1);
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
const SPLICES: [&str; 25] = [
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
    "\"product_id\":\"Y\",",
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
        price in "-?[0-9]{1,32}(\\.[0-9]{1,32})?([eE][+-]?[0-9]{1,3})?", id in "[0-9]{1,22}",
    ) {
        let message = SHAPES[4].replace("0.00001305", &price).replace("280232", &id);
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
        let change = format!("\"{price}\",\"{quantity}\"");
        let message = SHAPES[0].replace(r#""0.00001306","660.5""#, &change);
        let (_, event) = by_cursor(message.as_bytes()).unwrap();
        prop_assert_eq!(event.asks[0].price.to_string(), price);
        prop_assert_eq!(event.asks[0].quantity.to_string(), quantity);
    }
}
