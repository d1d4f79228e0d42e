//! One consumer at the control bus: the way of its commands, what is remembered of them, what it may
//! do, and its trading switch.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Waker;

use model::control::{Refusal, Verdict};
use model::{CommandId, ConsumerId, Error};
use rtrb::{Consumer as Ring, Producer, RingBuffer};

use super::Command;
use crate::capacity::{COMMANDS_REMEMBERED, NAMES_PER_CONSUMER, SUBSCRIPTIONS_MAX};
use crate::catalog::Catalog;
use crate::route::Subscription;
use crate::sync::{AtomicU64, Ordering};

/// What a consumer may command. What it may not, an operator still can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Subscribe and unsubscribe.
    pub subscribe: bool,
    /// Switch its own trading on; off is never refused.
    pub trade: bool,
}

impl Default for Rights {
    fn default() -> Self {
        Self { subscribe: true, trade: false }
    }
}

/// Whether a consumer's orders may go. The shard alone changes it; anybody may look, from any
/// thread, at any time.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<AtomicU64>);

impl Switch {
    /// The lowest bit says whether it is on; above it stands how often it was thrown off.
    const ON: u64 = 1;

    /// Whether they may.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.read().0
    }

    /// Whether they may, and how often it was thrown off before: whoever looks only now and then sees
    /// by it that it was off in between.
    #[must_use]
    pub fn read(&self) -> (bool, u64) {
        let value = self.0.load(Ordering::Acquire);
        (value & Self::ON != 0, value >> 1)
    }

    fn set(&self, on: bool) {
        let (_, offs) = self.read();
        let value = if on { (offs << 1) | Self::ON } else { (offs + 1) << 1 };
        self.0.store(value, Ordering::Release);
    }
}

/// A consumer that was made anew wants to be told everything, and from which version on it is.
#[derive(Debug, Default)]
struct Renewal {
    wanted: AtomicBool,
    /// The version plus one; 0 before the shard has answered.
    from: AtomicU64,
}

/// The consumer's end.
#[derive(Debug)]
pub(crate) struct Port {
    commands: Producer<(CommandId, Command)>,
    renewal: Arc<Renewal>,
    shard: Waker,
    pub(crate) switch: Switch,
}

impl Port {
    /// Hands a command in.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) where as many of its commands as may be are open.
    pub(crate) fn submit(&mut self, id: CommandId, command: Command) -> Result<(), Error> {
        if self.commands.push((id, command)).is_err() {
            let most = self.commands.buffer().capacity();
            return Err(Error::reject(format!(
                "command {id} was not taken: {most} others wait; read their answers first"
            )));
        }
        self.shard.wake_by_ref();
        Ok(())
    }

    /// Asks the shard to begin anew with this consumer.
    pub(crate) fn renew(&self) {
        self.renewal.from.store(0, Ordering::Relaxed);
        self.renewal.wanted.store(true, Ordering::Release);
        self.shard.wake_by_ref();
    }

    /// The first version that is for a consumer that was made anew; `None` before the shard has said.
    /// The shard says it before it queues anything of that version.
    pub(crate) fn renewed(&self) -> Option<u32> {
        let from = self.renewal.from.load(Ordering::Relaxed).checked_sub(1)?;
        u32::try_from(from).ok()
    }
}

/// The shard's end.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) consumer: ConsumerId,
    pub(crate) name: Arc<str>,
    pub(crate) rights: Rights,
    commands: Ring<(CommandId, Command)>,
    renewal: Arc<Renewal>,
    remembered: BTreeMap<CommandId, (Command, Verdict)>,
    order: VecDeque<CommandId>,
    /// Names of instruments that nobody had named before it did.
    introduced: usize,
    switch: Switch,
    /// An operator has switched it off, and not on again.
    held_off: bool,
}

/// Both ends of a consumer's way to the control bus, for `commands_max` that wait.
pub(crate) fn port(
    consumer: ConsumerId,
    name: Arc<str>,
    commands_max: usize,
    shard: Waker,
) -> (Port, Desk) {
    let (producer, ring) = RingBuffer::new(commands_max.max(1));
    let switch = Switch::default();
    let renewal = Arc::new(Renewal::default());
    let (ours, theirs) = (renewal.clone(), switch.clone());
    let port = Port { commands: producer, renewal: ours, shard, switch: theirs };
    let desk = Desk {
        consumer,
        name,
        rights: Rights::default(),
        commands: ring,
        renewal,
        remembered: BTreeMap::new(),
        order: VecDeque::new(),
        introduced: 0,
        switch,
        held_off: false,
    };
    (port, desk)
}

