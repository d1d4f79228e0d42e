//! What the account's socket says, and answers about orders: both lines, one reader.
//!
//! ```json
//! {"subscriptionId":0,"event":{"e":"executionReport","E":1,"s":"ETHBTC","c":"mUv…","S":"BUY",
//!   "q":"1.0","p":"0.1","C":"","x":"NEW","X":"NEW","r":"NONE","i":4293153,"l":"0","z":"0","L":"0",
//!   "T":1499405658657,"t":-1}}
//! {"e":"ORDER_TRADE_UPDATE","E":1,"T":1,"o":{"s":"BTCUSDT","c":"mUv…","S":"SELL", …}}
//! {"id":7,"status":200,"result":{…},"rateLimits":[…]}
//! ```
//! Sources: binance-spot-api-docs `user-data-stream.md`, `web-socket-api.md`, `rest-api.md`;
//! developers.binance.com, USDⓈ-M futures, "Event: Order Update", "Event: Balance and Position Update",
//! "Query Order", "Account Information V3", "Account Trade List".

use std::borrow::Cow;

use model::Error;
use serde::Deserialize;

use crate::json::fallback::{Number, Raw, Text, read, read_raw};

/// A message of a socket.
#[derive(Debug)]
pub enum Frame<'a> {
    /// An answer to a message of ours.
    Reply {
        /// Whose; `None` where the venue could not read ours.
        id: Option<u64>,
        /// As HTTP has it.
        status: u16,
        /// The result, or the error.
        body: &'a str,
    },
    /// Something of the account.
    Event {
        /// Its type.
        kind: Cow<'a, str>,
        /// All of it.
        body: &'a str,
    },
}

/// Reads a message of a socket: an answer, or an event with or without one of its two wrappings.
///
/// # Errors
/// It is neither.
pub fn read_frame(frame: &[u8]) -> Result<Frame<'_>, Error> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        id: Option<u64>,
        status: Option<u16>,
        #[serde(borrow)]
        result: Option<Raw<'a>>,
        #[serde(borrow)]
        error: Option<Raw<'a>>,
        #[serde(borrow)]
        event: Option<Raw<'a>>,
        #[serde(borrow)]
        data: Option<Raw<'a>>,
        #[serde(borrow)]
        e: Option<Text<'a>>,
    }
    #[derive(Deserialize)]
    struct Inner<'a> {
        #[serde(borrow)]
        e: Text<'a>,
    }
    let outer: Outer<'_> = read(frame)?;
    if let Some(status) = outer.status {
        let body = if status == 200 { outer.result } else { outer.error };
        return Ok(Frame::Reply { id: outer.id, status, body: body.map_or("", |body| body.get()) });
    }
    if let Some(Text(kind)) = outer.e {
        let body = std::str::from_utf8(frame).map_err(|_| Error::ignore("not UTF-8"))?;
        return Ok(Frame::Event { kind, body });
    }
    let Some(inner) = outer.event.or(outer.data) else {
        return Err(Error::ignore("neither an answer with its status nor an event with its type"));
    };
    let Inner { e: Text(kind) } = read_raw(inner)?;
    Ok(Frame::Event { kind, body: inner.get() })
}

/// An error, as both ways have it.
#[derive(Debug, Deserialize)]
pub struct Refusal<'a> {
    /// The venue's number.
    pub code: i64,
    /// Its words.
    #[serde(borrow, default)]
    pub msg: Text<'a>,
    /// When it may be asked again.
    #[serde(default)]
    pub data: RetryAfter,
}

/// When a venue that was asked too often may be asked again.
#[derive(Debug, Default, Deserialize)]
pub struct RetryAfter {
    /// In ms, by its clock.
    #[serde(rename = "retryAfter")]
    pub millis: Option<u64>,
}

/// What a request that changed something gives: the order, or around it what was changed.
#[derive(Debug, Deserialize)]
pub struct Taken {
    #[serde(rename = "orderId")]
    order: Option<u64>,
    #[serde(rename = "amendedOrder")]
    amended: Option<Amended>,
}

#[derive(Debug, Deserialize)]
struct Amended {
    #[serde(rename = "orderId")]
    order: u64,
}

impl Taken {
    /// The venue's id of the order.
    #[must_use]
    pub fn order(&self) -> Option<u64> {
        self.order.or(self.amended.as_ref().map(|amended| amended.order))
    }
}

/// An order as a query gives it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order<'a> {
    /// Its symbol.
    #[serde(borrow)]
    pub symbol: Text<'a>,
    /// The venue's id.
    pub order_id: u64,
    /// Ours.
    #[serde(borrow)]
    pub client_order_id: Text<'a>,
    /// Its price; zero for market orders.
    pub price: Number,
    /// Its quantity.
    pub orig_qty: Number,
    /// What is filled.
    pub executed_qty: Number,
    /// Its state.
    #[serde(borrow)]
    pub status: Text<'a>,
    /// Its side.
    #[serde(borrow)]
    pub side: Text<'a>,
    /// When it last changed, in ms.
    pub update_time: Option<u64>,
}

/// A fill as a list gives it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fill {
    /// The trade's number, unique per symbol.
    pub id: u64,
    /// The venue's id of the order.
    pub order_id: u64,
    /// Its price.
    pub price: Number,
    /// Its quantity.
    pub qty: Number,
    /// When, in ms.
    pub time: u64,
    /// Whether we bought: spot's word for it, and futures'.
    #[serde(alias = "buyer")]
    pub is_buyer: bool,
}

