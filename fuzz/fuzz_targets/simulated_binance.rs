//! Whatever a client sends a simulated venue, it answers with JSON and goes on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::Nanos;
use sim::accounts::Account;
use sim::machine::{ClientId, Machine, Output, Request, RequestId};
use sim::sign::{hex, hmac_sha256};
use sim::venue::{SimOptions, Simulator, venue};

const NOW: Nanos = Nanos(1_790_000_000_000_000_000);
const PATHS: [(&str, &str); 8] = [
    ("POST", "/order"),
    ("PUT", "/order"),
    ("GET", "/order"),
    ("DELETE", "/order"),
    ("POST", "/order/cancelReplace"),
    ("GET", "/allOrders"),
    ("POST", "/countdownCancelAll"),
    ("POST", "/listenKey"),
];

fn simulator(spot: bool) -> Simulator {
    let (name, symbol) =
        if spot { ("binance", "BTC-USDT") } else { ("binance-usdm", "BTC-USDT-PERP") };
    let options = SimOptions {
        seed: 1,
        symbols: vec![symbol.to_owned()],
        rate: 0,
        faults: sim::faults::Faults::default(),
        start: NOW,
        accounts: vec![Account::demo()],
    };
    venue(name, &options).expect("a venue").expect("that is known")
}

// Each line is one request: its first byte says which, the rest is its query, which is signed here.
fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let spot = first % 2 == 0;
    let mut venue = simulator(spot);
    let (mut out, me) = (Vec::new(), ClientId(1));
    let target = if spot { "/ws-api/v3" } else { "/ws-fapi/v1" };
    venue.connect(NOW, me, target, &mut out).expect("the WebSocket API");
    for (number, line) in (0..).zip(rest.split(|byte| *byte == b'\n').take(32)) {
        let Some((which, query)) = line.split_first() else { continue };
        let query = String::from_utf8_lossy(query);
        venue.message(NOW, me, query.as_bytes(), &mut out);
        let query = format!("{query}&timestamp={}", NOW.0 / 1_000_000);
        let account = Account::demo();
        let signature = hex(&hmac_sha256(&account.secret, query.as_bytes()));
        let (method, path) = PATHS[usize::from(*which) % PATHS.len()];
        let root = if spot { "/api/v3" } else { "/fapi/v1" };
        let request = Request {
            method: method.to_owned(),
            headers: vec![("x-mbx-apikey".to_owned(), account.api_key)],
            ..Request::get(format!("{root}{path}?{query}&signature={signature}"))
        };
        venue.request(NOW, RequestId(number), &request, &mut out);
        venue.tick(NOW, &mut out);
    }
    for output in out {
        let bytes = match output {
            Output::Send { payload, .. } => payload,
            Output::Answer { reply, .. } => reply.body,
            _ => continue,
        };
        let first = bytes.first().expect("an answer");
        assert!(b"{[".contains(first), "{bytes:?}");
    }
});
