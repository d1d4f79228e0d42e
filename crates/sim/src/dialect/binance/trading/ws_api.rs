//! The WebSocket API: requests as messages, sessions, and spot's private stream on it.
//!
//! <https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-api.md>;
//! developers.binance.com, USDⓈ-M futures, "WebSocket API General Info".

use std::collections::BTreeMap;

use bytes::Bytes;
use model::Nanos;
use model::capture::{params, split_url};
use serde_json::{Value, json};

use super::super::errors::Failure;
use super::super::pulse::Pulse;
use super::super::query::Query;
use super::super::simulated::SimulatedBinance;
use super::super::wire::ms;
use super::errors::Why;
use super::requests::named;
use super::rest::weight;
use super::sign::{self, Claim};
use crate::machine::ClientId;
use crate::market::order::AccountId;
use crate::venue::Floor;

/// A connection to the WebSocket API.
#[derive(Clone, Debug)]
pub(super) struct ApiSession {
    connected: Nanos,
    pub pulse: Pulse,
    /// Whether answers tell limits where a request does not say.
    tells_limits: bool,
    /// Who has logged on, and when.
    account: Option<(AccountId, Nanos)>,
    /// Accounts whose events come here, by the subscription's number.
    subscriptions: BTreeMap<u64, AccountId>,
    next_subscription: u64,
}

impl ApiSession {
    /// The subscription to an account's events.
    pub(super) fn listens_to(&self, id: AccountId) -> Option<u64> {
        let mut all = self.subscriptions.iter();
        all.find(|(_, account)| **account == id).map(|(number, _)| *number)
    }
}

/// A request as a message says it.
struct Message {
    id: Value,
    method: String,
    params: Query,
}

impl SimulatedBinance {
    /// Takes a client at the WebSocket API's address; whether it is one.
    pub(super) fn connect_api(
        &mut self,
        floor: &Floor<'_>,
        client: ClientId,
        target: &str,
    ) -> bool {
        let (path, query) = split_url(target);
        let here = if self.line.is_spot() { "/ws-api/v3" } else { "/ws-fapi/v1" };
        if path != here || self.line.order_limits.is_empty() {
            return false;
        }
        let session = ApiSession {
            connected: floor.now,
            pulse: Pulse::of_api(self.line, floor.now),
            tells_limits: !params(query).any(|param| param == ("returnRateLimits", "false")),
            account: None,
            subscriptions: BTreeMap::new(),
            next_subscription: 0,
        };
        self.trading.sessions.insert(client, session);
        true
    }

