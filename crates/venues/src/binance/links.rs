//! Which stream stands on which connection, and the messages that change it.

use model::venue::{LinkChange, Outbox};
use model::{ConnId, Kind, LinkId};

use super::line::Line;

/// The part of a link's address that names streams is kept below this; the rest is subscribed by
/// message. Servers and proxies commonly refuse request lines above 8 KiB.
const URL_STREAMS_BYTES_MAX: usize = 4_000;
/// Streams in one SUBSCRIBE message.
const BATCH: usize = 100;

/// A logical connection and the streams on it.
#[derive(Debug)]
pub struct Link {
    /// Its number.
    pub id: LinkId,
    path: &'static str,
    streams: Vec<String>,
    /// Streams that a connection may lack after it opened: added later, or too many for the
    /// address.
    late: Vec<String>,
    published: bool,
    /// Connections that are up; two while one is renewed.
    pub conns: Vec<ConnId>,
}

/// All links of a provider.
#[derive(Debug)]
pub struct Links {
    base: String,
    streams_max: usize,
    links: Vec<Link>,
    next_message: u64,
}

impl Links {
    /// No links yet; `base` is scheme and host.
    #[must_use]
    pub fn new(base: String, streams_max: usize) -> Self {
        Self { base, streams_max, links: Vec::new(), next_message: 1 }
    }

    /// Puts streams of these kinds on links, and says so to the session and on open connections.
    pub fn add(&mut self, line: &Line, streams: Vec<(Kind, String)>, outbox: &mut Outbox) {
        let mut touched = Vec::new();
        for (kind, stream) in streams {
            let index = self.place(line.path(kind));
            let link = &mut self.links[index];
            if link.published {
                link.late.push(stream.clone());
            }
            touched.push((index, stream.clone()));
            link.streams.push(stream);
        }
        self.publish(touched, "SUBSCRIBE", outbox);
    }

    /// Takes streams away; a link without any is closed.
    pub fn remove(&mut self, streams: &[String], outbox: &mut Outbox) {
        let mut touched = Vec::new();
        for stream in streams {
            let Some(index) = self.links.iter().position(|link| link.streams.contains(stream))
            else {
                continue;
            };
            let link = &mut self.links[index];
            link.streams.retain(|other| other != stream);
            link.late.retain(|other| other != stream);
            touched.push((index, stream.clone()));
        }
        self.publish(touched, "UNSUBSCRIBE", outbox);
    }

    /// Subscribes a stream anew on every connection that carries it: the first repair of a stream
    /// that fell silent.
    pub fn resubscribe(&mut self, stream: &str, outbox: &mut Outbox) {
        let Some(index) = self.links.iter().position(|link| link.has(stream)) else { return };
        for conn in self.links[index].conns.clone() {
            let streams = [stream.to_owned()];
            self.message(conn, "UNSUBSCRIBE", &streams, outbox);
            self.message(conn, "SUBSCRIBE", &streams, outbox);
        }
    }

    /// A connection is up. Subscribes what its address may not have named.
    pub fn opened(&mut self, link: LinkId, conn: ConnId, outbox: &mut Outbox) {
        let Some(index) = self.links.iter().position(|other| other.id == link) else { return };
        self.links[index].conns.push(conn);
        let late = self.links[index].late.clone();
        for batch in late.chunks(BATCH) {
            self.message(conn, "SUBSCRIBE", batch, outbox);
        }
    }

    /// A connection is gone; gives its link.
    pub fn closed(&mut self, conn: ConnId) -> Option<&Link> {
        let link = self.links.iter_mut().find(|link| link.conns.contains(&conn))?;
        link.conns.retain(|other| *other != conn);
        Some(link)
    }

    /// The link of a connection that is up.
    #[must_use]
    pub fn of_conn(&self, conn: ConnId) -> Option<LinkId> {
        self.links.iter().find(|link| link.conns.contains(&conn)).map(|link| link.id)
    }

    /// The link of that number.
    #[must_use]
    pub fn get(&self, id: LinkId) -> Option<&Link> {
        self.links.iter().find(|link| link.id == id)
    }

    /// The first link on that path with room, or a new one.
    fn place(&mut self, path: &'static str) -> usize {
        let room = |link: &Link| link.path == path && link.streams.len() < self.streams_max;
        if let Some(index) = self.links.iter().position(room) {
            return index;
        }
        let id = LinkId(u16::try_from(self.links.len()).unwrap_or(u16::MAX));
        self.links.push(Link {
            id,
            path,
            streams: Vec::new(),
            late: Vec::new(),
            published: false,
            conns: Vec::new(),
        });
        self.links.len() - 1
    }

