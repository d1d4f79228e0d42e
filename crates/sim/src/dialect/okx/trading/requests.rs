//! What an account does to orders: one of them or up to twenty in a request, by REST or WebSocket.
//!
//! Each order of a request is answered for itself (`sCode`); the answer's own code is 0 where all
//! were accepted, 1 where none was, 2 where some were. An answer says that a request was accepted;
//! what became of the order the channels tell.

use model::Nanos;
use serde_json::Value;

use super::super::ask::{Ask, Place};
use super::super::errors::{
    AMENDED_MAX, BODY, CANCELED_MAX, CONTENT_TYPE, EXPIRED, INSTRUMENT, INVALID, JSON,
    LIMIT_ACCOUNT, LIMIT_SOCKET, METHOD, MISSING, OUTCOME_ORDER, PLACED_MAX, WS_ARGS, WS_INVALID,
    WS_MISSING, WS_NO_LOGIN, WS_URL, Wrong, quoted,
};
use super::super::limits::Counted;
use super::super::{Okx, ms};
use super::fields::{self, Fields};
use super::{Act, change, login, place};
use crate::accounts::Accounts;
use crate::machine::{ClientId, Reply, Request};
use crate::market::order::{AccountId, Index, Order};
use crate::venue::Floor;

/// Orders in one request at most.
const SEVERAL_MAX: usize = 20;
/// Requests for one order that an account may send of an instrument in two seconds.
const SINGLE_LIMIT: u32 = 60;
/// Orders that it may send together.
const SEVERAL_LIMIT: u32 = 300;
/// Orders of derivatives that it may place and amend.
const ACCOUNT_LIMIT: u32 = 1_000;

/// REST path, WebSocket op, what they do, and whether to several orders.
const WAYS: [(&str, &str, Act, bool); 6] = [
    ("/api/v5/trade/order", "order", Act::Place, false),
    ("/api/v5/trade/batch-orders", "batch-orders", Act::Place, true),
    ("/api/v5/trade/cancel-order", "cancel-order", Act::Cancel, false),
    ("/api/v5/trade/cancel-batch-orders", "batch-cancel-orders", Act::Cancel, true),
    ("/api/v5/trade/amend-order", "amend-order", Act::Amend, false),
    ("/api/v5/trade/amend-batch-orders", "batch-amend-orders", Act::Amend, true),
];
const SWITCH: &str = "/api/v5/trade/cancel-all-after";

/// What came of one order of a request.
type Done = Result<Order, Wrong>;

/// Whether that is how orders are sent over WebSocket.
pub(in super::super) fn is_op(op: &str) -> bool {
    WAYS.iter().any(|(_, name, ..)| *name == op)
}

/// How an instrument is named.
#[derive(Clone, Copy)]
enum Named {
    ById,
    ByCode,
}

impl Okx {
    /// Answers a request of an account; `None` where the path is none of those.
    pub(in super::super) fn private(
        &mut self,
        floor: &mut Floor<'_>,
        request: &Request,
    ) -> Option<Reply> {
        let (path, query) = model::capture::split_url(&request.target);
        let way = WAYS.iter().find(|(known, ..)| *known == path);
        // An order is placed and asked for at the same path.
        let reply = match (request.method.as_str(), way, path) {
            ("POST", Some((_, _, act, several)), _) => {
                self.orders_by_rest(floor, request, *act, *several)
            }
            ("POST", None, SWITCH) => self.wind_by_rest(floor, request),
            (method, _, _) => match super::Query::find(path) {
                Some(asked) if method == "GET" => self.asked(floor, request, asked, query),
                None if way.is_none() && path != SWITCH => return None,
                _ => Err(METHOD),
            },
        };
        Some(reply.unwrap_or_else(|wrong| wrong.reply()))
    }

