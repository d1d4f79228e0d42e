//! Which instrument stands on which connection, and the messages that subscribe it.

use model::venue::{LinkChange, Outbox};
use model::{ConnId, Kind, LinkId};

use super::{Change, Dialect};

/// A logical connection and how many instruments stand on it.
#[derive(Debug)]
pub struct Link {
    /// Its number.
    pub id: LinkId,
    instruments: usize,
    /// Whether the session was told to keep it open.
    open: bool,
    /// Connections that are up; two while one is renewed.
    pub conns: Vec<ConnId>,
}

/// All links of a provider.
#[derive(Debug)]
pub struct Links {
    url: String,
    instruments_max: usize,
    links: Vec<Link>,
    next_message: u64,
}

impl Links {
    /// No links yet; all of them go to `url`.
    #[must_use]
    pub fn new(url: String, instruments_max: usize) -> Self {
        Self { url, instruments_max, links: Vec::new(), next_message: 1 }
    }

    /// Opens the first link, which may carry more than instruments.
    pub fn open_first(&mut self, outbox: &mut Outbox) {
        if self.links.is_empty() {
            self.add();
        }
        self.open(0, outbox);
    }

    /// Puts an instrument on the first link with room, or a new one.
    pub fn place(&mut self, outbox: &mut Outbox) -> LinkId {
        let room = |link: &Link| link.instruments < self.instruments_max;
        let at = self.links.iter().position(room).unwrap_or_else(|| self.add());
        self.links[at].instruments += 1;
        self.open(at, outbox);
        self.links[at].id
    }

    /// Takes an instrument away; a link without any is closed.
    pub fn displace(&mut self, id: LinkId, outbox: &mut Outbox) {
        let Some(link) = self.links.iter_mut().find(|link| link.id == id) else { return };
        link.instruments = link.instruments.saturating_sub(1);
        if link.instruments == 0 {
            link.open = false;
            outbox.links.push(LinkChange { link: id, url: None });
        }
    }

    /// A connection is up.
    pub fn opened(&mut self, id: LinkId, conn: ConnId) {
        if let Some(link) = self.links.iter_mut().find(|link| link.id == id) {
            link.conns.push(conn);
        }
    }

    /// A connection is gone; gives its link.
    pub fn closed(&mut self, conn: ConnId) -> Option<&Link> {
        let link = self.links.iter_mut().find(|link| link.conns.contains(&conn))?;
        link.conns.retain(|other| *other != conn);
        Some(link)
    }

    /// The connections of a link that are up, the oldest first.
    #[must_use]
    pub fn conns(&self, id: LinkId) -> &[ConnId] {
        self.links.iter().find(|link| link.id == id).map_or(&[], |link| &link.conns)
    }

    /// Sends a change of a channel's subscriptions, in as many messages as it takes.
    pub fn change(
        &mut self,
        conn: ConnId,
        subscribe: bool,
        (dialect, depth): (&Dialect, Option<u32>),
        (channel, symbols): (&'static str, &[&str]),
        outbox: &mut Outbox,
    ) {
        let of_book = dialect.channel(Kind::BookUpdate) == Some(channel);
        let depth = depth.filter(|_| of_book);
        for symbols in symbols.chunks(dialect.batch) {
            let id = self.next_message;
            self.next_message += 1;
            let text = (dialect.request)(&Change { subscribe, channel, symbols, depth, id });
            outbox.frames.push((conn, text));
        }
    }

    /// Subscribes a channel that has no symbols, or unsubscribes it.
    pub fn change_whole(
        &mut self,
        conn: ConnId,
        subscribe: bool,
        dialect: &Dialect,
        channel: &'static str,
        outbox: &mut Outbox,
    ) {
        let id = self.next_message;
        self.next_message += 1;
        let change = Change { subscribe, channel, symbols: &[], depth: None, id };
        outbox.frames.push((conn, (dialect.request)(&change)));
    }

    fn add(&mut self) -> usize {
        let id = LinkId(u16::try_from(self.links.len()).unwrap_or(u16::MAX));
        self.links.push(Link { id, instruments: 0, open: false, conns: Vec::new() });
        self.links.len() - 1
    }

    fn open(&mut self, at: usize, outbox: &mut Outbox) {
        let link = &mut self.links[at];
        if !link.open {
            link.open = true;
            outbox.links.push(LinkChange { link: link.id, url: Some(self.url.clone()) });
        }
    }
}