    /// Re-addresses the touched links and tells their open connections.
    fn publish(
        &mut self,
        touched: Vec<(usize, String)>,
        method: &'static str,
        outbox: &mut Outbox,
    ) {
        for index in 0..self.links.len() {
            let streams: Vec<String> = touched
                .iter()
                .filter(|(other, _)| *other == index)
                .map(|(_, stream)| stream.clone())
                .collect();
            if streams.is_empty() {
                continue;
            }
            let url = self.links[index].address(&self.base);
            outbox.links.push(LinkChange { link: self.links[index].id, url });
            for conn in self.links[index].conns.clone() {
                for batch in streams.chunks(BATCH) {
                    self.message(conn, method, batch, outbox);
                }
            }
        }
    }

    fn message(
        &mut self,
        conn: ConnId,
        method: &'static str,
        streams: &[String],
        outbox: &mut Outbox,
    ) {
        let id = self.next_message;
        self.next_message += 1;
        let params = streams.join("\",\"");
        let text = format!(r#"{{"method":"{method}","params":["{params}"],"id":{id}}}"#);
        outbox.frames.push((conn, text));
    }
}

impl Link {
    /// Whether the stream stands on this link.
    #[must_use]
    pub fn has(&self, stream: &str) -> bool {
        self.streams.iter().any(|other| other == stream)
    }

    /// Whether the stream is there as soon as a connection of this link is up.
    #[must_use]
    pub fn is_in_address(&self, stream: &str) -> bool {
        self.has(stream) && !self.late.iter().any(|other| other == stream)
    }

    /// The address that names the link's streams, as many as fit; `None` without streams.
    fn address(&mut self, base: &str) -> Option<String> {
        if self.streams.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = |stream: &&String| {
            bytes += stream.len() + 1;
            bytes <= URL_STREAMS_BYTES_MAX
        };
        let named = self.streams.iter().take_while(fits).count();
        let query = self.streams[..named].join("/");
        if !self.published {
            self.late = self.streams[named..].to_vec();
            self.published = true;
        }
        Some(format!("{base}{}?streams={query}", self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot() -> (&'static Line, Links) {
        let line = Line::find("binance").unwrap();
        (line, Links::new("wss://h".to_owned(), 3))
    }

    fn streams(count: usize) -> Vec<(Kind, String)> {
        (0..count).map(|n| (Kind::Trade, format!("s{n}@aggTrade"))).collect()
    }

    #[test]
    fn streams_fill_links_up_to_the_limit_of_a_connection() {
        let (line, mut links) = spot();
        let mut outbox = Outbox::default();
        links.add(line, streams(4), &mut outbox);
        let urls: Vec<_> = outbox.links.iter().map(|change| change.url.as_deref()).collect();
        assert_eq!(
            urls,
            [
                Some("wss://h/stream?streams=s0@aggTrade/s1@aggTrade/s2@aggTrade"),
                Some("wss://h/stream?streams=s3@aggTrade")
            ]
        );
        assert!(outbox.frames.is_empty());
    }

    #[test]
    fn later_changes_go_to_open_connections_and_to_those_to_come() {
        let (line, mut links) = spot();
        let mut outbox = Outbox::default();
        links.add(line, streams(1), &mut outbox);
        links.opened(LinkId(0), ConnId(7), &mut outbox);
        assert!(outbox.frames.is_empty(), "the address named the stream");
        links.add(line, vec![(Kind::Quote, "x@bookTicker".to_owned())], &mut outbox);
        let subscribe = r#"{"method":"SUBSCRIBE","params":["x@bookTicker"],"id":1}"#;
        assert_eq!(outbox.frames, [(ConnId(7), subscribe.to_owned())]);
        // A connection that was already on its way may not have it in its address.
        links.opened(LinkId(0), ConnId(8), &mut outbox);
        assert_eq!(outbox.frames.len(), 2);
        links.remove(&["x@bookTicker".to_owned(), "s0@aggTrade".to_owned()], &mut outbox);
        assert!(outbox.frames[2].1.contains("UNSUBSCRIBE"));
        assert_eq!(outbox.links.last().unwrap().url, None, "nothing left to connect for");
    }

    #[test]
    fn an_address_names_no_more_than_fits() {
        let line = Line::find("binance").unwrap();
        let mut links = Links::new("wss://h".to_owned(), 1_024);
        let mut outbox = Outbox::default();
        let many = (0..600).map(|n| (Kind::Trade, format!("symbol{n:04}@aggTrade"))).collect();
        links.add(line, many, &mut outbox);
        let url = outbox.links[0].url.clone().unwrap();
        assert!(url.len() < URL_STREAMS_BYTES_MAX + 100);
        links.opened(LinkId(0), ConnId(1), &mut outbox);
        let named = url.matches("@aggTrade").count();
        let subscribed: usize =
            outbox.frames.iter().map(|(_, text)| text.matches("@aggTrade").count()).sum();
        assert_eq!(named + subscribed, 600);
    }
}
