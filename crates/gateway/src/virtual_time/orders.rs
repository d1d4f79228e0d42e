//! Orders in virtual time: a ledger in memory, trading machines over the same far ends, and processes
//! that die at any point of the way of an order.

use std::time::Duration;

use engine::orders::{Desk, DeskOptions, OrderPort};
use engine::{Port, Shard};
use model::ledger::Name;
use model::venue::{Command, Venue};
use model::{ConsumerId, Nanos, ProviderId};
use sim::machine::Machine;
use store::ledger::MemoryLedger;

use super::World;
use crate::outcome::RunError;
use crate::trading::{Kept, OrderCounts, Party, Room, VirtualLedger};

/// A fact is on the disk so long after it was handed in.
const DISK: Duration = Duration::from_micros(500);

/// Orders, where a world has them.
pub(super) struct Trading {
    room: Room,
    ledger: VirtualLedger,
    /// The links of trading machines.
    machines: Vec<(ProviderId, usize)>,
}

/// An account at a venue.
pub struct TradingLink {
    /// The provider's name.
    pub provider: String,
    /// Its trading machine.
    pub venue: Box<dyn Venue>,
    /// The venue.
    pub far: Box<dyn Machine>,
    /// Canonical names of what is traded there.
    pub instruments: Vec<String>,
}

/// A consumer that trades, with its switch on.
#[derive(Clone, Copy, Debug)]
pub struct Trader<'a> {
    /// Its number.
    pub id: ConsumerId,
    /// Its name, by which the ledger knows it.
    pub name: &'a str,
}

impl Trading {
    pub(super) fn deadline(&self, now: Nanos) -> Option<Nanos> {
        [self.ledger.deadline(), self.room.deadline(now)].into_iter().flatten().min()
    }

    /// What a trading machine sees of the engine.
    pub(super) fn port<'a>(
        &'a mut self,
        shard: &'a mut Shard,
        provider: ProviderId,
        now: Nanos,
    ) -> Port<'a> {
        shard.trading_port(provider, now, &mut self.room)
    }

    /// Whether it is the link of a trading machine.
    pub(super) fn has(&self, link: usize) -> bool {
        self.machines.iter().any(|(_, of)| *of == link)
    }
}

impl World {
    /// Joins orders to the world, with what is open in the ledger taken over; gives each trader's way
    /// in.
    ///
    /// # Errors
    /// A machine without orders, or no room for all of it.
    pub fn join_orders(
        &mut self,
        ledger: &MemoryLedger,
        options: DeskOptions,
        links: Vec<TradingLink>,
        traders: &[Trader<'_>],
    ) -> Result<Vec<OrderPort>, RunError> {
        let mut desk = Desk::new(options);
        let (mut machines, mut providers) = (Vec::new(), Vec::new());
        for TradingLink { provider, venue, far, instruments } in links {
            let profile = venue.trading().copied();
            let profile =
                profile.ok_or_else(|| RunError(format!("{provider}: it takes no orders")))?;
            let link = self.add(&provider, venue, far);
            let link = link.map_err(|error| RunError::new(&provider, error))?;
            let name = Name::from(provider.as_str());
            let instruments = instruments.iter().map(|name| name.as_str().into()).collect();
            desk.add_provider(name.clone(), profile, instruments);
            providers.push((self.provider(link), name));
            machines.push((self.provider(link), link));
        }
        let party =
            |trader: &Trader<'_>| Party { id: trader.id, name: trader.name.into(), breaker: None };
        let parties: Vec<_> = traders.iter().map(party).collect();
        let mut read = ledger.reopened();
        let kept = Kept::read(&mut read, &parties, &providers)?;
        let (room, ports) =
            Room::restored(desk, &parties, providers, kept, &mut self.shard, self.now)?;
        traders.iter().for_each(|trader| self.shard.set_trading(trader.id, true));
        let ledger = VirtualLedger::new(read, self.shard.catalog().clone(), DISK);
        self.trading = Some(Trading { room, ledger, machines });
        Ok(ports)
    }

    /// The ledger's disk takes nothing for so long.
    pub fn refuse_writes(&mut self, time: Duration) {
        let until = self.now + time;
        if let Some(trading) = &mut self.trading {
            trading.ledger.refuse_until(until);
        }
    }

    /// The orders and accounts as they are known here.
    #[must_use]
    pub fn desk(&self) -> Option<&Desk> {
        self.trading.as_ref().map(|trading| trading.room.desk())
    }

    /// What came of orders so far.
    #[must_use]
    pub fn order_counts(&self) -> OrderCounts {
        self.trading.as_ref().map(|trading| trading.room.counts()).unwrap_or_default()
    }

    /// The process dies at that point of the way of its orders, counted from 1: before and after each
    /// ledger write and each request, and between two moments. From there on nothing happens any more.
    pub fn die_at(&mut self, point: u64) {
        self.dies_at = Some(point);
    }

    /// Whether it is dead.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.dies_at.is_some_and(|at| self.points >= at)
    }

    /// How many points it has passed.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.points
    }

    /// The process may die here; whether it has.
    pub(super) fn passes_point(&mut self) -> bool {
        if !self.is_dead() {
            self.points += 1;
        }
        self.is_dead()
    }

    /// Carries orders and what became of them to where they belong.
    pub(super) fn carry_orders(&mut self) {
        if self.trading.is_none() {
            return;
        }
        while !self.passes_point() {
            let Some(Trading { room, ledger, .. }) = &mut self.trading else { return };
            if ledger.write_next(self.now) {
                continue;
            }
            let instructions = room.turn(&mut self.shard, ledger, self.now);
            // What is handed to a machine is on its way at once.
            if self.shard.switches_seen() {
                self.shard.confirm_offs();
            }
            if instructions.is_empty() {
                return;
            }
            for (provider, instruction) in instructions {
                if self.passes_point() {
                    return;
                }
                let machines = self.trading.iter().flat_map(|trading| &trading.machines);
                let link = machines.copied().find(|(of, _)| *of == provider);
                if let Some((_, link)) = link {
                    self.command(link, &Command::Trade(instruction));
                }
            }
        }
    }
}
