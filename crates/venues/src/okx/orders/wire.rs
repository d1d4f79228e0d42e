//! Messages of the private socket, and answers about orders.
//!
//! ```json
//! {"event":"login","code":"0","msg":"","connId":"a4d3ae55"}
//! {"event":"subscribe","arg":{"channel":"orders","instType":"ANY"},"connId":"a4d3ae55"}
//! {"id":"7","op":"order","code":"0","msg":"","data":[{"ordId":"12345689","clOrdId":"m…","sCode":"0",
//!   "sMsg":""}],"inTime":"1695190491421339","outTime":"1695190491423240"}
//! {"arg":{"channel":"orders","instType":"ANY","uid":"7"},"data":[{"instId":"BTC-USDT","ordId":"3","…":"…"}]}
//! ```
//! What a type of order lacks is an empty text.

use model::{Decimal, Error, Nanos};
use serde::Deserialize;

use super::super::wire::Integer;
use crate::json::fallback::{Number, Raw, Text, read, read_raw};

/// A message of the socket.
#[derive(Debug)]
pub enum Frame<'a> {
    /// The answer to our text `ping`.
    Pong,
    /// The venue's word about the connection or a subscription.
    Event {
        /// Which.
        event: Text<'a>,
        /// A code; empty where it has none.
        code: Text<'a>,
        /// Words.
        words: Text<'a>,
        /// The channel that it is about; empty where there is none.
        channel: Text<'a>,
    },
    /// The answer to an order of ours.
    Reply {
        /// Whose.
        id: Option<u64>,
        /// What it says.
        answer: Answer<'a>,
    },
    /// Something of the account.
    Data {
        /// On which channel.
        channel: Text<'a>,
        /// One piece for each thing.
        data: Vec<Raw<'a>>,
    },
}

/// Reads a message of the socket.
///
/// # Errors
/// It is none of these.
pub fn read_frame(frame: &[u8]) -> Result<Frame<'_>, Error> {
    #[derive(Default, Deserialize)]
    struct Arg<'a> {
        #[serde(borrow, default)]
        channel: Text<'a>,
    }
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow)]
        event: Option<Text<'a>>,
        #[serde(borrow)]
        op: Option<Text<'a>>,
        #[serde(borrow)]
        id: Option<Text<'a>>,
        #[serde(borrow, default)]
        code: Text<'a>,
        #[serde(borrow, default)]
        msg: Text<'a>,
        #[serde(borrow, default)]
        channel: Text<'a>,
        #[serde(borrow)]
        arg: Option<Arg<'a>>,
        #[serde(borrow)]
        data: Option<Vec<Raw<'a>>>,
    }
    if frame == b"pong" {
        return Ok(Frame::Pong);
    }
    let Outer { event, op, id, code, msg, channel, arg, data } = read(frame)?;
    if let Some(event) = event {
        let channel = arg.map_or(channel, |arg| arg.channel);
        return Ok(Frame::Event { event, code, words: msg, channel });
    }
    if op.is_some() {
        let id = id.and_then(|id| id.0.parse().ok());
        return Ok(Frame::Reply {
            id,
            answer: Answer { code, msg, data: data.unwrap_or_default() },
        });
    }
    match (arg, data) {
        (Some(Arg { channel }), Some(data)) => Ok(Frame::Data { channel, data }),
        _ => Err(Error::ignore("neither an event, an answer nor data of a channel")),
    }
}

/// What every answer is wrapped in, of requests and of messages.
#[derive(Debug, Deserialize)]
pub struct Answer<'a> {
    /// `0`, or what went wrong; `1` where it stands in the data.
    #[serde(borrow)]
    pub code: Text<'a>,
    /// Words for it.
    #[serde(borrow, default)]
    pub msg: Text<'a>,
    /// One piece for each thing.
    #[serde(borrow, default)]
    pub data: Vec<Raw<'a>>,
}

impl<'a> Answer<'a> {
    /// All pieces, read.
    ///
    /// # Errors
    /// One of them is of another form.
    pub fn all<T: Deserialize<'a>>(&self) -> Result<Vec<T>, Error> {
        self.data.iter().map(|raw| read_raw(raw)).collect()
    }
}

/// What became of one order of a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken<'a> {
    /// The venue's id of the order; empty where it was not taken.
    #[serde(borrow, default)]
    pub ord_id: Text<'a>,
    /// `0`, or what went wrong.
    #[serde(borrow)]
    pub s_code: Text<'a>,
    /// Words for it.
    #[serde(borrow, default)]
    pub s_msg: Text<'a>,
}