/// An account: spot has balances, futures assets and positions.
#[derive(Debug, Deserialize)]
pub struct Account<'a> {
    /// Spot.
    #[serde(borrow)]
    pub balances: Option<Vec<SpotBalance<'a>>>,
    /// Futures.
    #[serde(borrow)]
    pub assets: Option<Vec<Asset<'a>>>,
    /// Futures.
    #[serde(borrow, default)]
    pub positions: Vec<Held<'a>>,
}

/// What a spot account has of an asset.
#[derive(Debug, Deserialize)]
pub struct SpotBalance<'a> {
    /// The asset.
    #[serde(borrow, alias = "a")]
    pub asset: Text<'a>,
    /// What can be used.
    #[serde(alias = "f")]
    pub free: Number,
    /// What orders hold.
    #[serde(alias = "l")]
    pub locked: Number,
}

/// What a futures account has of an asset.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asset<'a> {
    /// The asset.
    #[serde(borrow, alias = "a")]
    pub asset: Text<'a>,
    /// All of it.
    #[serde(alias = "wb")]
    pub wallet_balance: Number,
    /// What is not set apart for isolated positions.
    #[serde(alias = "cw")]
    pub cross_wallet_balance: Number,
}

/// What a futures account holds of an instrument.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held<'a> {
    /// The symbol.
    #[serde(borrow, alias = "s")]
    pub symbol: Text<'a>,
    /// Below zero when short.
    #[serde(alias = "pa")]
    pub position_amt: Number,
    /// `BOTH` where the account holds one position an instrument.
    #[serde(borrow, alias = "ps")]
    pub position_side: Text<'a>,
    /// Average entry price; the account's list has none.
    #[serde(rename = "ep")]
    pub entry_price: Option<Number>,
}

/// What happened to an order, as the stream tells it.
#[derive(Debug, Deserialize)]
pub struct Report<'a> {
    /// Symbol.
    #[serde(borrow, rename = "s")]
    pub symbol: Text<'a>,
    /// Client id; of a cancel, the cancel's own.
    #[serde(borrow, rename = "c")]
    pub client_id: Text<'a>,
    /// The order's client id where [`client_id`](Self::client_id) is another; spot only.
    #[serde(borrow, rename = "C", default)]
    pub original_client_id: Text<'a>,
    /// Side.
    #[serde(borrow, rename = "S")]
    pub side: Text<'a>,
    /// Quantity.
    #[serde(rename = "q")]
    pub quantity: Number,
    /// Price; zero for market orders.
    #[serde(rename = "p")]
    pub price: Number,
    /// State.
    #[serde(borrow, rename = "X")]
    pub status: Text<'a>,
    /// Reason; spot only.
    #[serde(borrow, rename = "r", default)]
    pub reason: Text<'a>,
    /// The venue's id of the order.
    #[serde(rename = "i")]
    pub order_id: u64,
    /// Quantity of this fill.
    #[serde(rename = "l")]
    pub last_quantity: Number,
    /// Price of this fill.
    #[serde(rename = "L")]
    pub last_price: Number,
    /// Filled in all.
    #[serde(rename = "z")]
    pub filled: Number,
    /// Transaction time, ms.
    #[serde(rename = "T")]
    pub time: u64,
    /// The trade's number; below one where there is none.
    #[serde(rename = "t")]
    pub trade_id: i64,
}

/// `executionReport` is the order itself, `ORDER_TRADE_UPDATE` has it in `o`.
///
/// # Errors
/// A field is missing or of another form.
pub fn read_report(body: &str) -> Result<Report<'_>, Error> {
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        o: Report<'a>,
    }
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(borrow)]
        e: Text<'a>,
    }
    let Kind { e } = read(body.as_bytes())?;
    if e.0 == "ORDER_TRADE_UPDATE" {
        return Ok(read::<Wrapped<'_>>(body.as_bytes())?.o);
    }
    read(body.as_bytes())
}

/// `outboundAccountPosition`.
#[derive(Debug, Deserialize)]
pub struct SpotUpdate<'a> {
    /// Time of the update, ms.
    #[serde(rename = "u")]
    pub time: u64,
    /// Balances.
    #[serde(borrow, rename = "B")]
    pub balances: Vec<SpotBalance<'a>>,
}

/// `ACCOUNT_UPDATE`.
#[derive(Debug, Deserialize)]
pub struct FuturesUpdate<'a> {
    /// Transaction time, ms.
    #[serde(rename = "T")]
    pub time: u64,
    /// What changed.
    #[serde(borrow, rename = "a")]
    pub changed: Changed<'a>,
}

/// What changed of a futures account.
#[derive(Debug, Deserialize)]
pub struct Changed<'a> {
    /// Assets.
    #[serde(borrow, rename = "B", default)]
    pub assets: Vec<Asset<'a>>,
    /// Positions.
    #[serde(borrow, rename = "P", default)]
    pub positions: Vec<Held<'a>>,
}

/// `{"serverTime":…}`.
#[derive(Debug, Deserialize)]
pub struct ServerTime {
    /// In ms.
    #[serde(rename = "serverTime")]
    pub millis: u64,
}

/// `{"listenKey":"…"}`.
#[derive(Debug, Deserialize)]
pub struct ListenKey<'a> {
    /// The key.
    #[serde(borrow, rename = "listenKey")]
    pub key: Text<'a>,
}
