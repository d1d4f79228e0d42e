//! One client order: its intent, its requests, and the venue orders behind it.

use std::collections::BTreeMap;
use std::time::Duration;

use model::ledger::{
    Answer, Change, ChangeTerms, Fact, NO_VENUE_ID, Name, Outcome, Report, Request, Sent, Submit,
};
use model::order::{ExecReport, OrderState};
use model::trading::VenueState;
use model::{Decimal, Nanos};

use super::inquiry::{FORGOTTEN_AFTER, Inquiry, MARGIN};
use super::leg::{Leg, input};
use super::table::{Input, Standing, step};

/// An order has at most this many venue orders behind it.
pub const LEGS_MAX: usize = 16;
/// An order has at most this many amends on their way.
pub const AMENDS_MAX: usize = 16;
/// And beside them at most this many cancels.
pub const CANCELS_MAX: usize = 4;

/// What only an operator can judge. The order goes on by the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// The table does not expect it.
    Illegal {
        /// How the order stood.
        from: Standing,
        /// What came.
        input: Input,
    },
    /// More is filled than was to be.
    Overfilled {
        /// The quantity that the venue confirmed.
        quantity: Decimal,
        /// What is filled.
        filled: Decimal,
    },
    /// A fill came again with another quantity; the larger stands.
    FillDiffers {
        /// Which.
        trade_id: Name,
        /// The quantity that was counted.
        known: Decimal,
        /// The quantity that came.
        told: Decimal,
    },
    /// More fills than a leg remembers: see [`super::leg::FILLS_MAX`].
    TooManyFills,
    /// More venue orders than [`LEGS_MAX`]: this one is not followed.
    TooManyLegs {
        /// The venue's id of it.
        venue_order_id: Name,
    },
    /// An answer to a change that is not on its way.
    UnknownChange {
        /// The number that it names.
        number: u32,
    },
    /// The venue has no deadline after which "not found" could be final.
    Undecidable,
}

/// What an input leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// For the ledger, and from there for the consumer.
    pub report: Option<Report>,
    /// For the operator.
    pub oddities: Vec<Oddity>,
}

/// A client order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    submit: Submit,
    /// What answers to the submit have said: how it stands while no venue order is seen.
    answered: Standing,
    /// In the order in which they were seen.
    legs: Vec<Leg>,
    /// Those on their way by number, and whether one is to end the order.
    changes: BTreeMap<u32, bool>,
    /// Whether fills that reach the quantity say that it is filled. Not once an amend may have moved
    /// the quantity, nor after a restart: then only the venue's word counts.
    infer: bool,
    inquiry: Option<Inquiry>,
    /// When the venue last said how it stands.
    heard: Nanos,
    /// What the last report said.
    told: Option<(OrderState, Decimal, Decimal)>,
    /// What a restart found untold.
    owed: Option<Report>,
}

impl Order {
    /// An order whose intent is on its way to the ledger.
    #[must_use]
    pub fn new(submit: Submit) -> Self {
        Self {
            heard: submit.ts,
            submit,
            answered: Standing::Pending,
            legs: Vec::new(),
            changes: BTreeMap::new(),
            infer: true,
            inquiry: None,
            told: None,
            owed: None,
        }
    }

