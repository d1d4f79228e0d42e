//! What clients ask over WebSocket, and what they are answered.
//!
//! www.okx.com/docs-v5/en, "Overview", "WebSocket", and "Error Code", "WebSocket".

use model::Nanos;
use serde::Deserialize;

use super::errors::{
    WS_ARGS, WS_CHANNEL, WS_LIMIT, WS_LOGGED_IN, WS_OP, WS_REQUEST, Wrong, quoted,
};
use super::trading::channels::{is_private, named};
use super::trading::fields::{self, Fields};
use super::trading::login::login;
use super::{BARS, Client, Okx, Topic, inst_type, ms, payload, trading};
use crate::machine::ClientId;
use crate::market::Market;
use crate::venue::Floor;

/// Subscriptions and logins that a connection may ask for in an hour; orders do not count.
const REQUESTS_MAX: u32 = 480;
const HOUR_MS: u64 = 3_600_000;
/// No message may be longer, in bytes.
const MESSAGE_MAX: usize = 64 * 1_024;

/// Where a connection is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `/ws/v5/public`.
    Public,
    /// `/ws/v5/private`.
    Private,
    /// `/ws/v5/business`.
    Business,
}

/// A message of a client.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ask {
    /// The client's own name for it.
    pub id: Option<String>,
    /// What is to be done.
    pub op: String,
    /// To what.
    #[serde(default)]
    pub args: Vec<Fields>,
    /// When it is not worth doing any more, in milliseconds.
    pub exp_time: Option<String>,
}

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
        let unreadable = || WS_REQUEST.of(String::from_utf8_lossy(message));
        let Ok(ask) = serde_json::from_slice::<Ask>(message) else {
            return self.refuse(floor, client, None, &unreadable());
        };
        let has_channel = |arg: &Fields| fields::text(arg, "channel").is_some();
        let refusal = match ask.op.as_str() {
            op if trading::requests::is_op(op) => {
                return self.orders_by_socket(floor, client, &ask);
            }
            "subscribe" | "unsubscribe" | "login" if !self.may_ask(floor.now, client) => WS_LIMIT,
            "login" => return self.log_in(floor, client, &ask),
            "subscribe" | "unsubscribe" if ask.args.is_empty() => WS_ARGS,
            "subscribe" | "unsubscribe" if !ask.args.iter().all(has_channel) => unreadable(),
            "subscribe" | "unsubscribe" => return self.change(floor, client, &ask),
            op => WS_OP.of(op),
        };
        self.refuse(floor, client, ask.id.as_deref(), &refusal);
    }

    /// Counts a subscription or a login.
    fn may_ask(&mut self, now: Nanos, client: ClientId) -> bool {
        let Some(of) = self.clients.get_mut(&client) else { return false };
        let hour = ms(now) / HOUR_MS;
        of.asked =
            if of.asked.0 == hour { (hour, of.asked.1.saturating_add(1)) } else { (hour, 1) };
        of.asked.1 <= REQUESTS_MAX
    }

    /// A connection that fails to log in is ended.
    fn log_in(&mut self, floor: &mut Floor<'_>, client: ClientId, ask: &Ask) {
        let Some(of) = self.clients.get_mut(&client) else { return };
        let done = match ask.args.as_slice() {
            _ if of.account.is_some() => Err(WS_LOGGED_IN),
            [args] => login(floor.accounts, floor.now, args),
            _ => Err(WS_ARGS),
        };
        match done {
            Ok(account) => {
                of.account = Some(account);
                let text =
                    format!(r#"{{"event":"login","code":"0","msg":"","connId":"{}"}}"#, of.conn_id);
                self.send(floor, client, text);
            }
            Err(wrong) => {
                let stays = of.account.is_some();
                self.refuse(floor, client, ask.id.as_deref(), &wrong);
                if !stays {
                    self.forget(client);
                    floor.close(client, 4001, "Login Failed");
                }
            }
        }
    }

    /// Answers with an error.
    pub(super) fn refuse(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        id: Option<&str>,
        wrong: &Wrong,
    ) {
        let Some(Client { conn_id, .. }) = self.clients.get(&client) else { return };
        let text = format!(
            r#"{{{}"event":"error","code":"{}","msg":{},"connId":"{conn_id}"}}"#,
            id_field(id),
            wrong.code,
            quoted(&wrong.words())
        );
        self.send(floor, client, text);
    }

    fn change(&mut self, floor: &mut Floor<'_>, client: ClientId, ask: &Ask) {
        let id = ask.id.as_deref();
        for arg in &ask.args {
            if fields::text(arg, "channel").is_some_and(|name| is_private(&name)) {
                let asked = (id_field(id), ask.op.as_str());
                if let Err(wrong) = self.change_private(floor, client, (&asked.0, asked.1), arg) {
                    self.refuse(floor, client, id, &wrong);
                }
                continue;
            }
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
    fn topic(&self, market: &Market, client: ClientId, arg: &Fields) -> Result<Topic, Wrong> {
        let place = || {
            let inst_id = fields::text(arg, "instId")?;
            self.feeds.iter().position(|feed| feed.inst_id == inst_id)
        };
        let channel = fields::text(arg, "channel").unwrap_or_default();
        let found = match channel.as_str() {
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
                let kind = fields::text(arg, "instType");
                kind.as_deref().and_then(payload::find_type).map(Topic::Instruments)
            }
            other => other.strip_prefix("candle").and_then(|bar| {
                let bar = BARS.iter().position(|(name, _)| *name == bar)?;
                Some(Topic::Candle(place()?, bar))
            }),
        };
        let is_here = |topic: &Topic| {
            let business = matches!(topic, Topic::Candle(..));
            let at = if business { Place::Business } else { Place::Public };
            self.clients.get(&client).is_some_and(|of| of.place == at)
        };
        found.filter(is_here).ok_or_else(|| WS_CHANNEL.of(named(arg)))
    }
}

fn id_field(id: Option<&str>) -> String {
    id.map_or(String::new(), |id| format!(r#""id":{},"#, quoted(id)))
}
