//! Listen keys, the connections that use them, and orders that end when nobody speaks up.
//!
//! developers.binance.com, USDⓈ-M futures, "User Data Streams", "Auto-Cancel All Open Orders".

use std::time::Duration;

use bytes::Bytes;
use model::Nanos;
use model::capture::{params, split_url};
use serde_json::{Value, json};

use super::super::errors::Failure;
use super::super::pulse::{Pulse, TOO_MUCH};
use super::super::query::Query;
use super::super::simulated::SimulatedBinance;
use super::super::wire::ms;
use super::Listener;
use super::errors::Why;
use crate::dialect::{PlayDialect, Session};
use crate::machine::ClientId;
use crate::market::order::AccountId;
use crate::sign;
use crate::venue::Floor;

/// "A User Data Stream listenKey is valid for 60 minutes after creation."
const KEY_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// An account's key to its stream.
#[derive(Clone, Debug)]
pub(super) struct ListenKey {
    pub text: String,
    pub expires: Nanos,
}

impl SimulatedBinance {
    /// The key of an account, made where there is none, good for an hour from now on.
    pub(super) fn start_key(&mut self, floor: &Floor<'_>, id: AccountId) -> Value {
        let expires = floor.now + KEY_LIFETIME;
        if let Some(key) = self.trading.keys.get_mut(&id) {
            key.expires = expires;
            return json!({"listenKey": key.text});
        }
        self.trading.keys_made += 1;
        let secret = floor.accounts.get(id).map_or("", |account| account.secret.as_str());
        let made = format!("listen key {} of {}", self.trading.keys_made, id.0);
        let text = sign::hex(&sign::hmac_sha256(secret, made.as_bytes()));
        self.trading.keys.insert(id, ListenKey { text: text.clone(), expires });
        json!({"listenKey": text})
    }

    /// The key is good for another hour.
    pub(super) fn keep_key(&mut self, floor: &Floor<'_>, id: AccountId) -> Result<Value, Failure> {
        let key = self.trading.keys.get_mut(&id).ok_or(Why::ListenKey)?;
        key.expires = floor.now + KEY_LIFETIME;
        Ok(json!({"listenKey": key.text}))
    }

    /// The key is good no more; its streams fall silent.
    pub(super) fn stop_key(&mut self, id: AccountId) -> Value {
        self.trading.keys.remove(&id);
        json!({})
    }

    /// Orders of a symbol end unless this is said again in time; 0 takes it back.
    pub(super) fn countdown(
        &mut self,
        floor: &Floor<'_>,
        id: AccountId,
        query: &Query,
    ) -> Result<Value, Failure> {
        let feed = self.feed(query)?;
        let (index, symbol) = (feed.index, feed.symbol.clone());
        let after_ms =
            query.number("countdownTime")?.ok_or_else(|| Why::Missing.of("countdownTime"))?;
        if after_ms == 0 {
            self.trading.countdowns.remove(&(id, index));
        } else {
            let at = floor.now + Duration::from_millis(after_ms);
            self.trading.countdowns.insert((id, index), at);
        }
        Ok(json!({"symbol": symbol, "countdownTime": after_ms.to_string()}))
    }

    /// The session of a private stream's address; `None` where it is none.
    ///
    /// A key that nobody has is taken without complaint, and its stream stays silent.
    fn private_session(&self, target: &str) -> Option<Session> {
        if self.line.is_spot() {
            return None;
        }
        let (path, query) = split_url(target);
        let session = |enveloped, key: &str| Session {
            target: target.to_owned(),
            streams: key.split('/').filter(|key| !key.is_empty()).map(str::to_owned).collect(),
            enveloped,
        };
        if let Some(below) = path.strip_prefix("/private") {
            let named = |name: &str| params(query).find(|(other, _)| *other == name);
            let key = named("listenKey").or_else(|| named("streams")).map_or("", |(_, key)| key);
            return match below.strip_prefix("/ws") {
                Some("") => Some(session(false, key)),
                Some(rest) => rest.strip_prefix('/').map(|key| session(false, key)),
                None => (below == "/stream").then(|| session(true, key)),
            };
        }
        let is_key = |text: &str| self.trading.keys.values().any(|key| key.text == text);
        let key = path.strip_prefix("/ws/").filter(|key| is_key(key));
        let stream = params(query).find(|(name, key)| *name == "streams" && is_key(key));
        let stream = stream.filter(|_| path == "/stream").map(|(_, key)| session(true, key));
        key.map(|key| session(false, key)).or(stream)
    }

    /// Takes a client at a private stream's address; whether it is one.
    pub(super) fn connect_listener(
        &mut self,
        floor: &Floor<'_>,
        client: ClientId,
        target: &str,
    ) -> bool {
        let Some(session) = self.private_session(target) else { return false };
        let pulse = Pulse::of_stream(self.line, floor.now);
        self.trading.listeners.insert(client, Listener { session, pulse });
        true
    }

    /// A client of a private stream said something: it may list and change what it listens to.
    pub(super) fn hear_listener(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        message: &[u8],
    ) {
        let play = self.play;
        let Some(listener) = self.trading.listeners.get_mut(&client) else { return };
        if listener.pulse.is_too_much(floor.now) {
            return self.end(floor, client, TOO_MUCH);
        }
        for reply in play.message(&mut listener.session, message) {
            floor.send(client, reply);
        }
    }

    /// Sends a message to all who have an account's key.
    pub(super) fn tell_listeners(&self, floor: &mut Floor<'_>, key: &str, text: &str) {
        let bare = Bytes::from(text.to_owned());
        for (client, listener) in &self.trading.listeners {
            let session = &listener.session;
            if !session.streams.contains(key) {
                continue;
            }
            let payload = if session.enveloped {
                self.play.payload(session, key, &bare, &(0..bare.len()))
            } else {
                bare.clone()
            };
            floor.send(*client, payload);
        }
    }

    /// Ends keys and orders whose time has come.
    pub(in super::super) fn expire(&mut self, floor: &mut Floor<'_>) {
        let now = floor.now;
        let old: Vec<AccountId> = self
            .trading
            .keys
            .iter()
            .filter(|(_, key)| key.expires <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in old {
            let Some(key) = self.trading.keys.remove(&id) else { continue };
            let text = json!({"e": "listenKeyExpired", "E": ms(now), "listenKey": key.text});
            self.tell_listeners(floor, &key.text, &text.to_string());
        }
        let due: Vec<_> = self
            .trading
            .countdowns
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(of, _)| *of)
            .collect();
        for (id, index) in due {
            self.trading.countdowns.remove(&(id, index));
            // Each of them was open a moment ago, so that nothing is refused.
            drop(self.cancel_symbol(floor, id, index));
        }
    }
}
