//! Bad configuration: one clear message for each fault, with its key, the value that stands there
//! and what would be right; and the example that explains every key.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::CloseOn;
use engine::orders::Scope;
use meltica::config::{
    self, Config, Fault, LogFormat, duration, load, load_str, schema, size, values,
};
use meltica::{cli::check, logging};
use model::Kind;
use proptest::prelude::*;

const GOOD: &str = r#"
[[provider]]
name = "spot"
venue = "binance"
instruments = ["BTC-USDT"]
"#;

fn faults(text: &str) -> Vec<Fault> {
    faults_with(text, &[])
}

fn faults_with(text: &str, environment: &[(&str, &str)]) -> Vec<Fault> {
    load_str(text, &variables(environment)).err().unwrap_or_default()
}

fn variables(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Exactly one fault, with this key and value, and with each of these words in what is expected.
#[track_caller]
fn assert_one(faults: &[Fault], key: &str, value: &str, words: &[&str]) {
    let [fault] = faults else { panic!("one fault for {key}, not {faults:#?}") };
    assert_eq!((fault.key.as_str(), fault.value.as_str()), (key, value), "{fault}");
    for word in words {
        assert!(fault.expected.contains(word), "{word} not in: {fault}");
    }
    let line = fault.to_string();
    assert!(line.contains(key) && line.contains(value) && !line.contains('\n'), "{line}");
}

/// The good text with a line more for its provider.
fn with(line: &str) -> String {
    format!("{GOOD}{line}\n")
}

/// The good text with one of its words changed.
fn but(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from));
    GOOD.replacen(from, to, 1)
}

// ---- One test for each kind of fault. ----

#[test]
fn syntax_is_one_fault_with_its_line_and_column() {
    let found = faults(&with("silence = \n[log]"));
    assert_one(&found, "line 6, column 11", "silence =", &["TOML"]);
    let found = faults("[log]\nfilter = \"info\"\nfilter = \"warn\"\n");
    assert_one(&found, "line 3, column 1", "filter = \"warn\"", &["TOML", "duplicate key"]);
}

#[test]
fn unknown_key() {
    let found = faults(&with("instrumets = [\"BTC-USDT\"]"));
    let words =
        ["did you mean 'instruments'?", "name, venue, instruments, kinds, redundancy, ws_url"];
    assert_one(&found, "provider[0].instrumets", "[\"BTC-USDT\"]", &words);
    let found = faults(&with("[log]\nlevle = \"info\""));
    assert_one(&found, "log.levle", "info", &["one of filter, format"]);
}

#[test]
fn unknown_section_and_a_key_that_belongs_into_one() {
    let found = faults(&with("[netwrok]\nconnect_timeout = \"5s\""));
    assert_one(
        &found,
        "netwrok",
        "{…}",
        &["did you mean 'network'?", "provider, merge, network, dispatch"],
    );
    let found = faults(&format!("filter = \"info\"\n{GOOD}"));
    assert_one(&found, "filter", "info", &["[log]"]);
}

#[test]
fn wrong_type() {
    for (line, key, value, word) in [
        ("book_depth = \"many\"", "provider[0].book_depth", "many", "a whole number"),
        ("book_depth = 10.5", "provider[0].book_depth", "10.5", "a whole number"),
        ("silence = 30", "provider[0].silence", "30", "in quotation marks"),
        ("kinds = \"book\"", "provider[0].kinds", "book", "a list"),
        ("kinds = [1]", "provider[0].kinds[0]", "1", "one of book, trade"),
        ("ws_url = true", "provider[0].ws_url", "true", "ws:// or wss://"),
        ("[table]\nenabled = \"yes\"", "table.enabled", "yes", "true or false"),
        ("[log]\nformat = 1979-05-27", "log.format", "1979-05-27", "one of text, json"),
        ("[dispatch]\nevents_per_s = 0", "dispatch.events_per_s", "0", "from 1 to"),
        ("[network]\ntls_ca_file = []", "network.tls_ca_file", "[]", "PEM"),
    ] {
        assert_one(&faults(&with(line)), key, value, &[word]);
    }
    assert_one(&faults(&but("\"spot\"", "7")), "provider[0].name", "7", &["a name"]);
    assert_one(&faults(&format!("log = 3\n{GOOD}")), "log", "3", &["[log]"]);
    assert_one(&faults("provider = [1]"), "provider[0]", "1", &["[[provider]]"]);
}

