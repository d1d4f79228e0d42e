//! Cursor and fallback on every payload, and on what is made of them by breaking them.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

/// Real shapes per payload, as the wire showed them over the years.
const SHAPES: [&str; 11] = [
    r#"{"arg":{"channel":"books","instId":"BTC-USD-220527"},"action":"update","data":[{"asks":[["30249.4","0","0","0"],["30261","4","0","1"]],"bids":[["30182.6","452.10","0","1"]],"ts":"1652459225464","checksum":-914047754}]}"#,
    r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"snapshot","data":[{"asks":[["8476.98","415","0","13"]],"bids":[["8476.97","256","0","12"]],"ts":"1597026383085","checksum":0,"seqId":123456,"prevSeqId":-1}]}"#,
    r#"{"arg":{"channel":"books","instId":"BTC-USDT-SWAP"},"action":"update","data":[{"asks":[],"bids":[["83723.6","0","0","0"]],"ts":"1791369352001","seqId":344430849237,"prevSeqId":344430848984}]}"#,
    r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[{"asks":[],"bids":[],"ts":"1597026383085","checksum":7,"prevSeqId":15,"seqId":3}]}"#,
    r#"{"arg":{"channel":"bbo-tbt","instId":"SOL-USDC"},"data":[{"asks":[["117.36","62.36109","0","3"]],"bids":[["117.31","4.41916","0","1"]],"ts":"1790071390505","seqId":4153112115}]}"#,
    r#"{"arg":{"channel":"bbo-tbt","instId":"NEW-USDT"},"data":[{"asks":[],"bids":[["117.31","4.41916","0","1"]],"ts":"1790071390505"}]}"#,
    r#"{"arg":{"channel":"trades","instId":"BTC-USD-220527"},"data":[{"instId":"BTC-USD-220527","tradeId":"7849","px":"30218.8","sz":"1","side":"buy","ts":"1652459199958"}]}"#,
    r#"{"arg":{"channel":"trades","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","tradeId":"1067468269","px":"83753","sz":"0.000011","side":"sell","ts":"1791369376364","count":"1","source":"0","seqId":82083114838}]}"#,
    r#"{"arg":{"channel":"tickers","instId":"BTC-USD-220527"},"data":[{"instType":"FUTURES","instId":"BTC-USD-220527","last":"30218.8","lastSz":"1","askPx":"30220.1","askSz":"3","bidPx":"30210.4","bidSz":"4","open24h":"29571.4","high24h":"31003.3","low24h":"27930.8","sodUtc0":"28935.3","sodUtc8":"30320.5","volCcy24h":"2620.289","vol24h":"779573","ts":"1652459223003"}]}"#,
    r#"{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{"instType":"SPOT","instId":"BTC-USDT","last":"9999.99","lastSz":"0.1","askPx":"9999.99","askSz":"11","bidPx":"8888.88","bidSz":"5","open24h":"9000","high24h":"10000","low24h":"8888.88","volCcy24h":"2222","vol24h":"2222.5","sodUtc0":"2222","sodUtc8":"2222","ts":"1597026383085"}]}"#,
    r#"{"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1629993600000","42500","48199.9","41006.1","41006.2","3587.41204591","166741046.22583129","166741046.5","1"]]}"#,
];

const FUNDING: &str = r#"{"arg":{"channel":"funding-rate","instId":"BTC-USD-SWAP"},"data":[{"formulaType":"noRate","fundingRate":"0.0001875391284828","fundingTime":"1700726400000","instId":"BTC-USD-SWAP","instType":"SWAP","method":"current_period","nextFundingRate":"","nextFundingTime":"1700755200000","ts":"1700724675402"}]}"#;

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

fn read_one(text: &str) -> CanonicalEvent {
    by_fallback(text.as_bytes()).unwrap().1
}

