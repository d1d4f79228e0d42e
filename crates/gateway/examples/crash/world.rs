//! One round: simulated venues, and one gateway after the other on one ledger.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use meltica::clock::SystemClock;
use meltica::demo::Options;
use meltica::demo::stage::{self, Part};
use sim::accounts::Account;
use sim::faults::Faults;
use sim::rng::Rng;
use sim::server::{self, ServerHandle, ServerOptions};
use tempfile::TempDir;

use crate::Arguments;
use crate::check::{self, Compared};
use crate::child::{KEYS, Life};
use crate::ledger::{self, ADDRESS, Place};
use crate::notebook::TRADER;

/// Instruments of each venue.
const SYMBOLS: usize = 2;
/// Trades and changes of best levels a second, over all venues.
const RATE: u32 = 300;
/// A point that is not passed within so long will not be: the process is killed there and then.
const PASSED_WITHIN: Duration = Duration::from_secs(4);
/// Everything has come to rest within so long after the last kill.
const RESTS_WITHIN: Duration = Duration::from_secs(90);
/// A gateway that is told to end does so within so long.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// How often a process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(3);
/// How often all three accounts are compared while they come to rest.
const COMPARE_EVERY: Duration = Duration::from_millis(250);
/// What gateways say, in the folder of a round.
const LOG: &str = "gateway.log";
/// The variable that has a gateway's ledger fail.
const AILS: &str = "MELTICA_LEDGER_AILS";
/// What `abort` raises.
const ABORTED: i32 = 6;

/// How a life ends.
#[derive(Clone, Debug)]
pub enum End {
    /// After so long.
    After(Duration),
    /// At the `n`-th passing of a point.
    At(&'static str, u64),
}

/// How it did end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By SIGKILL at a moment.
    Killed,
    /// At its point.
    AtPoint,
    /// By SIGKILL, since its point was not passed in time.
    NotReached,
    /// By itself.
    ByItself(ExitStatus),
}

/// The venues, and where the gateway keeps what it knows.
pub struct World {
    clock: SystemClock,
    parts: Vec<Part>,
    servers: Vec<ServerHandle>,
    folder: TempDir,
    life: Life,
    place: Place,
    /// The ledger's disk fails from time to time.
    ails: bool,
    /// How often the ledger's server was down.
    outages: u32,
    /// For each life, how far the trader had acknowledged at its start.
    acknowledged: Vec<u64>,
}

