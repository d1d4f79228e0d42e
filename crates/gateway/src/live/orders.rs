//! Orders over real sockets: the room, the ledger's threads, and the trading machines' wires.
//!
//! # When a switch is off for good
//! The desk hands out no order once a switch is off. What it handed out before may still be on its
//! way to a socket: whoever threw the switch is told that it is off when every wire has written
//! what it had; what is not written within [`WRITTEN_WITHIN`] is cut off and asked about.

use std::task::Context;
use std::time::Duration;

use engine::Shard;
use engine::orders::Desk;
use model::ledger::Name;
use model::trading::TradingProfile;
use model::venue::{Command, Pipeline};
use model::{Nanos, ProviderId};
use net::{HandedOver, Ports, Session, SessionConfig, Wire, WireParts};

use super::{Guest, Wires};
use crate::clock::SystemClock;
use crate::config::{Account, Config, LedgerPlace, OrdersConfig, Provider};
use crate::crash_points;
use crate::outcome::RunError;
use crate::trading::{
    Kept, OrderCounts, Party, Room, Threads, aside, ledger, open_without_providers,
};

/// Messages read per provider and turn.
const FRAMES_PER_TURN: usize = 128;
/// An order that was handed out is written within so long, or given up and asked about.
const WRITTEN_WITHIN: Duration = Duration::from_millis(500);

/// A provider's trading machine on its wires.
struct Line {
    provider: ProviderId,
    wire: Wire,
}

/// Lends the port of a provider's trading machine, stamped; what it hears goes to the room.
struct RoomPorts<'a> {
    shard: &'a mut Shard,
    room: &'a mut Room,
    provider: ProviderId,
    clock: SystemClock,
}

impl Ports for RoomPorts<'_> {
    fn with(&mut self, now: Nanos, f: &mut dyn FnMut(&mut dyn Pipeline)) {
        let mut port = self.shard.trading_port(self.provider, now, self.room);
        port.ts_emit = self.clock.now();
        f(&mut port);
    }
}

/// Orders, on the shard's thread.
pub(super) struct Orders {
    room: Room,
    ledger: Threads,
    lines: Vec<Line>,
    /// What a thrown switch waits for.
    writing: Option<Writing>,
}

/// What was handed out before a switch was seen to be off.
struct Writing {
    /// When it was.
    since: Nanos,
    /// Of each line.
    up_to: Vec<HandedOver>,
}

impl Orders {
    /// Opens the ledger, takes over what is open in it, and makes the wires; `None` where no
    /// provider has an account. Guests who trade get their way in.
    ///
    /// # Errors
    /// The ledger can't be opened or read, or an account's keys can't be; or there are open orders at
    /// a provider that has no account.
    pub(super) fn start(
        config: &Config,
        wires: &Wires,
        shard: &mut Shard,
        guests: &mut [Guest],
        clock: SystemClock,
    ) -> Result<Option<Self>, RunError> {
        if !config.providers.iter().any(|provider| provider.account.is_some()) {
            tell_forsaken(&config.orders.ledger.place);
            return Ok(None);
        }
        let OrdersConfig { ledger: place, desk, limits } = &config.orders;
        let threads = Threads::start(place, shard.catalog().clone(), shard.waker())?;
        let mut desk = Desk::new(*desk);
        for (scope, limits) in limits {
            desk.set_limits(scope.clone(), limits.clone());
        }
        let (mut lines, mut providers) = (Vec::new(), Vec::new());
        for (index, provider) in config.providers.iter().enumerate() {
            let Some(account) = &provider.account else { continue };
            let (line, profile) = line((provider, account), index, config, wires, shard, clock)?;
            let name: Name = provider.name.as_str().into();
            let instruments = provider.instruments.iter().map(|name| name.as_str().into());
            desk.add_provider(name.clone(), profile, instruments.collect());
            providers.push((line.provider, name));
            lines.push(line);
        }
        let traders: Vec<_> = guests.iter_mut().filter(|guest| guest.options.trades()).collect();
        let parties: Vec<_> = traders.iter().map(|guest| party(guest)).collect();
        let kept = aside(|| Kept::read(&mut *ledger::reader(&place.place)?, &parties, &providers))?;
        let (room, ports) = Room::restored(desk, &parties, providers, kept, shard, clock.now())?;
        for (guest, port) in traders.into_iter().zip(ports) {
            shard.set_trading(guest.inbox.id(), guest.options.trading);
            guest.inbox.trade_through(port);
        }
        Ok(Some(Self { room, ledger: threads, lines, writing: None }))
    }

