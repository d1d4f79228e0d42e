//! An account with an Ed25519 key logs on over a real socket, as `meltica sim --accounts` lets it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::SystemTime;

use futures_util::SinkExt;
use model::Nanos;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use sim::accounts::Account;
use sim::faults::Faults;
use sim::server::{ServerOptions, start};
use sim::{SimOptions, sign};
use tokio_websockets::Message;

mod common;

use common::{Socket, connect, receive};

async fn ask(socket: &mut Socket, method: &str, params: Value) -> Value {
    let text = json!({"id": 1, "method": method, "params": params}).to_string();
    socket.send(Message::text(text)).await.unwrap();
    serde_json::from_slice(&receive(socket, 1).await[0]).unwrap()
}

#[tokio::test]
async fn whoever_has_an_ed25519_key_logs_on() {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let public_key = Some(pair.public_key().as_ref().try_into().unwrap());
    let mine = Account { public_key, ..Account::new("mine", "", "") };
    // The venue's clock is the server's, that is this machine's.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let options = SimOptions {
        seed: 1,
        symbols: vec!["BTC-USDT".to_owned()],
        rate: 0,
        faults: Faults::default(),
        start: Nanos(0) + since,
        accounts: vec![Account::demo(), mine],
    };
    let simulator = sim::venue("binance", &options).unwrap().unwrap();
    let listen = ([127, 0, 0, 1], 0).into();
    let server = start(listen, Box::new(simulator), ServerOptions::default()).await.unwrap();
    let mut socket = connect(&format!("{}/ws-api/v3", server.ws_url())).await;
    let time = ask(&mut socket, "time", json!({})).await["result"]["serverTime"].clone();
    let payload = format!("apiKey=mine&timestamp={time}");
    let signature = sign::base64(pair.sign(payload.as_bytes()).as_ref());
    let mut params = json!({"apiKey": "mine", "timestamp": time, "signature": signature});
    let answer = ask(&mut socket, "session.logon", params.clone()).await;
    assert_eq!(answer["result"]["apiKey"], "mine", "{answer}");
    let answer = ask(&mut socket, "account.status", json!({"timestamp": time})).await;
    assert_eq!(answer["status"], 200, "{answer}");
    params["apiKey"] = "meltica-demo-key".into();
    assert_eq!(ask(&mut socket, "session.logon", params).await["error"]["code"], -4056);
    server.stop().await;
}
