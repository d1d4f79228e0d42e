//! One venue order behind a client order: what the venue has said of it so far.

use std::collections::BTreeMap;

use model::ledger::{Fill, Name, Report};
use model::order::{ExecReport, OrderState};
use model::trading::VenueState;
use model::{Decimal, Nanos};

use super::order::Oddity;
use super::table::{Input, Standing, step};

/// A leg remembers this many fills. Beyond, a fill counts through the amount that the venue says is
/// filled, and the ledger's key alone tells it from its double.
pub const FILLS_MAX: usize = 4_096;

/// What the venue's word does to an order.
#[must_use]
pub fn input(state: VenueState) -> Input {
    match state {
        VenueState::Open => Input::Accepted,
        VenueState::Filled => Input::Whole,
        VenueState::Cancelled => Input::Cancelled,
        VenueState::Replaced => Input::Replaced,
        VenueState::Rejected => Input::Rejected,
        VenueState::Expired => Input::Expired,
    }
}

/// Which of two quantities is the newer: the venue's time, its number, for equal ones that of an order
/// that is over, and at last the larger.
type Version = (Option<Nanos>, Option<u64>, bool, Decimal);

/// A venue order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    venue_order_id: Name,
    /// The strongest that the venue has said.
    said: Standing,
    /// Whether its fills reach the quantity that the venue confirmed.
    whole: bool,
    /// What it was sent with, until the venue says.
    wanted: Decimal,
    confirmed: Option<Version>,
    fills: BTreeMap<Name, Decimal>,
    /// All of `fills`.
    fills_sum: Decimal,
    /// The most that the venue has said to be filled.
    cumulative: Decimal,
}

impl Leg {
    /// A venue order of which nothing is known but that it is there.
    #[must_use]
    pub fn new(venue_order_id: Name, wanted: Decimal) -> Self {
        Self {
            venue_order_id,
            said: Standing::Sent,
            whole: false,
            wanted,
            confirmed: None,
            fills: BTreeMap::new(),
            fills_sum: Decimal::ZERO,
            cumulative: Decimal::ZERO,
        }
    }

    /// The venue's id of it.
    #[must_use]
    pub fn venue_order_id(&self) -> &Name {
        &self.venue_order_id
    }

