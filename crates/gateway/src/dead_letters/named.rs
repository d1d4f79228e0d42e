//! A letter of the engine with names for its numbers, and its payload as text.

use std::sync::Arc;

use engine::control::Command;
use engine::dead_letters::{Content, Letter};
use engine::{Catalog, CloseOn, MergeSpec, Subscription};
use model::frame::ProviderRaw;
use model::{Event, Kind};
use serde_json::{Value, json};
use store::dead_letters::DeadLetter;

use super::redact::redact;
use crate::config::duration;
use crate::event_json::EventLine;

/// Longer names that a venue or an operator made up are cut.
const NAME_CHARS_MAX: usize = 128;

/// The letter as it is kept, with at most so many bytes of payload.
pub(super) fn named(letter: Letter, catalog: &Catalog, payload_max: usize) -> DeadLetter {
    let reason = letter.content.reason();
    let blank = DeadLetter {
        t: letter.at.0,
        lost: letter.lost,
        reason: reason.name().into(),
        priority: reason.priority().name().into(),
        ..DeadLetter::default()
    };
    match letter.content {
        Content::Dropped { consumer, event } => {
            let consumer = catalog.consumer_name(consumer);
            let detail = "more trades wait for the consumer than may: this one, the oldest, went";
            let detail = detail.to_owned();
            of_event(DeadLetter { consumer, detail, ..blank }, &event, catalog, payload_max)
        }
        Content::LateFragment { merge, event } => {
            let merge = catalog.provider_name(merge).unwrap_or_default();
            let detail = format!("it came after the window of the merge '{merge}' had closed");
            of_event(DeadLetter { detail, ..blank }, &event, catalog, payload_max)
        }
        Content::Late(event) => {
            let detail = "it came after its place in the stream had been given up".to_owned();
            of_event(DeadLetter { detail, ..blank }, &event, catalog, payload_max)
        }
        Content::Unmapped { provider, what, name } => {
            let detail = format!("{what}: {}; further ones are counted alone", cut(&name));
            DeadLetter { provider: catalog.provider_name(provider), detail, ..blank }
        }
        Content::Unreadable(raw) => of_raw(blank, &raw, catalog, payload_max),
        Content::RefusedCommand { consumer, operator, command, refusal } => {
            let whose = if operator { "an operator's" } else { "the consumer's own" };
            let (code, text) = (refusal.code(), refusal.text());
            let detail = format!("{whose} command was refused, {code}: {text}");
            let consumer: Option<Arc<str>> = Some(cut(&consumer).into());
            let mut letter = DeadLetter { consumer, detail, ..blank };
            let wanted = wanted(&command).to_string();
            letter.set_payload(wanted.as_bytes(), wanted.len(), payload_max);
            letter
        }
    }
}

fn cut(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

fn of_event(blank: DeadLetter, event: &Event, catalog: &Catalog, max: usize) -> DeadLetter {
    let stream = event.header.stream;
    let mut letter = DeadLetter {
        provider: catalog.provider_name(stream.provider),
        instrument: catalog.instrument_name(stream.instrument),
        kind: Some(stream.kind.name().into()),
        trace_id: Some(event.header.trace_id),
        ..blank
    };
    let line = serde_json::to_vec(&EventLine { event, catalog }).unwrap_or_default();
    letter.set_payload(&line, line.len(), max);
    letter
}

fn of_raw(blank: DeadLetter, raw: &ProviderRaw, catalog: &Catalog, max: usize) -> DeadLetter {
    let (payload, detail) = (redact(&raw.payload), redact(raw.error.as_bytes()));
    let mut letter = DeadLetter {
        provider: catalog.provider_name(raw.provider),
        conn: Some(raw.conn.0),
        remedy: raw.remedy.map(|remedy| remedy.name().into()),
        detail: String::from_utf8_lossy(&detail).into_owned(),
        ..blank
    };
    letter.set_payload(&payload, payload.len(), max);
    letter.cut |= raw.payload.len() < raw.bytes;
    letter.bytes = raw.bytes as u64;
    letter
}

/// A command as one JSON object.
fn wanted(command: &Command) -> Value {
    match command {
        Command::Subscribe(wanted) => json!({ "subscribe": streams(wanted) }),
        Command::Unsubscribe(unwanted) => json!({ "unsubscribe": streams(unwanted) }),
        Command::SubscribeMerged(spec) => json!({ "subscribe_merged": merge(spec) }),
        Command::UnsubscribeMerged(name) => json!({ "unsubscribe_merged": &**name }),
        Command::SetTrading(on) => json!({ "set_trading": on }),
        Command::Kill => json!("kill"),
        Command::NeverArrived(order) => json!({ "never_arrived": &**order }),
    }
}

fn streams(of: &Subscription) -> Value {
    let kinds: Vec<_> = of.kinds.iter().copied().map(Kind::name).collect();
    json!({ "providers": of.providers, "instruments": of.instruments, "kinds": kinds })
}

fn merge(spec: &MergeSpec) -> Value {
    let close = if spec.close == CloseOn::Complete { "complete" } else { "time" };
    json!({
        "name": spec.name,
        "instrument": spec.instrument,
        "kind": spec.kind.name(),
        "providers": spec.providers,
        "close": close,
        "window": duration::show(spec.window),
        "max_fragments": spec.fragments_max,
    })
}
