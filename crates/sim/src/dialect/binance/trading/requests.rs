//! Every request of trading: where it is asked by REST and over the WebSocket API, what it weighs.
//!
//! binance-spot-api-docs `rest-api.md`, `web-socket-api.md`; developers.binance.com, USDⓈ-M futures,
//! "Trade", "Account", "User Data Streams" and their WebSocket API.

use super::super::line::Sort;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Place,
    Test,
    Modify,
    Status,
    Cancel,
    CancelReplace,
    OpenOrders,
    CancelAll,
    AllOrders,
    MyTrades,
    Account,
    Balance,
    Positions,
    Commission,
    OrderCounts,
    Coins,
    TradeFee,
    MarginPairs,
    Brackets,
    PositionSide,
    MultiAssets,
    Countdown,
    ListenKeyStart,
    ListenKeyKeep,
    ListenKeyStop,
}

impl Action {
    /// Whether it places, changes or cancels orders.
    pub(super) fn changes_orders(self) -> bool {
        use Action::{Cancel, CancelAll, CancelReplace, Modify, Place};
        matches!(self, Place | Modify | Cancel | CancelReplace | CancelAll)
    }

    /// Whether a key is enough, without a signature.
    pub(super) fn is_unsigned(self) -> bool {
        let keys = matches!(self, Self::ListenKeyStart | Self::ListenKeyKeep | Self::ListenKeyStop);
        keys || self == Self::MarginPairs
    }
}

/// A request.
pub(super) struct Asked {
    pub sort: Sort,
    pub method: &'static str,
    pub path: &'static str,
    /// Its name over the WebSocket API; empty where it has none there.
    pub name: &'static str,
    pub action: Action,
    /// For one symbol, and for all.
    pub weight: (u32, u32),
}

const fn spot(
    method: &'static str,
    path: &'static str,
    name: &'static str,
    action: Action,
    weight: u32,
) -> Asked {
    Asked { sort: Sort::Spot, method, path, name, action, weight: (weight, weight) }
}

const fn linear(
    method: &'static str,
    path: &'static str,
    name: &'static str,
    action: Action,
    weight: u32,
) -> Asked {
    Asked { sort: Sort::Linear, method, path, name, action, weight: (weight, weight) }
}

/// The table.
pub(super) const REQUESTS: &[Asked] = &[
    spot("POST", "/api/v3/order", "order.place", Action::Place, 1),
    spot("POST", "/api/v3/order/test", "order.test", Action::Test, 1),
    spot("GET", "/api/v3/order", "order.status", Action::Status, 4),
    spot("DELETE", "/api/v3/order", "order.cancel", Action::Cancel, 1),
    spot("POST", "/api/v3/order/cancelReplace", "order.cancelReplace", Action::CancelReplace, 1),
    Asked {
        weight: (6, 80),
        ..spot("GET", "/api/v3/openOrders", "openOrders.status", Action::OpenOrders, 6)
    },
    spot("DELETE", "/api/v3/openOrders", "openOrders.cancelAll", Action::CancelAll, 1),
    spot("GET", "/api/v3/allOrders", "allOrders", Action::AllOrders, 20),
    spot("GET", "/api/v3/myTrades", "myTrades", Action::MyTrades, 20),
    spot("GET", "/api/v3/account", "account.status", Action::Account, 20),
    spot("GET", "/api/v3/account/commission", "account.commission", Action::Commission, 20),
    spot("GET", "/api/v3/rateLimit/order", "account.rateLimits.orders", Action::OrderCounts, 40),
    spot("GET", "/sapi/v1/capital/config/getall", "", Action::Coins, 10),
    spot("GET", "/sapi/v1/asset/tradeFee", "", Action::TradeFee, 1),
    spot("GET", "/sapi/v1/margin/allPairs", "", Action::MarginPairs, 1),
    spot("GET", "/sapi/v1/margin/isolated/allPairs", "", Action::MarginPairs, 1),
    linear("POST", "/fapi/v1/order", "order.place", Action::Place, 0),
    linear("POST", "/fapi/v1/order/test", "", Action::Test, 0),
    linear("PUT", "/fapi/v1/order", "order.modify", Action::Modify, 1),
    linear("GET", "/fapi/v1/order", "order.status", Action::Status, 1),
    linear("DELETE", "/fapi/v1/order", "order.cancel", Action::Cancel, 1),
    Asked { weight: (1, 40), ..linear("GET", "/fapi/v1/openOrders", "", Action::OpenOrders, 1) },
    linear("DELETE", "/fapi/v1/allOpenOrders", "", Action::CancelAll, 1),
    linear("GET", "/fapi/v1/allOrders", "", Action::AllOrders, 5),
    linear("GET", "/fapi/v1/userTrades", "", Action::MyTrades, 5),
    linear("GET", "/fapi/v2/account", "account.status", Action::Account, 5),
    linear("GET", "/fapi/v3/account", "", Action::Account, 5),
    linear("GET", "/fapi/v2/balance", "account.balance", Action::Balance, 5),
    linear("GET", "/fapi/v3/balance", "", Action::Balance, 5),
    linear("GET", "/fapi/v2/positionRisk", "account.position", Action::Positions, 5),
    linear("GET", "/fapi/v3/positionRisk", "", Action::Positions, 5),
    linear("GET", "/fapi/v1/commissionRate", "", Action::Commission, 20),
    linear("GET", "/fapi/v1/rateLimit/order", "", Action::OrderCounts, 1),
    linear("GET", "/fapi/v1/leverageBracket", "", Action::Brackets, 1),
    linear("GET", "/fapi/v1/positionSide/dual", "", Action::PositionSide, 30),
    linear("GET", "/fapi/v1/multiAssetsMargin", "", Action::MultiAssets, 30),
    linear("POST", "/fapi/v1/countdownCancelAll", "", Action::Countdown, 10),
    linear("POST", "/fapi/v1/listenKey", "userDataStream.start", Action::ListenKeyStart, 1),
    linear("PUT", "/fapi/v1/listenKey", "userDataStream.ping", Action::ListenKeyKeep, 1),
    linear("DELETE", "/fapi/v1/listenKey", "userDataStream.stop", Action::ListenKeyStop, 1),
];

/// The requests at a path.
pub(super) fn at_path(sort: Sort, path: &str) -> impl Iterator<Item = &'static Asked> {
    REQUESTS.iter().filter(move |asked| asked.sort == sort && asked.path == path)
}

/// The request of that name over the WebSocket API.
pub(super) fn named(sort: Sort, name: &str) -> Option<&'static Asked> {
    REQUESTS.iter().find(|asked| asked.sort == sort && asked.name == name && !name.is_empty())
}
