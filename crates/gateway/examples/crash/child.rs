//! The gateway's process, which is there to be killed; `clients/ccxt/orders.py` starts one too, and lets
//! it live.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use meltica::config::{
    Account, Config, DeadLetters, Dispatch, LedgerConfig, LedgerPlace, Log, Network, OrdersConfig,
    Provider, SecretSource, Table,
};
use meltica::demo::maker::Maker;
use meltica::{ConsumerOptions, ControlSettings, Gateway, Stop};
use model::Kind;
use store::ledger::Durability;

use crate::ledger::{self, ADDRESS};
use crate::notebook::{Notebook, TRADER};
use crate::trader::Trader;

/// The first argument of a process that is a gateway.
pub const GATEWAY: &str = "gateway";
/// Environment variables that hold the account's keys.
pub const KEYS: [&str; 3] = ["CRASH_API_KEY", "CRASH_SECRET", "CRASH_PASSPHRASE"];

/// A stream that is silent for so long is probed.
const SILENCE: Duration = Duration::from_secs(5);

/// A start of the gateway: everything that its arguments say.
#[derive(Clone, Debug)]
pub struct Life {
    /// Where the ledger and the trader's notebook are.
    pub folder: PathBuf,
    /// The how manieth start it is, from 1.
    pub number: u32,
    /// Nothing new is ordered, and what is open is taken back.
    pub calm: bool,
    /// What has to be true of a request before it is sent.
    pub durability: String,
    /// Venue, address and instruments of each provider.
    pub providers: Vec<String>,
}

impl Life {
    /// As arguments.
    pub fn arguments(&self) -> Vec<String> {
        let folder = self.folder.display().to_string();
        let mood = if self.calm { "calm" } else { "trades" };
        let fixed = [GATEWAY.to_owned(), folder, self.number.to_string(), mood.to_owned()];
        let rest = std::iter::once(self.durability.clone()).chain(self.providers.iter().cloned());
        fixed.into_iter().chain(rest).collect()
    }

    /// Of arguments, behind the first.
    pub fn of(arguments: &[String]) -> Option<Self> {
        let [folder, number, mood, durability, providers @ ..] = arguments else { return None };
        Some(Self {
            folder: folder.into(),
            number: number.parse().ok()?,
            calm: mood == "calm",
            durability: durability.clone(),
            providers: providers.to_vec(),
        })
    }

    /// What names a provider in the arguments.
    pub fn provider(venue: &str, address: &str, instruments: &[String]) -> String {
        format!("{venue}={address}={}", instruments.join(","))
    }

    /// Runs until standard input ends, or the process does.
    pub fn run(&self) -> Result<(), String> {
        let log = Log { filter: "warn".to_owned(), ..Log::default() };
        meltica::logging::init(&log).map_err(|fault| fault.to_string())?;
        let config = self.config()?;
        let venues: Vec<_> = config.providers.iter().map(|of| of.name.clone()).collect();
        let venues: Vec<_> = venues.iter().map(String::as_str).collect();
        let (notebook, lines) = Notebook::open(&self.folder)?;
        let trader = Trader::new(notebook, &lines, self.number, self.calm);
        let wants = ConsumerOptions::of(Maker::wants(&venues));
        let options = ConsumerOptions { trading: true, ..wants };
        let mut trader = Some(trader);
        let stop = Stop::default();
        stop_with_input(stop.clone())?;
        let gateway = Gateway::builder(config).stop_with(stop);
        // Where it panics there is no second one: the harness would see that nothing comes to rest.
        let (folder, number) = (self.folder.clone(), self.number);
        let make = move || {
            ledger::alive(&folder, number)
                .and_then(|()| trader.take().ok_or("made anew".to_owned()))
                .unwrap_or_else(|_| std::process::exit(1))
        };
        gateway.consumer_with(TRADER, options, make).run().map_err(|error| error.to_string())?;
        Ok(())
    }

    fn config(&self) -> Result<Config, String> {
        let providers = self.providers.iter().map(|text| {
            let parts: Vec<_> = text.split('=').collect();
            let [venue, address, instruments] = parts[..] else {
                return Err(format!("{text}: expected <venue>=<address>=<instruments>"));
            };
            Ok(provider(venue, address, instruments))
        });
        let durability = match self.durability.as_str() {
            "each" => Durability::Each,
            "batch" => Durability::Batch,
            _ => Durability::Os,
        };
        let place = match std::env::var_os(ADDRESS) {
            Some(_) => LedgerPlace::Postgres(ADDRESS.to_owned()),
            None => LedgerPlace::File(self.folder.join(ledger::FILE)),
        };
        Ok(Config {
            providers: providers.collect::<Result<_, _>>()?,
            merges: Vec::new(),
            network: Network::default(),
            dispatch: Dispatch::default(),
            log: Log::default(),
            table: Table::default(),
            control: ControlSettings::default(),
            dead_letters: DeadLetters::default(),
            consumers: Vec::new(),
            orders: OrdersConfig {
                ledger: LedgerConfig { place, durability },
                ..OrdersConfig::default()
            },
        })
    }
}

fn provider(venue: &str, address: &str, instruments: &str) -> Provider {
    let [api_key, secret, passphrase] = KEYS.map(|name| SecretSource::Variable(name.to_owned()));
    Provider {
        name: venue.to_owned(),
        venue: venue.to_owned(),
        instruments: instruments.split(',').map(str::to_owned).collect(),
        kinds: vec![Kind::Quote],
        redundancy: 1,
        settings: venues::Settings {
            ws_url: Some(format!("ws://{address}")),
            rest_url: Some(format!("http://{address}")),
            silence: SILENCE,
            ..venues::Settings::default()
        },
        account: Some(Account { api_key, secret, passphrase: Some(passphrase) }),
    }
}

/// The harness closes standard input to end the run; when the harness dies, it is closed too.
fn stop_with_input(stop: Stop) -> Result<(), String> {
    let thread = std::thread::Builder::new().name("input".to_owned());
    let wait = move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stop.stop();
    };
    thread.spawn(wait).map(drop).map_err(|error| format!("a thread: {error}"))
}
