//! The texts that stand in files: they must stay readable for ever.

use proptest::prelude::*;

use super::super::conformance::{any_fact, key, report, submit};
use super::*;

#[test]
fn the_text_of_a_fact_is_fixed() {
    let text = to_text(&Fact::Submit(submit("a", "1"))).unwrap();
    let expected = concat!(
        r#"{"submit":{"order":{"consumer":"a","client_order_id":"1"},"terms":{"provider":"p","#,
        r#""instrument":"BTC-USDT","side":"sell","order_type":"limit","time_in_force":"post_only","#,
        r#""price":"105.0","quantity":"5"},"venue_client_id":"v-1","deadline":77,"ts":70,"#,
        r#""decision_id":18446744073709551615}}"#,
    );
    assert_eq!(text, expected);
    assert_eq!(from_text(expected).unwrap(), Fact::Submit(submit("a", "1")));
}

#[test]
fn what_is_no_fact_is_an_error() {
    for wrong in [
        "",
        "{}",
        r#"{"submit":{}}"#,
        r#"{"later":1}"#,
        r#"{"acknowledgement":{"consumer":"a","position":-1,"ts":1}}"#,
        r#"{"acknowledgement":{"consumer":"a","position":1,"ts":1}} "x""#,
    ] {
        assert!(from_text(wrong).is_err(), "{wrong}");
    }
    let number = to_text(&Fact::Report(report("a", "1", OrderState::Partial, None))).unwrap();
    let spoiled = number.replace(r#""filled":"1""#, r#""filled":"1.x""#);
    assert_ne!(number, spoiled);
    assert!(from_text(&spoiled).is_err());
}

#[test]
fn identities_are_unambiguous_whatever_names_hold() {
    let change = |consumer: &str, id: &str| {
        let order = key(consumer, id);
        let change = Change { order, number: 1, terms: ChangeTerms::Cancel, ts: Nanos(1) };
        identity(&Fact::Change(change)).unwrap().unwrap()
    };
    assert_ne!(change("a\",\"b", "c"), change("a", "b\",\"c"));
    let fill = report("a", "1", OrderState::Partial, Some("7"));
    let event = Report { fill: None, venue_event_id: Some(7), ..fill.clone() };
    assert_ne!(identity(&Fact::Report(fill)).unwrap(), identity(&Fact::Report(event)).unwrap());
    assert_eq!(identity(&Fact::Submit(submit("a", "1"))).unwrap(), None);
}

proptest! {
    #[test]
    fn a_text_gives_its_fact_back_and_a_broken_one_never_panics(
        fact in any_fact(), cut in 0_usize..400, byte in any::<u8>(),
    ) {
        let text = to_text(&fact).unwrap();
        prop_assert_eq!(from_text(&text).unwrap(), fact);
        let mut broken = text.into_bytes();
        let at = cut % broken.len();
        broken[at] = byte;
        if let Ok(fact) = from_text(&String::from_utf8_lossy(&broken)) {
            prop_assert_eq!(from_text(&to_text(&fact).unwrap()).unwrap(), fact);
        }
        broken.truncate(at);
        prop_assert!(from_text(&String::from_utf8_lossy(&broken)).is_err());
    }
}
