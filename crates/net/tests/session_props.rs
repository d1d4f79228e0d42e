//! What holds for every row of events, in virtual time.
//!
//! The desk itself checks that no action names a connection that is closed or was never asked for,
//! that a link never has more than two, that no request is sent twice at a time, and that the timer
//! never spins.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::time::Duration;

use common::desk::Desk;
use common::{PROFILE, request};
use model::event::Reason;
use model::venue::{LinkChange, Profile, Rate};
use model::{ConnId, LinkId, Nanos, RequestId};
use net::{Action, FetchError};
use proptest::prelude::*;
use proptest::sample::Index;

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Link(u16),
    Unlink(u16),
    Opened(Index),
    ConnectFailed(Index),
    Closed(Index),
    Frame(Index, &'static str),
    Pinged(Index),
    Texts(Index, usize),
    Renew(Index),
    Reconnect(Index),
    Ask(u32),
    Cancel(Index),
    Answer(Index, u16, Option<u32>, Option<u64>),
    Fail(Index),
}

fn event() -> impl Strategy<Value = Event> {
    use Event::*;
    let words = prop::sample::select(vec![
        "data",
        "ack",
        "shutdown",
        "distrust",
        "reconnect",
        "resync",
        "rubbish",
        "say x",
        "ask u",
    ]);
    let status = prop::sample::select(vec![200, 200, 200, 400, 418, 429, 500, 503]);
    let used = prop::option::of(0_u32..2_000);
    let retry_after = prop::option::of(0_u64..100);
    prop_oneof![
        4 => (0_u64..2_000).prop_map(Pass),
        2 => (0_u64..200_000).prop_map(Pass),
        2 => (0_u16..3).prop_map(Link),
        1 => (0_u16..3).prop_map(Unlink),
        6 => any::<Index>().prop_map(Opened),
        2 => any::<Index>().prop_map(ConnectFailed),
        2 => any::<Index>().prop_map(Closed),
        8 => (any::<Index>(), words).prop_map(|(at, word)| Frame(at, word)),
        2 => any::<Index>().prop_map(Pinged),
        3 => (any::<Index>(), 0_usize..12).prop_map(|(at, count)| Texts(at, count)),
        2 => any::<Index>().prop_map(Renew),
        1 => any::<Index>().prop_map(Reconnect),
        4 => (0_u32..120).prop_map(Ask),
        1 => any::<Index>().prop_map(Cancel),
        6 => (any::<Index>(), status, used, retry_after)
            .prop_map(|(at, status, used, after)| Answer(at, status, used, after)),
        1 => any::<Index>().prop_map(Fail),
    ]
}

const LIMITS: Profile = Profile {
    connection_lifetime: Some(Duration::from_secs(600)),
    connects: Rate { count: 7, per: Duration::from_secs(60) },
    messages: Rate { count: 5, per: Duration::from_secs(1) },
    weight: Rate { count: 500, per: Duration::from_secs(60) },
    ..PROFILE
};

struct World {
    desk: Desk,
    conns: Vec<ConnId>,
    next_request: u64,
    /// Pongs are messages too, but not ours to hold back.
    pongs: Vec<(Nanos, ConnId)>,
}

impl World {
    fn new(seed: u64) -> Self {
        let desk = Desk::with(LIMITS, |config| {
            config.seed = seed;
            config.redundancy = 1 + (seed % 2) as u8;
        });
        Self { desk, conns: Vec::new(), next_request: 0, pongs: Vec::new() }
    }

    fn conn(&mut self, at: Index) -> Option<ConnId> {
        let new = self.desk.log.iter().filter_map(|(_, action)| match action {
            Action::Connect { conn, .. } => Some(*conn),
            _ => None,
        });
        self.conns = new.collect();
        (!self.conns.is_empty()).then(|| self.conns[at.index(self.conns.len())])
    }