#[test]
fn every_key_of_the_schema_is_read_and_checked() {
    for section in &schema::SECTIONS {
        for key in section.keys {
            let (text, path) = if section.repeated {
                (format!("[[{}]]\n{key} = 1.5", section.name), format!("{}[0].{key}", section.name))
            } else {
                (format!("[{}]\n{key} = 1.5", section.name), format!("{}.{key}", section.name))
            };
            let found = faults(&text);
            let of_key: Vec<&Fault> = found.iter().filter(|fault| fault.key == path).collect();
            assert_eq!(of_key.len(), 1, "{path}: {found:?}");
            // What may be a secret is not shown.
            assert!(["1.5", "(not shown)"].contains(&&*of_key[0].value), "{path}");
        }
    }
}

#[test]
fn unknown_venue_lists_them_all() {
    let found = faults(&but("\"binance\"", "\"binanse\""));
    let mut words = venues::registry::names();
    words.push("did you mean 'binance'?");
    assert_one(&found, "provider[0].venue", "binanse", &words);
}

#[test]
fn missing_keys_are_named() {
    let found = faults("[[provider]]");
    let keys: Vec<&str> = found.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["provider[0].name", "provider[0].venue", "provider[0].instruments"]);
    assert_eq!(found[0].to_string().split(':').next(), Some("provider[0].name is missing"));
}

#[test]
fn duplicate_provider_name() {
    let found = faults(&format!("{GOOD}{GOOD}"));
    assert_one(&found, "provider[1].name", "spot", &["provider[0].name has this one"]);
}

#[test]
fn a_name_that_nothing_can_bear() {
    for wrong in ["", "a b", "späti", "a/b", &"a".repeat(65)] {
        let found = faults(&but("spot", wrong));
        let shown = if wrong.is_empty() { "\"\"" } else { wrong };
        assert_one(&found, "provider[0].name", shown, &["1 to 64 letters"]);
    }
}

#[test]
fn bad_url() {
    for (key, scheme, other) in [("ws_url", "wss:", "https:"), ("rest_url", "https:", "wss:")] {
        let mut wrong = vec![String::new(), "h.example.com".to_owned(), format!("{other}//h")];
        for rest in [
            "",
            "/",
            ":80",
            "h:",
            "h:0",
            "h:65536",
            "h:+80",
            "h/ws",
            "h#x",
            "a b",
            "a..b",
            "[::1",
            "[::g]:80",
            "[::1]x",
            "999.1.1.1",
        ] {
            wrong.push(format!("{scheme}//{rest}"));
        }
        for wrong in wrong {
            let found = faults(&with(&format!("{key} = \"{wrong}\"")));
            let shown = if wrong.is_empty() { "\"\"" } else { &wrong };
            assert_one(&found, &format!("provider[0].{key}"), shown, &[scheme, "host"]);
        }
        for host in ["h", "127.0.0.1:8080", "[::1]:9443", "h.example.com/", "xn--bcher-kva.ch"] {
            let url = format!("{scheme}//{host}");
            let config = load_str(&with(&format!("{key} = \"{url}\"")), &[]).unwrap();
            let settings = &config.providers[0].settings;
            let read = if key == "ws_url" { &settings.ws_url } else { &settings.rest_url };
            assert_eq!(read.as_deref(), Some(url.trim_end_matches('/')));
        }
    }
}

#[test]
fn no_provider() {
    for (text, value) in [("", ""), ("provider = []", "[]"), ("[log]\nfilter = \"info\"", "")] {
        assert_one(&faults(text), "provider", value, &["at least one [[provider]]"]);
    }
    let found = faults("[provider]\nname = \"spot\"");
    assert_one(&found, "provider", "{…}", &["[[provider]]"]);
}

#[test]
fn no_instruments() {
    let found = faults(&but("[\"BTC-USDT\"]", "[]"));
    assert_one(&found, "provider[0].instruments", "[]", &["at least one", "BTC-USDT"]);
}