impl World {
    /// New venues that have faults, and an empty folder.
    pub async fn start(seed: u64, faults: &Faults, arguments: &Arguments) -> Result<Self, String> {
        let clock = SystemClock::start();
        let venues = sim::venue::venues().into_iter();
        let venues = venues.filter(|name| venues::registry::trades(name)).map(str::to_owned);
        let (venues, faults) = (venues.collect(), faults.clone());
        let options =
            Options { seed, faults, venues, symbols: SYMBOLS, rate: RATE, ..Options::default() };
        let parts = stage::cast(&options, clock.now())?;
        let (mut servers, mut providers) = (Vec::new(), Vec::new());
        for part in &parts {
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let machine = Box::new(part.simulator.clone());
            let server = server::start(listen, machine, ServerOptions::default()).await;
            let server = server.map_err(|error| error.to_string())?;
            let address = server.addr().to_string();
            providers.push(Life::provider(part.venue, &address, &part.instruments));
            servers.push(server);
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let life = Life {
            folder: folder.path().to_owned(),
            number: 0,
            calm: false,
            durability: arguments.durability.clone(),
            providers,
        };
        let place = Place::of(folder.path(), arguments.postgres)?;
        let (ails, outages, acknowledged) = (arguments.ledger_faults, 0, Vec::new());
        Ok(Self { clock, parts, servers, folder, life, place, ails, outages, acknowledged })
    }

    /// A life of the gateway, up to its end.
    pub async fn live(&mut self, end: &End, rng: &mut Rng) -> Result<Ended, String> {
        let mut child = self.spawn(match end {
            End::After(_) => None,
            End::At(point, n) => Some(format!("{point}:{n}")),
        })?;
        let outage = self.place.outage(self.folder.path(), self.life.number, rng);
        let (within, aborted) = match end {
            End::After(time) => (*time, Ended::Killed),
            End::At(..) => (PASSED_WITHIN, Ended::NotReached),
        };
        let ended = match self.wait(&mut child, within).await? {
            None => aborted,
            Some(status) if matches!(end, End::At(..)) && status.signal() == Some(ABORTED) => {
                Ended::AtPoint
            }
            Some(status) => Ended::ByItself(status),
        };
        kill(&mut child)?;
        if let Some(outage) = outage {
            self.outages += u32::from(outage.end().await?);
        }
        Ok(ended)
    }

    /// Without faults and without new orders, until nothing is open or missing; then compares.
    pub async fn rest(&mut self) -> Result<Compared, String> {
        self.parts.iter().for_each(|part| part.simulator.set_faults(false));
        self.life.calm = true;
        let mut child = self.spawn(None)?;
        let until = self.clock.now() + RESTS_WITHIN;
        let mut ended = None;
        while ended.is_none() && self.clock.now() < until {
            ended = self.wait(&mut child, COMPARE_EVERY).await?;
            if self.compare()?.is_at_rest() {
                break;
            }
        }
        // Told to end by the end of its input.
        drop(child.stdin.take());
        if ended.is_none() {
            ended = self.wait(&mut child, ENDS_WITHIN).await?;
        }
        kill(&mut child)?;
        let mut compared = self.compare()?;
        if !ended.is_some_and(|status| status.success()) {
            compared.what.push(format!("the last gateway did not end as it should: {ended:?}"));
            compared.unclean = true;
        }
        Ok(compared)
    }

    fn compare(&self) -> Result<Compared, String> {
        let (parts, acknowledged) = (&self.parts, &self.acknowledged);
        let kept = (self.folder.path(), &self.place);
        ledger::aside(|| check::compare(parts, kept, acknowledged))
    }

    /// How often the ledger could not be written so far, as gateways have told, and its server was
    /// down.
    pub fn ledger_faults(&self) -> Result<(u64, u32), String> {
        let log = std::fs::read_to_string(self.folder.path().join(LOG));
        let log = log.map_err(|error| format!("{LOG}: {error}"))?;
        let told = log.matches("no order leaves until it can").count();
        Ok((told as u64, self.outages))
    }

    /// Faults so far.
    pub fn faults(&self) -> u64 {
        self.parts.iter().map(|part| part.simulator.faults_injected()).sum()
    }

    /// Ends the venues; the folder stays where it is wanted.
    pub async fn end(self, keep: bool) -> Option<String> {
        for server in self.servers {
            server.stop().await;
        }
        keep.then(|| self.folder.keep().display().to_string())
    }

    fn spawn(&mut self, crash_at: Option<String>) -> Result<Child, String> {
        self.acknowledged.push(self.place.acknowledged(TRADER)?);
        // Nobody starts a gateway every second: an address may not connect so often.
        self.parts.iter().for_each(|part| part.simulator.new_address());
        self.life.number += 1;
        let failed = |error: std::io::Error| format!("the gateway's process: {error}");
        let log = self.life.folder.join(LOG);
        let log = std::fs::OpenOptions::new().append(true).create(true).open(log);
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        command.args(self.life.arguments()).stdin(Stdio::piped()).stderr(log.map_err(failed)?);
        let Account { api_key, secret, passphrase, .. } = Account::demo();
        command.envs(KEYS.into_iter().zip([api_key, secret, passphrase]));
        command.env_remove("MELTICA_CRASH_AT").env_remove(AILS);
        if self.ails && !self.life.calm {
            command.env(AILS, self.life.number.to_string());
        }
        if let Place::Server(address) = &self.place {
            command.env(ADDRESS, address);
        }
        command.envs(crash_at.map(|at| ("MELTICA_CRASH_AT", at)));
        command.spawn().map_err(failed)
    }

    /// Until the process has ended; `None` where it has not within that time.
    async fn wait(&self, child: &mut Child, time: Duration) -> Result<Option<ExitStatus>, String> {
        let until = self.clock.now() + time;
        loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                return Ok(Some(status));
            }
            let left = until.since(self.clock.now());
            if left.is_zero() {
                return Ok(None);
            }
            tokio::time::sleep(left.min(LOOK_EVERY)).await;
        }
    }
}

/// SIGKILL, where it still lives.
fn kill(child: &mut Child) -> Result<(), String> {
    // One that has ended already can't be killed again, and need not be.
    let _ = child.kill();
    child.wait().map(drop).map_err(|error| error.to_string())
}
