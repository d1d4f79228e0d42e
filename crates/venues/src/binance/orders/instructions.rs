//! What the desk wants, as requests.

use std::time::Duration;

use model::event::Side;
use model::ledger::Name;
use model::order::{OrderType, TimeInForce};
use model::trading::{Heard, Instruction, Placement, Target, Ticket};
use model::venue::{Method, OnceFrame, Repeat, Request, Sink};
use model::{Decimal, Nanos};

use super::answers::Wish;
use super::habits::{Ask, RECV_WINDOW};
use super::params::Params;
use super::{API, From, Job, Orders, Page, millis};
use crate::orders::{OrderWay, Reply, as_it_came, digits, ticket, unsendable};

/// Fills in one answer.
pub(super) const FILLS_MAX: usize = 1_000;

/// A request before it is signed.
pub(super) struct Call {
    pub method: Method,
    pub ask: Ask,
    /// May use what is kept of the budgets: cancels.
    pub urgent: bool,
    /// The venue takes it no later than so long from now.
    pub within: Duration,
    pub params: Params,
}

impl Call {
    pub(super) fn new(method: Method, path: &'static str, weight: u32, params: Params) -> Self {
        let ask = Ask { path, weight, socket: None };
        Self { method, ask, urgent: false, within: RECV_WINDOW, params }
    }

    fn by_socket(mut self, method: &'static str) -> Self {
        self.ask.socket = Some(method);
        self
    }

    fn urgent(mut self) -> Self {
        self.urgent = true;
        self
    }
}

impl Orders {
    /// Carries out an instruction, or answers why not.
    pub(super) fn instruct(&mut self, wanted: &Instruction, now: Nanos, sink: &mut Sink<'_>) {
        let Some(ticket) = ticket(wanted) else { return };
        match self.call(wanted, now) {
            Ok((call, job)) => self.send(call, job, now, sink),
            Err(why) => {
                let unlisted = |of: &Name| self.listed && self.listings.get(of).is_none();
                let outcome = unsendable(wanted, unlisted, &why);
                sink.pipeline.heard(Heard::Answer { ticket, outcome });
            }
        }
    }

    /// The request of an instruction, and what is to be done with its answer; or why there is none.
    fn call(&mut self, wanted: &Instruction, now: Nanos) -> Result<(Call, Job), String> {
        if !self.listed || self.clock.millis(now).is_none() {
            return Err("the venue's list of instruments or its clock is not known yet".to_owned());
        }
        let change = |ticket: &Ticket, wish| Job::Change { ticket: *ticket, wish };
        Ok(match wanted {
            // Has no ticket.
            Instruction::Listen { .. } => return Err(String::new()),
            Instruction::Place { ticket, order } => {
                (self.place(order, now)?, change(ticket, Wish::Place))
            }
            Instruction::Cancel { ticket, target } => {
                let params = self.target(target, now)?;
                let call = Call::new(Method::Delete, self.line.order, 1, params);
                (call.by_socket("order.cancel").urgent(), change(ticket, Wish::Cancel))
            }
            Instruction::Amend { ticket, target, side, price, quantity } => {
                let call = self.amend(target, *side, *price, *quantity, now)?;
                (call, change(ticket, Wish::Amend))
            }
            Instruction::Query { ticket, target } => {
                let params = self.target(target, now)?;
                let call = Call::new(Method::Get, self.line.order, self.line.query_weight, params);
                let client_id = target.venue_client_id.clone();
                (call, Job::Query { ticket: *ticket, client_id })
            }
            Instruction::OpenOrders { ticket } => {
                let Ask { path, weight, .. } = self.line.open_orders;
                let call = Call::new(Method::Get, path, weight, Params::default());
                (call, Job::OpenOrders { ticket: *ticket })
            }
            Instruction::Fills { ticket, instrument, since } => {
                let symbol = self.symbol(instrument, now)?;
                let from = From::Millis(since.0 / 1_000_000);
                let page = Page { instrument: instrument.clone(), symbol, from };
                (self.fills(&page, now), Job::Fills { ticket: *ticket, page })
            }
            Instruction::Balances { ticket } => {
                let Ask { path, weight, .. } = self.line.account;
                let params = match self.line.listen {
                    None => Params::default().text("omitZeroBalances", "true"),
                    Some(_) => Params::default(),
                };
                (Call::new(Method::Get, path, weight, params), Job::Balances { ticket: *ticket })
            }
            Instruction::CancelAll { ticket, instrument } => {
                let params = Params::default().text("symbol", self.symbol(instrument, now)?);
                let call = Call::new(Method::Delete, self.line.cancel_all, 1, params).urgent();
                (call, change(ticket, Wish::CancelAll))
            }
            Instruction::DeadMan { ticket, instrument, within } => {
                let Some(Ask { path, weight, .. }) = self.line.dead_man else {
                    return Err("the venue has no dead man's switch".to_owned());
                };
                let params = Params::default()
                    .text("symbol", self.symbol(instrument, now)?)
                    .number("countdownTime", millis(*within));
                let call = Call::new(Method::Post, path, weight, params).urgent();
                (call, change(ticket, Wish::Other))
            }
        })
    }