#[test]
fn invalid_instrument() {
    for (wrong, hint) in [
        ("btc-usdt", "did you mean 'BTC-USDT'?"),
        ("BTC/USDT", "did you mean 'BTC-USDT'?"),
        ("BTCUSDT", "did you mean 'BTC-USDT'?"),
        ("BTC-USDT-perp", "did you mean 'BTC-USDT-PERP'?"),
        ("BTC-USDT-211325", "BASE-QUOTE-YYMMDD"),
        ("BTC-USDT-PERP-X", "BASE-QUOTE-PERP"),
        ("BTC-PERP", "BASE-QUOTE-PERP"),
        ("BTC-", "in capitals"),
        ("BTC", "in capitals"),
        ("-", "in capitals"),
    ] {
        let found = faults(&but("BTC-USDT", wrong));
        assert_one(&found, "provider[0].instruments[0]", wrong, &[hint]);
    }
    for right in ["BTC-USD-PERP", "BTC-USDT-261225", "1000SHIB-USDT", "币安人生-USDT"] {
        assert_eq!(faults(&but("BTC-USDT", right)), [], "{right}");
    }
}

#[test]
fn doubles_in_lists() {
    let found = faults(&but("[\"BTC-USDT\"]", "[\"BTC-USDT\", \"BTC-USDT\"]"));
    assert_one(&found, "provider[0].instruments[1]", "BTC-USDT", &["once"]);
    let found = faults(&with("kinds = [\"book\", \"trade\", \"book\"]"));
    assert_one(&found, "provider[0].kinds[2]", "book", &["once"]);
}

#[test]
fn unknown_kind() {
    // A spot market has no funding.
    let all = "one of book, trade, quote, ticker, kline";
    for (wrong, hint) in
        [("trades", "'trade'"), ("book_update", "'book'"), ("orderbook", all), ("exec_report", all)]
    {
        let found = faults(&with(&format!("kinds = [\"{wrong}\"]")));
        assert_one(&found, "provider[0].kinds[0]", wrong, &[all, hint]);
    }
    assert_one(&faults(&with("kinds = []")), "provider[0].kinds", "[]", &["at least one"]);
}

#[test]
fn a_kind_that_the_venue_does_not_offer() {
    let of = |venue: &str, kind: &str| {
        faults(
            &with(&format!("kinds = [\"{kind}\"]")).replace("\"binance\"", &format!("\"{venue}\"")),
        )
    };
    for (venue, kind, offered) in [
        ("binance", "funding", "book, trade, quote, ticker, kline: binance has no other"),
        ("coinbase", "kline", "book, trade, quote, ticker: coinbase has no other"),
        ("kraken", "funding", "book, trade, quote, ticker, kline: kraken has no other"),
    ] {
        assert_one(&of(venue, kind), "provider[0].kinds[0]", kind, &[offered]);
    }
}

#[test]
fn funding_is_for_contracts() {
    let of = |venue: &str, instruments: &str| {
        let text = with("kinds = [\"trade\", \"funding\"]");
        let text = text.replace("\"binance\"", &format!("\"{venue}\""));
        faults(&text.replace("[\"BTC-USDT\"]", instruments))
    };
    let spot = ["BTC-USDT is spot", "[[provider]] of its own"];
    for instruments in ["[\"BTC-USDT\"]", "[\"BTC-USDT-PERP\", \"BTC-USDT\"]"] {
        assert_one(&of("okx", instruments), "provider[0].kinds[1]", "funding", &spot);
    }
    // Some dated contracts have it too.
    for venue in ["okx", "binance-usdm", "binance-coinm"] {
        assert_eq!(of(venue, "[\"BTC-USDT-PERP\", \"BTC-USD-261225\"]"), []);
    }
}

#[test]
fn bad_duration() {
    for wrong in ["10", "10 s", "ten", "1.5s", "-1s", "0s", "2h", "99999999999999999999h"] {
        let found = faults(&with(&format!("silence = \"{wrong}\"")));
        assert_one(&found, "provider[0].silence", wrong, &["from 1s to 1h", "10s"]);
    }
    let found = faults(&with("[network]\nconnect_timeout = \"99ms\""));
    assert_one(&found, "network.connect_timeout", "99ms", &["from 100ms to 5m"]);
}

#[test]
fn number_out_of_range() {
    for wrong in ["0", "-1", "5001", "4294967296", "0x7fffffff", &"9".repeat(60)] {
        let found = faults(&with(&format!("book_depth = {wrong}")));
        assert_one(&found, "provider[0].book_depth", wrong, &["from 1 to 5000"]);
    }
}

