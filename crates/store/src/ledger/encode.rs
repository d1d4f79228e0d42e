//! Facts as the JSON text that stands in the ledger: every field by name, decimals as text with
//! the digits that they came with, times as nanoseconds.
//!
//! Each form mirrors its type in `model` field by field, so that a field that is added there does
//! not compile until it is added here, with a new schema version.

use model::event::Side;
use model::ledger::{
    Acknowledgement, Answer, Change, ChangeTerms, Fact, Fill, Lost, Name, Occurrence, OrderKey,
    Outcome, Report, ReportKey, Request, Sent, Submit, Terms, VenueName,
};
use model::order::{OrderState, OrderType, TimeInForce};
use model::{Decimal, Nanos};
use serde::{Deserialize, Serialize};

/// The text of a fact.
pub(crate) fn to_text(fact: &Fact) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Row(fact))
}

/// The fact of a text.
pub(crate) fn from_text(text: &str) -> Result<Fact, serde_json::Error> {
    serde_json::from_str::<OwnedRow>(text).map(|row| row.0)
}

/// What the ledger may hold only once, as text; `None` where a fact may come again.
pub(crate) fn identity(fact: &Fact) -> Result<Option<String>, serde_json::Error> {
    let text = match fact {
        Fact::Change(Change { order, number, .. }) => {
            serde_json::to_string(&("change", &order.consumer, &order.client_order_id, number))?
        }
        Fact::Report(report) => report_identity(&report.key())?,
        Fact::Submit(_) | Fact::Sent(_) | Fact::Answer(_) | Fact::Acknowledgement(_) => {
            return Ok(None);
        }
    };
    Ok(Some(text))
}

/// The identity of a report of that key.
fn report_identity(key: &ReportKey) -> Result<String, serde_json::Error> {
    let ReportKey { provider, instrument, venue_order_id, what } = key;
    let of = (provider, instrument, venue_order_id);
    match what {
        Occurrence::Fill { trade_id } => serde_json::to_string(&("fill", of, trade_id)),
        Occurrence::Event { state, id } => serde_json::to_string(&("event", of, state.name(), id)),
        Occurrence::State { state, quantity, filled, ts_event } => {
            let amounts = (quantity.to_string(), filled.to_string());
            let ts = ts_event.map(|ts| ts.0);
            serde_json::to_string(&("state", of, state.name(), amounts, ts))
        }
    }
}

/// Between which texts the identities of all reports of a venue order are, by bytes: from the first of a
/// pair on, and before the second.
pub(crate) fn of_venue_order(of: &VenueName) -> Result<[(String, String); 3], serde_json::Error> {
    let of = (&of.provider, &of.instrument, &of.venue_order_id);
    let mut bounds = [const { (String::new(), String::new()) }; 3];
    for (bounds, kind) in bounds.iter_mut().zip(["fill", "event", "state"]) {
        let text = serde_json::to_string(&(kind, of))?;
        // A comma comes next, and behind a comma comes a hyphen.
        let begin = text.strip_suffix(']').unwrap_or(&text);
        *bounds = (format!("{begin},"), format!("{begin}-"));
    }
    Ok(bounds)
}

/// What a database keeps of a fact, beside where it stands.
pub(crate) struct Columns<'a> {
    pub(crate) kind: &'static str,
    /// Whose fact it is.
    pub(crate) consumer: &'a str,
    /// About which order, where it is about one.
    pub(crate) client_order_id: Option<&'a str>,
    /// See [`identity`].
    pub(crate) identity: Option<String>,
    /// The whole fact.
    pub(crate) body: String,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(fact: &'a Fact) -> Result<Self, serde_json::Error> {
        let (consumer, client_order_id) = match (fact, fact.order()) {
            (_, Some(order)) => (&*order.consumer, Some(&*order.client_order_id)),
            (Fact::Acknowledgement(acknowledgement), None) => (&*acknowledgement.consumer, None),
            (_, None) => ("", None),
        };
        let (identity, body) = (identity(fact)?, to_text(fact)?);
        Ok(Self { kind: kind(fact), consumer, client_order_id, identity, body })
    }
}

/// The kind as it stands in the ledger.
pub(crate) fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Submit(_) => "submit",
        Fact::Change(_) => "change",
        Fact::Sent(_) => "sent",
        Fact::Answer(_) => "answer",
        Fact::Report(_) => "report",
        Fact::Acknowledgement(_) => "acknowledgement",
    }
}

#[derive(Serialize)]
struct Row<'a>(#[serde(with = "FactForm")] &'a Fact);

