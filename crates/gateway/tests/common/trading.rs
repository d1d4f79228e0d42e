//! Gateways that trade at simulated venues on loopback sockets.

use std::net::SocketAddr;

use meltica::config::{
    Config, DeadLetters, Dispatch, Log, Network, OrdersConfig, Provider, Table,
};
use meltica::demo::folder::Folder;
use meltica::{ControlSettings, Kind};
use venues::OrderWay;

/// A provider of quotes with the demo's account.
pub fn provider(
    (name, venue): (&str, &str),
    at: SocketAddr,
    instruments: &[String],
    orders: OrderWay,
    folder: &Folder,
) -> Provider {
    Provider {
        name: name.to_owned(),
        venue: venue.to_owned(),
        instruments: instruments.to_vec(),
        kinds: vec![Kind::Quote],
        redundancy: 1,
        settings: venues::Settings {
            ws_url: Some(format!("ws://{at}")),
            rest_url: Some(format!("http://{at}")),
            orders,
            ..venues::Settings::default()
        },
        account: Some(folder.account()),
    }
}

/// A gateway of nothing else.
pub fn config(providers: Vec<Provider>, orders: OrdersConfig) -> Config {
    Config {
        providers,
        merges: Vec::new(),
        network: Network::default(),
        dispatch: Dispatch::default(),
        log: Log::default(),
        table: Table::default(),
        control: ControlSettings::default(),
        dead_letters: DeadLetters::default(),
        consumers: Vec::new(),
        orders,
    }
}
