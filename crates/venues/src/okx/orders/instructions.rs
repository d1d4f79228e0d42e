//! What the desk wants, as requests and messages.

use std::time::Duration;

use model::event::Side;
use model::instrument::Contract;
use model::ledger::Name;
use model::order::{OrderType, TimeInForce};
use model::trading::{Heard, Instruction, Placement, Target};
use model::venue::{Method, OnceFrame, Repeat, Request, Sink};
use model::{Nanos, RequestId};

use super::super::habits::{REST_URL, split_symbol};
use super::answers::Wish;
use super::{EXPIRES_AFTER, Job, Orders, Page};
use crate::json;
use crate::json::timestamp::utc;
use crate::orders::{OrderWay, Reply, as_it_came, digits, ticket, unsendable};

/// The recent list holds the fills of three days; a little less is taken for it.
const RECENT: Duration = Duration::from_secs(70 * 60 * 60);
/// Orders or fills in one answer.
pub(super) const PAGE_MAX: usize = 100;
/// Cancels in one request.
pub(super) const CANCELS_MAX: usize = 20;
/// Bounds of the dead man's switch.
const SWITCH_S: (u64, u64) = (10, 120);

/// A request before it is signed.
pub(super) struct Call {
    pub method: Method,
    /// With its query.
    pub path: String,
    /// May use what is kept of the budgets: cancels.
    pub urgent: bool,
    /// Empty, or JSON.
    pub body: String,
    /// The operation on the socket, and its argument there.
    pub socket: Option<(&'static str, String)>,
    /// The venue does not carry it out later than this, by its clock, in ms.
    pub expires_ms: Option<u64>,
}

impl Call {
    pub(super) fn get(path: String) -> Self {
        let (method, body) = (Method::Get, String::new());
        Self { method, path, urgent: false, body, socket: None, expires_ms: None }
    }

    pub(super) fn post(path: &str, body: String) -> Self {
        Self { method: Method::Post, body, ..Self::get(path.to_owned()) }
    }

    pub(super) fn urgent(self) -> Self {
        Self { urgent: true, ..self }
    }
}

/// A JSON object of texts.
#[derive(Clone, Default)]
struct Fields(String);

impl Fields {
    fn with(mut self, name: &str, value: &str) -> Self {
        let comma = if self.0.is_empty() { "" } else { "," };
        self.0 += &format!("{comma}\"{name}\":{}", json::quoted(value));
        self
    }

    fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn object(&self) -> String {
        format!("{{{}}}", self.0)
    }
}

impl Orders {
    /// Carries out an instruction, or answers why not.
    pub(super) fn instruct(&mut self, wanted: &Instruction, now: Nanos, sink: &mut Sink<'_>) {
        let Some(ticket) = ticket(wanted) else { return };
        match self.call(wanted, now) {
            Ok((call, job)) => self.send(call, job, now, sink),
            Err(why) => {
                let unlisted = |of: &Name| self.is_listed() && self.listings.get(of).is_none();
                let outcome = unsendable(wanted, unlisted, &why);
                sink.pipeline.heard(Heard::Answer { ticket, outcome });
            }
        }
    }

