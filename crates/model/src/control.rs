//! What the control bus answers: how a command was taken, and what became of one that took time.

use crate::ids::CommandId;
use crate::time::Nanos;

/// A command was taken, or not. Each command that is handed in gets exactly one; a command that is
/// handed in again under its id gets how it stands now, and changes nothing.
///
/// The header's routing version is that of the first table by which the command holds: market data
/// of an older version was routed without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlAck {
    /// Which.
    pub command: CommandId,
    /// How it stands.
    pub verdict: Verdict,
}

/// A command whose ack said pending has come to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlResult {
    /// Which.
    pub command: CommandId,
    /// [`Verdict::Effective`], or [`Verdict::Refused`] with what was in the way.
    pub verdict: Verdict,
}

/// How a command stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// All of it holds, at the venue too where that was asked for.
    #[default]
    Effective,
    /// The routing table holds it; a [`ControlResult`] follows at that time at the latest.
    Pending {
        /// What is waited for.
        why: Waiting,
        /// Until when at the latest.
        until: Nanos,
    },
    /// It is not, and changed nothing; in a result: the subscription stands and is routed, but its
    /// venue has not made it effective.
    Refused(Refusal),
}

/// What a pending command waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waiting {
    /// The venue has neither confirmed some stream nor sent data of it.
    #[default]
    Venue,
    /// Some stream was not asked for yet: the venue's message budget is used up.
    Budget,
    /// Orders that were on their way when the switch was thrown off are not written yet.
    Orders,
}

/// Why a command is refused or has failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refusal {
    /// The consumer may not do this.
    #[default]
    Unauthorised,
    /// The id stands for another command.
    IdReused,
    /// No consumer has that name.
    UnknownConsumer,
    /// No provider has that name.
    UnknownProvider,
    /// A name of an instrument is not canonical.
    MalformedInstrument,
    /// A kind is no market data.
    NotMarketData,
    /// The provider's venue has not got a kind.
    NotOffered,
    /// More streams than one subscription may name.
    TooManyStreams,
    /// The consumer has all the subscriptions that it may have.
    TooManySubscriptions,
    /// The consumer has all the pending commands that it may have.
    TooManyPending,
    /// The shard's tables have no room for another instrument.
    NoRoom,
    /// The merge can't be made: the log says why.
    MalformedMerge,
    /// The venue does not list an instrument.
    UnknownAtVenue,
    /// The venue has neither confirmed a stream nor sent anything of it in time.
    VenueSilent,
    /// The subscription was withdrawn before the venue had made it effective.
    Withdrawn,
    /// Nothing trades here.
    NoTrading,
}

impl Verdict {
    /// `effective`, `pending` or `refused`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Effective => "effective",
            Self::Pending { .. } => "pending",
            Self::Refused(_) => "refused",
        }
    }
}

impl Waiting {
    /// The code that output uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Venue => "venue",
            Self::Budget => "budget",
            Self::Orders => "orders",
        }
    }
}

impl Refusal {
    /// Every one.
    pub const ALL: [Self; 16] = [
        Self::Unauthorised,
        Self::IdReused,
        Self::UnknownConsumer,
        Self::UnknownProvider,
        Self::MalformedInstrument,
        Self::NotMarketData,
        Self::NotOffered,
        Self::TooManyStreams,
        Self::TooManySubscriptions,
        Self::TooManyPending,
        Self::NoRoom,
        Self::MalformedMerge,
        Self::UnknownAtVenue,
        Self::VenueSilent,
        Self::Withdrawn,
        Self::NoTrading,
    ];

    /// The code that output uses.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.parts().0
    }

    /// What was wrong and what would be right.
    #[must_use]
    pub fn text(self) -> &'static str {
        self.parts().1
    }

    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Unauthorised => (
                "unauthorised",
                "the consumer may not do this; its options or its [[consumer]] section allow it",
            ),
            Self::IdReused => {
                ("id_reused", "the id stands for another command: give each an id of its own")
            }
            Self::UnknownConsumer => {
                ("unknown_consumer", "no consumer has that name; names are given at registration")
            }
            Self::UnknownProvider => {
                ("unknown_provider", "no provider has that name; names are the configuration's")
            }
            Self::MalformedInstrument => (
                "malformed_instrument",
                "instruments are BASE-QUOTE, BASE-QUOTE-PERP or BASE-QUOTE-YYMMDD in capitals",
            ),
            Self::NotMarketData => (
                "not_market_data",
                "only market data is subscribed; execution and control events always come",
            ),
            Self::NotOffered => {
                ("not_offered", "the provider's venue has not got one of these kinds")
            }
            Self::TooManyStreams => {
                ("too_many_streams", "one subscription names too many streams: make several of it")
            }
            Self::TooManySubscriptions => (
                "too_many_subscriptions",
                "the consumer has all the subscriptions that it may have: give one up first",
            ),
            Self::TooManyPending => (
                "too_many_pending",
                "the consumer has all the pending commands that it may have: wait for a result",
            ),
            Self::NoRoom => ("no_room", "there is no room for another instrument's name"),
            Self::MalformedMerge => {
                ("malformed_merge", "the merge can't be made; the log says why")
            }
            Self::UnknownAtVenue => ("unknown_at_venue", "the venue does not list the instrument"),
            Self::VenueSilent => (
                "venue_silent",
                "the venue has neither confirmed a stream nor sent data of it yet; the stream's \
                 status says when it does",
            ),
            Self::Withdrawn => {
                ("withdrawn", "it was unsubscribed before the venue had made it effective")
            }
            Self::NoTrading => {
                ("no_trading", "nothing trades here: configure a provider for orders")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_code_of_its_own_and_says_more() {
        for (n, refusal) in Refusal::ALL.into_iter().enumerate() {
            let others = &Refusal::ALL[n + 1..];
            assert!(others.iter().all(|other| other.code() != refusal.code()), "{refusal:?}");
            assert!(refusal.text().len() > refusal.code().len());
        }
    }
}
