//! What a configuration says about orders: where they are written down, how the desk works, and what
//! nobody may exceed. The sections `[ledger]`, `[orders]` and `[[limit]]`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use engine::orders::desk::Orphans;
use engine::orders::{DeskOptions, Limits, Scope};
use model::venue::Rate;
use store::ledger::Durability;

use super::Provider;
use super::checked::{Reader, add, names_unique};
use super::file::Fault;
use super::schema::{LEDGER, LIMIT, ORDERS};
use super::suggest::one_of;
use super::values;
use super::written::{Data, Node};

/// More often asks venues for what has not changed; less often finds too late what has.
const RECONCILE: RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(3_600);
/// What venues grant.
const DEAD_MAN: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(120);
/// Over what rates are counted.
const PER: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);
/// How many of something.
const COUNT: RangeInclusive<u32> = 1..=1_000_000;
/// Hundredths of a per cent: up to the whole price.
const BAND: RangeInclusive<u32> = 1..=10_000;
/// Where orders are written down when nothing is said.
const FILE: &str = "meltica-ledger.db";

/// Where orders and what became of them are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    /// Where it is.
    pub place: LedgerPlace,
    /// What has to be true of a request before it is sent.
    pub durability: Durability,
}

/// Where a ledger is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerPlace {
    /// In a file of its own.
    File(PathBuf),
    /// In a Postgres database; the address stands in this environment variable.
    Postgres(String),
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self { place: LedgerPlace::File(FILE.into()), durability: Durability::default() }
    }
}

/// Everything about orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrdersConfig {
    /// Where they are written down.
    pub ledger: LedgerConfig,
    /// How the desk works.
    pub desk: DeskOptions,
    /// What nobody may exceed; scopes unique.
    pub limits: Vec<(Scope, Limits)>,
}

/// All of it.
pub(super) fn read(root: &Node, providers: &[Provider], faults: &mut Vec<Fault>) -> OrdersConfig {
    let ledger = ledger(Reader::new(root, &LEDGER, faults));
    let mut orders = Reader::new(root, &ORDERS, faults);
    let standard = DeskOptions::default();
    let every = orders.read("reconcile_every", values::duration(RECONCILE));
    let desk = DeskOptions {
        reconcile_every: every.or(standard.reconcile_every),
        orphans: orders.read("orphans", orphans).unwrap_or(standard.orphans),
        dead_man: orders.read("dead_man", values::duration(DEAD_MAN)),
        ..standard
    };
    OrdersConfig { ledger, desk, limits: limits(root, providers, faults) }
}

fn ledger(mut reader: Reader<'_>) -> LedgerConfig {
    let standard = LedgerConfig::default();
    let file = reader.read("file", values::path);
    let database = reader.read("postgres_env", postgres);
    let durability = reader.read("durability", durability).unwrap_or(standard.durability);
    if file.is_some() && database.is_some() {
        reader.fault("postgres_env", "either a file or a database: file stands beside it");
    }
    let file = file.map(LedgerPlace::File);
    let place = database.map(LedgerPlace::Postgres).or(file).unwrap_or(standard.place);
    LedgerConfig { place, durability }
}

fn postgres(node: &Node) -> Result<String, String> {
    if !cfg!(feature = "postgres") {
        return Err(
            "a build with the cargo feature postgres; this one writes files only".to_owned()
        );
    }
    values::variable(node)
}

fn durability(node: &Node) -> Result<Durability, String> {
    match node.text().unwrap_or_default() {
        "each" => Ok(Durability::Each),
        "batch" => Ok(Durability::Batch),
        "os" => Ok(Durability::Os),
        other => Err(one_of(other, &["each", "batch", "os"])),
    }
}

fn orphans(node: &Node) -> Result<Orphans, String> {
    match node.text().unwrap_or_default() {
        "report" => Ok(Orphans::Report),
        "cancel" => Ok(Orphans::Cancel),
        other => Err(one_of(other, &["report", "cancel"])),
    }
}

fn limits(root: &Node, providers: &[Provider], faults: &mut Vec<Fault>) -> Vec<(Scope, Limits)> {
    let Some(node) = root.get(LIMIT.name) else { return Vec::new() };
    let Data::List(nodes) = &node.data else {
        add(faults, node, "double brackets: [[limit]], once for each".to_owned());
        return Vec::new();
    };
    names_unique(nodes.iter(), faults);
    let mut limits: Vec<(Scope, Limits)> = Vec::new();
    for node in nodes {
        let Some((scope, limit)) = limit(node, providers, faults) else { continue };
        if limits.iter().any(|(other, _)| *other == scope) {
            add(faults, node, "one [[limit]] for each scope: another one has the same".to_owned());
        }
        limits.push((scope, limit));
    }
    limits
}

fn limit(node: &Node, providers: &[Provider], faults: &mut Vec<Fault>) -> Option<(Scope, Limits)> {
    let mut reader = Reader::of(node, &LIMIT, faults);
    reader.required("name", values::name);
    let consumer = reader.read("consumer", values::name);
    let provider = reader.read("provider", |node| trading(node, providers));
    let instrument = reader.read("instrument", values::instrument);
    let orders = rate(&mut reader, "orders_max", "orders_per");
    let limits = Limits {
        order_notional_max: reader.read("order_notional_max", values::amount),
        position_max: reader.read("position_max", values::amount),
        notional_max: reader.read("total_notional_max", values::amount),
        price_band_bp: reader.read("price_band_bp", values::number(BAND)),
        orders,
        open_max: reader.read("open_max", values::number(COUNT)).map(|most| most as usize),
    };
    if limits == Limits::default() {
        reader.missing("open_max", &format!("at least one limit: {}", LIMIT.keys[4..].join(", ")));
    }
    let scope = match (consumer, provider, instrument) {
        (Some(consumer), None, None) => Some(Scope::Consumer(consumer.as_str().into())),
        (None, Some(provider), None) => Some(Scope::Account(provider.as_str().into())),
        (None, Some(provider), Some(instrument)) => Some(Scope::Instrument {
            provider: provider.as_str().into(),
            instrument: instrument.as_str().into(),
        }),
        _ => None,
    };
    if scope.is_none() {
        let right = "whom it is about: a consumer, or a provider, or a provider and an instrument";
        add(faults, node, right.to_owned());
    }
    Some((scope?, limits))
}

/// A provider with an account.
fn trading(node: &Node, providers: &[Provider]) -> Result<String, String> {
    let name = values::name(node)?;
    let with_account = providers.iter().filter(|provider| provider.account.is_some());
    let names: Vec<_> = with_account.map(|provider| provider.name.as_str()).collect();
    if names.contains(&name.as_str()) {
        return Ok(name);
    }
    Err(match names.is_empty() {
        true => "a [[provider]] with an account (api_key_file and so on): none has one".to_owned(),
        false => one_of(&name, &names),
    })
}

/// So many in so long: a number and a duration that stand together.
pub(super) fn rate(reader: &mut Reader<'_>, most: &str, per: &str) -> Option<Rate> {
    let count = reader.read(most, values::number(COUNT));
    let time = reader.read(per, values::duration(PER));
    match (count, time) {
        (Some(count), Some(per)) => Some(Rate { count, per }),
        (Some(_), None) => {
            reader.missing(per, &format!("a duration such as \"1s\", since {most} is there"));
            None
        }
        (None, Some(_)) => {
            reader.missing(most, &format!("a number, since {per} is there"));
            None
        }
        (None, None) => None,
    }
}
