//! The words of orders, as a strategy needs them: what it hands in through its [`Context`](crate::Context),
//! and what comes back as [`Body::Exec`](crate::Body::Exec) and [`Body::Reply`](crate::Body::Reply).

pub use engine::orders::{NotTaken, OrderSpec};
pub use model::Denial;
pub use model::ledger::{Fill, OrderKey, Report};
pub use model::order::{Intent, OrderState, OrderType, TimeInForce};
pub use model::reply::{OrderReply, OrderView, ReplyAnswer};
pub use model::trading::{Balance, Position};