#[test]
fn bad_filter() {
    let found = faults(&with("[log]\nfilter = \"net=dbug\""));
    assert_one(&found, "log.filter", "net=dbug", &["warn,net=debug", "did you mean 'debug'?"]);
    assert_one(&faults(&with("[log]\nfilter = \" \"")), "log.filter", " ", &["a level"]);
    let found = faults(&with("[log]\nformat = \"jsn\""));
    assert_one(&found, "log.format", "jsn", &["one of text, json", "did you mean 'json'?"]);
}

#[test]
fn certificates_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let text = with(&format!("[network]\ntls_ca_file = '{}'", path.display()));
    let found = faults(&text);
    assert_one(&found, "network.tls_ca_file", &found[0].value, &["PEM file (No such file"]);
    std::fs::write(&path, "hello").unwrap();
    assert!(faults(&text)[0].expected.contains("BEGIN CERTIFICATE"));
    std::fs::write(&path, "-----BEGIN CERTIFICATE-----\n").unwrap();
    assert_eq!(load_str(&text, &[]).unwrap().network.tls_ca_file, Some(path));
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    let words = ["config/meltica.toml"];
    let found = load(&path).unwrap_err();
    assert_one(&found, &path.display().to_string(), &found[0].value, &words);
    assert!(found[0].value.contains("No such file"), "{}", found[0]);
    let found = load(folder.path()).unwrap_err();
    assert_one(&found, &folder.path().display().to_string(), "(it is a folder)", &words);
    std::fs::write(&path, b"[log]\nfilter = \"\xff\"").unwrap();
    let found = load(&path).unwrap_err();
    assert_one(&found, &path.display().to_string(), "(byte 16 is no UTF-8)", &words);
    std::fs::write(&path, GOOD).unwrap();
    assert!(load(&path).is_ok());
}

#[test]
fn all_faults_are_told_at_once() {
    let text = r#"
        colour = "red"
        [[provider]]
        name = "a"
        venue = "nowhere"
        instruments = ["btc-usdt", "ETH-USDT", "x"]
        ws_url = "http://h"
        book_depth = 0
        sielnce = "30s"
        [[provider]]
        name = "a"
        venue = "binance"
        [log]
        filter = 1
    "#;
    let found = faults_with(text, &[("MELTICA_TABLE_EVERY", "soon"), ("MELTICA_NOTHING", "1")]);
    let mut keys: Vec<&str> = found.iter().map(|fault| fault.key.as_str()).collect();
    keys.sort_unstable();
    let expected = [
        "MELTICA_NOTHING",
        "MELTICA_TABLE_EVERY",
        "colour",
        "log.filter",
        "provider[0].book_depth",
        "provider[0].instruments[0]",
        "provider[0].instruments[2]",
        "provider[0].sielnce",
        "provider[0].venue",
        "provider[0].ws_url",
        "provider[1].instruments",
        "provider[1].name",
    ];
    assert_eq!(keys, expected, "{found:#?}");
}

#[test]
fn secrets_are_not_shown() {
    for text in [
        with("ws_url = \"wss://me:hunter2@h\""),
        with("ws_url = \"wss://h/?listenKey=hunter2\""),
        with("ws_url = \"me:hunter2@h\""),
        with("api_secret = \"hunter2\""),
        with("api-key = \"hunter2\""),
        with("[keys]\nx = \"hunter2\""),
        with("api_secret = \"hunter2"),
    ] {
        let said = format!("{:?}", faults(&text));
        assert!(said.contains("Fault") && !said.contains("hunter2"), "{said}");
    }
    let found = faults_with(GOOD, &[("MELTICA_PROVIDER_SPOT_API_SECRET", "hunter2")]);
    assert_one(&found, "MELTICA_PROVIDER_SPOT_API_SECRET", "(not shown)", &["MELTICA_<SECTION>"]);
}

#[test]
fn a_value_stays_on_its_line() {
    let found = faults(&with("silence = \"a\\nb\\u001b[31m\""));
    assert_one(&found, "provider[0].silence", "a\\nb\\u{1b}[31m", &[]);
    let found = faults(&with(&format!("silence = \"{}\"", "x".repeat(10_000))));
    assert!(found[0].to_string().len() < 400);
}