    /// The request of an instruction, and what is to be done with its answer; or why there is none.
    fn call(&mut self, wanted: &Instruction, now: Nanos) -> Result<(Call, Job), String> {
        if self.clock.millis(now).is_none() || !self.is_listed() {
            return Err(
                "the venue's lists of instruments or its clock are not known yet".to_owned()
            );
        }
        Ok(match wanted {
            // Has no ticket.
            Instruction::Listen { .. } => return Err(String::new()),
            Instruction::Place { ticket, order } => {
                (self.place(order, now)?, Job::Change { ticket: *ticket, wish: Wish::Place })
            }
            Instruction::Cancel { ticket, target } => {
                let (symbol, fields) = self.target(target, now)?;
                let call = self.change("cancel-order", "/trade/cancel-order", &symbol, &fields);
                (call.urgent(), Job::Change { ticket: *ticket, wish: Wish::Cancel })
            }
            Instruction::Amend { ticket, target, price, quantity, .. } => {
                let (symbol, fields) = self.target(target, now)?;
                let fields =
                    fields.with("newPx", &digits(*price)).with("newSz", &digits(*quantity));
                let call = self.change("amend-order", "/trade/amend-order", &symbol, &fields);
                let expires_ms = self.clock.millis(now + EXPIRES_AFTER);
                let job = Job::Change { ticket: *ticket, wish: Wish::Amend };
                (Call { expires_ms, ..call }, job)
            }
            Instruction::Query { ticket, target } => {
                let symbol = self.symbol(&target.instrument, now)?;
                let id = match &target.venue_order_id {
                    Some(id) => format!("ordId={id}"),
                    None => format!("clOrdId={}", target.venue_client_id),
                };
                let call = Call::get(format!("/trade/order?instId={symbol}&{id}"));
                (call, Job::Query { ticket: *ticket })
            }
            Instruction::OpenOrders { ticket } => {
                (open_orders(None, None), Job::OpenOrders { ticket: *ticket, after: None })
            }
            Instruction::Fills { ticket, instrument, since } => {
                let symbol = self.symbol(instrument, now)?;
                let recent = now.since(*since) < RECENT;
                let path = if recent { "/trade/fills" } else { "/trade/fills-history" };
                let page = Page { path, symbol, since_ms: since.0 / 1_000_000, after: None };
                (fills(&page), Job::Fills { ticket: *ticket, page })
            }
            Instruction::Balances { ticket } => {
                (Call::get("/account/balance".to_owned()), Job::Balances { ticket: *ticket })
            }
            Instruction::CancelAll { ticket, instrument } => {
                let symbol = self.symbol(instrument, now)?;
                let call = open_orders(Some(&symbol), None).urgent();
                (call, Job::Find { ticket: *ticket, symbol, found: Vec::new() })
            }
            Instruction::DeadMan { ticket, within, .. } => {
                let seconds = match within.as_secs() {
                    0 if within.is_zero() => 0,
                    seconds => seconds.clamp(SWITCH_S.0, SWITCH_S.1),
                };
                let body = Fields::default().with("timeOut", &seconds.to_string()).object();
                let call = Call::post("/trade/cancel-all-after", body).urgent();
                (call, Job::DeadMan { ticket: *ticket })
            }
        })
    }

    fn place(&mut self, order: &Placement, now: Nanos) -> Result<Call, String> {
        let symbol = self.symbol(&order.instrument, now)?;
        let latest = now + EXPIRES_AFTER;
        let deadline = order.deadline.map_or(latest, |deadline| deadline.min(latest));
        if deadline.since(now) < Duration::from_millis(1) {
            return Err("its deadline is over".to_owned());
        }
        let kind = match (order.order_type, order.time_in_force) {
            (OrderType::Market, _) => "market",
            (OrderType::Limit, TimeInForce::Gtc) => "limit",
            (OrderType::Limit, TimeInForce::Ioc) => "ioc",
            (OrderType::Limit, TimeInForce::Fok) => "fok",
            (OrderType::Limit, TimeInForce::PostOnly) => "post_only",
        };
        let market = order.order_type == OrderType::Market;
        let price = match order.price {
            _ if market => None,
            None => return Err("a limit order without a price".to_owned()),
            Some(price) => Some(digits(price)),
        };
        let spot = split_symbol(&symbol).is_some_and(|(_, _, kind)| kind == Contract::Spot);
        let side = if order.side == Side::Buy { "buy" } else { "sell" };
        let fields = Fields::default()
            .with("tdMode", if spot { "cash" } else { "cross" })
            .with("clOrdId", &order.venue_client_id)
            .with("side", side)
            .with("ordType", kind)
            .maybe("px", price.as_deref())
            .with("sz", &digits(order.quantity))
            .maybe("tgtCcy", (spot && market).then_some("base_ccy"));
        let call = self.change("order", "/trade/order", &symbol, &fields);
        Ok(Call { expires_ms: self.clock.millis(deadline), ..call })
    }

    /// An operation of both ways: a request names the symbol, a message the symbol's number. Where the
    /// list has no number it can only be a request.
    fn change(&self, op: &'static str, path: &str, symbol: &str, fields: &Fields) -> Call {
        let code = self.codes.get(symbol);
        let socket = code.map(|code| (op, format!("{{\"instIdCode\":{code},{}}}", fields.0)));
        Call { socket, ..Call::post(path, fields.clone().with("instId", symbol).object()) }
    }

    /// Names an order: by the venue's id where it is known, since a client id may be used again.
    fn target(&mut self, target: &Target, now: Nanos) -> Result<(String, Fields), String> {
        let symbol = self.symbol(&target.instrument, now)?;
        let fields = match &target.venue_order_id {
            Some(id) => Fields::default().with("ordId", id),
            None => Fields::default().with("clOrdId", &target.venue_client_id),
        };
        Ok((symbol, fields))
    }