    /// The order as its facts tell it after a restart, oldest first; `now` is when to ask the venue
    /// about it, which is at once. What was sent or may have been is unknown until then.
    #[must_use]
    pub fn restore<'a>(
        submit: Submit,
        facts: impl IntoIterator<Item = &'a Fact>,
        now: Nanos,
    ) -> Self {
        let mut order = Self { infer: false, ..Self::new(submit) };
        let mut words = "";
        for fact in facts {
            // What was told stands in the reports alone: a crash may have come between an answer and
            // the report that it led to.
            let told = order.told;
            match fact {
                Fact::Sent(sent) => {
                    order.sent(sent);
                }
                Fact::Answer(answer) => {
                    order.answer(answer, answer.ts);
                    order.told = told;
                    if let Outcome::Refused { text, .. } = &answer.outcome {
                        words = text;
                    }
                }
                Fact::Report(report) => order.restore_report(report),
                Fact::Change(change) => {
                    order.change(change);
                }
                Fact::Submit(_) | Fact::Acknowledgement(_) => {}
            }
        }
        // No answer to what is under way reaches this process: the order is asked about.
        order.changes.clear();
        let over = order.told.is_some_and(|(state, ..)| state.is_terminal());
        let owed = order.unreported(words, now);
        // An end that was told is not told again; one that was none is.
        order.owed = owed.filter(|_| !over || !order.standing().is_terminal());
        if !order.standing().is_terminal() {
            order.answered = step(order.answered, Input::Lost).to;
            order.inquiry = Some(Inquiry::new(now));
        } else {
            order.inquiry = None;
        }
        order
    }

    /// The report that its facts owe the consumer after a restart; once.
    pub fn take_owed(&mut self) -> Option<Report> {
        self.owed.take()
    }

    /// What the facts say and no report of them has told.
    fn unreported(&mut self, words: &str, now: Nanos) -> Option<Report> {
        let Some(leg) = self.legs.last() else { return self.report(None, words, now) };
        let venue_order_id = leg.venue_order_id().as_ref().into();
        let seen = ExecReport { venue_order_id, ts_recv: now, ..ExecReport::default() };
        self.report(Some((&seen, false)), words, now)
    }

    /// The intent.
    #[must_use]
    pub fn submit(&self) -> &Submit {
        &self.submit
    }

    /// The venue orders behind it.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// How it stands: open until all venue orders behind it are terminal, then as the strongest of
    /// them that nothing stands in for.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.legs.is_empty() {
            return self.answered;
        }
        let last = |leg: &&Leg| leg.standing() != Standing::Replaced;
        let open = self.legs.iter().any(|leg| !leg.standing().is_terminal());
        match self.legs.iter().filter(last).map(Leg::standing).max() {
            Some(strongest) if !open => strongest,
            _ if self.filled() > Decimal::ZERO => Standing::Partial,
            _ => Standing::Acknowledged,
        }
    }

    /// The last quantity that the venue confirmed. A venue order that another stands in for counts
    /// with what was filled of it; until that other is seen, what was left of it counts too.
    #[must_use]
    pub fn quantity(&self) -> Decimal {
        if self.legs.is_empty() {
            return self.submit.terms.quantity;
        }
        let rest = |leg: &Leg| leg.quantity().saturating_sub(leg.filled());
        let waiting = self.legs.iter().all(|leg| leg.standing() == Standing::Replaced);
        let rest = self.legs.iter().map(rest).max().filter(|_| waiting).unwrap_or_default();
        sum(self.legs.iter().map(counted)).saturating_add(rest)
    }

    /// Filled in all.
    #[must_use]
    pub fn filled(&self) -> Decimal {
        sum(self.legs.iter().map(Leg::filled))
    }

    /// What of [`filled`](Self::filled) no known fill stands for yet.
    #[must_use]
    pub fn unattributed(&self) -> Decimal {
        sum(self.legs.iter().map(Leg::unattributed))
    }

    /// What is not filled, in every state; below zero where the venue filled too much.
    #[must_use]
    pub fn remaining(&self) -> Decimal {
        self.quantity().saturating_sub(self.filled())
    }

    /// What can still be filled.
    #[must_use]
    pub fn leaves(&self) -> Decimal {
        if self.standing().is_terminal() {
            return Decimal::ZERO;
        }
        self.remaining().max(Decimal::ZERO)
    }

    /// When the venue is to be asked about it, where it is.
    #[must_use]
    pub fn ask_at(&self) -> Option<Nanos> {
        self.inquiry.as_ref().map(Inquiry::due)
    }

    /// A change is wanted. `false` where it is refused: too many of its kind are on their way, or the
    /// order has settled.
    pub fn change(&mut self, change: &Change) -> bool {
        let ends = change.terms == ChangeTerms::Cancel;
        let alike = self.changes.values().filter(|other| **other == ends).count();
        let most = if ends { CANCELS_MAX } else { AMENDS_MAX };
        if alike >= most || self.standing().is_terminal() {
            return false;
        }
        self.changes.insert(change.number, ends);
        self.infer &= ends;
        true
    }

    /// A change on its way has another number.
    pub fn renumber(&mut self, from: u32, to: u32) {
        if let Some(ends) = self.changes.remove(&from) {
            self.changes.insert(to, ends);
        }
    }

    /// A request's bytes went out.
    pub fn sent(&mut self, sent: &Sent) -> Effects {
        let mut effects = Effects::default();
        match sent.request {
            Request::Submit => self.take(Input::Sent, &mut effects.oddities),
            Request::Change(number) => {
                if !self.changes.contains_key(&number) {
                    effects.oddities.push(Oddity::UnknownChange { number });
                }
            }
            Request::Query => {
                if let Some(inquiry) = &mut self.inquiry {
                    inquiry.asked(sent.ts);
                }
            }
        }
        effects
    }

    /// A request was answered, or its answer is lost.
    pub fn answer(&mut self, answer: &Answer, now: Nanos) -> Effects {
        match answer.request {
            Request::Submit => self.submit_answered(answer, now),
            Request::Change(number) => self.change_answered(number, answer, now),
            // What a query finds is an observation; what it does not find is `not_found`.
            Request::Query => Effects::default(),
        }
    }

    fn submit_answered(&mut self, answer: &Answer, now: Nanos) -> Effects {
        let mut effects = Effects::default();
        match &answer.outcome {
            Outcome::Accepted { venue_order_id: Some(id) } => {
                return self.observe(&ExecReport {
                    venue_order_id: id.as_ref().into(),
                    state: Some(VenueState::Open),
                    ts_recv: answer.ts,
                    ..ExecReport::default()
                });
            }
            Outcome::Accepted { venue_order_id: None } => {
                self.take(Input::Accepted, &mut effects.oddities);
                effects.report = self.report(None, "", answer.ts);
            }
            Outcome::Refused { text, .. } => {
                self.take(Input::Refused, &mut effects.oddities);
                effects.report = self.report(None, text, answer.ts);
            }
            Outcome::Unknown(_) | Outcome::NotFound => {
                self.take(Input::Lost, &mut effects.oddities);
                self.doubt(now);
            }
        }
        effects
    }

    /// A change that is refused, or of which nothing is known, says that the order may not be what
    /// it is taken for; one that was accepted shows in what the venue reports. Where that report is
    /// lost an order that is over would be taken for open: after a cancel it is asked about unless
    /// its end is told soon.
    fn change_answered(&mut self, number: u32, answer: &Answer, now: Nanos) -> Effects {
        let mut effects = Effects::default();
        let ends = self.changes.remove(&number);
        if ends.is_none() {
            effects.oddities.push(Oddity::UnknownChange { number });
        }
        match &answer.outcome {
            Outcome::Accepted { .. } if ends != Some(true) => {}
            Outcome::Accepted { .. } => self.ask(Inquiry::soon(now), now),
            _ => self.doubt(now),
        }
        effects
    }

    /// Something may have happened that nobody told: the venue is to be asked.
    pub fn doubt(&mut self, now: Nanos) {
        self.ask(Inquiry::new(now), now);
    }

    fn ask(&mut self, inquiry: Inquiry, now: Nanos) {
        let standing = self.standing();
        if standing != Standing::Pending && !standing.is_terminal() {
            self.inquiry.get_or_insert(inquiry).again(now);
        }
    }

    /// The venue's whole picture of the order, asked for at that time, was taken in by
    /// [`observe`](Self::observe): there is nothing to ask any more, unless something happened since.
    pub fn settled(&mut self, asked: Nanos) {
        let answered = self.inquiry.is_none_or(|inquiry| inquiry.is_answered(asked));
        if answered && self.standing() != Standing::Unknown {
            self.inquiry = None;
        }
    }

    /// From when on "not found" counts, where it ever does.
    #[must_use]
    pub fn absence_counts_from(&self, clock_error: Duration) -> Option<Nanos> {
        match self.legs.is_empty() {
            true => self.submit.deadline.map(|deadline| deadline + clock_error + MARGIN),
            false => Some(self.heard + FORGOTTEN_AFTER),
        }
    }

    /// The venue does not find the order, asked at that time; `absent` says that the open orders and the
    /// trades do not have it either. By the rule of [`super::inquiry`] it never got there, or is over.
    pub fn not_found(
        &mut self,
        asked: Nanos,
        clock_error: Duration,
        absent: bool,
        now: Nanos,
    ) -> Effects {
        let mut effects = Effects::default();
        // The request's own answer came late, between the question and its answer.
        if self.standing().is_terminal() {
            return effects;
        }
        let (from, had) = (self.absence_counts_from(clock_error), !self.legs.is_empty());
        let inquiry = self.inquiry.get_or_insert(Inquiry::new(now));
        let is_final = inquiry.not_found(asked, from, had, absent);
        let missing = inquiry.is_missing();
        match (is_final, had) {
            (true, true) => return self.forgotten(now),
            (true, false) => {
                return self.never_arrived("not found at the venue after its deadline", now);
            }
            (false, true) if missing => {
                let (from, input) = (self.standing(), Input::Absent);
                effects.oddities.push(Oddity::Illegal { from, input });
            }
            (false, false) if from.is_none() => effects.oddities.push(Oddity::Undecidable),
            (false, _) => {}
        }
        effects
    }

    /// The venue has had the order and does not know it any more: it ended meanwhile, with what was
    /// filled of it.
    fn forgotten(&mut self, now: Nanos) -> Effects {
        self.legs.iter_mut().for_each(Leg::forgotten);
        self.inquiry = None;
        let why = "it is over, and the venue does not know it any more";
        Effects { report: self.unreported(why, now), ..Effects::default() }
    }

    /// The order never got to the venue: by the rule, or because an operator says so.
    pub fn never_arrived(&mut self, why: &str, now: Nanos) -> Effects {
        let mut effects = Effects::default();
        self.take(Input::Absent, &mut effects.oddities);
        effects.report = self.report(None, why, now);
        effects
    }

    /// Takes in what the venue says of one of its orders.
    pub fn observe(&mut self, seen: &ExecReport) -> Effects {
        let mut effects = Effects::default();
        // A venue order where there should be none is odd, however well it behaves by itself: the
        // venue is asked what it is.
        let from = self.standing();
        let ghost = self.legs.is_empty() && matches!(from, Standing::Pending | Standing::Refused);
        let known = self.legs.len();
        let Some(leg) = self.leg(&seen.venue_order_id) else {
            let venue_order_id = seen.venue_order_id.as_str().into();
            effects.oddities.push(Oddity::TooManyLegs { venue_order_id });
            return effects;
        };
        // A fill in a list says nothing of how it stands.
        if seen.state.is_some() || seen.trade_id.is_empty() {
            self.heard = self.heard.max(seen.ts_recv);
        }
        let (infer, new_leg) = (self.infer, leg == known);
        let Some(leg) = self.legs.get_mut(leg) else { return effects };
        let new_fill = leg.observe(seen, infer, &mut effects.oddities);
        let input = seen.state.map_or(Input::Accepted, input);
        if ghost && !step(from, input).legal {
            effects.oddities.push(Oddity::Illegal { from, input });
            self.doubt(seen.ts_recv);
        }
        // A venue order that was never told of is news in whatever state: a restart has to know it.
        let news = new_fill || new_leg;
        effects.report = self.report(Some((seen, news)), &seen.text, seen.ts_recv);
        if self.standing().is_terminal() {
            self.inquiry = None;
        }
        effects
    }

    /// The place of a venue order among the legs, new or known; `None` where there is no room.
    fn leg(&mut self, id: &str) -> Option<usize> {
        if let Some(at) = self.legs.iter().position(|leg| **leg.venue_order_id() == *id) {
            return Some(at);
        }
        if self.legs.len() >= LEGS_MAX {
            return None;
        }
        self.legs.push(Leg::new(id.into(), self.submit.terms.quantity));
        Some(self.legs.len() - 1)
    }

    /// What is said of the order itself, not of a venue order.
    fn take(&mut self, input: Input, odd: &mut Vec<Oddity>) {
        let from = self.standing();
        if !step(from, input).legal {
            odd.push(Oddity::Illegal { from, input });
        }
        self.answered = step(self.answered, input).to;
        if self.standing().is_terminal() {
            self.inquiry = None;
        }
    }

    /// The report of what is new since the last, where something is.
    fn report(
        &mut self,
        seen: Option<(&ExecReport, bool)>,
        text: &str,
        now: Nanos,
    ) -> Option<Report> {
        let state = self.standing().reported()?;
        let (quantity, filled) = (self.quantity(), self.filled());
        let news = seen.is_some_and(|(_, news)| news);
        if self.told == Some((state, quantity, filled)) && !news {
            return None;
        }
        self.told = Some((state, quantity, filled));
        let terms = &self.submit.terms;
        let venue_order_id = match seen {
            Some((seen, _)) => seen.venue_order_id.as_str().into(),
            // A key of its own for an order that the venue has given no id.
            None => format!("{NO_VENUE_ID}{}", self.submit.venue_client_id).into(),
        };
        Some(Report {
            order: self.submit.order.clone(),
            provider: terms.provider.clone(),
            instrument: terms.instrument.clone(),
            venue_order_id,
            state,
            side: terms.side,
            quantity,
            filled,
            fill: seen.filter(|_| news).and_then(|(seen, _)| seen.fill()),
            venue_event_id: seen.and_then(|(seen, _)| seen.venue_event_id),
            text: text.into(),
            ts_event: seen.and_then(|(seen, _)| seen.ts_event),
            ts_recv: now,
        })
    }

    /// Takes a report of ours in again: what it says of the whole order, less what the other venue
    /// orders account for, is what its own venue order stood at.
    fn restore_report(&mut self, report: &Report) {
        self.told = Some((report.state, report.quantity, report.filled));
        if !report.has_venue_id() {
            let refused = report.state == OrderState::Rejected;
            let input = if refused { Input::Refused } else { Input::Accepted };
            self.answered = step(self.answered, input).to;
            return;
        }
        self.heard = self.heard.max(report.ts_recv);
        let Some(at) = self.leg(&report.venue_order_id) else { return };
        let others = || self.legs.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, leg)| leg);
        let quantity = sum(others().map(counted));
        let filled = sum(others().map(Leg::filled));
        let alone = self.legs.len() == 1;
        let own = Report {
            quantity: report.quantity.saturating_sub(quantity),
            filled: report.filled.saturating_sub(filled),
            ..report.clone()
        };
        if let Some(leg) = self.legs.get_mut(at) {
            leg.restore(&own, alone);
        }
        if report.state.is_terminal() {
            self.legs.iter_mut().for_each(|leg| leg.restore_end(report.state));
        }
    }
}

/// What a venue order counts with: one that another stands in for, with what was filled of it.
fn counted(leg: &Leg) -> Decimal {
    if leg.standing() == Standing::Replaced { leg.filled() } else { leg.quantity() }
}

fn sum(amounts: impl Iterator<Item = Decimal>) -> Decimal {
    amounts.fold(Decimal::ZERO, |sum, amount| sum.saturating_add(amount))
}