// ---- The environment. ----

#[test]
fn the_environment_wins() {
    let text = with("silence = \"10s\"\n[log]\nfilter = \"warn\"");
    let environment = variables(&[
        ("MELTICA_LOG_FILTER", "debug"),
        ("MELTICA_LOG_FORMAT", "json"),
        ("MELTICA_NETWORK_CONNECT_TIMEOUT", "5s"),
        ("MELTICA_TABLE_ENABLED", "false"),
        ("MELTICA_PROVIDER_SPOT_INSTRUMENTS", "ETH-USDT, BTC-USDT"),
        ("MELTICA_PROVIDER_SPOT_KINDS", "book"),
        ("MELTICA_PROVIDER_SPOT_WS_URL", "ws://127.0.0.1:9"),
        ("MELTICA_PROVIDER_SPOT_BOOK_DEPTH", "50"),
        ("MELTICA_PROVIDER_SPOT_SILENCE", "20s"),
        ("PATH", "/bin"),
    ]);
    let config = load_str(&text, &environment).unwrap();
    assert_eq!((config.log.filter.as_str(), config.log.format), ("debug", LogFormat::Json));
    assert_eq!(config.network.connect_timeout, Duration::from_secs(5));
    assert!(!config.table.enabled);
    let provider = &config.providers[0];
    assert_eq!(provider.instruments, ["ETH-USDT", "BTC-USDT"]);
    assert_eq!(provider.kinds, [Kind::BookUpdate]);
    assert_eq!(provider.settings.ws_url.as_deref(), Some("ws://127.0.0.1:9"));
    assert_eq!(provider.settings.book_depth, 50);
    assert_eq!(provider.settings.silence, Duration::from_secs(20));
}

#[test]
fn the_environment_mends_and_breaks_as_the_file_does() {
    let broken = but("\"binance\"", "\"binanse\"");
    assert_eq!(faults_with(&broken, &[("MELTICA_PROVIDER_SPOT_VENUE", "binance")]), []);
    for (variable, value, word) in [
        ("MELTICA_PROVIDER_SPOT_BOOK_DEPTH", "many", "a whole number"),
        ("MELTICA_PROVIDER_SPOT_INSTRUMENTS", "", "at least one"),
        ("MELTICA_PROVIDER_SPOT_KINDS", "boook", "did you mean 'book'?"),
        ("MELTICA_TABLE_ENABLED", "1", "true or false"),
        ("MELTICA_LOG_FILTER", "", "a level"),
    ] {
        let found = faults_with(GOOD, &[(variable, value)]);
        let shown = if value.is_empty() { "\"\"" } else { value };
        assert_one(&found, variable, shown, &[word]);
    }
}

#[test]
fn an_unknown_variable_is_a_fault() {
    for (variable, hint) in [
        ("MELTICA_LOG_FILTR", "did you mean 'MELTICA_LOG_FILTER'?"),
        ("MELTICA_PROVIDER_SPOT_WSURL", "did you mean 'MELTICA_PROVIDER_SPOT_WS_URL'?"),
        ("MELTICA_PROVIDER_SPOT_NAME", "MELTICA_PROVIDER_<NAME>_<KEY>"),
        ("MELTICA_PROVIDER_OTHER_VENUE", "MELTICA_PROVIDER_<NAME>_<KEY>"),
        ("MELTICA_", "MELTICA_<SECTION>_<KEY>"),
    ] {
        assert_one(&faults_with(GOOD, &[(variable, "x")]), variable, "x", &[hint]);
    }
}

#[test]
fn names_that_share_a_variable_are_a_fault_where_it_is_set() {
    let text = format!("{}{}", but("spot", "a-b"), but("spot", "a.b"));
    assert_eq!(faults(&text), []);
    let found = faults_with(&text, &[("MELTICA_PROVIDER_A_B_SILENCE", "5s")]);
    assert_one(&found, "MELTICA_PROVIDER_A_B_SILENCE", "5s", &["a-b and a.b", "rename"]);
}

#[test]
fn no_variable_can_be_read_in_two_ways() {
    // `A` with `ws_url` and `A_WS` with `url` would be one variable.
    for section in [schema::PROVIDER, schema::MERGE, schema::LIMIT] {
        for key in section.keys {
            let ends = |other: &&&str| key.ends_with(&format!("_{other}"));
            assert_eq!(section.keys.iter().find(ends), None, "{key}");
        }
    }
}

