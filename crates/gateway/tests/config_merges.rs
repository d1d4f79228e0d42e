//! Bad configuration of merges: each fault with its key, the value that stands there and what would
//! be right.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use engine::CloseOn;
use meltica::config::{Fault, load_str};

fn faults(text: &str) -> Vec<Fault> {
    load_str(text, &[]).err().unwrap_or_default()
}

/// Two providers of one instrument, and the start of a merge.
const PAIR: &str = "[[provider]]\nname = \"one\"\nvenue = \"binance\"\ninstruments = [\"BTC-USDT\"]\n\
                    [[provider]]\nname = \"two\"\nvenue = \"okx\"\ninstruments = [\"BTC-USDT\"]\n\
                    kinds = [\"book\", \"quote\"]\n[[merge]]\n";
const MERGE: &str = "name = \"m\"\ninstrument = \"BTC-USDT\"\nkind = \"quote\"\n\
                     providers = [\"one\", \"two\"]\n";

#[test]
fn a_merge_is_read_with_all_its_terms() {
    let text = format!(
        "{PAIR}{MERGE}close = \"complete\"\nwindow = \"2s\"\nmax_fragments = 9\n\
         consumers = [\"a\", \"b\"]\n"
    );
    let merge = &load_str(&text, &[]).unwrap().merges[0];
    assert_eq!((merge.spec.close, merge.spec.window), (CloseOn::Complete, Duration::from_secs(2)));
    assert_eq!((merge.spec.fragments_max, merge.consumers.len()), (9, 2));
    let environment = [("MELTICA_MERGE_M_WINDOW".to_owned(), "3s".to_owned())];
    let config = load_str(&text, &environment).unwrap();
    assert_eq!(config.merges[0].spec.window, Duration::from_secs(3));
}

#[test]
fn every_fault_of_a_merge_says_what_would_be_right() {
    let but = |from: &str, to: &str| format!("{PAIR}{}", MERGE.replace(from, to));
    for (text, key, value, words) in [
        (but("\"m\"", "\"one\""), "merge[0].name", "one", "provider[0].name has this one"),
        (but("\"quote\"", "\"book\""), "merge[0].kind", "book", "one of trade, quote"),
        (but("\"quote\"", "\"qoute\""), "merge[0].kind", "qoute", "did you mean 'quote'?"),
        (
            but("\"quote\"", "\"trade\""),
            "merge[0].providers[1]",
            "two",
            "BTC-USDT trade: one of one",
        ),
        (but("BTC", "ETH"), "merge[0].providers[0]", "one", "ETH-USDT quote: there is none"),
        (but("\"two\"", "\"tow\""), "merge[0].providers[1]", "tow", "did you mean 'two'?"),
        (but(", \"two\"", ""), "merge[0].providers", "[\"one\"]", "2 to 64 providers"),
        (but("\"two\"", "\"one\""), "merge[0].providers[1]", "one", "each entry once"),
        (
            format!("{PAIR}{MERGE}close = \"never\""),
            "merge[0].close",
            "never",
            "one of time, complete",
        ),
        (format!("{PAIR}{MERGE}window = \"2h\""), "merge[0].window", "2h", "from 1ms to 1h"),
        (
            format!("{PAIR}{MERGE}max_fragments = 1"),
            "merge[0].max_fragments",
            "1",
            "from 2 to 1000000",
        ),
        (
            format!("{PAIR}{MERGE}consumers = [\"a b\"]"),
            "merge[0].consumers[0]",
            "a b",
            "a name of",
        ),
    ] {
        let found = faults(&text);
        let of_key: Vec<_> = found.iter().filter(|fault| fault.key == key).collect();
        assert_eq!(of_key.len(), 1, "{key}: {found:?}");
        assert_eq!(of_key[0].value, value);
        assert!(of_key[0].expected.contains(words), "{}", of_key[0]);
    }
    let text = format!("{PAIR}{MERGE}").replace("[[merge]]", "[merge]");
    let [fault] = faults(&text).try_into().unwrap();
    assert_eq!((fault.key.as_str(), fault.value.as_str()), ("merge", "{…}"));
    assert!(fault.expected.contains("double brackets: [[merge]]"), "{fault}");
    let found = faults(&format!("{PAIR}window = \"1s\"\n"));
    let keys: Vec<_> = found.iter().map(|fault| fault.key.as_str()).collect();
    let missing = ["name", "instrument", "kind", "providers"].map(|key| format!("merge[0].{key}"));
    assert_eq!(keys, missing);
}
