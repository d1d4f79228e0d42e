//! The crash proof over real processes: gateways that trade at simulated venues are killed one after
//! the other, and nothing is sent twice, unknown, lost or told twice.
//!
//! ```text
//! cargo run --release -p meltica --features crash-points --example crash -- --kills 1000
//! ```
//!
//! In turn a gateway is ended by SIGKILL at a random moment and at one of the named points of an
//! order's way (`meltica::crash_points`); the next one goes on with its ledger. After each round of
//! kills faults stop, a last gateway takes back what is open, and when all has come to rest the
//! simulators' truth, the ledger and the trader's own notes are compared: 0 orders sent twice, 0
//! orders at a venue that the ledger does not know, 0 reports that the trader did not deal with, 0
//! that came again past their acknowledgement, 0 whose end, quantities or fills are not the venue's.
//!
//! Each point has its turn; one that was not passed in time is tried again at its first passing. Where
//! no gateway ends at a point after that, or after all had their turn (`--kills` of twice their number),
//! it does not hold. A short campaign begins where `--from-point` says, so that several have them all.
//! With `--durability os` there is no sync, and so no point there.
//!
//! With `--ledger-faults` the ledger's disk fills up and fails meanwhile (SQLite's own limit of pages,
//! writes that are refused, commits that are said to have failed). With `--postgres` the ledger is in a
//! database whose server is stopped and started in the life of each gateway:
//!
//! ```text
//! .ci/postgres cargo run --release -p meltica --features crash-points,postgres --example crash -- --postgres
//! ```
//!
//! Progress goes to standard error, one JSON object to standard output. Exit codes: 0 it holds, 1
//! failed, 2 wrong usage, 3 something does not hold; the folder of such a round is kept.

mod account;
mod check;
mod child;
mod course;
mod ledger;
mod notebook;
mod trader;
mod world;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;
use meltica::clock::SystemClock;
use meltica::crash_points::POINTS;
use serde::Serialize;
use sim::faults::{Faults, PRESETS};
use sim::rng::Rng;

use child::{GATEWAY, Life};
use course::Course;
use world::{End, Ended, World};

/// So many kills on one ledger; then everything begins anew.
const ROUND: u32 = 50;

/// Kills gateways and compares what is left.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many gateways are killed
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    kills: u32,
    /// Where all chance begins, but for that of the operating system
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// At which point the first gateway ends that ends at one; the others follow in their order
    #[arg(long, value_name = "POINT", default_value = POINTS[0], value_parser = POINTS.to_vec())]
    from_point: String,
    /// What goes wrong at the venues meanwhile
    #[arg(long, value_name = "PRESET", default_value = "none", value_parser = PRESETS.to_vec())]
    faults: String,
    /// What has to be true of a request before it is sent
    #[arg(long, value_name = "MODE", default_value = "batch", value_parser = ["each", "batch", "os"])]
    durability: String,
    /// The ledger's disk fills up and fails from time to time
    #[arg(long, conflicts_with = "postgres")]
    ledger_faults: bool,
    /// The ledger is in a database, whose server is stopped and started while gateways live; see
    /// .ci/postgres, and build with the feature postgres
    #[arg(long)]
    postgres: bool,
}

/// What it came to. The field names are a contract.
#[derive(Debug, Default, Serialize)]
struct Report {
    kills: u32,
    at_random: u32,
    at_points: u32,
    /// Kills at each point.
    points: BTreeMap<&'static str, u32>,
    /// Points that were not passed in time; the process was killed all the same.
    not_reached: u32,
    rounds: u32,
    orders: u64,
    fills: u64,
    reports: u64,
    reports_told: u64,
    faults: u64,
    /// How often gateways told that the ledger can't be written.
    ledger_stuck: u64,
    /// How often the ledger's server was stopped and started.
    outages: u32,
    sent_twice: u64,
    unknown_to_ledger: u64,
    lost: u64,
    /// What is in the ledger or was told otherwise than the venue did it.
    wrong: u64,
    doubled: u64,
    /// Points at which no gateway ended, though they were tried for long enough.
    never_hit: Vec<&'static str>,
    elapsed_s: f64,
    /// What does not hold.
    broken: Vec<String>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == GATEWAY) {
        let life = Life::of(&arguments[1..]).ok_or("the harness alone starts it so".to_owned());
        return ended(life.and_then(|life| life.run()).map(|()| ExitCode::SUCCESS));
    }
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string());
    ended(runtime.and_then(|runtime| runtime.block_on(campaign(&arguments))).and_then(|report| {
        println!("{}", serde_json::to_string(&report).map_err(|error| error.to_string())?);
        Ok(if report.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
    }))
}