// ---- The example. ----

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/meltica.toml")
}

#[test]
fn what_is_said_about_a_consumer_goes_over_what_it_says_itself() {
    let text = format!(
        "{GOOD}\n[[consumer]]\nname = \"a\"\nplacement = \"shard\"\nbudget = \"50us\"\n\
         restart_after = \"1s\"\nmay_trade = true\n[[consumer]]\nname = \"b\"\nrestart = false\n"
    );
    let config = load_str(&text, &[]).unwrap();
    let own = meltica::ConsumerOptions::default();
    let of_a = own.clone().configured(config.consumers.first());
    let budget = Duration::from_micros(50);
    assert_eq!(of_a.placement, meltica::Placement::Shard { budget, overruns_max: 8 });
    let (first, most) = (Duration::from_secs(1), Duration::from_secs(30));
    assert_eq!(of_a.restart, meltica::Restart::AfterPanic { first, most });
    assert!(of_a.rights.trade && of_a.rights.subscribe);
    let of_b = own.clone().configured(config.consumers.get(1));
    assert_eq!(of_b, meltica::ConsumerOptions { restart: meltica::Restart::Never, ..own });
    let twice = text.replace("\"b\"", "\"a\"");
    assert_one(&faults(&twice), "consumer[1].name", "a", &["consumer[0].name"]);
}

// ---- The command and the logs. ----

