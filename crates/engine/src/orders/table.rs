//! The one transition table of orders.

use model::order::OrderState;

/// How an order stands, weakest evidence first: a stronger one is never taken back by a weaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Its intent is on the way to the ledger; nothing was sent.
    Pending,
    /// Its bytes went out, nothing came back.
    Sent,
    /// Whether the venue has it is not known. Never ends by itself.
    Unknown,
    /// The venue did not take it, or never got it. A sign of life is stronger than this.
    Refused,
    /// The venue has it.
    Acknowledged,
    /// Some of it is filled.
    Partial,
    /// The venue took it and threw it out.
    Rejected,
    /// Its time in force has ended it.
    Expired,
    /// It is gone before it was filled.
    Cancelled,
    /// Another venue order stands in for it.
    Replaced,
    /// All of it is filled.
    Filled,
}

impl Standing {
    /// Every standing, in the order of the table's rows.
    pub const ALL: [Self; 11] = [
        Self::Pending,
        Self::Sent,
        Self::Unknown,
        Self::Refused,
        Self::Acknowledged,
        Self::Partial,
        Self::Rejected,
        Self::Expired,
        Self::Cancelled,
        Self::Replaced,
        Self::Filled,
    ];

    /// Whether nothing more is to come.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Refused
                | Self::Rejected
                | Self::Expired
                | Self::Cancelled
                | Self::Replaced
                | Self::Filled
        )
    }

    /// What consumers are told; `None` while the venue has said nothing.
    #[must_use]
    pub fn reported(self) -> Option<OrderState> {
        match self {
            Self::Pending | Self::Sent | Self::Unknown => None,
            Self::Refused | Self::Rejected => Some(OrderState::Rejected),
            Self::Acknowledged => Some(OrderState::Acknowledged),
            Self::Partial => Some(OrderState::Partial),
            Self::Expired => Some(OrderState::Expired),
            Self::Cancelled | Self::Replaced => Some(OrderState::Cancelled),
            Self::Filled => Some(OrderState::Filled),
        }
    }
}

/// What can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// Its bytes went out.
    Sent,
    /// The answer is lost: timeout, server error, dropped link, restart.
    Lost,
    /// The venue answered that it does not take it.
    Refused,
    /// The venue knows no such order, and by the rule of [`super::inquiry`] that is final.
    Absent,
    /// The venue has it.
    Accepted,
    /// Some of it is filled.
    Part,
    /// All of it is filled.
    Whole,
    /// The venue reports that it threw it out.
    Rejected,
    /// The venue reports that its time is over.
    Expired,
    /// The venue reports that it is gone.
    Cancelled,
    /// The venue reports that another stands in for it.
    Replaced,
}

impl Input {
    /// Every input, in the order of the table's columns.
    pub const ALL: [Self; 11] = [
        Self::Sent,
        Self::Lost,
        Self::Refused,
        Self::Absent,
        Self::Accepted,
        Self::Part,
        Self::Whole,
        Self::Rejected,
        Self::Expired,
        Self::Cancelled,
        Self::Replaced,
    ];
}

/// Where an input leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// How the order stands from here on.
    pub to: Standing,
    /// Whether that is how venues behave. If not, the operator is told, and nothing else is done.
    pub legal: bool,
}

const fn to(to: Standing) -> Step {
    Step { to, legal: true }
}

const fn odd(to: Standing) -> Step {
    Step { to, legal: false }
}

/// Where `input` leads from `from`.
#[must_use]
pub fn step(from: Standing, input: Input) -> Step {
    TABLE[from as usize][input as usize]
}

use Standing::{
    Acknowledged as Ack, Cancelled as Can, Expired as Exp, Filled as Fil, Partial as Par,
    Pending as Pen, Refused as Ref, Rejected as Rej, Replaced as Rep, Sent as Sen, Unknown as Unk,
};

/// Rows by [`Standing::ALL`], columns by [`Input::ALL`].
///
/// - *Refused before it was sent*: by ourselves, when something forbids it at the exit.
/// - *Report before answer*: a late `Accepted`, or a late answer of any kind, changes nothing.
/// - *Fill before cancel*: a fill that is reported late moves amounts, not a terminal state; the
///   fill that completes a cancelled order shows that it was filled, which is odd.
/// - *Cancel answer lost*: nothing here; the order stands as before and is asked about.
/// - *Refused, and alive all the same*: life wins, and it is odd.
#[rustfmt::skip]
const TABLE: [[Step; 11]; 11] = [
    // from      sent      lost      refused   absent    accepted  part      whole     rejected  expired   cancelled replaced
    /* Pen */ [to(Sen),  to(Unk),  to(Ref),  odd(Pen), odd(Ack), odd(Par), odd(Fil), odd(Rej), odd(Exp), odd(Can), odd(Rep)],
    /* Sen */ [odd(Sen), to(Unk),  to(Ref),  odd(Sen), to(Ack),  to(Par),  to(Fil),  to(Rej),  to(Exp),  to(Can),  to(Rep)],
    /* Unk */ [odd(Unk), to(Unk),  to(Ref),  to(Ref),  to(Ack),  to(Par),  to(Fil),  to(Rej),  to(Exp),  to(Can),  to(Rep)],
    /* Ref */ [odd(Ref), to(Ref),  to(Ref),  to(Ref),  odd(Ack), odd(Par), odd(Fil), to(Rej),  odd(Exp), odd(Can), odd(Rep)],
    /* Ack */ [odd(Ack), to(Ack),  odd(Ack), odd(Ack), to(Ack),  to(Par),  to(Fil),  to(Rej),  to(Exp),  to(Can),  to(Rep)],
    /* Par */ [odd(Par), to(Par),  odd(Par), odd(Par), to(Par),  to(Par),  to(Fil),  odd(Rej), to(Exp),  to(Can),  to(Rep)],
    /* Rej */ [odd(Rej), to(Rej),  to(Rej),  to(Rej),  to(Rej),  odd(Rej), odd(Fil), to(Rej),  odd(Exp), odd(Can), odd(Rep)],
    /* Exp */ [odd(Exp), to(Exp),  odd(Exp), odd(Exp), to(Exp),  to(Exp),  odd(Fil), odd(Exp), to(Exp),  odd(Can), odd(Rep)],
    /* Can */ [odd(Can), to(Can),  odd(Can), odd(Can), to(Can),  to(Can),  odd(Fil), odd(Can), odd(Can), to(Can),  odd(Rep)],
    /* Rep */ [odd(Rep), to(Rep),  odd(Rep), odd(Rep), to(Rep),  to(Rep),  odd(Fil), odd(Rep), odd(Rep), to(Rep),  to(Rep)],
    /* Fil */ [odd(Fil), to(Fil),  odd(Fil), odd(Fil), to(Fil),  to(Fil),  to(Fil),  odd(Fil), odd(Fil), odd(Fil), odd(Fil)],
];
