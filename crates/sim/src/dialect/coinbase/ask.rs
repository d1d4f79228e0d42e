//! What clients ask over WebSocket, and what they are answered.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::{CHANNEL, JSON, NO_CHANNELS, NO_PRODUCTS, PRODUCT, TYPE, UNSIGNED, feed_error};
use super::sign::{self, Claim};
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

impl Ask {
    /// What is said of who asks, where anything is signed.
    fn claim(&self) -> Option<Claim<'_>> {
        Some(Claim {
            key: self.key.as_deref(),
            passphrase: self.passphrase.as_deref(),
            timestamp: self.timestamp.as_ref(),
            signature: self.signature.as_deref()?,
        })
    }
}

impl Coinbase {
    /// Answers a message.
    pub(super) fn answer(&mut self, floor: &mut Floor<'_>, client: ClientId, message: &[u8]) {
        let ask: Ask = match serde_json::from_slice(message) {
            Ok(ask) => ask,
            Err(_) => return floor.send(client, feed_error(JSON, "")),
        };
        if let Some(claim) = ask.claim()
            && let Err(wrong) = sign::check(floor.accounts, floor.now, &claim)
        {
            return floor.send(client, feed_error(wrong, ""));
        }
        match ask.kind.as_str() {
            "subscribe" => self.subscribe(floor, client, &ask),
            "unsubscribe" => self.unsubscribe(floor, client, &ask),
            _ => floor.send(client, feed_error(TYPE, "")),
        }
    }

    fn subscribe(&mut self, floor: &mut Floor<'_>, client: ClientId, ask: &Ask) {
        let (wanted, refused) = self.wanted(ask);
        for refusal in refused {
            floor.send(client, refusal);
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

    /// What is asked for, and what is said of that which is not to be had.
    fn wanted(&self, ask: &Ask) -> (BTreeSet<Stream>, Vec<Bytes>) {
        let (mut wanted, mut refused) = (BTreeSet::new(), Vec::new());
        if ask.channels.is_empty() {
            refused.push(feed_error(NO_CHANNELS, ""));
        }
        for of in &ask.channels {
            let (name, ids) = of.parts(&ask.product_ids);
            if SIGNED.contains(&name) && ask.signature.is_none() {
                refused.push(feed_error(UNSIGNED, ""));
                continue;
            }
            match Channel::find(name) {
                None => refused.push(feed_error(CHANNEL, name)),
                Some(Channel::Status) => drop(wanted.insert((Channel::Status, 0))),
                Some(_) if ids.is_empty() => refused.push(feed_error(NO_PRODUCTS, name)),
                Some(channel) => {
                    for id in ids {
                        match self.find(id) {
                            Some(index) => drop(wanted.insert((channel, index))),
                            None => refused.push(feed_error(PRODUCT, id)),
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
