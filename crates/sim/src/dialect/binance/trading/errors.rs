//! Every error of trading, in one table: status, code and text as the venue has them.
//!
//! <https://github.com/binance/binance-spot-api-docs/blob/master/errors.md>; developers.binance.com,
//! USDⓈ-M futures, "Error Code".

use super::super::errors::Failure;
use super::super::line::Sort;
use crate::market::order::Refusal;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Why {
    KeyMissing,
    Key,
    KeyType,
    Signature,
    Early,
    Late,
    RecvWindow,
    Missing,
    MissingBoth,
    NotRequired,
    Illegal,
    Precision,
    FuturesPrecision,
    Side,
    OrderType,
    TimeInForce,
    QuoteQuantity,
    PriceFilter,
    PriceBand,
    LotSize,
    Notional,
    OpenOrders,
    Balance,
    WouldTake,
    Duplicate,
    Closed,
    UnknownOrder,
    NoOrder,
    CancelReplace,
    CancelReplacePart,
    OrderCount,
    Json,
    Operation,
    ListenKey,
    Subscribed,
    NotSubscribed,
    Outcome,
    FuturesPriceMax,
    FuturesBand,
    FuturesQuantityMin,
    FuturesQuantityMax,
    FuturesNotional,
    FuturesOpenOrders,
    FuturesMargin,
    FuturesWouldTake,
    FuturesDuplicate,
    FuturesPositionSide,
    FuturesReduceOnly,
    FuturesUnchanged,
    FuturesOutcome,
}

