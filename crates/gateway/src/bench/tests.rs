//! The built-in frames are read, and every contender reads the same from them.

use super::*;

#[test]
fn the_built_in_frames_are_of_every_kind_and_read_alike() {
    let captures = Captures::built_in().unwrap();
    let cases = decode::cases(&captures).unwrap();
    let of = |case: &str| cases.iter().find(|c| c.name() == case);
    for line in venues::registry::names().into_iter().take(2) {
        for kind in ["book_update", "trade", "quote", "ticker", "kline"] {
            assert!(of(&format!("{line}/{kind}")).is_some(), "{line}/{kind}");
        }
    }
    for case in [
        "kraken/book_update",
        "kraken/book_snapshot",
        "kraken/trade",
        "kraken/ticker",
        "kraken/kline",
        "coinbase/book_update",
        "coinbase/book_snapshot",
        "coinbase/trade",
        "coinbase/ticker",
        "okx/book_update",
        "okx/book_snapshot",
        "okx/trade",
        "okx/quote",
        "okx/ticker",
        "okx/kline",
    ] {
        assert!(of(case).is_some(), "{case}");
    }
    assert!(cases.iter().any(|case| case.name().ends_with("/funding")));
    // What the aim for OKX is measured by: updates of 43 levels, each of them.
    let updates = of("okx/book_update").unwrap();
    assert!(updates.frames.iter().all(|frame| count_levels(frame) == 43));
    // The design's depth frame: 326 bytes with 8 levels.
    assert!(
        cases.iter().any(|case| (325..330).contains(&case.frame_bytes()) && case.levels() == 8)
    );
    assert_eq!(
        captures.frames().count(),
        cases.iter().map(|case| case.frames.len()).sum::<usize>()
    );
}

/// The levels of a message whose sides both have some.
fn count_levels(frame: &[u8]) -> usize {
    String::from_utf8_lossy(frame).matches("],[").count() + 2
}

#[test]
fn a_folder_without_captures_is_an_error_that_names_it() {
    let error = Captures::read("no such folder".as_ref()).unwrap_err();
    assert!(error.contains("no such folder"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = Captures::read(empty.path()).unwrap_err();
    assert!(error.contains("no capture"), "{error}");
}

#[test]
fn contenders_take_turns_and_warm_up_first() {
    let order = std::cell::RefCell::new(String::new());
    let turn = |name| {
        let order = &order;
        Contender::new(1, move || {
            order.borrow_mut().push(name);
            Ok(())
        })
    };
    let rounds = Rounds { count: 2, operations: 1 };
    let times = race(rounds, &mut [turn('a'), turn('b')]).unwrap();
    assert_eq!(times.len(), 2);
    assert_eq!(*order.borrow(), "ab".repeat(WARM_UP + 2));
}

#[test]
fn a_contender_that_fails_ends_the_race() {
    let rounds = Rounds { count: 2, operations: 1 };
    let result = race(rounds, &mut [Contender::new(1, || Err("reads less".to_owned()))]);
    assert_eq!(result, Err("reads less".to_owned()));
}

#[test]
fn websocket_frames_arrive_whole_however_they_are_cut() {
    for read_bytes in [1, 100, 16_384] {
        websocket::proof(read_bytes).unwrap();
    }
}

#[test]
fn a_report_prints_what_was_measured_and_null_for_the_rest() {
    let report = Report {
        websocket: Some(vec![websocket::Case {
            read_bytes: 1_500,
            frame_bytes: 256,
            ns: 100.0,
            tokio_websockets_ns: 100.0,
            tungstenite_ns: None,
            reduction_pct: None,
            tungstenite_tuned_ns: None,
        }]),
        ..Report::default()
    };
    let json = serde_json::to_string(&report).unwrap();
    assert!(
        json.contains(r#""tungstenite_ns":null"#) && json.contains(r#""orders":null"#),
        "{json}"
    );
    let text = report.to_string();
    assert!(text.contains("reads of 1500") && !text.contains("speedup"), "{text}");
}

#[cfg(feature = "yardsticks")]
#[test]
fn every_synthetic_frame_reaches_every_consumer_with_pools_and_without() {
    use synthetic::Traffic;

    for traffic in Traffic::EACH.into_iter().chain([Traffic::Mixed]) {
        for boxed in [false, true] {
            let frames = synthetic::frames(traffic, 500);
            let mut rig = rig::Rig::new(3, boxed).unwrap();
            frames.chunks(64).for_each(|turn| rig.turn(turn));
            rig.check(frames.len()).unwrap();
            let fault = rig.check(frames.len() + 1).unwrap_err();
            assert!(fault.contains("1503"), "{fault}");
        }
    }
}

#[cfg(feature = "yardsticks")]
#[test]
fn trades_quotes_and_tickers_ask_for_no_memory_with_pools() {
    use synthetic::Traffic;

    if pool::TRACKS_LOANS {
        return; // stacks are kept on the heap; run with --release
    }
    for traffic in [Traffic::Trade, Traffic::Quote, Traffic::Ticker] {
        let counted = |boxed| allocations::full_speed(traffic, 10, boxed).unwrap();
        assert!(counted(false) < 0.001, "{}", traffic.name());
        assert!(counted(true) >= 3.0, "{}: a frame, its payload and an event", traffic.name());
    }
}