fn run_check(text: &str, json: bool) -> (u8, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meltica.toml");
    std::fs::write(&path, text).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = check::run(&path, json, &mut out, &mut err);
    (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn check_says_what_is_wrong_and_gives_the_exit_code() {
    let good = "ok: 1 provider, 3 streams\n".to_owned();
    assert_eq!(run_check(GOOD, false), (0, good, String::new()));
    let json = "{\"ok\":true,\"errors\":[]}\n".to_owned();
    assert_eq!(run_check(GOOD, true), (0, json, String::new()));

    let bad = with("book_depth = 0\nsilence = \"1d\"");
    let (code, out, err) = run_check(&bad, false);
    assert_eq!((code, out.as_str(), err.lines().count()), (2, "", 2));
    assert!(err.starts_with("provider[0].book_depth = 0: expected a whole number"), "{err}");
    let (code, out, err) = run_check(&bad, true);
    assert_eq!((code, err.as_str(), out.lines().count()), (2, "", 1));
    let right = "{\"ok\":false,\"errors\":[{\"key\":\"provider[0].book_depth\",\"value\":\"0\",\
                 \"expected\":\"a whole number from 1 to 5000, without quotation marks\"},";
    assert!(out.starts_with(right), "{out}");
}

#[test]
fn a_second_start_of_the_logs_leaves_the_first_as_it_is() {
    assert_eq!(logging::init(&config::Log::default()), Ok(()));
    let json = config::Log { format: LogFormat::Json, ..config::Log::default() };
    assert_eq!(logging::init(&json), Ok(()));
}

// ---- For any input. ----

/// A checked configuration as TOML.
fn written(config: &Config) -> String {
    let mut text = String::new();
    for provider in &config.providers {
        let kind = |kind: &Kind| values::KINDS.iter().find(|(_, of)| of == kind).unwrap().0;
        let kinds: Vec<&str> = provider.kinds.iter().map(kind).collect();
        let settings = &provider.settings;
        text += &format!(
            "[[provider]]\nname = {:?}\nvenue = {:?}\ninstruments = {:?}\nkinds = {kinds:?}\n\
             redundancy = {}\nbook_depth = {}\nsilence = {:?}\n",
            provider.name,
            provider.venue,
            provider.instruments,
            provider.redundancy,
            settings.book_depth,
            duration::show(settings.silence),
        );
        for (key, url) in [("ws_url", &settings.ws_url), ("rest_url", &settings.rest_url)] {
            text += &url.as_ref().map_or_else(String::new, |url| format!("{key} = {url:?}\n"));
        }
    }
    for config::Merge { spec, consumers } in &config.merges {
        let kind = values::KINDS.iter().find(|(_, of)| *of == spec.kind).unwrap().0;
        let close = if spec.close == CloseOn::Complete { "complete" } else { "time" };
        text += &format!(
            "[[merge]]\nname = {:?}\ninstrument = {:?}\nkind = {kind:?}\nproviders = {:?}\n\
             close = {close:?}\nwindow = {:?}\nmax_fragments = {}\n",
            spec.name,
            spec.instrument,
            spec.providers,
            duration::show(spec.window),
            spec.fragments_max,
        );
        if !consumers.is_empty() {
            text += &format!("consumers = {consumers:?}\n");
        }
    }
    for (scope, limits) in &config.orders.limits {
        let Scope::Consumer(consumer) = scope else { panic!("{scope:?}") };
        let most = limits.open_max.unwrap();
        text += &format!("[[limit]]\nname = \"l\"\nconsumer = {consumer:?}\nopen_max = {most}\n");
    }
    for consumer in &config.consumers {
        text += &format!("[[consumer]]\nname = {:?}\n", consumer.name);
    }
    let Config { network, dispatch, log, table, control, dead_letters, .. } = config;
    let config::DeadLetters { folder, entries_max, files_max, .. } = dead_letters;
    let [bytes_max, payload_max, file_size] =
        [dead_letters.bytes_max, dead_letters.payload_max, dead_letters.file_bytes_max]
            .map(size::show);
    text += &format!(
        "[dead_letters]\nmax_entries = {entries_max}\nmax_bytes = {bytes_max:?}\n\
         max_payload = {payload_max:?}\nfile_size = {file_size:?}\nmax_files = {files_max}\n"
    );
    text += &folder.as_ref().map_or_else(String::new, |folder| format!("folder = {folder:?}\n"));
    let budget = dispatch.events_per_s;
    text += &budget.map_or_else(String::new, |n| format!("[dispatch]\nevents_per_s = {n}\n"));
    let format = if log.format == LogFormat::Json { "json" } else { "text" };
    text + &format!(
        "[network]\nconnect_timeout = {:?}\nrequest_timeout = {:?}\n[log]\nfilter = {:?}\n\
         format = {format:?}\n[table]\nenabled = {}\nevery = {:?}\n[control]\nlinger = {:?}\n\
         confirm_within = {:?}\n",
        duration::show(network.connect_timeout),
        duration::show(network.request_timeout),
        log.filter,
        table.enabled,
        duration::show(table.every),
        duration::show(control.linger),
        duration::show(control.confirm_within),
    )
}

#[test]
fn the_example_comes_back_from_its_checked_form() {
    let config = load(&example()).unwrap();
    assert_eq!(load_str(&written(&config), &[]), Ok(config));
}

#[test]
fn deep_nesting_is_refused_and_no_stack_overflows() {
    let (lists, tables) = ("[".repeat(100_000), "{a=".repeat(100_000));
    let dots = "a.".repeat(100_000);
    for text in [
        format!("x = {lists}"),
        format!("x = {tables}"),
        format!("{dots}a = 1"),
        format!("[{dots}a]"),
        format!("x = {{ {dots}a = 1 }}"),
    ] {
        assert!(!faults(&text).is_empty());
    }
}

fn provider() -> impl Strategy<Value = config::Provider> {
    let venue = prop::sample::select(venues::registry::names());
    let venue = venue.prop_flat_map(|venue| {
        let offered = venues::registry::abilities(venue).unwrap().kinds.to_vec();
        let count = 1..=offered.len();
        (Just(venue), prop::sample::subsequence(offered, count))
    });
    let names = "[A-Z0-9]{1,9}-[A-OQ-Z]{3,4}(-PERP|-261225)?";
    let instruments = prop::collection::btree_set(names, 1..5);
    let url = |scheme: &'static str| {
        prop::option::of("[a-z]{1,9}\\.[a-z]{2,3}(:[1-9][0-9]{0,3})?")
            .prop_map(move |host| host.map(|host| format!("{scheme}://{host}")))
    };
    let settings = (url("wss"), url("http"), 1..=5_000u32, 1_000..=3_600_000u64).prop_map(
        |(ws_url, rest_url, book_depth, silence)| venues::Settings {
            ws_url,
            rest_url,
            book_depth,
            silence: Duration::from_millis(silence),
            ..venues::Settings::default()
        },
    );
    (venue, instruments, settings).prop_map(|((venue, mut kinds), instruments, settings)| {
        let instruments: Vec<String> = instruments.into_iter().collect();
        if instruments.iter().any(|name| name.split('-').count() == 2) {
            kinds.retain(|kind| *kind != Kind::Funding);
            kinds.extend(kinds.is_empty().then_some(Kind::Trade));
        }
        let redundancy = 1 + settings.book_depth as u8 % 2;
        let (name, venue) = (String::new(), venue.into());
        let account = None;
        config::Provider { name, venue, instruments, kinds, redundancy, settings, account }
    })
}

fn configuration() -> impl Strategy<Value = Config> {
    let providers = prop::collection::btree_map("[A-Za-z0-9._-]{1,64}", provider(), 1..4);
    (providers, 100..=300_000u64, 100..=300_000u64, any::<bool>()).prop_map(
        |(providers, connect, every, flag)| Config {
            providers: providers
                .into_iter()
                .map(|(name, provider)| config::Provider { name, ..provider })
                .collect(),
            merges: Vec::new(),
            network: config::Network {
                connect_timeout: Duration::from_millis(connect),
                ..config::Network::default()
            },
            dispatch: config::Dispatch { events_per_s: NonZeroU32::new((connect % 3) as u32) },
            log: config::Log {
                format: if flag { LogFormat::Json } else { LogFormat::Text },
                ..config::Log::default()
            },
            table: config::Table { enabled: flag, every: Duration::from_millis(every) },
            control: engine::ControlSettings {
                linger: Duration::from_millis(every),
                ..engine::ControlSettings::default()
            },
            dead_letters: config::DeadLetters {
                folder: flag.then(|| "letters/of/all".into()),
                entries_max: every as usize,
                payload_max: 256 + every as usize % 1_000,
                ..config::DeadLetters::default()
            },
            consumers: Vec::new(),
            orders: config::OrdersConfig::default(),
        },
    )
}

/// Faults or a configuration, and each fault with all it needs, fit for a terminal.
fn assert_answer(text: &str, environment: &[(String, String)]) {
    if let Err(faults) = load_str(text, environment) {
        assert!(!faults.is_empty());
        for fault in faults {
            let line = fault.to_string();
            assert!(!fault.key.is_empty() && !fault.expected.is_empty(), "{line}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}

proptest! {
    #[test]
    fn a_checked_configuration_comes_back(config in configuration()) {
        prop_assert_eq!(load_str(&written(&config), &[]), Ok(config));
    }

    #[test]
    fn any_text_gives_faults_or_a_configuration(text in "\\PC*|(?s).{0,200}") {
        assert_answer(&text, &[]);
    }

    #[test]
    fn any_value_of_any_key_gives_faults_or_a_configuration(
        section in prop::sample::select(schema::SECTIONS.to_vec()),
        key in 0..9usize,
        value in "[-0-9.\"'a-z:/@?\\[\\],= {}\\n\u{1}\u{20ac}]{0,12}|\"\\PC{0,20}\"|[0-9]{1,40}",
        name in "(?s).{0,12}",
    ) {
        let key = section.keys[key % section.keys.len()];
        let variable = format!("{}_{key}", section.name).to_uppercase();
        let variable = variable.replacen("PROVIDER", "PROVIDER_SPOT", 1);
        let variable = variable.replacen("MERGE", "MERGE_M", 1);
        let text = if section.repeated {
            format!("[[{}]]\n{key} = {value}\n", section.name)
        } else {
            format!("{GOOD}\n[{}]\n{key} = {value}\n", section.name)
        };
        let environment =
            [(format!("MELTICA_{variable}"), value), (format!("MELTICA_{name}"), name)];
        assert_answer(&text, &[]);
        assert_answer(GOOD, &environment);
        assert_answer(&text, &environment);
    }

    #[test]
    fn the_example_with_a_hole_gives_faults_or_a_configuration(
        from in 0..5_000usize,
        gap in 1..60usize,
    ) {
        let text: Vec<char> = std::fs::read_to_string(example()).unwrap().chars().collect();
        let from = from.min(text.len());
        let rest = text.iter().skip(from + gap);
        assert_answer(&text[..from].iter().chain(rest).collect::<String>(), &[]);
    }
}
