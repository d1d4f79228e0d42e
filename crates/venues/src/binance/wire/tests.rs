//! Cursor and fallback on every payload, and on what is made of them by breaking them.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// One real shape per payload and line, as the documentation and the wire show them.
pub(crate) const SHAPES: [&str; 12] = [
    r#"{"stream":"nknusdt@depth@100ms","data":{"e":"depthUpdate","E":1633998512068,"s":"NKNUSDT","U":499869750,"u":499869752,"b":[["0.35130000","6195.00000000"],["0.34750000","0.00000000"]],"a":[["0.36","1"]]}}"#,
    r#"{"stream":"sushiusdt@depth@100ms","data":{"e":"depthUpdate","E":1626992741037,"T":1626992741024,"s":"SUSHIUSDT","U":600859599090,"u":600859600917,"pu":600859598061,"b":[],"a":[["7.6150","1563"],["7.6220","3284"]]}}"#,
    r#"{"stream":"btcusd_210625@depth@100ms","data":{"e":"depthUpdate","E":1591269996801,"T":1591269996646,"s":"BTCUSD_210625","ps":"BTCUSD","U":17276694,"u":17276701,"pu":17276678,"b":[["9523.0","5"]],"a":[]}}"#,
    r#"{"stream":"nknusdt@bookTicker","data":{"u":499869768,"s":"NKNUSDT","b":"0.35210000","B":"672.00000000","a":"0.35260000","A":"3199.00000000"}}"#,
    r#"{"stream":"sushiusdt@bookTicker","data":{"e":"bookTicker","u":600859600576,"s":"SUSHIUSDT","b":"7.6110","B":"2","a":"7.6120","A":"297","T":1626992741012,"E":1626992741017}}"#,
    r#"{"stream":"nknusdt@aggTrade","data":{"e":"aggTrade","E":1633998523963,"s":"NKNUSDT","a":15683430,"p":"0.35280000","q":"58.00000000","f":19862790,"l":19862790,"T":1633998523963,"m":false,"M":true}}"#,
    r#"{"stream":"ctkusdt@aggTrade","data":{"e":"aggTrade","E":1626992741575,"a":16599292,"s":"CTKUSDT","p":"1.01100","q":"10","f":23961322,"l":23961322,"T":1626992741421,"m":true}}"#,
    r#"{"stream":"nknusdt@kline_1m","data":{"e":"kline","E":1633998523963,"s":"NKNUSDT","k":{"t":1633998480000,"T":1633998539999,"s":"NKNUSDT","i":"1m","f":19862761,"L":19862790,"o":"0.35270000","c":"0.35280000","h":"0.35280000","l":"0.35220000","v":"25877.00000000","n":30,"x":false,"q":"9116.04600000","V":"58.00000000","Q":"20.46240000","B":"0"}}}"#,
    r#"{"stream":"bnbbtc@ticker","data":{"e":"24hrTicker","E":1672515782136,"s":"BNBBTC","p":"0.0015","P":"250.00","w":"0.0018","x":"0.0009","c":"0.0025","Q":"10","b":"0.0024","B":"10","a":"0.0026","A":"100","o":"0.0010","h":"0.0025","l":"0.0010","v":"10000","q":"18","O":0,"C":86400000,"F":0,"L":18150,"n":18151}}"#,
    r#"{"stream":"btcusdt@ticker","data":{"e":"24hrTicker","E":123456789,"s":"BTCUSDT","p":"-0.0015","P":"-250.00","w":"0.0018","c":"0.0025","Q":"10","o":"0.0010","h":"0.0025","l":"0.0010","v":"10000","q":"18","O":0,"C":86400000,"F":0,"L":18150,"n":18151}}"#,
    r#"{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15000000","i":"11784.62659091","P":"11784.25641265","r":"0.00038167","T":1562306400000}}"#,
    r#"{"e":"aggTrade","E":1672515782136,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,"l":105,"T":1672515782136,"m":true,"M":true}"#,
];

fn by_cursor(message: &[u8]) -> Option<(String, CanonicalEvent)> {
    let mut event = CanonicalEvent::default();
    let symbol = follow(message, &mut event)?.to_owned();
    Some((symbol, event))
}

fn by_fallback(message: &[u8]) -> Result<(String, CanonicalEvent), String> {
    let mut event = CanonicalEvent::default();
    match read_slowly(message, &mut event) {
        Ok(Message::Event { symbol }) => Ok((symbol.into_owned(), event)),
        other => Err(format!("{other:?}")),
    }
}

