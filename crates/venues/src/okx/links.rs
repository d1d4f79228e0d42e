//! Which channel stands on which connection, and the messages that subscribe it.
//!
//! A connection's address names nothing: every new one is told all that stands on its link.

use model::venue::{LinkChange, Outbox};
use model::{ConnId, LinkId};

use super::habits::STREAMS_MAX;

/// Channels in one message: of at most 100 bytes each, well below the 64 KiB that the venue takes.
const BATCH: usize = 100;

/// A logical connection and the channels on it.
#[derive(Debug)]
pub struct Link {
    /// Its number.
    pub id: LinkId,
    path: &'static str,
    streams: Vec<String>,
    /// Connections that are up; two while one is renewed.
    pub conns: Vec<ConnId>,
}

/// All links of a provider.
#[derive(Debug)]
pub struct Links {
    base: String,
    links: Vec<Link>,
}

/// How the venue's messages name a channel of a symbol.
#[must_use]
pub fn stream(channel: &str, symbol: &str) -> String {
    format!(r#"{{"channel":"{channel}","instId":"{symbol}"}}"#)
}

impl Links {
    /// No links yet; `base` is scheme and host.
    #[must_use]
    pub fn new(base: String) -> Self {
        Self { base, links: Vec::new() }
    }

    /// Puts streams, each with its path, on links, and says so to the session and on open
    /// connections.
    pub fn add(&mut self, streams: Vec<(&'static str, String)>, outbox: &mut Outbox) {
        let mut touched = Vec::new();
        for (path, stream) in streams {
            let index = self.place(path);
            let link = &mut self.links[index];
            if link.streams.is_empty() {
                let url = Some(format!("{}{path}", self.base));
                outbox.links.push(LinkChange { link: link.id, url });
            }
            touched.push((index, stream.clone()));
            link.streams.push(stream);
        }
        self.tell("subscribe", &touched, outbox);
    }

    /// Takes streams away; a link without any is closed.
    pub fn remove(&mut self, streams: &[String], outbox: &mut Outbox) {
        let mut touched = Vec::new();
        for stream in streams {
            let Some(index) = self.links.iter().position(|link| link.has(stream)) else { continue };
            let link = &mut self.links[index];
            link.streams.retain(|other| other != stream);
            touched.push((index, stream.clone()));
            if link.streams.is_empty() {
                outbox.links.push(LinkChange { link: link.id, url: None });
            }
        }
        self.tell("unsubscribe", &touched, outbox);
    }

    /// Subscribes a stream anew on every connection that carries it.
    pub fn resubscribe(&self, stream: &str, outbox: &mut Outbox) {
        let Some(link) = self.links.iter().find(|link| link.has(stream)) else { return };
        for conn in &link.conns {
            for op in ["unsubscribe", "subscribe"] {
                outbox.frames.push((*conn, message(op, &[stream])));
            }
        }
    }

    /// A connection is up: it is told what stands on its link.
    pub fn opened(&mut self, link: LinkId, conn: ConnId, outbox: &mut Outbox) {
        let Some(link) = self.links.iter_mut().find(|other| other.id == link) else { return };
        link.conns.push(conn);
        for batch in link.streams.chunks(BATCH) {
            outbox.frames.push((conn, message("subscribe", batch)));
        }
    }

    /// A connection is gone; gives its link.
    pub fn closed(&mut self, conn: ConnId) -> Option<&Link> {
        let link = self.links.iter_mut().find(|link| link.conns.contains(&conn))?;
        link.conns.retain(|other| *other != conn);
        Some(link)
    }

    /// The link of that number.
    #[must_use]
    pub fn get(&self, id: LinkId) -> Option<&Link> {
        self.links.iter().find(|link| link.id == id)
    }

    /// The first link on that path with room, or a new one.
    fn place(&mut self, path: &'static str) -> usize {
        let room = |link: &Link| link.path == path && link.streams.len() < STREAMS_MAX;
        if let Some(index) = self.links.iter().position(room) {
            return index;
        }
        let id = LinkId(u16::try_from(self.links.len()).unwrap_or(u16::MAX));
        self.links.push(Link { id, path, streams: Vec::new(), conns: Vec::new() });
        self.links.len() - 1
    }

    /// Tells the open connections of the touched links.
    fn tell(&self, op: &str, touched: &[(usize, String)], outbox: &mut Outbox) {
        for (index, link) in self.links.iter().enumerate() {
            let here: Vec<&String> =
                touched.iter().filter(|(other, _)| *other == index).map(|(_, s)| s).collect();
            for conn in &link.conns {
                for batch in here.chunks(BATCH) {
                    outbox.frames.push((*conn, message(op, batch)));
                }
            }
        }
    }
}

impl Link {
    /// Whether the stream stands on this link.
    #[must_use]
    pub fn has(&self, stream: &str) -> bool {
        self.streams.iter().any(|other| other == stream)
    }
}

fn message(op: &str, streams: &[impl AsRef<str>]) -> String {
    let args: Vec<&str> = streams.iter().map(AsRef::as_ref).collect();
    format!(r#"{{"op":"{op}","args":[{}]}}"#, args.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "/ws/v5/public";

    fn streams(count: usize) -> Vec<(&'static str, String)> {
        (0..count).map(|n| (PUBLIC, stream("trades", &format!("S{n}-USDT")))).collect()
    }

    #[test]
    fn a_connection_is_told_what_stands_on_its_link() {
        let mut links = Links::new("wss://h".to_owned());
        let mut outbox = Outbox::default();
        links.add(streams(1), &mut outbox);
        let url = Some("wss://h/ws/v5/public".to_owned());
        assert_eq!(outbox.links, [LinkChange { link: LinkId(0), url }]);
        assert!(outbox.frames.is_empty());
        links.opened(LinkId(0), ConnId(7), &mut outbox);
        links.add(vec![(PUBLIC, stream("books", "X-Y"))], &mut outbox);
        links.remove(&[stream("trades", "S0-USDT"), stream("books", "X-Y")], &mut outbox);
        let texts: Vec<_> = outbox.frames.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(
            texts,
            [
                r#"{"op":"subscribe","args":[{"channel":"trades","instId":"S0-USDT"}]}"#,
                r#"{"op":"subscribe","args":[{"channel":"books","instId":"X-Y"}]}"#,
                r#"{"op":"unsubscribe","args":[{"channel":"trades","instId":"S0-USDT"},{"channel":"books","instId":"X-Y"}]}"#,
            ]
        );
        assert_eq!(outbox.links.last().unwrap().url, None, "nothing left to connect for");
    }

    #[test]
    fn streams_fill_links_and_messages_up_to_their_limits() {
        let mut links = Links::new("wss://h".to_owned());
        let mut outbox = Outbox::default();
        links.add(streams(STREAMS_MAX + 1), &mut outbox);
        assert_eq!(outbox.links.len(), 2);
        links.opened(LinkId(0), ConnId(1), &mut outbox);
        let sizes: Vec<_> =
            outbox.frames.iter().map(|(_, text)| text.matches("channel").count()).collect();
        assert_eq!(sizes, [100, 100, 40]);
        assert!(outbox.frames.iter().all(|(_, text)| text.len() < 16 << 10));
    }
}