#[derive(Deserialize)]
struct OwnedRow(#[serde(with = "FactForm")] Fact);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Fact", rename_all = "snake_case")]
enum FactForm {
    Submit(#[serde(with = "SubmitForm")] Submit),
    Change(#[serde(with = "ChangeForm")] Change),
    Sent(#[serde(with = "SentForm")] Sent),
    Answer(#[serde(with = "AnswerForm")] Answer),
    Report(#[serde(with = "ReportForm")] Report),
    Acknowledgement(#[serde(with = "AcknowledgementForm")] Acknowledgement),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OrderKey")]
struct OrderKeyForm {
    consumer: Name,
    client_order_id: Name,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Terms")]
struct TermsForm {
    provider: Name,
    instrument: Name,
    #[serde(with = "SideForm")]
    side: Side,
    #[serde(with = "OrderTypeForm")]
    order_type: OrderType,
    #[serde(with = "TimeInForceForm")]
    time_in_force: TimeInForce,
    #[serde(with = "decimal_or_none")]
    price: Option<Decimal>,
    #[serde(with = "decimal")]
    quantity: Decimal,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Submit")]
struct SubmitForm {
    #[serde(with = "OrderKeyForm")]
    order: OrderKey,
    #[serde(with = "TermsForm")]
    terms: Terms,
    venue_client_id: Name,
    #[serde(with = "nanos_or_none")]
    deadline: Option<Nanos>,
    #[serde(with = "NanosForm")]
    ts: Nanos,
    decision_id: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ChangeTerms", rename_all = "snake_case")]
enum ChangeTermsForm {
    Cancel,
    Amend {
        #[serde(with = "decimal_or_none")]
        price: Option<Decimal>,
        #[serde(with = "decimal_or_none")]
        quantity: Option<Decimal>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Change")]
struct ChangeForm {
    #[serde(with = "OrderKeyForm")]
    order: OrderKey,
    number: u32,
    #[serde(with = "ChangeTermsForm")]
    terms: ChangeTerms,
    #[serde(with = "NanosForm")]
    ts: Nanos,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Request", rename_all = "snake_case")]
enum RequestForm {
    Submit,
    Change(u32),
    Query,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Sent")]
struct SentForm {
    #[serde(with = "OrderKeyForm")]
    order: OrderKey,
    #[serde(with = "RequestForm")]
    request: Request,
    #[serde(with = "NanosForm")]
    ts: Nanos,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Lost", rename_all = "snake_case")]
enum LostForm {
    Timeout,
    VenueError,
    Disconnected,
    Restarted,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Outcome", rename_all = "snake_case")]
enum OutcomeForm {
    Accepted { venue_order_id: Option<Name> },
    Refused { code: Name, text: Name },
    NotFound,
    Unknown(#[serde(with = "LostForm")] Lost),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Answer")]
struct AnswerForm {
    #[serde(with = "OrderKeyForm")]
    order: OrderKey,
    #[serde(with = "RequestForm")]
    request: Request,
    #[serde(with = "OutcomeForm")]
    outcome: Outcome,
    #[serde(with = "NanosForm")]
    ts: Nanos,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Fill")]
struct FillForm {
    trade_id: Name,
    #[serde(with = "decimal")]
    price: Decimal,
    #[serde(with = "decimal")]
    quantity: Decimal,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Report")]
struct ReportForm {
    #[serde(with = "OrderKeyForm")]
    order: OrderKey,
    provider: Name,
    instrument: Name,
    venue_order_id: Name,
    #[serde(with = "OrderStateForm")]
    state: OrderState,
    #[serde(with = "SideForm")]
    side: Side,
    #[serde(with = "decimal")]
    quantity: Decimal,
    #[serde(with = "decimal")]
    filled: Decimal,
    #[serde(with = "fill_or_none")]
    fill: Option<Fill>,
    venue_event_id: Option<u64>,
    text: Name,
    #[serde(with = "nanos_or_none")]
    ts_event: Option<Nanos>,
    #[serde(with = "NanosForm")]
    ts_recv: Nanos,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Acknowledgement")]
struct AcknowledgementForm {
    consumer: Name,
    position: u64,
    #[serde(with = "NanosForm")]
    ts: Nanos,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Nanos")]
struct NanosForm(u64);

#[derive(Serialize, Deserialize)]
#[serde(remote = "Side", rename_all = "snake_case")]
enum SideForm {
    Buy,
    Sell,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OrderType", rename_all = "snake_case")]
enum OrderTypeForm {
    Limit,
    Market,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "TimeInForce", rename_all = "snake_case")]
enum TimeInForceForm {
    Gtc,
    Ioc,
    Fok,
    PostOnly,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OrderState", rename_all = "snake_case")]
enum OrderStateForm {
    Acknowledged,
    Partial,
    Filled,
    Cancelled,
    Rejected,
    Expired,
}

mod decimal {
    use model::Decimal;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(value: &Decimal, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Decimal, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        model::decimal::parse(text.as_bytes()).map_err(de::Error::custom)
    }
}

/// A field that may be absent, in its type's own form.
macro_rules! or_none {
    ($module:ident, $type:ty, $form:literal) => {
        mod $module {
            use super::*;
            use serde::{Deserializer, Serializer};

            #[derive(Serialize)]
            struct Borrowed<'a>(#[serde(with = $form)] &'a $type);

            #[derive(Deserialize)]
            struct Owned(#[serde(with = $form)] $type);

            pub(super) fn serialize<S: Serializer>(
                value: &Option<$type>,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                value.as_ref().map(Borrowed).serialize(to)
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<Option<$type>, D::Error> {
                Ok(Option::<Owned>::deserialize(from)?.map(|owned| owned.0))
            }
        }
    };
}

or_none!(decimal_or_none, Decimal, "decimal");
or_none!(nanos_or_none, Nanos, "NanosForm");
or_none!(fill_or_none, Fill, "FillForm");

#[cfg(test)]
#[path = "encode/tests.rs"]
mod tests;