/// The rule that makes the pair safe.
fn cursor_implies_fallback(message: &[u8]) -> Result<(), TestCaseError> {
    if let Some(read) = by_cursor(message) {
        let same = by_fallback(message);
        prop_assert_eq!(Ok(read), same, "{}", String::from_utf8_lossy(message));
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
    let (symbol, event) = by_cursor(SHAPES[1].as_bytes()).unwrap();
    assert_eq!(symbol, "SUSHIUSDT");
    assert_eq!(event.header.ts_event, Some(Nanos::from_millis(1_626_992_741_037)));
    let Body::Book(meta) = event.body else { panic!() };
    assert_eq!(meta.seq_first, Some(600_859_599_090));
    assert_eq!(meta.seq_last, Some(600_859_600_917));
    assert_eq!(meta.seq_prev, Some(600_859_598_061));
    assert_eq!((event.bids.len(), event.asks.len()), (0, 2));

    let (_, event) = by_cursor(SHAPES[6].as_bytes()).unwrap();
    let Body::Trade(trade) = event.body else { panic!() };
    assert_eq!((trade.trade_id, trade.aggressor), (16_599_292, Side::Sell));
    assert_eq!(event.header.ts_event, Some(Nanos::from_millis(1_626_992_741_421)));

    let (_, event) = by_cursor(SHAPES[7].as_bytes()).unwrap();
    let Body::Kline(kline) = event.body else { panic!() };
    assert_eq!(kline.interval, Duration::from_secs(60));
    assert_eq!((kline.high.to_string(), kline.trades), ("0.35280000".to_owned(), Some(30)));

    let (_, event) = by_cursor(SHAPES[8].as_bytes()).unwrap();
    let Body::Ticker(ticker) = event.body else { panic!() };
    assert_eq!(ticker.ask.unwrap().to_string(), "0.0026");
    assert_eq!(ticker.quote_volume.unwrap().to_string(), "18");

    let (_, event) = by_cursor(SHAPES[10].as_bytes()).unwrap();
    let Body::Funding(funding) = event.body else { panic!() };
    assert_eq!(funding.rate.unwrap().to_string(), "0.00038167");
    assert_eq!(funding.ts_next, Some(Nanos::from_millis(1_562_306_400_000)));
}

#[test]
fn other_spellings_are_read_by_the_fallback_to_the_same_event() {
    let expected = by_cursor(SHAPES[3].as_bytes()).unwrap();
    for spelling in [
        r#"{ "stream": "x", "data": {"s":"NKNUSDT","A":"3199.00000000","a":"0.35260000","B":"672.00000000","b":"0.35210000","u":499869768} }"#,
        r#"{"data":{"u":499869768,"s":"NKN\u0055SDT","b":"0.35210000","B":"672.00000000","a":"0.35260000","A":"3199.00000000","new":[1,{"x":null}]},"stream":"x","more":1}"#,
    ] {
        assert!(by_cursor(spelling.as_bytes()).is_none());
        assert_eq!(by_fallback(spelling.as_bytes()).as_ref(), Ok(&expected), "{spelling}");
    }
}

#[test]
fn dated_contracts_have_no_rate() {
    let message = r#"{"stream":"btcusd_210625@markPrice@1s","data":{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSD_210625","p":"11794.15","P":"11784.2","r":"","T":0,"i":"11784.6"}}"#;
    let (_, event) = by_fallback(message.as_bytes()).unwrap();
    let Body::Funding(funding) = event.body else { panic!() };
    assert_eq!((funding.rate, funding.ts_next), (None, None));
}

#[test]
fn replies_shutdowns_and_unknown_types_are_told_apart() {
    let read =
        |text: &'static str| super::read(text.as_bytes(), &mut CanonicalEvent::default()).unwrap();
    assert_eq!(read(r#"{"result":null,"id":1}"#), Message::Reply { error: None });
    let Message::Reply { error: Some(error) } =
        read(r#"{"error":{"code":2,"msg":"Invalid request"},"id":3}"#)
    else {
        panic!()
    };
    assert!(error.contains('3') && error.contains("Invalid request"));
    let shutdown =
        r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#;
    assert_eq!(read(shutdown), Message::ServerShutdown);
    assert_eq!(read(r#"{"e":"serverShutdown","E":1}"#), Message::ServerShutdown);
    assert_eq!(read(r#"{"event":{"e":"serverShutdown","E":1}}"#), Message::ServerShutdown);
    let new = r#"{"stream":"x@new","data":{"e":"brandNew","E":1,"s":"X"}}"#;
    assert_eq!(read(new), Message::Unknown("brandNew".into()));
}

#[test]
fn errors_come_from_the_fallback_and_name_the_fault() {
    let error = |text: &str| {
        let mut event = CanonicalEvent::default();
        super::read(text.as_bytes(), &mut event).unwrap_err().message.into_owned()
    };
    assert!(error("{\"e\":\"aggTrade\",").contains("EOF"));
    assert!(error(r#"{"e":"aggTrade","E":1,"s":"X"}"#).contains("missing field"));
    assert!(error(&SHAPES[3].replace("0.35210000", "O.3521")).contains("O.3521"));
    assert!(error(&SHAPES[0].replace("\"0.36\",\"1\"", "\"0.36\"")).contains("quantity"));
    assert!(error(&format!("{}x", SHAPES[0])).contains("trailing"));
    assert!(error(&SHAPES[0].replace("499869750", "99999999999999999999999")).contains("u64"));
}

#[test]
fn a_declined_half_leaves_nothing_behind() {
    let message = SHAPES[0].replace("]]}}", "]] }}");
    let mut event = CanonicalEvent::default();
    super::read(message.as_bytes(), &mut event).unwrap();
    assert_eq!(event, by_cursor(SHAPES[0].as_bytes()).unwrap().1);
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
const SPLICES: [&str; 24] = [
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
    "\"x\":1,",
    "\"s\":\"Y\",",
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
        price in "-?[0-9]{1,32}(\\.[0-9]{1,32})?([eE][+-]?[0-9]{1,3})?", update in "[0-9]{1,22}",
    ) {
        let message = SHAPES[0].replace("0.35130000", &price).replace("499869750", &update);
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
        let message = SHAPES[3].replace("0.35210000", &price).replace("672.00000000", &quantity);
        let (_, event) = by_cursor(message.as_bytes()).unwrap();
        let Body::Quote(quote) = event.body else { panic!() };
        prop_assert_eq!(quote.bid.price.to_string(), price);
        prop_assert_eq!(quote.bid.quantity.to_string(), quantity);
    }
}