    /// The venue's symbol of an instrument.
    fn symbol(&mut self, instrument: &Name, now: Nanos) -> Result<String, String> {
        match self.listings.get(instrument) {
            Some(listing) => Ok(listing.symbol.to_string()),
            None => {
                self.list_again(instrument, now);
                Err(format!("the venue does not list '{instrument}'"))
            }
        }
    }

    /// Sends, once: over the socket where it can be, else by request.
    pub(super) fn send(&mut self, call: Call, job: Job, now: Nanos, sink: &mut Sink<'_>) {
        if self.tickets.is_full() {
            return self.give_up(job, Reply::Unsent("too many requests are open"), now, sink);
        }
        let id = self.tickets.next_id();
        let by_socket = self.settings.orders == OrderWay::WebSocket;
        let up = self.conns.iter().rev().find(|conn| by_socket && conn.logged_in);
        let (Some((op, argument)), Some(conn)) = (&call.socket, up) else {
            return self.request(id, &call, job, now, sink);
        };
        let expires = call.expires_ms.map(|at| format!(",\"expTime\":\"{at}\""));
        let expires = expires.unwrap_or_default();
        let text =
            format!("{{\"id\":\"{}\",\"op\":\"{op}\",\"args\":[{argument}]{expires}}}", id.0);
        let frame = OnceFrame { conn: conn.id, id, text, urgent: call.urgent };
        self.tickets.open(id, job, Some(conn.id), now);
        sink.outbox.once_frames.push(frame);
    }

    /// A signed request, made once.
    fn request(&mut self, id: RequestId, call: &Call, job: Job, now: Nanos, sink: &mut Sink<'_>) {
        let stamp = utc(self.clock.millis(now).unwrap_or(now.0 / 1_000_000));
        let path = format!("/api/v5{}", call.path);
        let payload = format!("{stamp}{}{path}{}", call.method.name(), call.body);
        let mut headers = vec![
            ("ok-access-key", self.credentials.key().to_owned()),
            ("ok-access-sign", self.credentials.sign_base64(&payload)),
            ("ok-access-timestamp", stamp),
            ("ok-access-passphrase", self.credentials.passphrase().unwrap_or_default().to_owned()),
            ("content-type", "application/json".to_owned()),
        ];
        headers.extend(call.expires_ms.map(|at| ("exptime", at.to_string())));
        self.tickets.open(id, job, None, now);
        sink.outbox.requests.push(Request {
            id,
            method: call.method,
            url: format!("{}{path}", self.rest_base()),
            headers,
            body: call.body.clone(),
            weight: 1,
            repeat: Repeat::Once { urgent: call.urgent },
            bulk: as_it_came,
        });
    }

    /// Where requests go.
    pub(super) fn rest_base(&self) -> &str {
        self.settings.rest_url.as_deref().unwrap_or(REST_URL).trim_end_matches('/')
    }
}

/// A page of open orders, of all instruments or one, older than an order.
pub(super) fn open_orders(symbol: Option<&str>, after: Option<&str>) -> Call {
    let mut path = format!("/trade/orders-pending?limit={PAGE_MAX}");
    for (name, value) in [("instId", symbol), ("after", after)] {
        if let Some(value) = value {
            path += &format!("&{name}={value}");
        }
    }
    Call::get(path)
}

/// A page of fills.
pub(super) fn fills(page: &Page) -> Call {
    let Page { path, symbol, since_ms, after } = page;
    let contract = split_symbol(symbol).map_or(Contract::Spot, |(_, _, contract)| contract);
    let kind = match contract {
        Contract::Spot => "SPOT",
        Contract::Perpetual => "SWAP",
        Contract::Dated(_) => "FUTURES",
    };
    let mut path =
        format!("{path}?instType={kind}&instId={symbol}&begin={since_ms}&limit={PAGE_MAX}");
    if let Some(after) = after {
        path += &format!("&after={after}");
    }
    Call::get(path)
}

/// Cancels of orders by the venue's ids.
pub(super) fn cancels(symbol: &str, ids: &[String]) -> Call {
    let one = |id: &String| Fields::default().with("instId", symbol).with("ordId", id).object();
    let body = format!("[{}]", ids.iter().map(one).collect::<Vec<_>>().join(","));
    Call::post("/trade/cancel-batch-orders", body).urgent()
}
