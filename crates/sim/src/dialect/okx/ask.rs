//! What clients ask over WebSocket, and what they are answered.
//!
//! www.okx.com/docs-v5/en, "Overview", "WebSocket", and "Error Code", "WebSocket".

use serde::Deserialize;

use super::{BARS, Client, Okx, Topic, inst_type, ms, payload};
use crate::machine::ClientId;
use crate::market::Market;
use crate::venue::Floor;

/// Requests that a connection may make in an hour.
const REQUESTS_MAX: u32 = 480;
const HOUR_MS: u64 = 3_600_000;
/// No message may be longer, in bytes.
const MESSAGE_MAX: usize = 64 * 1_024;

#[derive(Debug, Deserialize)]
struct Ask {
    id: Option<String>,
    op: String,
    #[serde(default)]
    args: Vec<Arg>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arg {
    channel: String,
    inst_id: Option<String>,
    inst_type: Option<String>,
}

/// A code and the words that go with it.
type Refusal = (&'static str, String);

impl Okx {
    /// Answers a message.
    pub(super) fn answer(&mut self, floor: &mut Floor<'_>, client: ClientId, message: &[u8]) {
        let Some(of) = self.clients.get_mut(&client) else { return };
        of.heard = floor.now;
        if message == b"ping" {
            return self.send(floor, client, "pong");
        }
        if message.len() > MESSAGE_MAX {
            self.forget(client);
            return floor.close(client, 1009, "Request message exceeds the maximum frame length");
        }
        let hour = ms(floor.now) / HOUR_MS;
        of.asked =
            if of.asked.0 == hour { (hour, of.asked.1.saturating_add(1)) } else { (hour, 1) };
        if of.asked.1 > REQUESTS_MAX {
            let refusal = ("60014", "Requests too frequent".to_owned());
            return self.refuse(floor, client, None, &refusal);
        }
        let Ok(ask) = serde_json::from_slice::<Ask>(message) else {
            let words = format!("Invalid request: {}", String::from_utf8_lossy(message));
            return self.refuse(floor, client, None, &("60012", words));
        };
        let refusal = match ask.op.as_str() {
            "subscribe" | "unsubscribe" if ask.args.is_empty() => {
                ("60013", "Invalid args".to_owned())
            }
            "subscribe" | "unsubscribe" => return self.change(floor, client, &ask),
            "login" => (
                "60028",
                "The current operation is not supported by this URL. Please use the correct \
                 WebSocket URL for the operation."
                    .to_owned(),
            ),
            op => ("60019", format!("Invalid op: {op}")),
        };
        self.refuse(floor, client, ask.id.as_deref(), &refusal);
    }

    fn refuse(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        id: Option<&str>,
        (code, words): &Refusal,
    ) {
        let Some(Client { conn_id, .. }) = self.clients.get(&client) else { return };
        let text = format!(
            r#"{{{}"event":"error","code":"{code}","msg":{},"connId":"{conn_id}"}}"#,
            id_field(id),
            quoted(words)
        );
        self.send(floor, client, text);
    }

    fn change(&mut self, floor: &mut Floor<'_>, client: ClientId, ask: &Ask) {
        let id = ask.id.as_deref();
        for arg in &ask.args {
            let topic = match self.topic(floor.market, client, arg) {
                Ok(topic) => topic,
                Err(refusal) => {
                    self.refuse(floor, client, id, &refusal);
                    continue;
                }
            };
            let Some(of) = self.clients.get_mut(&client) else { return };
            let subscribes = ask.op == "subscribe";
            if subscribes {
                of.topics.insert(topic);
            } else {
                of.topics.remove(&topic);
                self.leave(client, topic);
            }
            let text = self.done(client, id, &ask.op, topic);
            self.send(floor, client, text);
            if subscribes {
                // Asked for again, it begins again.
                self.listen(floor, client, topic);
            }
        }
    }

    fn done(&self, client: ClientId, id: Option<&str>, op: &str, topic: Topic) -> String {
        let conn_id = self.clients.get(&client).map_or("", |of| &of.conn_id);
        let arg = self.arg(topic);
        format!(r#"{{{}"event":"{op}","arg":{arg},"connId":"{conn_id}"}}"#, id_field(id))
    }

    /// What is meant; it must be had at the address that the client is connected to.
    fn topic(&self, market: &Market, client: ClientId, arg: &Arg) -> Result<Topic, Refusal> {
        let business = self.clients.get(&client).is_some_and(|of| of.business);
        let place = || {
            let inst_id = arg.inst_id.as_deref()?;
            self.feeds.iter().position(|feed| feed.inst_id == inst_id)
        };
        let found = match arg.channel.as_str() {
            "books" => place().map(Topic::Books),
            "books5" => place().map(Topic::Books5),
            "bbo-tbt" => place().map(Topic::Bbo),
            "trades" => place().map(Topic::Trades),
            "tickers" => place().map(Topic::Ticker),
            "funding-rate" => {
                let is_swap = |index: &usize| inst_type(market.instrument(*index)) == "SWAP";
                place().filter(is_swap).map(Topic::Funding)
            }
            "instruments" => {
                arg.inst_type.as_deref().and_then(payload::find_type).map(Topic::Instruments)
            }
            other => other.strip_prefix("candle").and_then(|bar| {
                let bar = BARS.iter().position(|(name, _)| *name == bar)?;
                Some(Topic::Candle(place()?, bar))
            }),
        };
        let is_here = |topic: &Topic| matches!(topic, Topic::Candle(..)) == business;
        found.filter(is_here).ok_or_else(|| {
            let inst_type = arg.inst_type.as_ref().map(|name| format!(",instType:{name}"));
            let inst_id = arg.inst_id.as_ref().map(|name| format!(",instId:{name}"));
            let words = format!(
                "Wrong URL or channel:{}{}{} doesn't exist. Please use the correct URL, channel \
                 and parameters referring to API document.",
                arg.channel,
                inst_type.unwrap_or_default(),
                inst_id.unwrap_or_default()
            );
            ("60018", words)
        })
    }
}

fn id_field(id: Option<&str>) -> String {
    id.map_or(String::new(), |id| format!(r#""id":{},"#, quoted(id)))
}

/// Somebody else's words, as JSON has them.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
