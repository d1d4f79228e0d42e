//! What clients ask over WebSocket, and what they are answered.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Channel, Coinbase, Stream};
use crate::machine::ClientId;
use crate::market::order::Index;
use crate::venue::Floor;

#[derive(Debug, Deserialize)]
struct Ask {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    product_ids: Vec<String>,
    #[serde(default)]
    channels: Vec<Wanted>,
    key: Option<String>,
    passphrase: Option<String>,
    /// Text, or a number as some clients write it.
    timestamp: Option<Value>,
    signature: Option<String>,
}

/// A channel: its name, or with products of its own.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Wanted {
    Name(String),
    Own {
        name: String,
        #[serde(default)]
        product_ids: Vec<String>,
    },
}

impl Wanted {
    /// With the products of the whole request where it names none.
    fn parts<'a>(&'a self, common: &'a [String]) -> (&'a str, &'a [String]) {
        match self {
            Self::Own { name, product_ids } if !product_ids.is_empty() => (name, product_ids),
            Self::Own { name, .. } | Self::Name(name) => (name, common),
        }
    }
}

/// Channels that are for those who sign.
const SIGNED: [&str; 3] = ["level2", "level3", "full"];
pub(super) const SIGN: &str = "level2, level3, and full channels now require authentication.";

impl Ask {
    fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    /// Whether all that belongs to a signature is there: 32 bytes in base64, with a second.
    fn is_well_formed(&self) -> bool {
        let is_said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let is_time = match &self.timestamp {
            Some(Value::Number(_)) => true,
            Some(Value::String(text)) => model::decimal::parse(text.as_bytes()).is_ok(),
            _ => false,
        };
        let is_base64 = self.signature.as_deref().and_then(|text| text.strip_suffix('='));
        let is_base64 = is_base64.is_some_and(|text| {
            let is_digit = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
            text.len() == 43 && text.chars().all(is_digit)
        });
        is_said(&self.key) && is_said(&self.passphrase) && is_time && is_base64
    }
}

fn error(message: &str, reason: &str) -> Bytes {
    json!({"type": "error", "message": message, "reason": reason}).to_string().into()
}

impl Coinbase {
    /// Answers a message.
    pub(super) fn answer(&mut self, floor: &mut Floor<'_>, client: ClientId, message: &[u8]) {
        let ask: Ask = match serde_json::from_slice(message) {
            Ok(ask) => ask,
            Err(_) => return floor.send(client, error("Malformed JSON", "not a request")),
        };
        if ask.is_signed() && !ask.is_well_formed() {
            return floor.send(client, error("Authentication Failed", "invalid signature"));
        }
        match ask.kind.as_str() {
            "subscribe" => self.subscribe(floor, client, &ask),
            "unsubscribe" => self.unsubscribe(floor, client, &ask),
            _ => {
                let reason = "Type has to be either subscribe or unsubscribe";
                floor.send(client, error("Failed to subscribe", reason));
            }
        }
    }

    fn subscribe(&mut self, floor: &mut Floor<'_>, client: ClientId, ask: &Ask) {
        let (wanted, refused) = self.wanted(ask);
        for reason in refused {
            floor.send(client, error("Failed to subscribe", &reason));
        }
        let Some(of) = self.clients.get_mut(&client).filter(|_| !wanted.is_empty()) else { return };
        of.subscribe_by = None;
        let begun: Vec<_> = wanted.difference(&of.streams).copied().collect();
        of.streams.extend(&begun);
        self.send_subscriptions(floor, client);
        for stream in begun {
            if let Some(text) = self.first(floor, stream) {
                floor.send(client, text.into());
            }
        }
    }

    /// What is asked for, and the reasons why some of it is not to be had.
    fn wanted(&self, ask: &Ask) -> (BTreeSet<Stream>, Vec<String>) {
        let (mut wanted, mut refused) = (BTreeSet::new(), Vec::new());
        if ask.channels.is_empty() {
            refused.push("no channels".to_owned());
        }
        for of in &ask.channels {
            let (name, ids) = of.parts(&ask.product_ids);
            if SIGNED.contains(&name) && !ask.is_signed() {
                refused.push(SIGN.to_owned());
                continue;
            }
            match Channel::find(name) {
                None => refused.push(format!("{name} is not a valid channel")),
                Some(Channel::Status) => drop(wanted.insert((Channel::Status, 0))),
                Some(_) if ids.is_empty() => refused.push(format!("{name}: no product_ids")),
                Some(channel) => {
                    for id in ids {
                        match self.find(id) {
                            Some(index) => drop(wanted.insert((channel, index))),
                            None => refused.push(format!("{id} is not a valid product")),
                        }
                    }
                }
            }
        }
        (wanted, refused)
    }

    /// A channel without products is left for all of them, products without a channel leave all.
    fn unsubscribe(&mut self, floor: &mut Floor<'_>, client: ClientId, ask: &Ask) {
        let ends = |(channel, index): &Stream| {
            let is_of = |ids: &[String]| ids.is_empty() || ids.contains(&self.products[*index].id);
            let is_meant = |of: &Wanted| {
                let (name, ids) = of.parts(&ask.product_ids);
                Channel::find(name) == Some(*channel) && is_of(ids)
            };
            match ask.channels.as_slice() {
                [] => !ask.product_ids.is_empty() && is_of(&ask.product_ids),
                channels => channels.iter().any(is_meant),
            }
        };
        if let Some(of) = self.clients.get_mut(&client) {
            of.streams.retain(|stream| !ends(stream));
            self.send_subscriptions(floor, client);
        }
    }

    /// All that a client has, by channel.
    fn send_subscriptions(&self, floor: &mut Floor<'_>, client: ClientId) {
        let Some(of) = self.clients.get(&client) else { return };
        let channels = Channel::ALL.iter().filter_map(|(name, channel)| {
            let mine: Vec<_> = of.streams.iter().filter(|(of, _)| of == channel).collect();
            let has_products = *channel != Channel::Status;
            let products = mine.iter().filter(|_| has_products).map(|(_, i)| &self.products[*i].id);
            let ids: Vec<_> = products.collect();
            (!mine.is_empty()).then(|| json!({"name": name, "product_ids": ids}))
        });
        let channels: Vec<_> = channels.collect();
        let text = json!({"type": "subscriptions", "channels": channels}).to_string();
        floor.send(client, text.into());
    }

    /// What a new subscriber is told first.
    fn first(&self, floor: &Floor<'_>, (channel, index): Stream) -> Option<String> {
        let market = &*floor.market;
        let last = market.tape(index).trades().back();
        match channel {
            Channel::Level2 | Channel::Level2Batch => Some(self.snapshot(market, index)),
            Channel::Matches => Some(self.matched(market, index, last?, "last_match")),
            Channel::Ticker => Some(self.ticker(market, index, last?)),
            Channel::Status => Some(self.status(market)),
            Channel::Heartbeat => None,
        }
    }

    /// A product's place.
    pub(super) fn find(&self, id: &str) -> Option<Index> {
        self.products.iter().position(|product| product.id == id)
    }
}