    /// How it stands: as the venue says, or filled, where the fills alone show it.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.whole { Standing::Filled } else { self.said }
    }

    /// The last quantity that the venue confirmed; what was sent until it does.
    #[must_use]
    pub fn quantity(&self) -> Decimal {
        self.confirmed.map_or(self.wanted, |(_, _, _, quantity)| quantity)
    }

    /// What is filled: the fills that are known, or more, where the venue says so.
    #[must_use]
    pub fn filled(&self) -> Decimal {
        let told = self.fills_sum.max(self.cumulative);
        if self.said == Standing::Filled { told.max(self.quantity()) } else { told }
    }

    /// What of [`filled`](Self::filled) no known fill stands for yet.
    #[must_use]
    pub fn unattributed(&self) -> Decimal {
        self.filled().saturating_sub(self.fills_sum)
    }

    /// Takes in what the venue says. `infer` allows the conclusion that it is filled when the fills
    /// reach the confirmed quantity; without it only the venue's word counts. Returns whether a fill
    /// is new.
    pub fn observe(&mut self, seen: &ExecReport, infer: bool, odd: &mut Vec<Oddity>) -> bool {
        let (before, amounts) = (self.standing(), (self.filled(), self.quantity()));
        let new_fill = seen.fill().is_some_and(|fill| self.add(&fill, odd));
        self.cumulative = seen.filled.map_or(self.cumulative, |told| told.max(self.cumulative));
        if let Some(quantity) = seen.quantity {
            let over = seen.state.is_some_and(|state| state != VenueState::Open);
            let version = (seen.ts_event, seen.venue_event_id, over, quantity);
            self.confirmed = Some(self.confirmed.map_or(version, |known| known.max(version)));
        }
        let input = seen.state.map_or(Input::Accepted, input);
        self.said = step(self.said, input).to;
        let (filled, quantity) = (self.filled(), self.quantity());
        if filled > Decimal::ZERO {
            self.said = step(self.said, Input::Part).to;
        }
        let reached = filled >= quantity && filled > Decimal::ZERO;
        self.whole = infer && self.confirmed.is_some() && reached;

        let now = self.standing();
        let shown = match (before == Standing::Filled, now == Standing::Filled) {
            (false, true) => Input::Whole,
            (true, false) => Input::Part,
            _ => input,
        };
        if !step(before, input).legal {
            odd.push(Oddity::Illegal { from: before, input });
        } else if !step(before, shown).legal || (before == Standing::Filled && now != before) {
            odd.push(Oddity::Illegal { from: before, input: shown });
        }
        if filled > quantity && (filled, quantity) != amounts {
            odd.push(Oddity::Overfilled { quantity, filled });
        }
        new_fill
    }

    /// It is over, and nobody says how: filled, where the fills come to that, else cancelled.
    pub(super) fn forgotten(&mut self) {
        if !self.said.is_terminal() {
            let filled = self.filled();
            let whole = filled > Decimal::ZERO && filled >= self.quantity();
            self.said = step(self.said, if whole { Input::Whole } else { Input::Cancelled }).to;
        }
    }

    /// Takes a report of ours in again, oldest first; the last says how it stood. `alone` says that
    /// no other venue order is behind the order, so that the order's state is the leg's. A quantity
    /// that was never confirmed stays so: then the fills alone do not say that it is filled.
    pub(super) fn restore(&mut self, report: &Report, alone: bool) {
        if let Some(fill) = &report.fill {
            // What was odd was told when it happened.
            self.add(fill, &mut Vec::new());
        }
        self.cumulative = report.filled;
        self.whole = false;
        let known = self.confirmed.map_or((None, None), |(ts, id, ..)| (ts, id));
        let (ts, id) = known.max((report.ts_event, report.venue_event_id));
        if self.confirmed.is_some() || report.quantity != self.wanted {
            self.confirmed = Some((ts, id, report.state.is_terminal(), report.quantity));
        }
        let told = told(report.state);
        if alone || told.is_terminal() || !self.said.is_terminal() {
            self.said = told;
        }
    }

    /// The order's end is taken in again: by then all venue orders behind it were over. One that another
    /// stood in for was not filled.
    pub(super) fn restore_end(&mut self, state: OrderState) {
        if !self.said.is_terminal() {
            let filled = state == OrderState::Filled;
            self.said = if filled { Standing::Cancelled } else { told(state) };
        }
    }

    fn add(&mut self, fill: &Fill, odd: &mut Vec<Oddity>) -> bool {
        if let Some(known) = self.fills.get_mut(&fill.trade_id) {
            if *known != fill.quantity {
                let (trade_id, told) = (fill.trade_id.clone(), fill.quantity);
                odd.push(Oddity::FillDiffers { trade_id, known: *known, told });
                let more = told.saturating_sub(*known).max(Decimal::ZERO);
                *known = known.saturating_add(more);
                self.fills_sum = self.fills_sum.saturating_add(more);
            }
            return false;
        }
        if self.fills.len() >= FILLS_MAX {
            odd.push(Oddity::TooManyFills);
            return true;
        }
        self.fills.insert(fill.trade_id.clone(), fill.quantity);
        self.fills_sum = self.fills_sum.saturating_add(fill.quantity);
        true
    }
}

/// How an order stood of which that was told.
fn told(state: OrderState) -> Standing {
    match state {
        OrderState::Acknowledged => Standing::Acknowledged,
        OrderState::Partial => Standing::Partial,
        OrderState::Filled => Standing::Filled,
        OrderState::Cancelled => Standing::Cancelled,
        OrderState::Rejected => Standing::Rejected,
        OrderState::Expired => Standing::Expired,
    }
}
