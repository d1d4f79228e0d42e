//! Parameters of a request, and their two written forms.
//!
//! Signed is `name=value&…`: percent-encoded for a request (rest-api.md, "SIGNED endpoint security"),
//! plain and in alphabetical order for a message (web-socket-api.md, "SIGNED request security").

use std::fmt::Write;

use crate::json;
use crate::signing::Credentials;

/// Parameters by name.
#[derive(Debug, Default)]
pub struct Params(Vec<Param>);

#[derive(Debug)]
struct Param {
    name: &'static str,
    value: String,
    /// A number without quotation marks on the socket.
    bare: bool,
}

impl Params {
    /// With a text, or a decimal, which is a text to the venue.
    #[must_use]
    pub fn text(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.0.push(Param { name, value: value.into(), bare: false });
        self
    }

    /// With an integer.
    #[must_use]
    pub fn number(mut self, name: &'static str, value: u64) -> Self {
        self.0.push(Param { name, value: value.to_string(), bare: true });
        self
    }

    /// With a text where there is one.
    #[must_use]
    pub fn maybe(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// The query of a request, with its signature.
    #[must_use]
    pub fn signed_query(&self, credentials: &Credentials) -> String {
        let mut query = String::new();
        for Param { name, value, .. } in &self.0 {
            // Writing to a text can't fail.
            let _ = write!(query, "{name}={}&", percent(value));
        }
        query.pop();
        let signature = credentials.sign(&query);
        let _ = write!(query, "&signature={}", percent(&signature));
        query
    }

    /// A message to a socket. Signed by itself where `credentials` are given; the session is logged
    /// on where not.
    #[must_use]
    pub fn message(mut self, id: u64, method: &str, credentials: Option<&Credentials>) -> String {
        if let Some(credentials) = credentials {
            self = self.text("apiKey", credentials.key());
            self.0.sort_by_key(|param| param.name);
            let pairs = self.0.iter().map(|param| format!("{}={}", param.name, param.value));
            let payload = pairs.collect::<Vec<_>>().join("&");
            self = self.text("signature", credentials.sign(&payload));
        }
        let params = self.0.iter().map(|Param { name, value, bare }| match bare {
            true => format!("\"{name}\":{value}"),
            false => format!("\"{name}\":{}", json::quoted(value)),
        });
        let params = params.collect::<Vec<_>>().join(",");
        format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":{{{params}}}}}")
    }
}

/// RFC 3986: everything but letters, digits and `-._~`.
fn percent(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        // The example keys of the documentation.
        let key = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A";
        let secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
        Credentials::new(key.into(), secret.into(), None).unwrap()
    }

    #[test]
    fn the_examples_of_the_documentation_are_signed_as_there() {
        let order = Params::default()
            .text("symbol", "BTCUSDT")
            .text("side", "SELL")
            .text("type", "LIMIT")
            .text("timeInForce", "GTC")
            .text("quantity", "0.01000000")
            .text("price", "52000.00")
            .text("newOrderRespType", "ACK")
            .number("recvWindow", 100)
            .number("timestamp", 1_645_423_376_532);
        let message = order.message(7, "order.place", Some(&credentials()));
        assert!(message.starts_with(r#"{"id":7,"method":"order.place","params":{"apiKey":"vmP"#));
        assert!(message.contains(r#""timestamp":1645423376532,"type":"LIMIT""#), "{message}");
        assert!(message.ends_with(
            r#""signature":"cc15477742bd704c29492d96c7ead9414dfd8e0ec4a00f947bb5bb454ddbd08a"}}"#
        ));
        let order = Params::default()
            .text("symbol", "LTCBTC")
            .text("side", "BUY")
            .text("type", "LIMIT")
            .text("timeInForce", "GTC")
            .number("quantity", 1)
            .text("price", "0.1")
            .number("recvWindow", 5_000)
            .number("timestamp", 1_499_827_319_559);
        assert!(order.signed_query(&credentials()).ends_with(
            "&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
        ));
    }

    #[test]
    fn symbols_of_any_letters_are_encoded_before_they_are_signed() {
        let query = Params::default().text("symbol", "币安USDT").signed_query(&credentials());
        let (payload, signature) = query.split_once("&signature=").unwrap();
        assert_eq!(payload, "symbol=%E5%B8%81%E5%AE%89USDT");
        assert_eq!(signature, credentials().sign(payload));
        let message = Params::default().text("symbol", "币\"安").message(1, "m", None);
        assert_eq!(message, r#"{"id":1,"method":"m","params":{"symbol":"币\"安"}}"#);
    }
}