    fn place(&mut self, order: &Placement, now: Nanos) -> Result<Call, String> {
        let within = match order.deadline {
            Some(deadline) => deadline.since(now).min(RECV_WINDOW),
            None => RECV_WINDOW,
        };
        if millis(within) == 0 {
            return Err("its deadline is over".to_owned());
        }
        let (kind, stands) = match (order.order_type, order.time_in_force) {
            (OrderType::Market, _) => ("MARKET", None),
            (OrderType::Limit, TimeInForce::PostOnly) => self.line.post_only,
            (OrderType::Limit, TimeInForce::Gtc) => ("LIMIT", Some("GTC")),
            (OrderType::Limit, TimeInForce::Ioc) => ("LIMIT", Some("IOC")),
            (OrderType::Limit, TimeInForce::Fok) => ("LIMIT", Some("FOK")),
        };
        let price = match (order.order_type, order.price) {
            (OrderType::Market, _) => None,
            (OrderType::Limit, None) => return Err("a limit order without a price".to_owned()),
            (OrderType::Limit, Some(price)) => Some(digits(price)),
        };
        let params = Params::default()
            .text("symbol", self.symbol(&order.instrument, now)?)
            .text("side", side_name(order.side))
            .text("type", kind)
            .maybe("timeInForce", stands)
            .maybe("price", price.as_deref())
            .text("quantity", digits(order.quantity))
            .text("newClientOrderId", &*order.venue_client_id)
            // The stream tells the rest.
            .text("newOrderRespType", "ACK");
        let call = Call::new(Method::Post, self.line.order, 1, params).by_socket("order.place");
        Ok(Call { within, ..call })
    }

    /// Spot changes the quantity alone, downwards, and gives the order another client id unless it is
    /// told the old one again.
    fn amend(
        &mut self,
        target: &Target,
        side: Side,
        price: Decimal,
        quantity: Decimal,
        now: Nanos,
    ) -> Result<Call, String> {
        let params = self.target(target, now)?;
        let params = match self.line.listen {
            None => params
                .text("newQty", digits(quantity))
                .text("newClientOrderId", &*target.venue_client_id),
            Some(_) => params
                .text("side", side_name(side))
                .text("price", digits(price))
                .text("quantity", digits(quantity)),
        };
        let Ask { path, weight, socket } = self.line.amend;
        let call = Call::new(Method::Put, path, weight, params);
        Ok(match socket {
            Some(method) => call.by_socket(method),
            None => call,
        })
    }

