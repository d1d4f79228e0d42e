//! Trading switches and what operators want of orders: handed on to whoever looks after the orders,
//! and answered when nothing can leave any more.

use std::time::Duration;

use model::control::{Refusal, Verdict, Waiting};
use model::{ConsumerId, Nanos};

use super::answers::{Off, Ready, To, settle};
use super::{Control, Done, OrderCommand, operator};

/// What was handed out before a switch was thrown off is written within so long, or given up.
pub const OFF_WITHIN: Duration = Duration::from_secs(1);

/// At most so many commands about orders wait for the desk.
pub(super) const ORDER_COMMANDS_MAX: usize = 64;

impl Control {
    /// The kill switch is off as any other is: whoever threw it is told when nothing leaves any more.
    pub(super) fn kill(&mut self, reply: &operator::Reply, now: Nanos) -> Verdict {
        match self.for_orders(OrderCommand::Kill) {
            Ok(_) => {
                self.offs.push(Off { to: To::Operator(reply.clone()), seen: false });
                self.switched(false, now)
            }
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    /// How a switch that was thrown stands: what was handed out before it was off may not be written
    /// yet.
    pub(super) fn switched(&self, on: bool, now: Nanos) -> Verdict {
        if on || !self.orders {
            return Verdict::Effective;
        }
        Verdict::Pending { why: Waiting::Orders, until: now + OFF_WITHIN }
    }

    pub(super) fn for_orders(&mut self, command: OrderCommand) -> Result<Done, Refusal> {
        if !self.orders {
            return Err(Refusal::NoTrading);
        }
        if self.order_commands.len() >= ORDER_COMMANDS_MAX {
            return Err(Refusal::TooManyPending);
        }
        self.order_commands.push_back(command);
        Ok(Verdict::Effective.into())
    }

    /// From here on there are orders.
    pub(crate) fn join_orders(&mut self) {
        self.orders = true;
    }

    /// The next command about orders.
    pub(crate) fn order_command(&mut self) -> Option<OrderCommand> {
        self.order_commands.pop_front()
    }

    /// A consumer's switch as it stands at the start.
    pub(crate) fn set_trading(&mut self, consumer: ConsumerId, on: bool) {
        if let Some(desk) = self.desk_mut(consumer) {
            desk.set_switch(on);
        }
    }

    /// A consumer's switch is off until an operator switches it on.
    pub(crate) fn hold_off(&mut self, consumer: ConsumerId) {
        if let Some(desk) = self.desk_mut(consumer) {
            desk.hold_off();
        }
    }

    /// Every switch was looked at: those that are off now let nothing out any more. Whether somebody
    /// waits for what was let out before.
    pub(crate) fn switches_seen(&mut self) -> bool {
        self.offs.iter_mut().for_each(|off| off.seen = true);
        !self.offs.is_empty()
    }

    /// Nothing that was let out before the switches were last seen can leave any more.
    pub(crate) fn confirm_offs(&mut self) {
        let Self { offs, desks, ready, .. } = self;
        for Off { to, .. } in offs.extract_if(.., |off| off.seen) {
            settle(desks, &to, Verdict::Effective);
            ready.push(Ready::result(to, Verdict::Effective));
        }
    }
}
