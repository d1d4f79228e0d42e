//! What differs between the lines that can be traded: this data.
//!
//! Sources, read 2026-11-25: binance/binance-spot-api-docs `rest-api.md`, `web-socket-api.md`,
//! `user-data-stream.md`, `faqs/order_amend_keep_priority.md`; developers.binance.com, USDⓈ-M futures,
//! "WebSocket API General Info", "User Data Streams", "New Order", "Modify Order", "Query Order",
//! "Auto-Cancel All Open Orders", "Account Information V3", "Account Trade List".

use std::time::Duration;

use model::trading::{Amends, DeadMan, TradingProfile};
use model::venue::{Profile, Rate};

use super::super::line::Line;
use crate::orders::client_id::client_id;

/// A request is taken no later than so long after its time stamp (`recvWindow`).
pub const RECV_WINDOW: Duration = Duration::from_secs(5);

/// What a line's orders need beside its market data.
#[derive(Debug)]
pub struct TradeLine {
    /// The line's name.
    pub name: &'static str,
    /// Where orders go by socket, without path.
    pub api_url: &'static str,
    /// The path there.
    pub api_path: &'static str,
    /// Where the account's messages come from: a host and a path that a listen key ends; `None`
    /// where they are subscribed on the socket of the orders.
    pub listen: Option<Listen>,
    /// A new order, a cancel, a query: one path.
    pub order: &'static str,
    /// How an order is changed.
    pub amend: Ask,
    /// All open orders of the account.
    pub open_orders: Ask,
    /// The path under which all orders of a symbol are cancelled.
    pub cancel_all: &'static str,
    /// The account's fills of a symbol.
    pub fills: Ask,
    /// What a request for fills may span; `None` where there is no bound.
    pub fills_span: Option<Duration>,
    /// The account's balances, and its positions.
    pub account: Ask,
    /// The dead man's switch.
    pub dead_man: Option<Ask>,
    /// The weight of a query.
    pub query_weight: u32,
    /// Post-only, as the line says it: order type and time in force.
    pub post_only: (&'static str, Option<&'static str>),
    /// Limits and habits.
    pub profile: Profile,
    /// What the desk has to know.
    pub trading: TradingProfile,
}

/// A stream that is opened with a key, which has to be kept alive.
#[derive(Debug)]
pub struct Listen {
    /// Scheme and host.
    pub url: &'static str,
    /// The path before the key.
    pub path: &'static str,
    /// The path under which the key is made and kept.
    pub key: &'static str,
}

/// A request: path, weight and, where the socket has it too, its method there.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The path.
    pub path: &'static str,
    /// The weight.
    pub weight: u32,
    /// The method on the socket.
    pub socket: Option<&'static str>,
}

const fn ask(path: &'static str, weight: u32) -> Ask {
    Ask { path, weight, socket: None }
}

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The sockets of orders have no limit of messages, but every order weighs 1 of the address's weight,
/// which the session counts for requests only: two thirds of it may go here.
const fn socket_profile(of: &Profile) -> Profile {
    let messages = Rate { count: of.weight.count / 3 * 2, per: of.weight.per };
    Profile { messages, contiguous: &[], skipping: &[], ..*of }
}

/// Spot: `ORDERS` limits as `exchangeInfo` gives them to everyone; only new orders count, on futures
/// changed ones too.
const SPOT: TradeLine = TradeLine {
    name: "binance",
    api_url: "wss://ws-api.binance.com:443",
    api_path: "/ws-api/v3",
    listen: None,
    order: "/api/v3/order",
    amend: Ask {
        path: "/api/v3/order/amend/keepPriority",
        weight: 4,
        socket: Some("order.amend.keepPriority"),
    },
    open_orders: ask("/api/v3/openOrders", 80),
    cancel_all: "/api/v3/openOrders",
    fills: ask("/api/v3/myTrades", 20),
    fills_span: None,
    account: ask("/api/v3/account", 20),
    dead_man: None,
    query_weight: 4,
    post_only: ("LIMIT_MAKER", None),
    profile: socket_profile(&super::super::line::LINES[0].profile),
    trading: TradingProfile {
        client_id,
        deadline_after: Some(RECV_WINDOW),
        orders: &[
            Rate { count: 50, per: Duration::from_secs(10) },
            Rate { count: 160_000, per: DAY },
        ],
        kept_for_cancels: 0,
        cancels_count: false,
        // The other way, cancel and replace, makes a second order whose quantity is right only as
        // long as nothing is filled in between.
        amends: Amends::QuantityDown,
        dead_man: None,
        client_id_reusable: true,
    },
};

/// USDⓈ-M futures.
const USDM: TradeLine = TradeLine {
    name: "binance-usdm",
    api_url: "wss://ws-fapi.binance.com",
    api_path: "/ws-fapi/v1",
    listen: Some(Listen {
        url: "wss://fstream.binance.com",
        path: "/private/ws/",
        key: "/fapi/v1/listenKey",
    }),
    order: "/fapi/v1/order",
    amend: Ask { path: "/fapi/v1/order", weight: 1, socket: Some("order.modify") },
    open_orders: ask("/fapi/v1/openOrders", 40),
    cancel_all: "/fapi/v1/allOpenOrders",
    fills: ask("/fapi/v1/userTrades", 5),
    fills_span: Some(Duration::from_secs(7 * 24 * 60 * 60)),
    account: ask("/fapi/v3/account", 5),
    dead_man: Some(ask("/fapi/v1/countdownCancelAll", 10)),
    query_weight: 1,
    post_only: ("LIMIT", Some("GTX")),
    profile: socket_profile(&super::super::line::LINES[1].profile),
    trading: TradingProfile {
        orders: &[
            Rate { count: 300, per: Duration::from_secs(10) },
            Rate { count: 1_200, per: Duration::from_secs(60) },
        ],
        amends: Amends::PriceAndQuantity,
        dead_man: Some(DeadMan::Instrument),
        ..SPOT.trading
    },
};

/// A key is kept alive every half an hour; the venue forgets it after one.
pub const KEEP_ALIVE: Duration = Duration::from_secs(30 * 60);
/// What was refused is tried again after so long.
pub const REFUSED_RETRY: Duration = Duration::from_secs(30);
/// What was not sent, or lost, is tried again after so long.
pub const RETRY: Duration = SECOND;

/// The lines that can be traded.
pub static LINES: [TradeLine; 2] = [SPOT, USDM];

impl TradeLine {
    /// The line of that name, with its market data.
    #[must_use]
    pub fn find(name: &str) -> Option<(&'static Self, &'static Line)> {
        Some((LINES.iter().find(|line| line.name == name)?, Line::find(name)?))
    }
}