    /// Answers a message.
    pub(super) fn hear_api(&mut self, floor: &mut Floor<'_>, client: ClientId, message: &[u8]) {
        let tells_limits = self.trading.sessions.get(&client).is_some_and(|of| of.tells_limits);
        let (id, limits, answer) = match read(message) {
            Ok(asked) => {
                let tells = asked.params.get("returnRateLimits");
                let limits = tells.map_or(tells_limits, |text| text == "true");
                let answer = match self.market_data(floor, &asked.method, &asked.params) {
                    Some(answer) => answer,
                    None => self.answer_api(floor, client, &asked).map(|value| value.to_string()),
                };
                (asked.id, limits, answer)
            }
            Err(failure) => (Value::Null, tells_limits, Err(failure)),
        };
        let (status, what) = match answer {
            Ok(result) => (200, format!(r#""result":{result}"#)),
            Err(failure) => (failure.status, format!(r#""error":{}"#, failure.ws_body(floor.now))),
        };
        let limits = if limits {
            format!(r#","rateLimits":{}"#, self.limits(floor, client))
        } else {
            String::new()
        };
        floor.send(
            client,
            Bytes::from(format!(r#"{{"id":{id},"status":{status},{what}{limits}}}"#)),
        );
    }

    /// What is used of the limits.
    fn limits(&mut self, floor: &Floor<'_>, client: ClientId) -> Value {
        let mut all = vec![json!({
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": self.line.weight_max,
            "count": self.weight.used(),
        })];
        let account = self.trading.sessions.get(&client).and_then(|session| session.account);
        if let Some((id, _)) = account
            && let Value::Array(counts) = self.order_counts(floor, id)
        {
            all.extend(counts);
        }
        all.into()
    }

    fn answer_api(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        asked: &Message,
    ) -> Result<Value, Failure> {
        let params = &asked.params;
        if let Some(of) = named(self.line.sort, &asked.method) {
            self.weight.take(floor.now, weight(of, params))?;
            let id = if of.action.is_unsigned() {
                sign::known(floor.accounts, params.get("apiKey"))?
            } else {
                self.who(floor, client, params)?
            };
            return self.act(floor, id, of.action, params);
        }
        self.weight.take(floor.now, 2)?;
        match asked.method.as_str() {
            "ping" => Ok(json!({})),
            "time" => Ok(json!({"serverTime": ms(floor.now)})),
            "session.logon" => self.log_on(floor, client, params),
            "session.status" => Ok(self.session_status(floor, client)),
            "session.logout" => Ok(self.log_out(floor, client)),
            _ if !self.line.is_spot() => Err(Why::Operation.failure()),
            "session.subscriptions" => Ok(self.subscriptions(client)),
            "userDataStream.subscribe" => {
                let session = self.trading.sessions.get(&client);
                let account = session.and_then(|session| session.account).ok_or(Why::Key)?;
                self.subscribe(client, account.0)
            }
            "userDataStream.subscribe.signature" => {
                let id = self.claimed(floor, params)?;
                self.subscribe(client, id)
            }
            "userDataStream.unsubscribe" => self.unsubscribe(floor, client, params),
            _ => Err(Why::Operation.failure()),
        }
    }

    /// Who asks: by the request's own key and signature, else by the session's.
    fn who(
        &self,
        floor: &Floor<'_>,
        client: ClientId,
        params: &Query,
    ) -> Result<AccountId, Failure> {
        let session = self.trading.sessions.get(&client).and_then(|session| session.account);
        match (params.get("apiKey"), session) {
            (None, Some((id, _))) => sign::timely(floor.now, params).map(|()| id),
            (None, None) => Err(Why::Missing.of("apiKey")),
            (Some(_), _) => self.claimed(floor, params),
        }
    }

    /// "Signature payload: all request params except for the signature, sorted by name."
    fn claimed(&self, floor: &Floor<'_>, params: &Query) -> Result<AccountId, Failure> {
        let mut sorted: Vec<_> = params.0.iter().filter(|(name, _)| name != "signature").collect();
        sorted.sort();
        let parts: Vec<_> = sorted.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let payload = parts.join("&");
        let key = params.get("apiKey");
        sign::signed(floor.accounts, floor.now, &Claim { key, payload: &payload, params })
    }

    fn log_on(
        &mut self,
        floor: &Floor<'_>,
        client: ClientId,
        params: &Query,
    ) -> Result<Value, Failure> {
        let id = sign::known(floor.accounts, params.get("apiKey"))?;
        // "Only Ed25519 keys are supported for this feature."
        if floor.accounts.get(id).is_none_or(|account| account.public_key.is_none()) {
            return Err(Why::KeyType.failure());
        }
        let id = self.claimed(floor, params)?;
        if let Some(session) = self.trading.sessions.get_mut(&client) {
            session.account = Some((id, floor.now));
        }
        Ok(self.session_status(floor, client))
    }

    fn session_status(&self, floor: &Floor<'_>, client: ClientId) -> Value {
        let Some(session) = self.trading.sessions.get(&client) else { return Value::Null };
        let key = |(id, _): (AccountId, Nanos)| {
            floor.accounts.get(id).map(|account| account.api_key.clone())
        };
        json!({
            "apiKey": session.account.and_then(key),
            "authorizedSince": session.account.map(|(_, since)| ms(since)),
            "connectedSince": ms(session.connected),
            "returnRateLimits": session.tells_limits,
            "serverTime": ms(floor.now),
            "userDataStream": !session.subscriptions.is_empty(),
        })
    }

    /// The session's own subscription ends with it.
    fn log_out(&mut self, floor: &mut Floor<'_>, client: ClientId) -> Value {
        let session = self.trading.sessions.get_mut(&client);
        let account = session.and_then(|session| session.account.take());
        let number = account.and_then(|(id, _)| {
            self.trading.sessions.get(&client).and_then(|session| session.listens_to(id))
        });
        if let Some(number) = number {
            self.end_subscription(floor, client, number);
        }
        self.session_status(floor, client)
    }

    fn subscriptions(&self, client: ClientId) -> Value {
        let session = self.trading.sessions.get(&client);
        let numbers = session.into_iter().flat_map(|session| session.subscriptions.keys());
        numbers.map(|number| json!({"subscriptionId": number})).collect()
    }

    /// "You can have only one active subscription for a given account on a given connection."
    fn subscribe(&mut self, client: ClientId, id: AccountId) -> Result<Value, Failure> {
        let session = self.trading.sessions.get_mut(&client).ok_or(Why::Key)?;
        if session.listens_to(id).is_some() {
            return Err(Why::Subscribed.failure());
        }
        let number = session.next_subscription;
        session.next_subscription += 1;
        session.subscriptions.insert(number, id);
        Ok(json!({"subscriptionId": number}))
    }

    /// One subscription, or all.
    fn unsubscribe(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        params: &Query,
    ) -> Result<Value, Failure> {
        let wanted = params.number("subscriptionId")?;
        let session = self.trading.sessions.get(&client);
        let numbers: Vec<u64> = session
            .into_iter()
            .flat_map(|session| session.subscriptions.keys().copied())
            .filter(|number| wanted.is_none_or(|wanted| wanted == *number))
            .collect();
        if numbers.is_empty() {
            return Err(Why::NotSubscribed.failure());
        }
        for number in numbers {
            self.end_subscription(floor, client, number);
        }
        Ok(json!({}))
    }

    fn end_subscription(&mut self, floor: &mut Floor<'_>, client: ClientId, number: u64) {
        if let Some(session) = self.trading.sessions.get_mut(&client) {
            session.subscriptions.remove(&number);
            let event = json!({"e": "eventStreamTerminated", "E": ms(floor.now)});
            floor.send(client, wrapped(number, &event.to_string()));
        }
    }

    /// Sends an event to all who have subscribed an account's.
    pub(super) fn tell_sessions(&self, floor: &mut Floor<'_>, id: AccountId, event: &str) {
        for (client, session) in &self.trading.sessions {
            if let Some(number) = session.listens_to(id) {
                floor.send(*client, wrapped(number, event));
            }
        }
    }

    /// The answer to an order whose outcome nobody knows; `None` where a message asks for no order.
    pub(in super::super) fn outcome_unknown_to(&self, message: &[u8]) -> Option<Bytes> {
        let asked = read(message).ok()?;
        let is_order = named(self.line.sort, &asked.method)?.action.changes_orders();
        let Failure { status, .. } = self.outcome().failure();
        let (id, error) = (&asked.id, self.outcome().failure().body());
        let text = format!(r#"{{"id":{id},"status":{status},"error":{error}}}"#);
        is_order.then(|| Bytes::from(text))
    }
}

fn wrapped(number: u64, event: &str) -> Bytes {
    Bytes::from(format!(r#"{{"subscriptionId":{number},"event":{event}}}"#))
}

/// What a message says. A method's name may begin with a version.
fn read(message: &[u8]) -> Result<Message, Failure> {
    let asked: Value = serde_json::from_slice(message).map_err(|_| Why::Json.failure())?;
    let id = asked["id"].clone();
    if !(id.is_i64() || id.is_u64() || id.is_string() || id.is_null()) {
        return Err(Why::Missing.of("id"));
    }
    let method = asked["method"].as_str().ok_or_else(|| Why::Missing.of("method"))?;
    let is_version = |part: &str| {
        part.strip_prefix('v').is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let method = match method.split_once('/') {
        Some((version, rest)) if is_version(version) => rest,
        _ => method,
    };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let params = asked["params"].as_object().into_iter().flatten();
    let params = params.map(|(name, value)| (name.clone(), text(value))).collect();
    Ok(Message { id, method: method.to_owned(), params: Query(params) })
}
