//! What an account is told over WebSocket.
//!
//! www.okx.com/docs-v5/en, "Order channel", "Account channel", "Positions channel", "Balance and
//! position channel", and "Overview", "Connection count limit".
//!
//! | channel | what comes |
//! | --- | --- |
//! | `orders` | each thing that happens to an order, at once |
//! | `account`, `positions` | all at first and every 5 s, what has changed each 50 ms |
//! | `balance_and_position` | all at first, what each execution has changed at once |
//!
//! `fills` is for traders of a higher tier than the simulated account's: 64003.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::Nanos;
use serde_json::Value;

use super::super::ask::Place;
use super::super::errors::{WS_CHANNEL, WS_NO_LOGIN, WS_TIER, Wrong, quoted};
use super::super::{INST_TYPES, Okx, inst_type, ms};
use super::fields::{self, Fields};
use super::{Dirty, holdings, queries, rows};
use crate::machine::ClientId;
use crate::market::Market;
use crate::market::instrument::Instrument;
use crate::market::order::{AccountId, Cause, Index, Report};
use crate::venue::Floor;

/// Connections that may listen to a channel of an account.
const CONNECTIONS_MAX: usize = 30;
/// All is told so often, where nothing else is asked for.
const REGULAR: Duration = Duration::from_secs(5);

/// A channel that is an account's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Orders,
    Account,
    Positions,
    BalanceAndPosition,
}

const CHANNELS: [(&str, Channel); 4] = [
    ("orders", Channel::Orders),
    ("account", Channel::Account),
    ("positions", Channel::Positions),
    ("balance_and_position", Channel::BalanceAndPosition),
];

/// What a connection is told of its account.
#[derive(Debug)]
pub(in super::super) struct Private {
    channel: Channel,
    /// A sort of instruments; none for any.
    inst_type: Option<String>,
    inst_family: Option<String>,
    inst_id: Option<String>,
    ccy: Option<String>,
    /// All is told so often, and next then.
    regular: Option<(Duration, Nanos)>,
}

impl Private {
    fn wants(&self, inst_id: &str, of: &Instrument) -> bool {
        let family = || format!("{}-{}", of.base, of.quote);
        self.inst_type.as_deref().is_none_or(|kind| kind == inst_type(of))
            && match (&self.inst_id, &self.inst_family) {
                (Some(id), _) => id == inst_id,
                (None, Some(name)) => of.is_derivative() && *name == family(),
                (None, None) => true,
            }
    }

    /// When all is told next.
    pub(in super::super) fn next(&self) -> Option<Nanos> {
        self.regular.map(|(_, next)| next)
    }
}

/// Whether a channel is an account's own.
pub(in super::super) fn is_private(channel: &str) -> bool {
    channel == "fills" || CHANNELS.iter().any(|(name, _)| *name == channel)
}

