//! Two accounts at a venue of their own, with or without a crowd around them.

use std::time::Duration;

use model::{Decimal, Nanos};
use serde_json::{Value, json};

use super::login::LOGIN;
use crate::accounts::Account;
use crate::digits;
use crate::faults::Faults;
use crate::machine::{ClientId, Machine, Output, Request, RequestId};
use crate::sign;
use crate::venue::{SimOptions, Simulator, venue};

mod changes;
mod channels;
mod logins;
mod orders;
mod queries;
mod truth;

const START: Nanos = Nanos(1_780_000_000_000_000_000);
/// Canonical names and the venue's, in the order of `instIdCode`.
const NAMES: [(&str, &str); 3] = [
    ("BTC-USDT", "BTC-USDT"),
    ("BTC-USDT-PERP", "BTC-USDT-SWAP"),
    ("BTC-USD-PERP", "BTC-USD-SWAP"),
];
const SPOT: &str = "BTC-USDT";
const SWAP: &str = "BTC-USDT-SWAP";
const INVERSE: &str = "BTC-USD-SWAP";
/// Each account's first connection.
const ANN: ClientId = ClientId(1);
const BOB: ClientId = ClientId(2);

fn account(client: ClientId) -> Account {
    if client == ANN { Account::demo() } else { Account::new("bob", "bobs secret", "bobs word") }
}

struct Desk {
    simulator: Simulator,
    now: Nanos,
    heard: Vec<(ClientId, Value)>,
    closed: Vec<(ClientId, u16)>,
}

/// Both are logged in; the books are empty where nobody else is there.
fn desk(seed: u64, rate: u32) -> Desk {
    desk_with(seed, rate, Faults::default())
}

fn desk_with(seed: u64, rate: u32, faults: Faults) -> Desk {
    let symbols = NAMES.map(|(name, _)| name.to_owned()).to_vec();
    let accounts = vec![account(ANN), account(BOB)];
    let options = SimOptions { seed, symbols, rate, faults, start: START, accounts };
    let simulator = venue("okx", &options).unwrap().unwrap();
    let mut desk = Desk { simulator, now: START, heard: Vec::new(), closed: Vec::new() };
    for client in [ANN, BOB] {
        desk.connect(client, "/ws/v5/private");
        assert_eq!(desk.log_in(client, &account(client))["event"], "login");
    }
    desk
}

