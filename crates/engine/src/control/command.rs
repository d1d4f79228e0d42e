//! What can be commanded, by whom, and how long it may take.

use std::time::Duration;

use model::ledger::OrderKey;

use crate::merge::MergeSpec;
use crate::route::Subscription;

/// What can be asked of the gateway while it runs.
///
/// Each is idempotent: what holds already is acknowledged and changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Events are wanted. Streams that it names one by one (provider, instrument and kind) are
    /// subscribed at their venues; a list that is empty follows whatever flows. The consumer is
    /// whoever commands, or the one that the operator names.
    Subscribe(Subscription),
    /// They are not wanted any more; it must be the same subscription. At the venue it is given up
    /// when nobody else has named it for the time of a linger. Where they are those of a merge that
    /// the consumer has commanded, the merge is not wanted any more.
    Unsubscribe(Subscription),
    /// A merge is wanted: it is put in force where it is not yet, its providers' streams are
    /// subscribed at their venues, and the consumer gets its events.
    SubscribeMerged(MergeSpec),
    /// The merge of that name is not wanted any more. With the last consumer of it the merge ends.
    UnsubscribeMerged(Box<str>),
    /// The consumer's orders may go, or may not: off at first. Off is always granted; on only to
    /// those who have the right, and not while an operator's off stands. Where there are orders, off
    /// is pending until nothing of the consumer can leave any more.
    SetTrading(bool),
    /// Operators alone: every consumer's switch off, and every order of every account taken back,
    /// again and again until none is open. Whose name stands with it does not matter. Pending until
    /// nothing but cancels can leave any more.
    Kill,
    /// Operators alone: an order of the consumer whose outcome can't be found out has never arrived.
    /// Whoever says so has looked at the venue.
    NeverArrived(Box<str>),
}

/// What an operator wants of orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderCommand {
    /// See [`Command::Kill`].
    Kill,
    /// See [`Command::NeverArrived`].
    NeverArrived(OrderKey),
}

/// How long things take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// A stream that nobody names any more stays subscribed at its venue for so long.
    pub linger: Duration,
    /// A venue has so long to confirm a stream or to send something of it.
    pub confirm_within: Duration,
}

impl Default for ControlSettings {
    fn default() -> Self {
        Self { linger: Duration::from_secs(30), confirm_within: Duration::from_secs(10) }
    }
}