/// What a subscription asks for, and how the venue repeats it.
fn parse(now: Nanos, arg: &Fields) -> Option<(String, Private)> {
    let text = |name: &str| fields::text(arg, name);
    let name = text("channel")?;
    let channel = CHANNELS.iter().find(|(known, _)| *known == name)?.1;
    let by_instrument = matches!(channel, Channel::Orders | Channel::Positions);
    let inst_type = text("instType").filter(|_| by_instrument);
    let known = |kind: &String| kind == "ANY" || INST_TYPES.contains(&kind.as_str());
    if by_instrument && !inst_type.as_ref().is_some_and(known) {
        return None;
    }
    let regular = match (channel, interval_ms(arg)) {
        (Channel::Orders | Channel::BalanceAndPosition, _) | (_, Some(0)) => None,
        (Channel::Positions, Some(asked @ (2_000 | 3_000 | 4_000))) => {
            Some(Duration::from_millis(asked))
        }
        _ => Some(REGULAR),
    };
    let private = Private {
        channel,
        inst_type: inst_type.filter(|kind| kind != "ANY"),
        inst_family: text("instFamily").filter(|_| by_instrument),
        inst_id: text("instId").filter(|_| by_instrument),
        ccy: text("ccy").filter(|_| channel == Channel::Account),
        regular: regular.map(|every| (every, now + every)),
    };
    let named = ["channel", "instType", "instFamily", "instId", "ccy"]
        .map(|name| text(name).map(|value| format!(r#""{name}":{}"#, quoted(&value))));
    Some((named.into_iter().flatten().collect::<Vec<_>>().join(","), private))
}

/// `extraParams` is an object written as text.
fn interval_ms(arg: &Fields) -> Option<u64> {
    let extra: Value = serde_json::from_str(&fields::text(arg, "extraParams")?).ok()?;
    fields::text(extra.as_object()?, "updateInterval")?.parse().ok()
}

impl Okx {
    /// A connection subscribes to a channel of its account, or leaves it.
    ///
    /// # Errors
    /// It may not, or there is no such channel.
    pub(in super::super) fn change_private(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        (id, op): (&str, &str),
        arg: &Fields,
    ) -> Result<(), Wrong> {
        let wrong = || WS_CHANNEL.of(named(arg));
        let of = self.clients.get_mut(&client).ok_or_else(wrong)?;
        if of.place != Place::Private {
            return Err(wrong());
        }
        let account = of.account.ok_or(WS_NO_LOGIN)?;
        if fields::text(arg, "channel").as_deref() == Some("fills") {
            return Err(WS_TIER);
        }
        let (key, private) = parse(floor.now, arg).ok_or_else(wrong)?;
        let channel = private.channel;
        let done = format!(r#"{{{id}"event":"{op}","arg":{{{key}}},"connId":"{}"}}"#, of.conn_id);
        if op == "unsubscribe" {
            of.private.remove(&key);
            self.send(floor, client, done);
            return Ok(());
        }
        of.private.insert(key.clone(), private);
        self.send(floor, client, done);
        if !self.count_connections(floor, client, account, channel) {
            if let Some(of) = self.clients.get_mut(&client) {
                of.private.remove(&key);
            }
            return Ok(());
        }
        self.tell_all(floor, client, account, &key);
        Ok(())
    }

    /// Tells a connection how many listen to a channel of its account; whether it may be one.
    fn count_connections(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        account: AccountId,
        channel: Channel,
    ) -> bool {
        let listens = |of: &super::super::Client| {
            of.account == Some(account)
                && of.private.values().any(|private| private.channel == channel)
        };
        let count = self.clients.values().filter(|of| listens(of)).count();
        let (event, shown) = if count > CONNECTIONS_MAX {
            ("channel-conn-count-error", CONNECTIONS_MAX)
        } else {
            ("channel-conn-count", count)
        };
        let name =
            CHANNELS.iter().find(|(_, known)| *known == channel).map_or("", |(name, _)| name);
        let conn_id = self.clients.get(&client).map_or("", |of| &of.conn_id);
        let text = format!(
            r#"{{"event":"{event}","channel":"{name}","connCount":"{shown}","connId":"{conn_id}"}}"#
        );
        self.send(floor, client, text);
        count <= CONNECTIONS_MAX
    }

    /// Tells a connection all that a subscription is about; nothing of orders.
    fn tell_all(&mut self, floor: &mut Floor<'_>, client: ClientId, account: AccountId, key: &str) {
        let Some(private) = self.clients.get(&client).and_then(|of| of.private.get(key)) else {
            return;
        };
        let (market, now) = (&*floor.market, floor.now);
        let snapshot = r#","eventType":"snapshot","curPage":1,"lastPage":true"#;
        let text = match private.channel {
            Channel::Orders => return,
            Channel::Account => {
                let wanted = |asset: usize| wants_asset(private, market, asset);
                let row = holdings::balance_row(market, now, account, wanted);
                push(account, key, snapshot, &row)
            }
            Channel::Positions => {
                let open = |index: &Index| market.ledger().position(account, *index).lots != 0;
                let wanted: BTreeSet<Index> = (0..market.len()).filter(open).collect();
                let rows = self.position_rows(market, now, account, &wanted, private);
                push(account, key, snapshot, &rows.join(","))
            }
            Channel::BalanceAndPosition => {
                let has = |asset: &usize| {
                    let balance = market.ledger().balance(account, *asset);
                    balance.free + balance.locked != 0
                };
                let open = |index: &Index| market.ledger().position(account, *index).lots != 0;
                let changed = Dirty {
                    assets: (0..market.assets().len()).filter(has).collect(),
                    positions: (0..market.len()).filter(open).collect(),
                };
                let row = self.changed(market, now, account, "snapshot", &changed, "");
                push(account, key, "", &row)
            }
        };
        self.send(floor, client, text);
    }

    fn position_rows(
        &self,
        market: &Market,
        now: Nanos,
        account: AccountId,
        indexes: &BTreeSet<Index>,
        private: &Private,
    ) -> Vec<String> {
        let wanted = indexes.iter().filter(|index| {
            private.wants(&self.feeds[**index].inst_id, market.instrument(**index))
        });
        let held = wanted.filter_map(|index| {
            let held = self.trading.held.get(&(account, *index))?;
            Some(self.position_row(market, now, account, *index, held))
        });
        held.collect()
    }

    /// Balances and positions in few words.
    fn changed(
        &self,
        market: &Market,
        now: Nanos,
        account: AccountId,
        event: &str,
        changed: &Dirty,
        trades: &str,
    ) -> String {
        let assets = changed.assets.iter();
        let assets: Vec<_> =
            assets.map(|asset| holdings::short_balance(market, now, account, *asset)).collect();
        let positions: Vec<_> = changed
            .positions
            .iter()
            .filter_map(|index| {
                let held = self.trading.held.get(&(account, *index))?;
                Some(self.short_position(market, account, *index, held))
            })
            .collect();
        format!(
            r#"{{"pTime":"{}","eventType":"{event}","balData":[{}],"posData":[{}],"trades":[{trades}]}}"#,
            ms(now),
            assets.join(","),
            positions.join(",")
        )
    }

    /// Books what happened to accounts' orders, and tells those who listen.
    pub(in super::super) fn reported(&mut self, floor: &mut Floor<'_>, reports: &[&Report]) {
        let mut executed: BTreeMap<AccountId, (Dirty, Vec<String>)> = BTreeMap::new();
        for report in reports {
            let changed = self.trading.learn(floor.market, floor.now, report);
            let (account, index) = (report.order.account, report.order.instrument);
            let inst_id = &self.feeds[index].inst_id;
            if let Cause::Filled(fill) = &report.cause {
                let (dirty, trades) = executed.entry(account).or_default();
                dirty.assets.extend(changed.assets);
                dirty.positions.extend(changed.positions);
                trades.push(format!(r#"{{"instId":"{inst_id}","tradeId":"{}"}}"#, fill.trade.id));
            }
            let of = floor.market.instrument(index);
            let facts = self.trading.facts(&report.order);
            let row = rows::order_push(floor.market, inst_id, report, &facts);
            let wants = |private: &Private| {
                private.channel == Channel::Orders && private.wants(inst_id, of)
            };
            for (client, key) in self.listeners(account, wants) {
                let text = push(account, &key, "", &row);
                self.send(floor, client, text);
            }
        }
        for (account, (dirty, trades)) in executed {
            let trades = trades.join(",");
            let row = self.changed(floor.market, floor.now, account, "filled", &dirty, &trades);
            let wants = |private: &Private| private.channel == Channel::BalanceAndPosition;
            for (client, key) in self.listeners(account, wants) {
                let text = push(account, &key, "", &row);
                self.send(floor, client, text);
            }
        }
    }

    /// The connections of an account with a subscription of that sort.
    fn listeners(
        &self,
        account: AccountId,
        wants: impl Fn(&Private) -> bool,
    ) -> Vec<(ClientId, String)> {
        let own = self.clients.iter().filter(|(_, of)| of.account == Some(account));
        let all = own.flat_map(|(client, of)| of.private.iter().map(move |sub| (client, sub)));
        let wanted = all.filter(|(_, (_, private))| wants(private));
        wanted.map(|(client, (key, _))| (*client, key.clone())).collect()
    }

    /// Does what is due by the clock for accounts.
    pub(in super::super) fn tick_private(&mut self, floor: &mut Floor<'_>) {
        self.trading.strike(floor);
        if self.trading.tell_at.is_some_and(|at| at <= floor.now) {
            self.trading.tell_at = None;
            for (account, dirty) in std::mem::take(&mut self.trading.dirty) {
                self.tell_changed(floor, account, &dirty);
            }
        }
        let mut due = Vec::new();
        for (client, of) in &mut self.clients {
            let Some(account) = of.account else { continue };
            for (key, private) in &mut of.private {
                if let Some((every, next)) = &mut private.regular
                    && *next <= floor.now
                {
                    *next = floor.now + *every;
                    due.push((*client, account, key.clone()));
                }
            }
        }
        for (client, account, key) in due {
            self.tell_all(floor, client, account, &key);
        }
    }

    fn tell_changed(&mut self, floor: &mut Floor<'_>, account: AccountId, dirty: &Dirty) {
        let event = r#","eventType":"event_update""#;
        let wants =
            |private: &Private| matches!(private.channel, Channel::Account | Channel::Positions);
        for (client, key) in self.listeners(account, wants) {
            let Some(private) = self.clients.get(&client).and_then(|of| of.private.get(&key))
            else {
                continue;
            };
            let (market, now) = (&*floor.market, floor.now);
            let data = if private.channel == Channel::Account {
                let wanted = |asset: usize| {
                    dirty.assets.contains(&asset) && wants_asset(private, market, asset)
                };
                let any = dirty.assets.iter().any(|asset| wants_asset(private, market, *asset));
                any.then(|| holdings::balance_row(market, now, account, wanted))
            } else {
                let rows = self.position_rows(market, now, account, &dirty.positions, private);
                (!rows.is_empty()).then(|| rows.join(","))
            };
            if let Some(data) = data {
                let text = push(account, &key, event, &data);
                self.send(floor, client, text);
            }
        }
    }
}

fn wants_asset(private: &Private, market: &Market, asset: usize) -> bool {
    private.ccy.as_deref().is_none_or(|ccy| ccy == &*market.assets()[asset])
}

/// A message of a private channel.
fn push(account: AccountId, key: &str, event: &str, rows: &str) -> String {
    let uid = queries::uid(account);
    format!(r#"{{"arg":{{{key},"uid":"{uid}"}}{event},"data":[{rows}]}}"#)
}

/// A channel that does not exist, with its parameters.
pub(in super::super) fn named(arg: &Fields) -> String {
    let text = |name: &str| fields::text(arg, name);
    let params = ["instType", "instId"]
        .map(|name| text(name).map_or(String::new(), |value| format!(",{name}:{value}")));
    format!("channel:{}{}", text("channel").unwrap_or_default(), params.concat())
}
