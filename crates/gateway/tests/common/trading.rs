//! Gateways that trade at simulated venues: on loopback sockets, and in virtual time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use engine::orders::DeskOptions;
use engine::{Capacity, Catalog, Inbox, QueueCapacity, RoutingTable, Shard, Subscription};
use meltica::config::{Config, DeadLetters, Dispatch, Log, Network, OrdersConfig, Provider, Table};
use meltica::demo::folder::Folder;
use meltica::demo::maker::{self, Maker};
use meltica::demo::stage::Part;
use meltica::sweep::trading_links;
use meltica::virtual_time::{Trader, World};
use meltica::{ControlSettings, Kind};
use model::Nanos;
use model::venue::{Command, Subscription as Wanted};
use store::ledger::MemoryLedger;
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

/// A world in virtual time in which the maker trades at these venues, the `nth` over that ledger; and
/// the maker's inbox.
pub fn world(
    parts: &[Part],
    ledger: &MemoryLedger,
    options: DeskOptions,
    (at, nth): (Nanos, u8),
) -> (World, Inbox) {
    let mut shard = Shard::new(Capacity::default(), Catalog::new(), Waker::noop().clone());
    let venues: Vec<_> = parts.iter().map(|part| part.venue).collect();
    for venue in &venues {
        shard.catalog().provider(venue).unwrap();
    }
    let mut inbox = shard.add_consumer(maker::NAME, QueueCapacity::default(), at).unwrap();
    let wants = Subscription { consumer: inbox.id(), ..Maker::wants(&venues) };
    let table = RoutingTable::default().next(&[wants], shard.catalog()).unwrap();
    shard.set_routing(Arc::new(table), at);
    let mut world = World::new(shard, at, Duration::from_millis(2)).after(nth);
    for part in parts {
        let venue = venues::create(part.venue, venues::Settings::default()).unwrap();
        let link = world.add(part.venue, venue, Box::new(part.simulator.clone())).unwrap();
        let quote = |name: &String| Wanted { instrument: name.as_str().into(), kind: Kind::Quote };
        let quotes = part.instruments.iter().map(quote).collect();
        world.command(link, &Command::Subscribe(quotes));
    }
    let links = trading_links(parts).unwrap();
    let trader = Trader { id: inbox.id(), name: maker::NAME };
    let ports = world.join_orders(ledger, options, links, &[trader]);
    ports.unwrap().into_iter().for_each(|port| inbox.trade_through(port));
    (world, inbox)
}