    fn asked(&self, at: Index) -> Option<u64> {
        let ids: Vec<_> = self.desk.asked.keys().map(|id| id.0).collect();
        (!ids.is_empty()).then(|| ids[at.index(ids.len())])
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Pass(ms) => self.desk.pass(Duration::from_millis(ms)),
            Event::Link(link) => self.desk.link(link),
            Event::Unlink(link) => {
                let url = None;
                self.desk.want(|outbox| outbox.links.push(LinkChange { link: LinkId(link), url }));
            }
            Event::Ask(weight) => {
                self.next_request += 1;
                let request = request(100_000 + self.next_request, weight);
                self.desk.want(|outbox| outbox.requests.push(request));
            }
            Event::Cancel(at) => {
                let id = RequestId(100_000 + at.index(1 + self.next_request as usize) as u64);
                self.desk.want(|outbox| outbox.cancelled.push(id));
            }
            Event::Answer(at, status, used, retry_after) => {
                if let Some(id) = self.asked(at) {
                    let retry_after = retry_after.map(Duration::from_secs);
                    self.desk.answer_with(id, status, "body", used, retry_after);
                }
            }
            Event::Fail(at) => {
                if let Some(id) = self.asked(at) {
                    self.desk.fail(id, FetchError::Timeout);
                }
            }
            about_conn => self.happen_to_conn(about_conn),
        }
    }

    fn happen_to_conn(&mut self, event: Event) {
        let (Event::Opened(at)
        | Event::ConnectFailed(at)
        | Event::Closed(at)
        | Event::Frame(at, _)
        | Event::Pinged(at)
        | Event::Texts(at, _)
        | Event::Renew(at)
        | Event::Reconnect(at)) = event
        else {
            return;
        };
        let Some(conn) = self.conn(at) else { return };
        match event {
            Event::Opened(_) => self.desk.opened(conn),
            // A driver reports neither for a connection that it was told to close.
            Event::ConnectFailed(_) | Event::Closed(_) if self.desk.is_dead(conn) => {}
            Event::ConnectFailed(_) if self.desk.is_open(conn) => {}
            Event::ConnectFailed(_) => self.desk.connect_failed(conn),
            Event::Closed(_) => self.desk.closed(conn),
            Event::Frame(_, word) => self.desk.frame(conn, word),
            Event::Pinged(_) => {
                self.pongs.push((self.desk.now, conn));
                self.desk.session.pinged(conn, self.desk.now);
            }
            Event::Texts(_, count) => {
                let texts = (0..count).map(|_| (conn, "text".to_owned()));
                self.desk.want(|outbox| outbox.frames.extend(texts));
            }
            Event::Renew(_) => {
                self.desk.want(|outbox| outbox.renew.push((conn, Reason::VenueReset)));
            }
            _ => self.desk.want(|outbox| outbox.reconnect.push((conn, Reason::CrossedBook))),
        }
    }
}

/// The most that was spent in any window.
fn peak(spent: &[(Nanos, u32)], per: Duration) -> u32 {
    let within = |from: Nanos| {
        let inside = spent.iter().filter(|(at, _)| *at >= from && *at < from + per);
        inside.map(|(_, units)| units).sum()
    };
    spent.iter().map(|&(at, _)| within(at)).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_rate_is_kept_whatever_happens(
        seed: u64,
        events in prop::collection::vec(event(), 1..150),
    ) {
        let mut world = World::new(seed);
        world.desk.link(0);
        for event in events {
            world.happen(event);
        }
        world.desk.pass(Duration::from_secs(200));
        let log = world.desk.take_log();
        let of = |units: &dyn Fn(&Action) -> Option<u32>| -> Vec<(Nanos, u32)> {
            log.iter().filter_map(|(at, action)| Some((*at, units(action)?))).collect()
        };

        let connects = of(&|a| matches!(a, Action::Connect { .. }).then_some(1));
        prop_assert!(peak(&connects, LIMITS.connects.per) <= LIMITS.connects.count);

        let weight = of(&|a| match a {
            Action::Request { request, .. } => Some(request.weight),
            _ => None,
        });
        let ours = LIMITS.weight.count / 100 * 80;
        prop_assert!(peak(&weight, LIMITS.weight.per) <= ours, "{}", peak(&weight, LIMITS.weight.per));

        for conn in world.conns.clone() {
            let messages = of(&|a| match a {
                Action::Send { conn: to, .. } | Action::Ping { conn: to, .. } => {
                    (*to == conn).then_some(1)
                }
                _ => None,
            });
            let most = LIMITS.messages.count - 1;
            prop_assert!(peak(&messages, LIMITS.messages.per) <= most, "conn {conn}");
        }
        let stats = world.desk.session.stats();
        prop_assert!(stats.requests_in_flight <= 8 && stats.requests_queued <= 1_024 + 8);
    }

    #[test]
    fn every_link_that_is_wanted_comes_up_in_the_end(
        seed: u64,
        events in prop::collection::vec(event(), 1..100),
    ) {
        let mut world = World::new(seed);
        for event in events {
            world.happen(event);
        }
        world.desk.link(0);
        // From here on the far end behaves.
        let from = world.desk.now;
        let link_up = |desk: &Desk| {
            let calls = desk.venue.lock().calls.clone();
            let mut up = Vec::new();
            for call in calls {
                match call {
                    common::Call::Open(LinkId(0), conn) => up.push(conn),
                    common::Call::Close(conn) => up.retain(|&c| c != conn),
                    _ => {}
                }
            }
            !up.is_empty()
        };
        while !link_up(&world.desk) {
            for conn in world.desk.connecting_now() {
                world.desk.opened(conn);
            }
            if !link_up(&world.desk) {
                prop_assert!(world.desk.step(Duration::from_secs(3_600)), "nothing is due");
            }
            prop_assert!(world.desk.now.since(from) < Duration::from_secs(600));
        }
    }
}
