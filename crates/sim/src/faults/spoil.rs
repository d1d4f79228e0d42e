//! What becomes of one message and one answer.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use model::Nanos;

use super::orders::Fate;
use super::{Enumeration, Faulty, MUTED_FOR, Subject, Trouble};
use crate::machine::{ClientId, Output, Reply, Request, RequestId};

/// Neither JSON nor anything else.
const GARBAGE: &[u8] = b"{\"garbage\":[1,2,";
/// Every venue's way to say what a message is, with something that none says.
const UNKNOWN: &[u8] =
    br#"{"e":"brandNew","type":"brand_new","event":"brand_new","channel":"brand_new"}"#;

/// How long a venue that was asked too often is to be left alone.
const TOO_OFTEN: Duration = Duration::from_secs(1);
/// How long a ban lasts.
const BANNED: Duration = Duration::from_secs(2);

/// A value of an enumeration that nobody has heard of.
const NOVEL_VALUE: &[u8] = b"BRAND_NEW";
/// A field that nobody has heard of, at the beginning of a message.
const NOVEL_FIELD: &[u8] = br#"{"brandNew":{"deep":["x",1,null]},"#;

impl<M: Subject> Faulty<M> {
    pub(super) fn spoil(&mut self, now: Nanos, output: Output, out: &mut Vec<Output>) {
        match output {
            Output::Send { client, payload } => self.spoil_message(now, client, payload, out),
            Output::Ping { client, payload } => self.spoil_ping(now, client, payload, out),
            Output::Close { client, .. }
            | Output::Break { client, .. }
            | Output::Silence { client } => {
                self.forget(client);
                out.push(output);
            }
            Output::Answer { request, reply } => self.spoil_answer(now, request, reply, out),
        }
    }

    /// A ping is neither lost nor altered, but waits with the messages before it.
    fn spoil_ping(&mut self, now: Nanos, client: ClientId, payload: Bytes, out: &mut Vec<Output>) {
        let Some(line) = self.clients.get(&client).filter(|line| !line.is_lost) else { return };
        let until = line.stalled_until.filter(|until| *until > now);
        let output = Output::Ping { client, payload };
        match until {
            Some(until) => self.hold(until, output, out),
            None => out.push(output),
        }
    }

    fn spoil_message(
        &mut self,
        now: Nanos,
        client: ClientId,
        payload: Bytes,
        out: &mut Vec<Output>,
    ) {
        if self.clients.get(&client).is_some_and(|line| line.is_lost) {
            return;
        }
        if !self.active {
            return self.pass(now, client, payload, out);
        }
        if self.inner.is_private(client) {
            self.precede(now, client, out);
            let is_report = self.inner.is_report(&payload);
            let payload = self.novel(now, client, payload);
            self.stall(now, client);
            return match is_report {
                true => self.spoil_report(now, client, payload, out),
                false => self.pass(now, client, payload, out),
            };
        }
        if self.is_muted(now, client, &payload) {
            return;
        }
        if self.happens(now, client, "dropped", self.faults.dropped) {
            return;
        }
        let payload = self.altered(now, client, payload);
        self.precede(now, client, out);
        let payload = self.novel(now, client, payload);
        self.stall(now, client);
        if self.happens(now, client, "reordered", self.faults.reordered)
            && let Some(line) = self.clients.get_mut(&client)
            && line.overtaken.is_none()
        {
            line.overtaken = Some(payload);
            return;
        }
        if self.happens(now, client, "duplicated", self.faults.duplicated) {
            self.pass(now, client, payload.clone(), out);
        }
        self.pass(now, client, payload, out);
    }

    /// What comes before a message and is none.
    fn precede(&mut self, now: Nanos, client: ClientId, out: &mut Vec<Output>) {
        if self.happens(now, client, "garbage", self.faults.garbage) {
            self.pass(now, client, Bytes::from_static(GARBAGE), out);
        }
        if self.happens(now, client, "unknown", self.faults.unknown) {
            self.pass(now, client, Bytes::from_static(UNKNOWN), out);
        }
        if self.happens(now, client, "oversized", self.faults.oversized) {
            let bytes = usize::try_from(self.faults.oversized_kib).unwrap_or(0) * 1_024;
            self.pass(now, client, Bytes::from(vec![b' '; bytes]), out);
        }
    }

    /// The message with a field or a value that nobody has heard of.
    fn novel(&mut self, now: Nanos, client: ClientId, payload: Bytes) -> Bytes {
        let mut payload = payload;
        if payload.starts_with(b"{\"")
            && self.happens(now, client, "novel_field", self.faults.novel_field)
        {
            payload = Bytes::from([NOVEL_FIELD, &payload[1..]].concat());
        }
        self.novel_value(now, Some(client), payload)
    }

    /// What is said with a value that nobody has heard of, in one of the fields that the venue names.
    fn novel_value(&mut self, now: Nanos, client: Option<ClientId>, said: Bytes) -> Bytes {
        if self.faults.novel_value == 0 || !self.active {
            return said;
        }
        let all: Vec<_> =
            self.inner.enumerations().iter().flat_map(|of| values(&said, *of)).collect();
        if all.is_empty() || !self.chance(self.faults.novel_value) {
            return said;
        }
        self.note(now, "novel_value", client);
        let old = &all[self.rng.below(all.len() as u64) as usize];
        Bytes::from([&said[..old.start], NOVEL_VALUE, &said[old.end..]].concat())
    }

    pub(super) fn happens(
        &mut self,
        now: Nanos,
        client: ClientId,
        what: &'static str,
        rate: u32,
    ) -> bool {
        let happens = self.chance(rate);
        if happens {
            self.note(now, what, Some(client));
        }
        happens
    }