/// An order, as channel, query and list give it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order<'a> {
    /// Symbol.
    #[serde(borrow)]
    pub inst_id: Text<'a>,
    /// The venue's id.
    #[serde(borrow)]
    pub ord_id: Text<'a>,
    /// Ours; empty where it has none.
    #[serde(borrow, default)]
    pub cl_ord_id: Text<'a>,
    /// Price; empty for market orders.
    pub px: Maybe,
    /// Quantity.
    pub sz: Number,
    /// `quote_ccy` where the quantity is in quote currency.
    #[serde(borrow, default)]
    pub tgt_ccy: Text<'a>,
    /// Side.
    #[serde(borrow)]
    pub side: Text<'a>,
    /// State.
    #[serde(borrow)]
    pub state: Text<'a>,
    /// Filled in all.
    pub acc_fill_sz: Maybe,
    /// Of the last fill: price,
    #[serde(default)]
    pub fill_px: Maybe,
    /// quantity,
    #[serde(default)]
    pub fill_sz: Maybe,
    /// and number; empty where there is none.
    #[serde(borrow, default)]
    pub trade_id: Text<'a>,
    /// Why it was cancelled, as a number,
    #[serde(borrow, default)]
    pub cancel_source: Text<'a>,
    /// and in words.
    #[serde(borrow, default)]
    pub cancel_source_reason: Text<'a>,
    /// When it last changed, ms.
    pub u_time: Integer,
}

/// A fill, as a list gives it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fill<'a> {
    /// Symbol.
    #[serde(borrow)]
    pub inst_id: Text<'a>,
    /// The trade's number, unique per symbol.
    #[serde(borrow)]
    pub trade_id: Text<'a>,
    /// The venue's id of the order.
    #[serde(borrow)]
    pub ord_id: Text<'a>,
    /// Ours.
    #[serde(borrow, default)]
    pub cl_ord_id: Text<'a>,
    /// The list's own number of it, by which it goes on.
    #[serde(borrow)]
    pub bill_id: Text<'a>,
    /// Price.
    pub fill_px: Number,
    /// Quantity.
    pub fill_sz: Number,
    /// Side.
    #[serde(borrow)]
    pub side: Text<'a>,
    /// When, ms.
    pub ts: Integer,
}

/// An account, as channel and query give it.
#[derive(Debug, Deserialize)]
pub struct Account<'a> {
    /// One for each currency.
    #[serde(borrow)]
    pub details: Vec<Detail<'a>>,
}

/// What an account has of a currency.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail<'a> {
    /// The currency.
    #[serde(borrow)]
    pub ccy: Text<'a>,
    /// What can be used.
    pub avail_bal: Maybe,
    /// What orders and margins hold.
    pub frozen_bal: Maybe,
    /// When it last changed, ms.
    pub u_time: Integer,
}

/// What an account holds of an instrument.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held<'a> {
    /// Symbol.
    #[serde(borrow)]
    pub inst_id: Text<'a>,
    /// `MARGIN` for borrowed spot.
    #[serde(borrow)]
    pub inst_type: Text<'a>,
    /// Contracts, below zero when short.
    pub pos: Maybe,
    /// `net` where the account holds one position an instrument.
    #[serde(borrow)]
    pub pos_side: Text<'a>,
    /// Average entry price.
    pub avg_px: Maybe,
    /// When it last changed, ms.
    pub u_time: Integer,
}

/// An instrument's number.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Code<'a> {
    /// Symbol.
    #[serde(borrow)]
    pub inst_id: Text<'a>,
    /// Its number, where the list has one.
    pub inst_id_code: Option<u64>,
}

/// `[{"ts":"1597026383085"}]`.
#[derive(Debug, Deserialize)]
pub struct ServerTime {
    /// In ms.
    pub ts: Integer,
}

/// A decimal; an empty text is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Maybe(pub Option<Decimal>);

impl Maybe {
    /// The number; zero is none too.
    #[must_use]
    pub fn some(self) -> Option<Decimal> {
        self.0.filter(|number| !number.is_zero())
    }
}

impl<'de> Deserialize<'de> for Maybe {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        if raw.get() == "\"\"" {
            return Ok(Self(None));
        }
        let Number(number) =
            read_raw(raw).map_err(|error| serde::de::Error::custom(error.message))?;
        Ok(Self(Some(number)))
    }
}

/// A time of the venue.
#[must_use]
pub fn time(ms: Integer) -> Nanos {
    Nanos::from_millis(ms.0)
}