type Row = (Why, u16, i32, &'static str);

/// `%s` stands for what is said of the single case.
const TABLE: &[Row] = &[
    (Why::KeyMissing, 401, -2014, "API-key format invalid."),
    (Why::Key, 401, -2015, "Invalid API-key, IP, or permissions for action."),
    (Why::KeyType, 400, -4056, "HMAC_SHA256 API key is not supported."),
    (Why::Signature, 400, -1022, "Signature for this request is not valid."),
    (Why::Early, 400, -1021, "Timestamp for this request was 1000ms ahead of the server's time."),
    (Why::Late, 400, -1021, "Timestamp for this request is outside of the recvWindow."),
    (Why::RecvWindow, 400, -1131, "recvWindow must be less than 60000."),
    (
        Why::Missing,
        400,
        -1102,
        "Mandatory parameter '%s' was not sent, was empty/null, or malformed.",
    ),
    (Why::MissingBoth, 400, -1102, "Param %s must be sent, but both were empty/null!"),
    (Why::NotRequired, 400, -1106, "Parameter '%s' sent when not required."),
    (Why::Illegal, 400, -1100, "Illegal characters found in parameter %s."),
    (Why::Precision, 400, -1111, "Parameter '%s' has too much precision."),
    (Why::FuturesPrecision, 400, -1111, "Precision is over the maximum defined for this asset."),
    (Why::Side, 400, -1117, "Invalid side."),
    (Why::OrderType, 400, -1116, "Invalid orderType."),
    (Why::TimeInForce, 400, -1115, "Invalid timeInForce."),
    (
        Why::QuoteQuantity,
        400,
        -2010,
        "Quote order qty market orders are not support for this symbol.",
    ),
    (Why::PriceFilter, 400, -1013, "Filter failure: PRICE_FILTER"),
    (Why::PriceBand, 400, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    (Why::LotSize, 400, -1013, "Filter failure: LOT_SIZE"),
    (Why::Notional, 400, -1013, "Filter failure: NOTIONAL"),
    (Why::OpenOrders, 400, -1013, "Filter failure: MAX_NUM_ORDERS"),
    (Why::Balance, 400, -2010, "Account has insufficient balance for requested action."),
    (Why::WouldTake, 400, -2010, "Order would immediately match and take."),
    (Why::Duplicate, 400, -2010, "Duplicate order sent."),
    (Why::Closed, 400, -2010, "Market is closed."),
    (Why::UnknownOrder, 400, -2011, "Unknown order sent."),
    (Why::NoOrder, 400, -2013, "Order does not exist."),
    (Why::CancelReplace, 400, -2022, "Order cancel-replace failed."),
    (Why::CancelReplacePart, 409, -2021, "Order cancel-replace partially failed."),
    (Why::OrderCount, 429, -1015, "Too many new orders; current limit is %s."),
    (Why::Json, 400, -1135, "Invalid JSON Request"),
    (Why::Operation, 400, -1020, "This operation is not supported."),
    (Why::ListenKey, 400, -1125, "This listenKey does not exist."),
    (Why::Subscribed, 400, -2035, "User Data Stream subscription already active."),
    (Why::NotSubscribed, 400, -2036, "User Data Stream subscription not active."),
    (
        Why::Outcome,
        504,
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status \
         unknown.",
    ),
    (Why::FuturesPriceMax, 400, -4002, "Price greater than max price."),
    (Why::FuturesBand, 400, -4016, "Limit price can't be higher or lower than the price limits."),
    (Why::FuturesQuantityMin, 400, -4003, "Quantity less than or equal to zero."),
    (Why::FuturesQuantityMax, 400, -4005, "Quantity greater than max quantity."),
    (
        Why::FuturesNotional,
        400,
        -4164,
        "Order's notional must be no smaller than 5 (unless you choose reduce only).",
    ),
    (Why::FuturesOpenOrders, 400, -2025, "Reach max open order limit."),
    (Why::FuturesMargin, 400, -2019, "Margin is insufficient."),
    (
        Why::FuturesWouldTake,
        400,
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. The \
         order will not be recorded in the order history",
    ),
    (Why::FuturesDuplicate, 400, -4116, "ClientOrderId is duplicated."),
    (Why::FuturesPositionSide, 400, -4061, "Order's position side does not match user's setting."),
    (Why::FuturesReduceOnly, 400, -2022, "ReduceOnly Order is rejected."),
    (Why::FuturesUnchanged, 400, -5027, "No need to modify the order."),
    (
        Why::FuturesOutcome,
        503,
        -1000,
        "Unknown error, please check your request or try again later.",
    ),
];

impl Why {
    /// The error, where its text says nothing of the single case.
    pub(in super::super) fn failure(self) -> Failure {
        self.of("")
    }

    /// The error of a single case.
    pub(in super::super) fn of(self, what: &str) -> Failure {
        // Every one has a row: a test looks.
        let row = TABLE.iter().find(|row| row.0 == self).unwrap_or(&TABLE[0]);
        let (_, status, code, text) = *row;
        Failure { status, code, text: text.replace("%s", what), data: None, retry_at: None }
    }

    /// The venue's words for what the market refuses.
    pub(in super::super) fn refused(sort: Sort, refusal: Refusal) -> Self {
        let (spot, futures) = match refusal {
            Refusal::PriceRange => (Self::PriceFilter, Self::FuturesPriceMax),
            Refusal::PriceBand => (Self::PriceBand, Self::FuturesBand),
            Refusal::QuantityRange => (Self::LotSize, Self::FuturesQuantityMax),
            Refusal::ValueMin => (Self::Notional, Self::FuturesNotional),
            Refusal::OpenOrders => (Self::OpenOrders, Self::FuturesOpenOrders),
            Refusal::Balance => (Self::Balance, Self::FuturesMargin),
            Refusal::WouldTake => (Self::WouldTake, Self::FuturesWouldTake),
            Refusal::DuplicateClientId => (Self::Duplicate, Self::FuturesDuplicate),
            Refusal::UnknownOrder => (Self::UnknownOrder, Self::UnknownOrder),
            Refusal::Frozen => (Self::Closed, Self::Closed),
        };
        if sort == Sort::Spot { spot } else { futures }
    }
}

impl From<Why> for Failure {
    fn from(why: Why) -> Self {
        why.failure()
    }
}

/// Every error has one row, in the enum's order.
#[cfg(test)]
pub(super) fn check() {
    assert_eq!(TABLE.len(), Why::FuturesOutcome as usize + 1);
    for (place, (why, status, code, text)) in TABLE.iter().enumerate() {
        assert_eq!(*why as usize, place, "{why:?}");
        assert!(*status >= 400 && *code < 0 && !text.is_empty(), "{why:?}");
        assert_eq!(why.failure().code, *code);
    }
}