fn number(value: &Value) -> Decimal {
    let text = value.as_str().unwrap();
    text.parse().unwrap_or_else(|_| panic!("{text:?}"))
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The place of an instrument, counted from 1.
fn code(inst_id: &str) -> usize {
    NAMES.iter().position(|(_, id)| *id == inst_id).map_or(99, |place| place + 1)
}

fn limit(inst_id: &str, side: &str, px: &str, sz: &str) -> Value {
    let mode = if inst_id == SPOT { "cash" } else { "cross" };
    json!({"instId": inst_id, "tdMode": mode, "side": side, "ordType": "limit", "px": px, "sz": sz})
}

/// The same order with other fields; null takes one away.
fn with(mut order: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().unwrap() {
        order[name] = value.clone();
    }
    order
}

impl Desk {
    fn connect(&mut self, client: ClientId, target: &str) {
        self.simulator.connect(self.now, client, target, &mut Vec::new()).unwrap();
    }

    fn take(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { client, payload } => {
                    let text = std::str::from_utf8(&payload).unwrap();
                    let value = serde_json::from_str(text).unwrap_or_else(|_| text.into());
                    self.heard.push((client, value));
                }
                Output::Close { client, code, .. } => self.closed.push((client, code)),
                other => panic!("{other:?}"),
            }
        }
    }

    /// Says something; gives what is answered at once.
    fn say(&mut self, client: ClientId, text: &str) -> Vec<Value> {
        let (mut out, before) = (Vec::new(), self.heard.len());
        self.simulator.message(self.now, client, text.as_bytes(), &mut out);
        self.take(out);
        let answers = self.heard.split_off(before);
        answers.into_iter().map(|(_, message)| message).collect()
    }

    fn log_in(&mut self, client: ClientId, account: &Account) -> Value {
        let seconds = (self.now.0 / 1_000_000_000).to_string();
        let message = format!("{seconds}{LOGIN}");
        let sign = sign::base64(&sign::hmac_sha256(&account.secret, message.as_bytes()));
        let args = json!([{"apiKey": account.api_key, "passphrase": account.passphrase,
            "timestamp": seconds, "sign": sign}]);
        self.say(client, &json!({"op": "login", "args": args}).to_string()).remove(0)
    }

    /// What is answered to a subscription.
    fn subscribe(&mut self, client: ClientId, arg: &Value) -> Vec<Value> {
        self.say(client, &json!({"op": "subscribe", "args": [arg]}).to_string())
    }

    /// An op over WebSocket, with instruments by their codes.
    fn op(&mut self, client: ClientId, op: &str, args: &[Value]) -> Value {
        let coded = args.iter().map(|arg| {
            let mut arg = arg.clone();
            if let Some(id) = arg.as_object_mut().and_then(|fields| fields.remove("instId")) {
                arg["instIdCode"] = code(id.as_str().unwrap()).into();
            }
            arg
        });
        let args: Vec<_> = coded.collect();
        let text = json!({"id": "7", "op": op, "args": args}).to_string();
        let [answer] = &self.say(client, &text)[..] else { panic!("{text}") };
        assert_eq!((&answer["id"], &answer["op"]), (&"7".into(), &op.into()), "{answer}");
        answer.clone()
    }

    fn signed(&self, client: ClientId, method: &str, target: &str, body: &str) -> Request {
        let (account, timestamp) = (account(client), digits::rfc3339(self.now, 3));
        let message = format!("{timestamp}{method}{target}{body}");
        let sign = sign::base64(&sign::hmac_sha256(&account.secret, message.as_bytes()));
        let headers = [
            ("ok-access-key", account.api_key),
            ("ok-access-passphrase", account.passphrase),
            ("ok-access-sign", sign),
            ("ok-access-timestamp", timestamp),
            ("content-type", "application/json".to_owned()),
        ];
        Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            body: body.to_owned().into(),
        }
    }

    fn ask(&mut self, request: &Request) -> (u16, Value) {
        let mut out = Vec::new();
        self.simulator.request(self.now, RequestId(1), request, &mut out);
        let Some(Output::Answer { reply, .. }) = out.pop() else { panic!("no answer") };
        let answer = serde_json::from_slice(&reply.body);
        (reply.status, answer.unwrap_or_else(|error| panic!("{error}: {reply:?}")))
    }

    fn post(&mut self, client: ClientId, path: &str, body: &Value) -> (u16, Value) {
        let request = self.signed(client, "POST", &format!("/api/v5/{path}"), &body.to_string());
        self.ask(&request)
    }

    /// The rows of an answer.
    fn get(&mut self, client: ClientId, path: &str) -> Vec<Value> {
        let (status, answer) = self.asked(client, path);
        assert_eq!((status, &answer["code"]), (200, &"0".into()), "{path}: {answer}");
        answer["data"].as_array().unwrap().clone()
    }

    fn asked(&mut self, client: ClientId, path: &str) -> (u16, Value) {
        let request = self.signed(client, "GET", &format!("/api/v5/{path}"), "");
        self.ask(&request)
    }

    /// Places an order that is accepted; gives its id.
    fn place(&mut self, client: ClientId, order: &Value) -> String {
        let (_, answer) = self.post(client, "trade/order", order);
        assert_eq!(answer["code"], "0", "{order}: {answer}");
        answer["data"][0]["ordId"].as_str().unwrap().to_owned()
    }

    /// Why an order is refused: code and words.
    fn refusal(&mut self, client: ClientId, path: &str, order: &Value) -> (String, String) {
        let (status, answer) = self.post(client, path, order);
        assert_eq!((status, &answer["code"]), (200, &"1".into()), "{order}: {answer}");
        let row = &answer["data"][0];
        let text = |name: &str| row[name].as_str().unwrap().to_owned();
        (text("sCode"), text("sMsg"))
    }

    fn order(&mut self, client: ClientId, inst_id: &str, id: &str) -> Value {
        self.get(client, &format!("trade/order?instId={inst_id}&ordId={id}")).remove(0)
    }

    /// Lets time pass; gives what was heard.
    fn run(&mut self, duration: Duration) -> Vec<(ClientId, Value)> {
        let end = self.now + duration;
        while let Some(at) = self.simulator.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            let mut out = Vec::new();
            self.simulator.tick(self.now, &mut out);
            self.take(out);
        }
        self.now = end;
        std::mem::take(&mut self.heard)
    }

    /// What is under way comes; time stands nearly still.
    fn settle(&mut self) -> Vec<(ClientId, Value)> {
        self.run(Duration::from_millis(100))
    }
}

/// The rows that a client was told on a channel.
fn rows(heard: &[(ClientId, Value)], client: ClientId, channel: &str) -> Vec<Value> {
    let own = heard.iter().filter(|(to, message)| *to == client && message["event"].is_null());
    let pushes = own.filter(|(_, message)| message["arg"]["channel"] == channel);
    pushes.flat_map(|(_, message)| message["data"].as_array().unwrap().clone()).collect()
}

/// One field of each row.
fn each<'a>(rows: &'a [Value], field: &str) -> Vec<&'a str> {
    rows.iter().map(|row| row[field].as_str().unwrap_or_else(|| panic!("{field} {row}"))).collect()
}
