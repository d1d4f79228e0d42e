//! The far end of the suite: what a venue brings, and the desk at which both ends are joined.

use std::collections::BTreeMap;

use model::event::Body;
use model::venue::Outbox;
use model::{Decimal, Kind, Side};
use venues::Settings;

use crate::common::Bench;

/// What a venue has, and how it differs.
pub struct Facts {
    /// Its name in the registry.
    pub venue: &'static str,
    /// Canonical names of the two instruments that its list holds first.
    pub names: [&'static str; 2],
    /// The kinds that it offers for them.
    pub kinds: &'static [Kind],
    /// A kind that it does not offer for them.
    pub without: Option<Kind>,
    /// Diffs are numbered: any that is missing shows with the next.
    pub numbered: bool,
    /// Its messages carry a checksum.
    pub checksummed: bool,
    /// A message that says that the connection is about to end.
    pub announces_end: Option<&'static str>,
    /// Streams on one connection.
    pub streams_max: usize,
}

/// A venue's far end: books that change, and the messages that say so.
pub trait Exchange {
    fn facts(&self) -> Facts;
    /// The book of the instrument of that place.
    fn book(&self, of: usize) -> &FarBook;
    /// The answer to a request; `extra` further instruments are listed.
    fn answer(&mut self, url: &str, extra: usize) -> String;
    /// What it sends back when a client says that on the socket, or has connected there.
    fn replies(&mut self, said: &str) -> Vec<String>;
    /// Changes a level and says so. `lie` says a quantity that is one unit off, with the checksum
    /// of the truth.
    fn diff(&mut self, of: usize, side: Side, level: (&str, &str), lie: bool) -> String;
    /// Another message of a kind, newer than the last, and what is to be read from it.
    fn event(&mut self, of: usize, kind: Kind) -> (String, Body);
    /// A message of a type that nobody knows, one of a symbol that nobody subscribed, and, where
    /// there is one, the refusal of a subscription.
    fn strange(&mut self) -> Vec<String>;
    /// Which instruments a client's message or address names, with the venue's word for the book.
    fn names_books(&self, said: &str) -> Vec<usize>;
}

/// A book at the venue, in the digits that it writes.
#[derive(Clone, Default)]
pub struct FarBook {
    pub sides: [BTreeMap<Decimal, (String, String)>; 2],
    /// The number of its last change.
    pub seq: u64,
}

impl FarBook {
    /// Nine levels a side around 100, at number 1,000.
    pub fn new() -> Self {
        let mut book = Self { seq: 1_000, ..Self::default() };
        for n in 1..10 {
            book.set(Side::Buy, (&(100 - n).to_string(), "1.50"));
            book.set(Side::Sell, (&(100 + n).to_string(), "2"));
        }
        book
    }

    pub fn set(&mut self, side: Side, (price, quantity): (&str, &str)) {
        let key = model::decimal::parse(price.as_bytes()).unwrap().normalize();
        let levels = &mut self.sides[side as usize];
        levels.insert(key, (price.to_owned(), quantity.to_owned()));
        levels.retain(|_, (_, quantity)| quantity.bytes().any(|b| (b'1'..=b'9').contains(&b)));
    }

    /// A side, best first.
    pub fn side(&self, side: Side) -> Vec<(String, String)> {
        let levels = self.sides[side as usize].values().cloned();
        match side {
            Side::Buy => levels.rev().collect(),
            Side::Sell => levels.collect(),
        }
    }