    /// Names an order: by the venue's id where it is known, since a client id may be used again.
    fn target(&mut self, target: &Target, now: Nanos) -> Result<Params, String> {
        let params = Params::default().text("symbol", self.symbol(&target.instrument, now)?);
        match &target.venue_order_id {
            None => Ok(params.text("origClientOrderId", &*target.venue_client_id)),
            Some(id) => match id.parse() {
                Ok(id) => Ok(params.number("orderId", id)),
                Err(_) => Err(format!("'{id}' is no order id of this venue, which are numbers")),
            },
        }
    }

    /// The venue's symbol of an instrument.
    fn symbol(&mut self, instrument: &Name, now: Nanos) -> Result<String, String> {
        match self.listings.get(instrument) {
            Some(listing) => Ok(listing.symbol.to_string()),
            None => {
                self.list_again(now);
                Err(format!("the venue does not list '{instrument}'"))
            }
        }
    }

    /// A page of fills.
    pub(super) fn fills(&self, page: &Page, now: Nanos) -> Call {
        let params = Params::default().text("symbol", page.symbol.clone());
        let params = match (page.from, self.line.fills_span) {
            (From::Id(id), _) => params.number("fromId", id),
            (From::Millis(since), None) => params.number("startTime", since),
            (From::Millis(since), Some(span)) => {
                let until = since.saturating_add(millis(span));
                let until = until.min(self.clock.millis(now).unwrap_or(until).max(since));
                params.number("startTime", since).number("endTime", until)
            }
        };
        let Ask { path, weight, .. } = self.line.fills;
        Call::new(Method::Get, path, weight, params.number("limit", FILLS_MAX as u64))
    }

    /// Signs and sends, once: over the socket where it can be, else by request.
    pub(super) fn send(&mut self, call: Call, job: Job, now: Nanos, sink: &mut Sink<'_>) {
        if self.tickets.is_full() {
            self.give_up(job, Reply::Unsent("too many requests are open"), now, sink);
            return;
        }
        let stamp = self.clock.millis(now).unwrap_or(now.0 / 1_000_000);
        let params =
            call.params.number("recvWindow", millis(call.within)).number("timestamp", stamp);
        let socket = call.ask.socket.filter(|_| self.settings.orders == OrderWay::WebSocket);
        let up = self.conns.iter().rev().find(|conn| conn.link == API && conn.ready);
        let id = self.tickets.next_id();
        let (Some(method), Some(conn)) = (socket, up) else {
            let query = params.signed_query(&self.credentials);
            return self.request(id, (&call.ask, call.method, call.urgent), &query, job, now, sink);
        };
        if !call.urgent && self.slow_until.is_some_and(|until| until > now) {
            self.give_up(job, Reply::Unsent("the venue told us to slow down"), now, sink);
            return;
        }
        let credentials = (!conn.logged_on).then_some(&self.credentials);
        let text = params.message(id.0, method, credentials);
        let frame = OnceFrame { conn: conn.id, id, text, urgent: call.urgent };
        self.tickets.open(id, job, Some(conn.id), now);
        sink.outbox.once_frames.push(frame);
    }

    /// A request with the account's key, made once.
    pub(super) fn request(
        &mut self,
        id: model::RequestId,
        (ask, method, urgent): (&Ask, Method, bool),
        query: &str,
        job: Job,
        now: Nanos,
        sink: &mut Sink<'_>,
    ) {
        let mark = if query.is_empty() { "" } else { "?" };
        let base = self.settings.rest_url.as_deref().unwrap_or(self.market.rest_url);
        let url = format!("{}{}{mark}{query}", base.trim_end_matches('/'), ask.path);
        self.tickets.open(id, job, None, now);
        sink.outbox.requests.push(Request {
            id,
            method,
            url,
            headers: vec![("x-mbx-apikey", self.credentials.key().to_owned())],
            body: String::new(),
            weight: ask.weight,
            repeat: Repeat::Once { urgent },
            bulk: as_it_came,
        });
    }
}

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}