    /// One turn: reads what venues say, carries everything to where it belongs, and writes. Whether
    /// there is more to do at once.
    pub(super) fn turn(
        &mut self,
        shard: &mut Shard,
        clock: SystemClock,
        cx: &mut Context<'_>,
    ) -> bool {
        let mut busy = self.poll_wires(shard, clock, cx);
        while self.carry(shard, clock) {
            // Written at once: an order does not wait for market data.
            crash_points::pass("write-before");
            busy |= self.poll_wires(shard, clock, cx);
            crash_points::pass("write-after");
        }
        self.confirm_switches(shard, clock);
        busy
    }

    /// When [`turn`](Self::turn) is wanted though nothing arrives.
    pub(super) fn deadline(&self, now: Nanos) -> Option<Nanos> {
        let given_up = self.writing.as_ref().map(|writing| writing.since + WRITTEN_WITHIN);
        self.room.deadline(now).into_iter().chain(given_up).min()
    }

    fn poll_wires(&mut self, shard: &mut Shard, clock: SystemClock, cx: &mut Context<'_>) -> bool {
        let mut busy = false;
        // Without a free report nothing could be told: what is there waits for the next turn.
        let frames = if shard.can_hear() { FRAMES_PER_TURN } else { 0 };
        self.each_wire(shard, clock, |wire, ports| {
            busy |= wire.poll_turn(cx, ports, frames).is_ready();
        });
        busy
    }

    /// Whether a machine was told to do something.
    fn carry(&mut self, shard: &mut Shard, clock: SystemClock) -> bool {
        let instructions = self.room.turn(shard, &mut self.ledger, clock.now());
        let told = !instructions.is_empty();
        for (provider, instruction) in instructions {
            let line = self.lines.iter_mut().find(|line| line.provider == provider);
            if let Some(Line { provider, wire }) = line {
                let ports =
                    &mut RoomPorts { shard, room: &mut self.room, provider: *provider, clock };
                tracing::trace!(?instruction, "handed out");
                crash_points::pass("send-before");
                wire.command(&Command::Trade(instruction), ports);
                crash_points::pass("send-after");
            }
        }
        told
    }

    /// Tells whoever threw a switch that nothing leaves any more, once that is so. What others hand out
    /// meanwhile is not waited for, and who throws a switch meanwhile has the next turn.
    fn confirm_switches(&mut self, shard: &mut Shard, clock: SystemClock) {
        loop {
            let now = clock.now();
            if self.writing.is_none() && shard.switches_seen() {
                self.writing = Some(Writing { since: now, up_to: self.handed_over() });
            }
            let Some(Writing { since, up_to }) = &self.writing else { return };
            if self.has_written(up_to) {
                self.writing = None;
                shard.confirm_offs();
                continue;
            }
            if *since + WRITTEN_WITHIN <= now {
                self.each_wire(shard, clock, Wire::give_up_unwritten);
            }
            return;
        }
    }

    /// What was handed out so far.
    pub(super) fn handed_over(&self) -> Vec<HandedOver> {
        self.lines.iter().map(|line| line.wire.handed_over()).collect()
    }

    /// Whether what was handed out up to then is with the operating system.
    pub(super) fn has_written(&self, up_to: &[HandedOver]) -> bool {
        self.lines.iter().zip(up_to).all(|(line, up_to)| line.wire.has_written(*up_to))
    }

    /// Whether the ledger has everything, and consumers were handed what came of it.
    pub(super) fn is_settled(&self) -> bool {
        self.room.is_settled()
    }

