//! The `[resequencing]` section: what it may say, whom it reaches, and what is wrong about the rest.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use meltica::config::load_str;
use model::venue::Limits;

const GOOD: &str = r#"
[[provider]]
name = "spot"
venue = "binance"
instruments = ["BTC-USDT"]
[[provider]]
name = "okx"
venue = "okx"
instruments = ["BTC-USDT"]
[resequencing]
"#;

#[test]
fn one_set_of_limits_reaches_the_machines_of_all_providers_and_the_engine_takes_it_from_there() {
    let limits = |text: &str| {
        let config = load_str(&format!("{GOOD}{text}"), &[]).unwrap();
        config.providers.iter().map(|provider| provider.settings.limits).collect::<Vec<_>>()
    };
    assert_eq!(limits(""), [Limits::default(); 2]);
    let ms = Duration::from_millis;
    let expected = Limits { lateness: ms(300), look_every: ms(20), events_max: 7 };
    let text = "lateness = \"300ms\"\nlook_every = \"20ms\"\nmax_waiting = 7\n";
    assert_eq!(limits(text), [expected; 2]);
}

#[test]
fn what_is_wrong_is_told_with_what_would_be_right() {
    for (line, key, words) in [
        ("lateness = \"0s\"", "lateness", "from 1ms to 10s"),
        ("lateness = 150", "lateness", "\""),
        ("look_every = \"11s\"", "look_every", "from 1ms to 10s"),
        ("max_waiting = 0", "max_waiting", "from 1 to 1000"),
        ("max_waiting = 1001", "max_waiting", "from 1 to 1000"),
        ("late = 1", "late", "lateness, look_every, max_waiting"),
    ] {
        let faults = load_str(&format!("{GOOD}{line}\n"), &[]).unwrap_err();
        assert_eq!(faults.len(), 1, "{line}: {faults:?}");
        assert_eq!(faults[0].key, format!("resequencing.{key}"), "{line}");
        assert!(faults[0].expected.contains(words), "{line}: {}", faults[0].expected);
    }
}