    /// A side as `[["price","quantity"…],…]`; `behind` comes after each quantity.
    pub fn json(&self, side: Side, behind: &str) -> String {
        let levels: Vec<_> =
            self.side(side).iter().map(|(p, q)| format!(r#"["{p}","{q}"{behind}]"#)).collect();
        format!("[{}]", levels.join(","))
    }
}

/// A quantity that is one unit off in its last digit.
pub fn one_off(quantity: &str) -> String {
    let (head, last) = quantity.split_at(quantity.len() - 1);
    let digit: u8 = last.parse().unwrap();
    format!("{head}{}", if digit == 9 { 8 } else { digit + 1 })
}

/// The machine and its far end at one desk.
pub struct Desk {
    pub bench: Bench,
    pub far: Box<dyn Exchange>,
    pub facts: Facts,
    /// Connections by link; the newest last.
    pub conns: Vec<(u16, u32)>,
    /// All that was said on sockets, addresses too.
    pub said: Vec<String>,
    /// Answers are given and messages delivered.
    pub answering: bool,
    pub extra: usize,
    next_conn: u32,
}

impl Desk {
    pub fn new(far: Box<dyn Exchange>) -> Self {
        let facts = far.facts();
        let bench = Bench::new(venues::create(facts.venue, Settings::default()).unwrap());
        let (conns, said) = (Vec::new(), Vec::new());
        Self { bench, far, facts, conns, said, answering: true, extra: 0, next_conn: 0 }
    }

    /// Both books subscribed and `Live`.
    pub fn live(far: Box<dyn Exchange>) -> Self {
        let mut desk = Self::new(far);
        desk.subscribe(&[(0, Kind::BookUpdate), (1, Kind::BookUpdate)]);
        desk.agree(0);
        desk.agree(1);
        desk
    }

    pub fn name(&self, of: usize) -> &'static str {
        self.facts.names[of]
    }

    pub fn subscribe(&mut self, streams: &[(usize, Kind)]) {
        let streams: Vec<_> = streams.iter().map(|(of, kind)| (self.name(*of), *kind)).collect();
        self.bench.subscribe(&streams);
        self.settle();
    }

    /// Carries out what the machine wants until it wants nothing more.
    pub fn settle(&mut self) {
        for _ in 0..50 {
            let Outbox { links, frames, requests, .. } = &mut self.bench.outbox;
            let links = std::mem::take(links);
            let frames = std::mem::take(frames);
            let requests = if self.answering { std::mem::take(requests) } else { Vec::new() };
            if links.is_empty() && frames.is_empty() && requests.is_empty() {
                return;
            }
            for change in links {
                let up = self.conns.iter().any(|(link, _)| *link == change.link.0);
                match change.url {
                    Some(url) if !up => self.open(change.link.0, &url),
                    Some(_) => {}
                    None => self.close(change.link.0),
                }
            }
            for (conn, text) in frames {
                self.said.push(text.clone());
                for reply in self.far.replies(&text) {
                    self.deliver(conn.0, &reply);
                }
            }
            for request in requests {
                let body = self.far.answer(&request.url, self.extra);
                self.bench.answer(&request, &body).unwrap();
            }
        }
        panic!("{}: the machine never comes to rest", self.facts.venue);
    }

    /// Another connection of a link.
    pub fn open(&mut self, link: u16, url: &str) {
        self.next_conn += 1;
        let conn = self.next_conn;
        self.said.push(url.to_owned());
        self.conns.push((link, conn));
        self.bench.open(link, conn);
        for reply in self.far.replies(url) {
            self.deliver(conn, &reply);
        }
    }

    /// Ends the oldest connection of a link.
    pub fn close(&mut self, link: u16) {
        let Some(at) = self.conns.iter().position(|(other, _)| *other == link) else { return };
        let (_, conn) = self.conns.remove(at);
        self.bench.close(conn);
    }

    fn deliver(&mut self, conn: u32, text: &str) {
        if self.answering {
            self.bench.frame(conn, text).unwrap();
        }
    }

    /// A message on every connection; what is not for one is dropped by the machine.
    pub fn say(&mut self, text: &str) {
        let conns: Vec<u32> = self.conns.iter().map(|(_, conn)| *conn).collect();
        conns.first().map(|conn| self.bench.frame(*conn, text)).unwrap().unwrap();
        self.settle();
    }

    /// Changes a level at the venue and delivers it.
    pub fn diff(&mut self, of: usize, side: Side, level: (&str, &str)) {
        let text = self.far.diff(of, side, level, false);
        self.say(&text);
    }

    /// Lets time pass, and carries out what comes of it.
    pub fn pass(&mut self, ms: u64) {
        for _ in 0..ms.div_ceil(250) {
            self.bench.pass(250);
            self.settle();
        }
    }

    /// The book is `Live` and is the venue's, to the last digit.
    pub fn agree(&mut self, of: usize) {
        let name = self.name(of);
        assert_eq!(self.bench.state(name), model::StreamState::Live, "{name}");
        self.equal(of);
    }

    /// The levels are the venue's, to the last digit.
    pub fn equal(&mut self, of: usize) {
        let name = self.name(of);
        for side in [Side::Buy, Side::Sell] {
            let held: Vec<_> = self.bench.book(name).levels(side).collect();
            let held: Vec<_> =
                held.iter().map(|l| (l.price.to_string(), l.quantity.to_string())).collect();
            assert_eq!(held, self.far.book(of).side(side), "{name} {side:?}");
        }
    }
}