    /// Sends a message, and then the one that it overtakes; not before a stall is over.
    pub(super) fn pass(
        &mut self,
        now: Nanos,
        client: ClientId,
        payload: Bytes,
        out: &mut Vec<Output>,
    ) {
        let Some(line) = self.clients.get_mut(&client) else {
            return out.push(Output::Send { client, payload });
        };
        let until = line.stalled_until.filter(|until| *until > now);
        let overtaken = line.overtaken.take();
        for payload in [payload].into_iter().chain(overtaken) {
            let output = Output::Send { client, payload };
            match until {
                Some(until) => self.hold(until, output, out),
                None => out.push(output),
            }
        }
    }

    fn stall(&mut self, now: Nanos, client: ClientId) {
        if !self.happens(now, client, "stalled", self.faults.stalled) {
            return;
        }
        let until = now + Duration::from_millis(self.rng.below(self.faults.stall_ms.into()));
        if let Some(line) = self.clients.get_mut(&client) {
            line.stalled_until = Some(line.stalled_until.map_or(until, |before| before.max(until)));
        }
    }

    /// Whether a message's stream is kept back, or is from here on.
    fn is_muted(&mut self, now: Nanos, client: ClientId, payload: &[u8]) -> bool {
        let Some(line) = self.clients.get_mut(&client) else { return false };
        line.muted.take_if(|(_, until)| *until <= now);
        if let Some((stream, _)) = &line.muted {
            return stream_of(payload).is_some_and(|other| other == *stream);
        }
        let Some(stream) = self.chance(self.faults.muted).then(|| stream_of(payload)).flatten()
        else {
            return false;
        };
        self.note(now, "muted", Some(client));
        if let Some(line) = self.clients.get_mut(&client) {
            line.muted = Some((stream, now + MUTED_FOR));
        }
        true
    }

    /// The message with another checksum.
    fn altered(&mut self, now: Nanos, client: ClientId, payload: Bytes) -> Bytes {
        const NAME: &[u8] = b"\"checksum\":";
        if self.faults.altered == 0 {
            return payload;
        }
        let Some(at) = payload.windows(NAME.len()).position(|window| window == NAME) else {
            return payload;
        };
        let number = at + NAME.len() + usize::from(payload.get(at + NAME.len()) == Some(&b'-'));
        let Some(digit) = payload.get(number).filter(|digit| digit.is_ascii_digit()) else {
            return payload;
        };
        // A checksum of 0 says that there is none.
        let (digit, is_zero) = (*digit, *digit == b'0');
        if is_zero || !self.happens(now, client, "altered", self.faults.altered) {
            return payload;
        }
        let mut other = payload.to_vec();
        other[number] = if digit == b'1' { b'2' } else { digit - 1 };
        Bytes::from(other)
    }

    /// What refuses a request before the machine sees it.
    pub(super) fn refusal(&mut self, now: Nanos, request: &Request) -> Option<Reply> {
        let faults = &self.faults;
        let kinds = [
            ("answer_5xx", faults.answer_5xx, Trouble::Unavailable),
            ("answer_429", faults.answer_429, Trouble::TooOften(TOO_OFTEN)),
            ("answer_418", faults.answer_418, Trouble::Banned(BANNED)),
        ];
        for (what, rate, why) in kinds {
            if self.chance(rate)
                && let Some(reply) = self.inner.turn_away(self.faults.skewed(now), request, why)
            {
                self.note(now, what, None);
                return Some(reply);
            }
        }
        None
    }

    fn spoil_answer(
        &mut self,
        now: Nanos,
        request: RequestId,
        reply: Reply,
        out: &mut Vec<Output>,
    ) {
        let (reply, late_until) = match self.fates.remove(&request) {
            Some(Fate::Lost) => return,
            Some(Fate::Instead(reply)) => (reply, None),
            Some(Fate::Late(at)) => (reply, Some(at)),
            None => (reply, None),
        };
        let body = self.novel_value(now, None, reply.body);
        let reply = Reply { body, ..reply };
        let output = Output::Answer { request, reply };
        if let Some(at) = late_until {
            return self.hold(at, output, out);
        }
        if self.chance(self.faults.answer_slow) {
            self.note(now, "answer_slow", None);
            let late = Duration::from_millis(self.rng.below(self.faults.answer_slow_ms.into()));
            return self.hold(now + late, output, out);
        }
        out.push(output);
    }
}

/// Where the values of a field are.
fn values(said: &[u8], Enumeration { within, field }: Enumeration) -> Vec<Range<usize>> {
    let Ok(text) = std::str::from_utf8(said) else { return Vec::new() };
    if !text.contains(within) {
        return Vec::new();
    }
    let starts = text.match_indices(field).map(|(at, _)| at + field.len());
    starts.filter_map(|start| Some(start..start + text[start..].find('"')?)).collect()
}

/// The stream of a message, as far as its text says it: what stands before the first data.
pub(super) fn stream_of(payload: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(payload).ok()?;
    let after = |name: &str, end: char| {
        let (_, rest) = text.split_once(name)?;
        Some(rest.split_once(end)?.0)
    };
    if let Some(stream) = after("\"stream\":\"", '"').or_else(|| after("\"arg\":{", '}')) {
        return Some(stream.to_owned());
    }
    let what = after("\"channel\":\"", '"').or_else(|| after("\"type\":\"", '"'))?;
    let of = after("\"symbol\":\"", '"').or_else(|| after("\"product_id\":\"", '"'))?;
    Some(format!("{what} {of}"))
}
