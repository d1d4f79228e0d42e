//! Trading against the documentation: each request, error and report by example, and reports that
//! add up to the venue's own truth.

use std::time::Duration;

use model::{Decimal, Nanos};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::{errors, requests};
use crate::accounts::Account;
use crate::faults::Faults;
use crate::machine::{ClientId, ControlFrame, Machine, Output, Reply, Request, RequestId};
use crate::sign;
use crate::venue::{SimOptions, Simulator, TrueOrder, venue};

mod broken;
mod futures;
mod reports;
mod spot;
mod ws_api;

const START: Nanos = Nanos(1_790_000_000_000_000_000);
const ME: ClientId = ClientId(1);

/// Who asks: one of three accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Demo,
    Other,
    /// With an Ed25519 key.
    Edwards,
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

impl Who {
    fn account(self) -> Account {
        match self {
            Self::Demo => Account::demo(),
            Self::Other => Account::new("other-key", "otherSecret", ""),
            Self::Edwards => {
                let public_key = Some(pair().public_key().as_ref().try_into().unwrap());
                Account { public_key, ..Account::new("edwards-key", "", "") }
            }
        }
    }

    fn sign(self, payload: &str) -> String {
        match self {
            Self::Edwards => sign::base64(pair().sign(payload.as_bytes()).as_ref()),
            _ => sign::hex(&sign::hmac_sha256(&self.account().secret, payload.as_bytes())),
        }
    }
}

/// A venue and what it has sent.
struct Far {
    simulator: Simulator,
    now: Nanos,
    out: Vec<Output>,
    asked: u64,
    spot: bool,
}

impl Far {
    fn with(name: &str, rate: u32, faults: Faults) -> Self {
        let spot = name == "binance";
        let names =
            if spot { ["BTC-USDT", "ETH-USDT"] } else { ["BTC-USDT-PERP", "ETH-USDT-PERP"] };
        let options = SimOptions {
            seed: 5,
            symbols: names.map(str::to_owned).to_vec(),
            rate,
            faults,
            start: START,
            accounts: [Who::Demo, Who::Other, Who::Edwards].map(Who::account).to_vec(),
        };
        let simulator = venue(name, &options).unwrap().unwrap();
        Self { simulator, now: START, out: Vec::new(), asked: 0, spot }
    }

    /// Spot without a crowd.
    fn spot() -> Self {
        Self::with("binance", 0, Faults::default())
    }

    /// Futures without a crowd.
    fn futures() -> Self {
        Self::with("binance-usdm", 0, Faults::default())
    }

    fn now_ms(&self) -> u64 {
        self.now.0 / 1_000_000
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.simulator.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.simulator.tick(self.now, &mut self.out);
            self.answer_pings();
        }
        self.now = end;
    }

    fn answer_pings(&mut self) {
        while let Some(at) = self.out.iter().position(|o| matches!(o, Output::Ping { .. }))
            && let Output::Ping { client, payload } = self.out.remove(at)
        {
            let pong = ControlFrame::Pong(payload);
            self.simulator.control(self.now, client, &pong, &mut self.out);
        }
    }

    /// A request as it is.
    fn raw(&mut self, request: &Request) -> Reply {
        self.asked += 1;
        let (id, mut out) = (RequestId(self.asked), Vec::new());
        self.simulator.request(self.now, id, request, &mut out);
        match out.pop() {
            Some(Output::Answer { request, reply }) if request == id => reply,
            other => panic!("{request:?}: {other:?}"),
        }
    }

    fn request(who: Who, method: &str, target: String) -> Request {
        let headers = vec![("x-mbx-apikey".to_owned(), who.account().api_key)];
        Request { method: method.to_owned(), target, headers, ..Request::default() }
    }

    /// A signed request.
    fn ask(&mut self, who: Who, method: &str, path: &str, query: &str) -> Reply {
        let between = if query.is_empty() { "" } else { "&" };
        let query = format!("{query}{between}timestamp={}", self.now_ms());
        let signature =
            who.sign(&query).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let target = format!("{path}?{query}&signature={signature}");
        self.raw(&Self::request(who, method, target))
    }

    fn order_path(&self) -> &'static str {
        if self.spot { "/api/v3/order" } else { "/fapi/v1/order" }
    }

    /// What a signed request that is granted is answered.
    fn granted(&mut self, who: Who, method: &str, path: &str, query: &str) -> Value {
        let reply = self.ask(who, method, path, query);
        let body = body(&reply);
        assert_eq!(reply.status, 200, "{method} {path} {query}: {body}");
        body
    }

    /// Status and code of the answer to one that is not.
    fn refused(&mut self, who: Who, method: &str, path: &str, query: &str) -> (u16, i64) {
        let reply = self.ask(who, method, path, query);
        let body = body(&reply);
        (reply.status, body["code"].as_i64().unwrap_or_else(|| panic!("{query}: {body}")))
    }

    fn place(&mut self, who: Who, query: &str) -> Value {
        self.granted(who, "POST", self.order_path(), query)
    }

    /// A limit order of BTC.
    fn limit(&mut self, who: Who, side: &str, quantity: &str, price: &str, name: &str) -> Value {
        self.place(who, &limit(side, quantity, price, name))
    }

    fn connect(&mut self, client: ClientId, target: &str) {
        self.simulator.connect(self.now, client, target, &mut self.out).unwrap();
    }

    /// The messages that have come for a client, parsed; each leaves by it.
    fn heard(&mut self, client: ClientId) -> Vec<Value> {
        self.run_for(Duration::from_millis(1));
        let mut heard = Vec::new();
        self.out.retain(|output| match output {
            Output::Send { client: to, payload } if *to == client => {
                heard.push(serde_json::from_slice(payload).unwrap());
                false
            }
            _ => true,
        });
        heard
    }

    fn say(&mut self, client: ClientId, text: &str) {
        self.simulator.message(self.now, client, text.as_bytes(), &mut self.out);
    }

    /// The answer over the WebSocket API to a signed request.
    fn ws(&mut self, who: Who, method: &str, mut params: Value) -> Value {
        params["apiKey"] = who.account().api_key.into();
        params["timestamp"] = self.now_ms().into();
        let mut parts: Vec<String> = params
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                format!("{name}={text}")
            })
            .collect();
        parts.sort();
        params["signature"] = who.sign(&parts.join("&")).into();
        self.plain(method, &params)
    }

    /// The answer over the WebSocket API to a request as it is.
    fn plain(&mut self, method: &str, params: &Value) -> Value {
        self.say(ME, &json!({"id": 7, "method": method, "params": params}).to_string());
        let Some(Output::Send { payload, .. }) = self.out.pop() else { panic!("{method}") };
        let answer: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(answer["id"], 7, "{answer}");
        answer
    }

    fn orders(&self, who: Who) -> Vec<TrueOrder> {
        self.simulator.orders(&who.account().api_key)
    }
}

fn limit(side: &str, quantity: &str, price: &str, name: &str) -> String {
    format!(
        "symbol=BTCUSDT&side={side}&type=LIMIT&timeInForce=GTC&quantity={quantity}&price={price}\
         &newClientOrderId={name}"
    )
}

fn body(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&reply.body)))
}

fn number(value: &Value) -> Decimal {
    model::decimal::parse(value.as_str().unwrap().as_bytes()).unwrap().normalize()
}

#[test]
fn every_error_has_its_row() {
    errors::check();
}