/// The rule that makes the pair safe. Decimals compare by value; written out, they show their
/// digits too.
fn cursor_implies_fallback(message: &[u8]) -> Result<(), TestCaseError> {
    if let Some(read) = by_cursor(message) {
        let same = by_fallback(message);
        let digits = (format!("{:?}", Ok::<_, String>(&read)), format!("{same:?}"));
        prop_assert_eq!(digits.0, digits.1, "{}", String::from_utf8_lossy(message));
        prop_assert_eq!(Ok(read), same);
    }
    Ok(())
}

#[test]
fn the_cursor_follows_every_shape() {
    for shape in SHAPES {
        assert!(by_cursor(shape.as_bytes()).is_some(), "declined: {shape}");
        cursor_implies_fallback(shape.as_bytes()).unwrap();
    }
}

#[test]
fn fields_of_books_and_trades_land_where_they_belong() {
    let (symbol, event) = by_cursor(SHAPES[0].as_bytes()).unwrap();
    assert_eq!((symbol.as_str(), event.header.stream.kind), ("BTC-USD-220527", Kind::BookUpdate));
    assert_eq!(event.header.ts_event, Some(Nanos::from_millis(1_652_459_225_464)));
    let Body::Book(meta) = event.body else { panic!() };
    assert_eq!((meta.seq_last, meta.seq_prev), (None, None));
    assert_eq!(meta.checksum.map(u32::cast_signed), Some(-914_047_754));
    assert_eq!((event.bids.len(), event.asks.len()), (1, 2));
    assert_eq!(event.bids[0].quantity.to_string(), "452.10");

    let event = read_one(SHAPES[1]);
    assert_eq!(event.header.stream.kind, Kind::BookSnapshot);
    let Body::Book(meta) = event.body else { panic!() };
    assert_eq!((meta.seq_last, meta.seq_prev, meta.checksum), (Some(123_456), None, None));

    let Body::Book(meta) = read_one(SHAPES[3]).body else { panic!() };
    assert_eq!((meta.seq_last, meta.seq_prev, meta.checksum), (Some(3), Some(15), Some(7)));

    let event = read_one(SHAPES[7]);
    let Body::Trade(trade) = event.body else { panic!() };
    assert_eq!((trade.trade_id, trade.aggressor), (1_067_468_269, Side::Sell));
    assert_eq!(trade.quantity.to_string(), "0.000011");
    assert_eq!(event.header.seq_provider, Some(1_067_468_269));
}

#[test]
fn fields_of_the_other_kinds_land_where_they_belong() {
    let event = read_one(SHAPES[4]);
    let Body::Quote(quote) = event.body else { panic!() };
    assert_eq!(event.header.seq_provider, Some(4_153_112_115));
    assert_eq!(
        (quote.bid.price.to_string(), quote.ask.quantity.to_string()),
        ("117.31".to_owned(), "62.36109".to_owned())
    );
    assert!(event.bids.is_empty() && event.asks.is_empty());
    let Body::Quote(quote) = read_one(SHAPES[5]).body else { panic!() };
    assert_eq!(quote.ask, Level::default(), "an empty side");

    let Body::Ticker(ticker) = read_one(SHAPES[8]).body else { panic!() };
    assert_eq!(ticker.quote_volume, None, "of a contract it is base currency");
    assert_eq!(ticker.volume.unwrap().to_string(), "779573");
    let Body::Ticker(ticker) = read_one(SHAPES[9]).body else { panic!() };
    assert_eq!(ticker.quote_volume.unwrap().to_string(), "2222");
    assert_eq!(
        (ticker.bid.unwrap().to_string(), ticker.last.to_string()),
        ("8888.88".into(), "9999.99".into())
    );

    let Body::Kline(kline) = read_one(SHAPES[10]).body else { panic!() };
    assert_eq!((kline.interval, kline.closed), (Duration::from_secs(60), true));
    assert_eq!(kline.ts_open, Nanos::from_millis(1_629_993_600_000));
    assert_eq!(kline.ts_close, Nanos::from_millis(1_629_993_659_999));
    let prices = [kline.open, kline.high, kline.low, kline.close].map(|price| price.to_string());
    assert_eq!(prices, ["42500", "48199.9", "41006.1", "41006.2"]);
    assert_eq!(kline.quote_volume.unwrap().to_string(), "166741046.5");

    let Body::Funding(funding) = read_one(FUNDING).body else { panic!() };
    assert_eq!(funding.rate.unwrap().to_string(), "0.0001875391284828");
    assert_eq!(funding.ts_next, Some(Nanos::from_millis(1_700_726_400_000)));
}