    /// No more orders go: every switch is off.
    pub(super) fn end_trading(&self, shard: &mut Shard) {
        self.room.hold_off(shard);
    }

    fn each_wire(
        &mut self,
        shard: &mut Shard,
        clock: SystemClock,
        mut what: impl FnMut(&mut Wire, &mut dyn Ports),
    ) {
        for Line { provider, wire } in &mut self.lines {
            let room = &mut self.room;
            what(wire, &mut RoomPorts { shard, room, provider: *provider, clock });
        }
    }

    /// Begins to close the wires; what that leads to is taken in.
    pub(super) fn begin_close(&mut self, shard: &mut Shard, clock: SystemClock) {
        self.each_wire(shard, clock, Wire::begin_close);
    }

    /// The wires, for whoever waits for them to close.
    pub(super) fn wires(&mut self) -> impl Iterator<Item = &mut Wire> {
        self.lines.iter_mut().map(|line| &mut line.wire)
    }

    /// What orders came to.
    pub(super) fn counts(&self) -> OrderCounts {
        self.room.counts()
    }

    /// Writes what the ledger has not written yet, and ends its threads.
    ///
    /// # Errors
    /// What could not be written.
    pub(super) fn finish(mut self, shard: &mut Shard, clock: SystemClock) -> Result<(), RunError> {
        // What comes out now has no wire any more.
        drop(self.room.turn(shard, &mut self.ledger, clock.now()));
        let left = self.room.desk().facts_len();
        let written = self.ledger.finish().map(drop);
        if left == 0 {
            return written;
        }
        let why = written.map_or_else(|error| error.0, |()| "the ledger was full".to_owned());
        Err(RunError(format!("{why}; {left} facts more found no room in its queue")))
    }
}

/// Nobody trades here: tells the operator of a ledger in which orders are open. Who writes it may be
/// another process, so this one runs all the same.
fn tell_forsaken(place: &LedgerPlace) {
    let LedgerPlace::File(path) = place else { return };
    if !path.exists() {
        return;
    }
    let ledger = path.display();
    match aside(|| open_without_providers(&mut *ledger::reader(place)?)) {
        Ok(None) => {}
        Ok(Some(what)) => tracing::error!(%ledger, "{what}"),
        Err(error) => tracing::warn!(%ledger, %error, "open orders in it can't be looked for"),
    }
}

fn party(guest: &Guest) -> Party {
    let name = Name::from(&**guest.inbox.name());
    Party { id: guest.inbox.id(), name, breaker: guest.options.breaker }
}

fn line(
    (provider, account): (&Provider, &Account),
    index: usize,
    config: &Config,
    wires: &Wires,
    shard: &mut Shard,
    clock: SystemClock,
) -> Result<(Line, TradingProfile), RunError> {
    let failed = |what: String| RunError(format!("{}: {what}", provider.name));
    let credentials = account.read().map_err(failed)?;
    let id = shard.catalog().provider(&provider.name);
    let id = id.map_err(|error| RunError::new("a provider", error))?;
    let machine = venues::create_trading(&provider.venue, provider.settings.clone(), credentials)
        .map_err(|error| RunError::new(&provider.name, error))?;
    let profile = *machine.trading().ok_or_else(|| failed("no orders there".to_owned()))?;
    // Not the seed of the market data's session.
    let seed = clock.now().0.wrapping_add(1_000 + index as u64);
    let session = Session::new(
        machine,
        SessionConfig {
            request_timeout: config.network.request_timeout,
            connect_timeout: config.network.connect_timeout + Duration::from_secs(5),
            ..SessionConfig::new(format!("{} (orders)", provider.name), seed)
        },
    );
    let wire = Wire::new(WireParts {
        http: wires.http.port(session.profile().used_weight_header),
        session,
        connector: wires.connector.clone(),
        frames: shard.pools().ws_frames.clone(),
        // What goes over it holds keys and signatures: it is never recorded.
        tap: None,
    });
    Ok((Line { provider: id, wire }, profile))
}
