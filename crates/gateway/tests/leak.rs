//! A soak of a build that leaks on purpose: it is found, named, and the process still ends.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use meltica::demo::Options;
use meltica::soak::{self, Watch};

#[test]
fn a_leak_is_found_by_memory_and_by_pool_and_the_run_still_ends() {
    let options = Options {
        duration: Some(Duration::from_secs(10)),
        venues: vec!["binance".to_owned()],
        symbols: 2,
        rate: 500,
        consumers: 1,
        ..Options::default()
    };
    let watch = Watch {
        every: Duration::from_secs(1),
        judged_from: Duration::from_secs(5),
        ..Watch::default()
    };
    let shown = soak::run(&options, watch).unwrap();
    let found = |what: &str| shown.broken.iter().any(|broken| broken.contains(what));
    assert!(found("memory grows by"), "{:?}", shown.broken);
    assert!(found("of CanonicalEvent are not back"), "{:?}", shown.broken);
    // Debug builds know who took it.
    assert!(!pool::TRACKS_LOANS || found("leak.rs"), "{:?}", shown.broken);
    assert!(shown.report.books_match_venues, "what is left still works");
}
