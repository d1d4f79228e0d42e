//! The configuration that explains every key: complete, and with the code's own defaults.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use engine::MergeSpec;
use meltica::config::{self, load, load_str, schema};
use model::Kind;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/meltica.toml")
}

/// Keys without a default.
const NO_DEFAULT: [&str; 23] = [
    "account_url",
    "api_key_env",
    "api_key_file",
    "breaker",
    "breaker_per",
    "consumers",
    "dead_man",
    "events_per_s",
    "folder",
    "instrument",
    "order_notional_max",
    "orders_max",
    "orders_per",
    "passphrase_env",
    "passphrase_file",
    "position_max",
    "postgres_env",
    "price_band_bp",
    "provider",
    "secret_env",
    "secret_file",
    "tls_ca_file",
    "total_notional_max",
];

/// Key and value of a line `#key = value`.
fn commented(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix('#')?.split_once(" = ")?;
    let bare = |c: char| c.is_ascii_lowercase() || c == '_';
    key.chars().all(bare).then_some((key, value))
}

#[test]
fn the_example_loads_as_it_stands() {
    let config = load(&example()).unwrap();
    let of = |p: &config::Provider| (p.name.clone(), p.venue.clone(), p.instruments.join(" "));
    let providers: Vec<_> = config.providers.iter().map(of).collect();
    let expected = [
        ("spot", "binance", "BTC-USDT ETH-USDT"),
        ("usdm", "binance-usdm", "BTC-USDT-PERP ETH-USDT-PERP"),
        ("coinm", "binance-coinm", "BTC-USD-PERP"),
        ("okx", "okx", "BTC-USDT"),
    ]
    .map(|(name, venue, of)| (name.to_owned(), venue.to_owned(), of.to_owned()));
    assert_eq!(providers, expected);
    assert_eq!(config.streams(), 2 * 3 + 2 * 4 + 4 + 3);
    assert_eq!((config.log, config.table), Default::default());
    assert_eq!(config.network, config::Network::default());
}

#[test]
fn the_example_explains_every_key() {
    let text = std::fs::read_to_string(example()).unwrap();
    for section in &schema::SECTIONS {
        let name = section.name;
        let header = if section.repeated { format!("[[{name}]]") } else { format!("[{name}]") };
        let below = text.split(&format!("\n{header}\n")).nth(1).unwrap_or_default();
        let below = below.split("\n[").next().unwrap_or_default();
        let lines: Vec<&str> = below.lines().collect();
        for key in section.keys {
            let is_it = |line: &&str| {
                line.strip_prefix('#').unwrap_or(line).starts_with(&format!("{key} = "))
            };
            let at = lines.iter().position(is_it);
            let at = at.unwrap_or_else(|| panic!("{header} has no {key}"));
            let mut above = lines[..at].iter().rev().take_while(|line| !line.is_empty());
            assert!(above.any(|line| line.starts_with("# ")), "{key} is not explained");
        }
    }
}

#[test]
fn the_defaults_in_the_example_are_the_codes_own() {
    let text = std::fs::read_to_string(example()).unwrap();
    let line_of_venue = venues::binance::Line::find("binance").unwrap();
    let uncomment = |line: &str| match commented(line) {
        // They have no default, or one that differs from venue to venue.
        Some((key, _)) if NO_DEFAULT.contains(&key) => String::new(),
        Some(("ws_url", url)) => {
            assert_eq!(url, format!("\"{}\"", line_of_venue.ws_url));
            String::new()
        }
        Some(("rest_url", url)) => {
            assert_eq!(url, format!("\"{}\"", line_of_venue.rest_url));
            String::new()
        }
        Some((key, value)) => format!("{key} = {value}"),
        None => line.to_owned(),
    };
    assert_eq!(text.lines().filter_map(commented).count(), 62);
    let uncommented: Vec<String> = text.lines().map(uncomment).collect();
    let [mut all, mut plain] =
        [uncommented.join("\n"), text].map(|text| load_str(&text, &[]).unwrap());
    // Of a consumer, what is not written is the program's to say: these are its own defaults.
    let (told, silent) = (std::mem::take(&mut all.consumers), std::mem::take(&mut plain.consumers));
    let standard = meltica::ConsumerOptions::default();
    assert_eq!(standard.clone().configured(told.first()), standard);
    assert_eq!(silent, [config::ConsumerConfig { name: "table".into(), ..Default::default() }]);
    assert_eq!(all, plain);
}

#[test]
fn the_examples_merge_has_the_standard_terms() {
    let config = load(&example()).unwrap();
    let expected = MergeSpec {
        name: "btc".into(),
        instrument: "BTC-USDT".into(),
        kind: Kind::Quote,
        providers: vec!["spot".into(), "okx".into()],
        ..MergeSpec::default()
    };
    assert_eq!(config.merges[0].spec, expected);
    assert_eq!(config.merges[0].consumers, [""; 0]);
}
