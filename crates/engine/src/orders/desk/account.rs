//! One provider's account: what waits for its machine, and how it was reconciled.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use model::Nanos;
use model::ledger::{ChangeTerms, Name, OrderKey};
use model::trading::TradingProfile;

use super::super::inquiry::PAUSE_MIN;
use super::budget::Budget;

/// So many questions are with a machine at the same time; the others wait here. More than a session has
/// under way are refused unsent, and a start with many open orders would refuse most of them, each to
/// be asked again after a longer pause.
pub(super) const ASKED_MAX: usize = 4;

/// What waits for the rate budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// A new order.
    Place(OrderKey),
    /// A change of an order, by its number.
    Change(OrderKey, u32, ChangeTerms),
}

/// Something that a machine is asked, or asked to do, beside orders and their changes. Each is under
/// way at most once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    Fills {
        instrument: Name,
    },
    OpenOrders,
    Balances,
    Query(OrderKey),
    CancelAll {
        instrument: Name,
    },
    /// Takes back one order because of the kill switch.
    KillOne(OrderKey),
    CancelOrphan(Orphan),
    DeadMan {
        instrument: Name,
    },
}

impl Question {
    /// Whether it is one of those that make an account's whole picture.
    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::Fills { .. } | Self::OpenOrders | Self::Balances)
    }

    /// Whether it takes orders back, or may: that waits for no question.
    fn takes_back(&self) -> bool {
        match self {
            Self::CancelAll { .. }
            | Self::KillOne(_)
            | Self::CancelOrphan(_)
            | Self::DeadMan { .. } => true,
            Self::Fills { .. } | Self::OpenOrders | Self::Balances | Self::Query(_) => false,
        }
    }
}

/// An open venue order that no order of ours claims.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Orphan {
    pub(super) instrument: Name,
    pub(super) venue_order_id: Name,
    pub(super) venue_client_id: Option<Name>,
}

/// What an instruction was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Place(OrderKey),
    Change(OrderKey, u32, ChangeTerms),
    /// Asked when, and of fills since when.
    Question {
        question: Question,
        asked: Nanos,
        since: Nanos,
    },
}

/// A list that was asked for and told whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// When it was asked for.
    pub(super) asked: Nanos,
    /// From when on.
    pub(super) since: Nanos,
    /// From when on this list and those before it go, without a gap.
    pub(super) from: Nanos,
}

impl Told {
    /// A list that was asked for then, from then on; after the last one.
    pub(super) fn after(last: Option<&Self>, asked: Nanos, since: Nanos) -> Self {
        let joined = last.filter(|last| since <= last.asked);
        Self { asked, since, from: joined.map_or(since, |last| last.from.min(since)) }
    }
}

/// That all orders of an instrument have to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kill {
    /// Those that were wanted by then.
    pub(super) since: Nanos,
    /// When to try next.
    pub(super) next: Nanos,
}

/// One provider's account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) profile: TradingProfile,
    pub(super) instruments: Vec<Name>,
    /// The machine was told to listen.
    pub(super) started: bool,
    pub(super) listening: bool,
    /// Reconciled at least once, with every list told whole.
    pub(super) reconciled: bool,
    pub(super) budget: Budget,
    /// Orders whose intent is at the ledger.
    pub(super) entering: usize,
    pub(super) jobs: VecDeque<Job>,
    pub(super) cancels: VecDeque<Job>,
    pub(super) questions: VecDeque<Question>,
    /// Those in `questions` and those that are asked and not answered.
    pub(super) open: BTreeSet<Question>,
    pub(super) open_orders: Option<Told>,
    pub(super) fills: BTreeMap<Name, Told>,
    /// How far back the next question for an instrument's fills has to go.
    pub(super) fills_from: BTreeMap<Name, Nanos>,
    pub(super) reconcile_at: Option<Nanos>,
    /// Lists that were asked for and not told whole since.
    pub(super) untold: BTreeSet<Question>,
    /// When they are asked for again.
    pub(super) untold_at: Option<Nanos>,
    /// Something of the last reconciliation was not told, and it is tried again.
    pub(super) again: bool,
    /// How soon.
    pub(super) pause: Duration,
    /// Something that was told was not taken in.
    pub(super) missed: bool,
    /// Orphans that the operator was told of.
    pub(super) orphans: BTreeSet<Orphan>,
    /// Instruments whose orders all have to go.
    pub(super) killing: BTreeMap<Name, Kill>,
    /// Instruments whose dead-man switch is wound, and when to wind it next; one for all where the
    /// venue has one for all.
    pub(super) dead_man: BTreeMap<Name, Nanos>,
}

impl Account {
    pub(super) fn new(profile: TradingProfile, instruments: Vec<Name>) -> Self {
        Self {
            budget: Budget::new(profile.orders, profile.kept_for_cancels),
            profile,
            instruments,
            started: false,
            listening: false,
            reconciled: false,
            entering: 0,
            jobs: VecDeque::new(),
            cancels: VecDeque::new(),
            questions: VecDeque::new(),
            open: BTreeSet::new(),
            open_orders: None,
            fills: BTreeMap::new(),
            fills_from: BTreeMap::new(),
            reconcile_at: None,
            untold: BTreeSet::new(),
            untold_at: None,
            again: false,
            pause: PAUSE_MIN,
            missed: false,
            orphans: BTreeSet::new(),
            killing: BTreeMap::new(),
            dead_man: BTreeMap::new(),
        }
    }

    /// Asks something, unless it is being asked already; what takes orders back goes first.
    pub(super) fn ask(&mut self, question: Question) {
        if !self.open.insert(question.clone()) {
            return;
        }
        match question.takes_back() {
            true => self.questions.push_front(question),
            false => self.questions.push_back(question),
        }
    }

    /// The next question that may go now.
    pub(super) fn next_question(&mut self) -> Option<Question> {
        let asked = self.open.len().saturating_sub(self.questions.len());
        let next = self.questions.front()?;
        if asked >= ASKED_MAX && !next.takes_back() {
            return None;
        }
        self.questions.pop_front()
    }

    /// When the next cancel may go.
    pub(super) fn cancel_at(&self, now: Nanos) -> Nanos {
        if self.profile.cancels_count { self.budget.free_at(true, now) } else { now }
    }

    /// Whether nothing that reconciliation asks is open.
    pub(super) fn all_told(&self) -> bool {
        !self.open.iter().any(Question::is_list)
    }
}