#[test]
fn other_spellings_are_read_by_the_fallback_to_the_same_event() {
    let expected = by_cursor(SHAPES[2].as_bytes()).unwrap();
    let spelling = r#"{"action":"update", "data":[{"prevSeqId":344430848984,"seqId":344430849237,
        "ts":"1791369352001","bids":[["83723.6","0"]],"asks":[],"checksum":0,"new":{"x":null}}],
        "arg":{"instId":"BTC-USDT\u002dSWAP","channel":"books"}}"#;
    assert!(by_cursor(spelling.as_bytes()).is_none());
    assert_eq!(by_fallback(spelling.as_bytes()), Ok(expected));
}

#[test]
fn what_came_or_went_over_the_years_is_read_too() {
    let old = SHAPES[10].replace(r#","166741046.5","1""#, "");
    let Body::Kline(kline) = read_one(&old).body else { panic!() };
    assert_eq!((kline.closed, kline.quote_volume), (false, None));
    for (name, seconds) in [("5m", 300), ("4H", 14_400), ("1Dutc", 86_400), ("1M", 0), ("", 0)] {
        assert_eq!(interval(name), Duration::from_secs(seconds), "{name}");
    }
    let Body::Ticker(ticker) = read_one(&SHAPES[8].replace("\"30220.1\"", "\"\"")).body else {
        panic!()
    };
    assert_eq!(ticker.ask, None, "nobody offers");
}

#[test]
fn several_entries_are_several_events_or_none() {
    let text = SHAPES[6].replace(
        "}]}",
        r#"},{"instId":"BTC-USD-220527","tradeId":"7850","px":"1","sz":"2","side":"sell","ts":"3"}]}"#,
    );
    let mut event = CanonicalEvent::default();
    let Ok(Message::Event { more, .. }) = read(text.as_bytes(), &mut event) else { panic!() };
    let ids: Vec<_> =
        std::iter::once(&event).chain(&more).map(|event| event.header.seq_provider).collect();
    assert_eq!(ids, [Some(7_849), Some(7_850)]);
    assert!(read(text.replace("\"sell\"", "\"?\"").as_bytes(), &mut event).is_err());
    let empty = r#"{"arg":{"channel":"trades","instId":"X-Y"},"data":[]}"#;
    assert_eq!(read(empty.as_bytes(), &mut event), Ok(Message::Nothing));
}

#[test]
fn replies_notices_and_unknown_types_are_told_apart() {
    let read =
        |text: &'static str| super::read(text.as_bytes(), &mut CanonicalEvent::default()).unwrap();
    assert_eq!(read("pong"), Message::Nothing);
    let ack = r#"{"id":"1512","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a"}"#;
    let (channel, symbol) = ("books".into(), "BTC-USDT".into());
    assert_eq!(read(ack), Message::Subscribed { channel, symbol });
    let end = r#"{"event":"unsubscribe","arg":{"channel":"books","instId":"BTC-USDT"}}"#;
    assert_eq!(read(end), Message::Nothing);
    let Message::Refused(words) = read(
        r#"{"event":"error","msg":"Wrong URL or channel:books,instId:NOPE-USDT doesn't exist.","code":"60018","connId":"a4"}"#,
    ) else {
        panic!()
    };
    assert!(words.contains("60018") && words.contains("NOPE-USDT"));
    let notice = r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4"}"#;
    assert_eq!(read(notice), Message::ShutdownAnnounced);
    let other = r#"{"event":"notice","code":"64009","msg":"?"}"#;
    assert_eq!(read(other), Message::Unknown("notice 64009".into()));
    let new = r#"{"arg":{"channel":"brand-new","instId":"X-Y"},"data":[{}]}"#;
    assert_eq!(read(new), Message::Unknown("brand-new".into()));
    assert!(matches!(read(r#"{"event":"login"}"#), Message::Unknown(_)));
    assert!(matches!(read("{}"), Message::Unknown(_)));
}

#[test]
fn errors_come_from_the_fallback_and_name_the_fault() {
    let error = |text: &str| {
        let mut event = CanonicalEvent::default();
        super::read(text.as_bytes(), &mut event).unwrap_err().message.into_owned()
    };
    assert!(error("{\"arg\":").contains("EOF"));
    assert!(error("ping").contains("JSON"));
    assert!(error(&SHAPES[6].replace("\"px\":\"30218.8\",", "")).contains("px"));
    assert!(error(&SHAPES[6].replace("30218.8", "3O218.8")).contains("3O218.8"));
    assert!(error(&SHAPES[6].replace("\"7849\"", "\"7849x\"")).contains("7849x"));
    assert!(error(&SHAPES[6].replace("\"buy\"", "\"long\"")).contains("'long'"));
    assert!(error(&SHAPES[0].replace("update", "change")).contains("'change'"));
    assert!(error(&SHAPES[0].replace("-914047754", "99999999999")).contains("i32"));
    assert!(error(&SHAPES[1].replace("-1}", "-2}")).contains("out of range"));
    assert!(
        error(
            &SHAPES[10].replace(r#","3587.41204591","166741046.22583129","166741046.5","1""#, "")
        )
        .contains("seven")
    );
    assert!(error(&SHAPES[0].replace(r#","instId":"BTC-USD-220527""#, "")).contains("instId"));
}

#[test]
fn a_declined_half_leaves_nothing_behind() {
    for shape in SHAPES {
        let mut event = CanonicalEvent::default();
        read(shape.replace("]}", "] }").as_bytes(), &mut event).unwrap();
        assert_eq!(event, by_cursor(shape.as_bytes()).unwrap().1);
    }
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
const SPLICES: [&str; 22] = [
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
    "123456789012345678901234567890",
    "\u{e9}",
    "null",
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
        price in "-?[0-9]{1,32}(\\.[0-9]{1,32})?([eE][+-]?[0-9]{1,3})?",
        number in "-?[0-9]{1,22}", checksum in "-?[0-9]{1,12}",
    ) {
        let message = SHAPES[1].replace("8476.98", &price).replace("123456", &number);
        cursor_implies_fallback(message.as_bytes())?;
        let message = SHAPES[0].replace("-914047754", &checksum).replace("1652459225464", &number);
        cursor_implies_fallback(message.as_bytes())?;
        cursor_implies_fallback(SHAPES[1].replace("-1}", &format!("{number}}}")).as_bytes())?;
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        cursor_implies_fallback(&bytes)?;
        let _ = super::read(&bytes, &mut CanonicalEvent::default());
    }

    #[test]
    fn digits_survive_the_decoder(
        price in "[1-9][0-9]{0,7}(\\.[0-9]{1,8})?", quantity in "(0|[1-9][0-9]{0,7})\\.[0-9]{1,8}",
    ) {
        let message = SHAPES[2].replace("83723.6\",\"0", &format!("{price}\",\"{quantity}"));
        let (_, event) = by_cursor(message.as_bytes()).unwrap();
        prop_assert_eq!(event.bids[0].price.to_string(), price);
        prop_assert_eq!(event.bids[0].quantity.to_string(), quantity);
    }
}
