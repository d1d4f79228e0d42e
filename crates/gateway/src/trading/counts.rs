//! What came of orders, in numbers.

use model::order::OrderState;

/// What came of the orders of this process, over all consumers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderCounts {
    /// Submits that consumers handed in, whatever came of them.
    pub submitted: u64,
    /// Of these denied by us, for a reason that the consumer was told: nothing was sent.
    pub denied: u64,
    /// Reports that an order stands at its venue.
    pub acked: u64,
    /// Reports of orders that are filled whole.
    pub filled: u64,
    /// Reports of orders that are cancelled or expired.
    pub cancelled: u64,
    /// Reports of orders that were refused, by their venue or by us.
    pub rejected: u64,
    /// Orders whose outcome is not known now.
    pub unknown: u64,
    /// Reports that were handed to consumers.
    pub delivered: u64,
}

impl OrderCounts {
    /// A report went to its consumer.
    pub(super) fn delivered(&mut self, state: OrderState) {
        self.delivered += 1;
        match state {
            OrderState::Acknowledged => self.acked += 1,
            OrderState::Partial => {}
            OrderState::Filled => self.filled += 1,
            OrderState::Cancelled | OrderState::Expired => self.cancelled += 1,
            OrderState::Rejected => self.rejected += 1,
        }
    }
}