impl Desk {
    pub(crate) fn has_command(&self) -> bool {
        !self.commands.is_empty()
    }

    /// Whether the consumer was made anew and was not told everything yet.
    pub(crate) fn wants_renewal(&self) -> bool {
        self.renewal.wanted.load(Ordering::Relaxed)
    }

    /// From that version on it is told everything; to be said before anything of it is queued.
    pub(crate) fn renew_from(&self, version: u32) {
        // With the consumer's own store before it; the queue's hand-over publishes ours.
        self.renewal.wanted.swap(false, Ordering::AcqRel);
        self.renewal.from.store(u64::from(version) + 1, Ordering::Release);
    }

    pub(crate) fn switch(&self) -> &Switch {
        &self.switch
    }

    pub(super) fn next_command(&mut self) -> Option<(CommandId, Command)> {
        self.commands.pop().ok()
    }

    /// How a command stands that was taken before under that id; another under the same id is
    /// refused.
    pub(super) fn remembered(&self, id: CommandId, command: &Command) -> Option<Verdict> {
        let (before, verdict) = self.remembered.get(&id)?;
        Some(if before == command { *verdict } else { Verdict::Refused(Refusal::IdReused) })
    }

    pub(super) fn remember(&mut self, id: CommandId, command: Command, verdict: Verdict) {
        self.remembered.insert(id, (command, verdict));
        self.order.push_back(id);
        if self.order.len() > COMMANDS_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.remembered.remove(&oldest);
        }
    }

    /// A pending command has come to its end.
    pub(super) fn settle(&mut self, id: CommandId, verdict: Verdict) {
        if let Some((_, remembered)) = self.remembered.get_mut(&id) {
            *remembered = verdict;
        }
    }

    /// Whether it may have one more subscription, beside those that are there.
    pub(super) fn admit(
        &mut self,
        wanted: &Subscription,
        there: usize,
        catalog: &Catalog,
    ) -> Result<(), Refusal> {
        if there >= SUBSCRIPTIONS_MAX {
            return Err(Refusal::TooManySubscriptions);
        }
        let unknown = wanted.instruments.iter().filter(|n| catalog.find_instrument(n).is_none());
        let introduced = self.introduced + unknown.count();
        if introduced > NAMES_PER_CONSUMER {
            return Err(Refusal::NoRoom);
        }
        self.introduced = introduced;
        Ok(())
    }

    pub(super) fn set_trading(&mut self, on: bool, operator: bool) -> Result<(), Refusal> {
        if on && !operator && (!self.rights.trade || self.held_off) {
            return Err(Refusal::Unauthorised);
        }
        if operator {
            self.held_off = !on;
        }
        self.switch.set(on);
        Ok(())
    }

    pub(super) fn set_switch(&mut self, on: bool) {
        self.switch.set(on);
    }

    /// Off until an operator switches it on.
    pub(super) fn hold_off(&mut self) {
        self.held_off = true;
        self.switch.set(false);
    }
}

#[cfg(all(loom, test))]
mod models {
    use loom::thread;

    use super::Switch;

    /// However seldom somebody looks: an off in between is seen by its count, and no count comes
    /// before its off.
    #[test]
    fn an_off_that_is_over_is_seen_all_the_same() {
        loom::model(|| {
            let switch = Switch::default();
            switch.set(true);
            let shard = switch.clone();
            let thrown = thread::spawn(move || {
                shard.set(false);
                shard.set(true);
            });
            let (first, second) = (switch.read(), switch.read());
            thrown.join().unwrap();
            for seen in [first, second] {
                assert!([(true, 0), (false, 1), (true, 1)].contains(&seen), "{seen:?}");
            }
            assert!(first.1 <= second.1, "{first:?}, then {second:?}");
            assert_eq!(switch.read(), (true, 1));
        });
    }
}