    fn orders_by_rest(
        &mut self,
        floor: &mut Floor<'_>,
        request: &Request,
        act: Act,
        several: bool,
    ) -> Result<Reply, Wrong> {
        let account = login::signed_by(floor.accounts, floor.now, request)?;
        let args: Vec<Fields> = match body(request)? {
            Value::Array(all) if several => {
                let objects = all.into_iter().map(|one| match one {
                    Value::Object(fields) => Ok(fields),
                    _ => Err(JSON),
                });
                objects.collect::<Result<_, _>>()?
            }
            Value::Object(fields) if !several => vec![fields],
            _ => return Err(JSON),
        };
        let deadline = request.headers.iter().find(|(name, _)| name == "exptime");
        let deadline = deadline.map(|(_, value)| value.as_str());
        let (rows, code) = self.perform(floor, account, (act, Named::ById), &args, deadline)?;
        let words = match code {
            "0" => "",
            "1" => "Operation failed.",
            _ => "Bulk operation partially succeeded.",
        };
        let times = times(floor.now);
        let text = format!(r#"{{"code":"{code}","data":[{rows}],{times},"msg":"{words}"}}"#);
        Ok(Reply::new(200, text))
    }

    fn wind_by_rest(&mut self, floor: &mut Floor<'_>, request: &Request) -> Result<Reply, Wrong> {
        let account = login::signed_by(floor.accounts, floor.now, request)?;
        let Value::Object(fields) = body(request)? else { return Err(JSON) };
        let (at, tag) = self.trading.wind(&mut self.limits, floor.now, account, &fields)?;
        let seconds = |at: Nanos| at.0 / 1_000_000_000;
        let text = format!(
            r#"{{"code":"0","data":[{{"tag":"{tag}","triggerTime":"{}","ts":"{}"}}],"msg":""}}"#,
            at.map_or(0, seconds),
            seconds(floor.now)
        );
        Ok(Reply::new(200, text))
    }

    /// Answers an op of a connection.
    pub(in super::super) fn orders_by_socket(
        &mut self,
        floor: &mut Floor<'_>,
        client: ClientId,
        ask: &Ask,
    ) {
        let Some(of) = self.clients.get(&client) else { return };
        let refusal = match (of.place, of.account, ask.id.as_deref()) {
            (Place::Public | Place::Business, ..) => WS_URL,
            (Place::Private, None, _) => WS_NO_LOGIN,
            (Place::Private, Some(_), None | Some("")) => WS_MISSING.of("id"),
            (Place::Private, Some(account), Some(id)) => {
                let good = |byte: u8| byte.is_ascii_alphanumeric();
                if id.len() <= place::NAME_MAX && id.bytes().all(good) {
                    let text = self.op(floor, account, id, ask);
                    return self.send(floor, client, text);
                }
                WS_INVALID.of("id")
            }
        };
        self.refuse(floor, client, ask.id.as_deref(), &refusal);
    }

    fn op(&mut self, floor: &mut Floor<'_>, account: AccountId, id: &str, ask: &Ask) -> String {
        let done = match WAYS.iter().find(|(_, op, ..)| *op == ask.op) {
            Some((_, _, act, several)) if *several || ask.args.len() == 1 => {
                let how = (*act, Named::ByCode);
                self.perform(floor, account, how, &ask.args, ask.exp_time.as_deref())
            }
            _ => Err(WS_ARGS),
        };
        let (rows, code, words) = match done {
            Ok((rows, code)) => (rows, code, String::new()),
            Err(wrong) if wrong.code == LIMIT_SOCKET.code => {
                (String::new(), wrong.code, LIMIT_SOCKET.words())
            }
            Err(wrong) => (String::new(), wrong.code, wrong.words()),
        };
        format!(
            r#"{{"id":"{id}","op":"{}","data":[{rows}],"code":"{code}","msg":{},{}}}"#,
            ask.op,
            quoted(&words),
            times(floor.now)
        )
    }

    /// Does it to each order; gives what came of each, and the code of it all.
    ///
    /// # Errors
    /// Why nothing at all was done.
    fn perform(
        &mut self,
        floor: &mut Floor<'_>,
        account: AccountId,
        (act, named): (Act, Named),
        args: &[Fields],
        deadline: Option<&str>,
    ) -> Result<(String, &'static str), Wrong> {
        if act == Act::Place {
            count_asked(floor.accounts, account, args);
        }
        if args.is_empty() {
            return Err(WS_ARGS);
        }
        if args.len() > SEVERAL_MAX {
            let max = SEVERAL_MAX.to_string();
            return Err(match act {
                Act::Place => PLACED_MAX.of(max),
                Act::Cancel => CANCELED_MAX.of(max),
                Act::Amend => AMENDED_MAX.of(max),
            });
        }
        if let Some(deadline) = deadline.filter(|_| act != Act::Cancel) {
            let at: u64 = deadline.parse().map_err(|_| INVALID.of("expTime"))?;
            if at < ms(floor.now) {
                return Err(EXPIRED);
            }
        }
        let places: Vec<_> = args.iter().map(|fields| self.instrument(named, fields)).collect();
        self.count(floor, account, act, &places)?;
        let mut rows = Vec::with_capacity(args.len());
        let mut accepted = 0;
        for (fields, place) in args.iter().zip(places) {
            let done = place.and_then(|index| self.act(floor, (account, index), act, fields));
            accepted += usize::from(done.is_ok());
            rows.push(row(floor.now, act, fields, &done));
        }
        let code = match accepted {
            0 => "1",
            all if all == args.len() => "0",
            _ => "2",
        };
        Ok((rows.join(","), code))
    }

    fn act(
        &mut self,
        floor: &mut Floor<'_>,
        (account, index): (AccountId, Index),
        act: Act,
        fields: &Fields,
    ) -> Done {
        match act {
            Act::Place => {
                let (order, facts) = place::place(floor, account, index, fields)?;
                self.trading.remember(floor.accounts, &order, facts);
                Ok(order)
            }
            Act::Cancel => change::cancel(floor, account, index, fields),
            Act::Amend => self.trading.amend(floor, account, index, fields),
        }
    }

    fn instrument(&self, named: Named, fields: &Fields) -> Result<Index, Wrong> {
        let (name, found) = match named {
            Named::ById => {
                let id = fields::text(fields, "instId");
                ("instId", id.map(|id| self.feeds.iter().position(|feed| feed.inst_id == id)))
            }
            Named::ByCode => {
                let code = fields::text(fields, "instIdCode");
                let place = |code: String| code.parse::<usize>().ok()?.checked_sub(1);
                let listed = |index: &usize| *index < self.feeds.len();
                ("instIdCode", code.map(|code| place(code).filter(listed)))
            }
        };
        found.ok_or_else(|| MISSING.of(name))?.ok_or(INSTRUMENT)
    }

    /// Counts a request against the limits of its instruments and its account.
    fn count(
        &mut self,
        floor: &Floor<'_>,
        account: AccountId,
        act: Act,
        places: &[Result<Index, Wrong>],
    ) -> Result<(), Wrong> {
        let several = places.len() > 1;
        let max = if several { SEVERAL_LIMIT } else { SINGLE_LIMIT };
        let mut derivatives = 0;
        for instrument in places.iter().flatten().copied() {
            let counted = Counted::Orders { account, act, several, instrument };
            self.limits.take(floor.now, counted, 1, max)?;
            derivatives += u32::from(floor.market.instrument(instrument).is_derivative());
        }
        if act == Act::Cancel || derivatives == 0 {
            return Ok(());
        }
        let counted = Counted::Derivatives(account);
        let taken = self.limits.take(floor.now, counted, derivatives, ACCOUNT_LIMIT);
        taken.map_err(|_| LIMIT_ACCOUNT)
    }
}

/// Counts the orders that are asked for under a name.
fn count_asked(accounts: &mut Accounts, account: AccountId, args: &[Fields]) {
    for name in args.iter().filter_map(|fields| fields::text(fields, "clOrdId")) {
        accounts.asked(account, &name);
    }
}

/// Whether a request places, changes or cancels orders.
pub(in super::super) fn asks_for_orders(request: &Request) -> bool {
    let (path, _) = model::capture::split_url(&request.target);
    request.method == "POST" && WAYS.iter().any(|(known, ..)| *known == path)
}

/// Whether what an account is told is about an order.
pub(in super::super) fn is_report(payload: &[u8]) -> bool {
    const ORDERS: &[u8] = br#""channel":"orders""#;
    let is_data = payload.starts_with(br#"{"arg":"#);
    is_data && payload.windows(ORDERS.len()).any(|window| window == ORDERS)
}

/// Counts the orders of a request that did not come so far.
pub(in super::super) fn turned_away(accounts: &mut Accounts, request: &Request) {
    let (path, _) = model::capture::split_url(&request.target);
    let places =
        |(known, _, act, _): &(&str, &str, Act, bool)| *known == path && *act == Act::Place;
    if request.method != "POST" || !WAYS.iter().any(places) {
        return;
    }
    let key = request.headers.iter().find(|(name, _)| name == "ok-access-key");
    let account = key.and_then(|(_, key)| accounts.by_key(key)).map(|(account, _)| account);
    let args = match serde_json::from_slice(&request.body) {
        Ok(Value::Object(fields)) => vec![fields],
        Ok(Value::Array(all)) => {
            let objects = all.into_iter().filter_map(|one| match one {
                Value::Object(fields) => Some(fields),
                _ => None,
            });
            objects.collect()
        }
        _ => return,
    };
    if let Some(account) = account {
        count_asked(accounts, account, &args);
    }
}

/// The answer to orders whose outcome the venue does not know itself; `None` where the message is
/// none about orders.
pub(in super::super) fn unknown_outcome(now: Nanos, message: &[u8]) -> Option<String> {
    let ask: Ask = serde_json::from_slice(message).ok()?;
    let (_, op, act, _) = WAYS.iter().find(|(_, op, ..)| *op == ask.op)?;
    let rows = ask.args.iter().map(|fields| row(now, *act, fields, &Err(OUTCOME_ORDER)));
    let rows = rows.collect::<Vec<_>>().join(",");
    let (id, times) = (quoted(&ask.id?), times(now));
    Some(format!(r#"{{"id":{id},"op":"{op}","data":[{rows}],"code":"1","msg":"",{times}}}"#))
}

/// The body of a request, as JSON.
fn body(request: &Request) -> Result<Value, Wrong> {
    if request.body.is_empty() {
        return Err(BODY);
    }
    let is_json = |(name, value): &(String, String)| {
        name == "content-type" && value.to_ascii_lowercase().contains("application/json")
    };
    if !request.headers.iter().any(is_json) {
        return Err(CONTENT_TYPE);
    }
    serde_json::from_slice(&request.body).map_err(|_| JSON)
}

/// When the gateway got the request and when it answered: here at once.
fn times(now: Nanos) -> String {
    let micros = now.0 / 1_000;
    format!(r#""inTime":"{micros}","outTime":"{micros}""#)
}

/// What came of one order.
fn row(now: Nanos, act: Act, fields: &Fields, done: &Done) -> String {
    let given = |name: &str| quoted(&fields::text(fields, name).unwrap_or_default());
    let (order_id, name, [code, sub_code, words]) = match done {
        Ok(order) => {
            let name = quoted(order.client_id.as_deref().unwrap_or(""));
            (format!(r#""{}""#, order.id), name, ["0", "", r#""""#].map(str::to_owned))
        }
        Err(wrong) => {
            let id = if act == Act::Place { r#""""#.to_owned() } else { given("ordId") };
            let words = quoted(&wrong.words());
            (id, given("clOrdId"), [wrong.code.to_owned(), wrong.sub_code.to_owned(), words])
        }
    };
    let own = match act {
        Act::Place => format!(r#""tag":{},"subCode":"{sub_code}","#, given("tag")),
        Act::Cancel => String::new(),
        Act::Amend => format!(r#""reqId":{},"subCode":"{sub_code}","#, given("reqId")),
    };
    format!(
        r#"{{"clOrdId":{name},"ordId":{order_id},{own}"ts":"{}","sCode":"{code}","sMsg":{words}}}"#,
        ms(now)
    )
}