fn ended(result: Result<ExitCode, String>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("crash: {error}");
        ExitCode::FAILURE
    })
}

async fn campaign(arguments: &Arguments) -> Result<Report, String> {
    let clock = SystemClock::start();
    let started = clock.now();
    let faults = Faults::preset(&arguments.faults).unwrap_or_default();
    let mut rng = Rng::new(arguments.seed, 0);
    let mut report = Report::default();
    let mut course = Course::new(&arguments.from_point, arguments.durability != "os");
    while report.kills < arguments.kills {
        let seed = arguments.seed.wrapping_add(u64::from(report.rounds));
        let world = World::start(seed, &faults, arguments).await?;
        report.round(world, arguments, &mut course, &mut rng).await?;
        report.elapsed_s = clock.now().since(started).as_secs_f64();
        let Report { kills, orders, fills, elapsed_s, broken, .. } = &report;
        let broken = broken.len();
        eprintln!(
            "{kills} kills in {elapsed_s:.0} s: {orders} orders, {fills} fills, {broken} broken"
        );
    }
    report.never_hit = course.never_hit();
    for point in &report.never_hit {
        let broken = format!("no gateway ever ended at {point}, so that nothing is proved of it");
        eprintln!("crash: {broken}");
        report.broken.push(broken);
    }
    report.points = course.hits;
    Ok(report)
}

impl Report {
    /// Kills on one ledger, and what came of them.
    async fn round(
        &mut self,
        mut world: World,
        arguments: &Arguments,
        course: &mut Course,
        rng: &mut Rng,
    ) -> Result<(), String> {
        let mut broken = Vec::new();
        for _ in 0..ROUND.min(arguments.kills - self.kills) {
            let end = course.next(rng);
            match (world.live(&end, rng).await?, &end) {
                (Ended::Killed, _) => self.at_random += 1,
                (Ended::AtPoint, End::At(point, _)) => {
                    self.at_points += 1;
                    course.hit(point);
                }
                (Ended::NotReached, End::At(point, _)) => {
                    self.not_reached += 1;
                    course.missed(point);
                }
                (Ended::NotReached | Ended::AtPoint, End::After(_)) => self.not_reached += 1,
                (Ended::ByItself(status), _) => {
                    broken.push(format!("a gateway ended by itself: {status}, {end:?}"));
                }
            }
            self.kills += 1;
        }
        self.faults += world.faults();
        let (stuck, outages) = world.ledger_faults()?;
        self.ledger_stuck += stuck;
        self.outages += outages;
        let compared = world.rest().await?;
        self.rounds += 1;
        self.orders += compared.placed;
        self.fills += compared.fills;
        self.reports += compared.reports;
        self.reports_told += compared.lines;
        self.sent_twice += compared.sent_twice;
        self.unknown_to_ledger += compared.unknown_to_ledger;
        self.lost += compared.lost;
        self.wrong += compared.wrong;
        self.doubled += compared.doubled;
        if !compared.holds() {
            broken.push(format!("{} orders are open", compared.open));
            broken.extend(compared.what);
        }
        if let Some(folder) = world.end(!broken.is_empty()).await {
            broken.push(format!("round {} is kept in {folder}", self.rounds));
        }
        broken.iter().for_each(|broken| eprintln!("crash: {broken}"));
        self.broken.extend(broken);
        Ok(())
    }
}
