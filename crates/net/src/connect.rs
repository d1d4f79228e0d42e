//! From an address to an open WebSocket, within one deadline.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_websockets::ClientBuilder;

use crate::clock::Clock;
use crate::fault::{ConnectError, Phase};
use crate::io::{Io, Stamped, Transport};
use crate::resolve::Resolver;
use crate::tls::{Tls, server_name};
use crate::upgrade::{Answer, Progress, Refusal};
use crate::ws::WebSocket;

/// What every connection needs, made once and shared.
pub struct Connector {
    /// Finds addresses.
    pub resolver: Arc<dyn Resolver>,
    /// What TLS trusts.
    pub tls: Tls,
    /// Stamps reads.
    pub clock: Arc<dyn Clock>,
    /// How long things may take.
    pub timeouts: WsTimeouts,
}

/// How long the phases of a connection may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WsTimeouts {
    /// Name, TCP, TLS and upgrade together.
    pub connect: Duration,
    /// From the first byte that could not be written until all are.
    pub write: Duration,
    /// The close handshake.
    pub close: Duration,
}

impl Default for WsTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            write: Duration::from_secs(10),
            close: Duration::from_secs(3),
        }
    }
}

impl Connector {
    /// Opens a WebSocket to `url` (`ws://` or `wss://`) that takes messages of up to
    /// `message_bytes_max` bytes. Dropping the future gives up.
    ///
    /// # Errors
    /// A [`ConnectError`] that says which phase failed and what to do.
    pub async fn connect(
        self: Arc<Self>,
        url: String,
        message_bytes_max: usize,
    ) -> Result<WebSocket, ConnectError> {
        let progress = Progress::new();
        let after = self.timeouts.connect;
        let result = timeout(after, self.establish(&url, message_bytes_max, &progress)).await;
        // A refusal says more than whatever it made the library or the deadline say.
        match progress.refusal() {
            Some(Refusal { status, retry_after, body }) => {
                Err(ConnectError::Upgrade { status, retry_after, body })
            }
            None => result
                .unwrap_or_else(|_| Err(ConnectError::Timeout { after, phase: progress.phase() })),
        }
    }

    async fn establish(
        &self,
        url: &str,
        message_bytes_max: usize,
        progress: &Arc<Progress>,
    ) -> Result<WebSocket, ConnectError> {
        let target = Target::parse(url)?;
        let addresses = self.resolve(&target).await?;
        progress.enter(Phase::Tcp);
        let tcp = self.dial(&addresses).await?;
        tcp.set_nodelay(true).map_err(|error| ConnectError::Io(error.to_string()))?;
        let stamped = Stamped::new(tcp, self.clock.clone());
        let transport = if target.secure {
            progress.enter(Phase::Tls);
            self.shake_hands(&target, stamped).await?
        } else {
            Transport::Plain(stamped)
        };
        progress.enter(Phase::Upgrade);
        let mut io = Io::new(transport, Answer::new(progress.clone()));
        // The library shakes hands; frames are read and written by ours (see `frames`).
        let upgrade = ClientBuilder::from_uri(target.uri);
        upgrade.connect_on(&mut io).await.map_err(upgrade_error)?;
        Ok(WebSocket::new(io, message_bytes_max, self.timeouts))
    }

    async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, ConnectError> {
        let failed = |detail| ConnectError::Resolve { host: target.host.clone(), detail };
        let addresses = self.resolver.resolve(&target.host, target.port).await;
        let addresses = addresses.map_err(|error| failed(error.to_string()))?;
        if addresses.is_empty() {
            return Err(failed("it has no address".to_owned()));
        }
        Ok(addresses)
    }

    /// Tries the addresses in turn, each with its share of the deadline, so that one that swallows
    /// packets leaves time for the others.
    async fn dial(&self, addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
        let tries = u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
        let share = self.timeouts.connect / tries;
        let hung = ConnectError::Timeout { after: share, phase: Phase::Tcp };
        let mut last = hung.clone();
        for &address in addresses {
            last = match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    ConnectError::Refused { address }
                }
                Ok(Err(error)) => ConnectError::Io(format!("{address}: {error}")),
                Err(_) => hung.clone(),
            };
        }
        Err(last)
    }

    async fn shake_hands(&self, to: &Target, tcp: Stamped) -> Result<Transport, ConnectError> {
        let failed = |detail| ConnectError::Tls { host: to.host.clone(), detail };
        let name = server_name(&to.host).map_err(failed)?;
        let stream = self.tls.connector().connect(name, tcp).await;
        Ok(Transport::Tls(Box::new(stream.map_err(|error| failed(error.to_string()))?)))
    }
}

/// An address in its parts.
struct Target {
    uri: Uri,
    host: String,
    port: u16,
    secure: bool,
}

impl Target {
    fn parse(url: &str) -> Result<Self, ConnectError> {
        let uri: Uri =
            encode(url).parse().map_err(|error| ConnectError::Url(format!("{error}")))?;
        let secure = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            _ => return Err(ConnectError::Url("its scheme is neither ws nor wss".to_owned())),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| ConnectError::Url("it names no host".to_owned()))?;
        // IPv6 addresses stand in brackets, which neither resolvers nor certificates know.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let written = uri.authority().and_then(|all| all.as_str().rsplit_once(':'));
        // The rest of an IPv6 address is no port.
        let port = match written.filter(|(_, port)| !port.ends_with(']')) {
            Some((_, port)) => port
                .parse()
                .map_err(|_| ConnectError::Url(format!("'{port}' is no port (1 to 65535)")))?,
            None if secure => 443,
            None => 80,
        };
        Ok(Self { uri, host, port, secure })
    }
}

/// Percent-encodes what is not ASCII: symbols may be in any script.
fn encode(url: &str) -> String {
    let mut encoded = String::with_capacity(url.len());
    for character in url.chars() {
        if character.is_ascii() {
            encoded.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                encoded.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    encoded
}

fn upgrade_error(error: tokio_websockets::Error) -> ConnectError {
    match error {
        tokio_websockets::Error::Io(error) => match error.kind() {
            io::ErrorKind::InvalidData => ConnectError::Handshake(error.to_string()),
            io::ErrorKind::UnexpectedEof => {
                ConnectError::Handshake("it closed the connection without an answer".to_owned())
            }
            _ => ConnectError::Io(error.to_string()),
        },
        other => ConnectError::Handshake(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let of = |url| Target::parse(url).map(|t| (t.host, t.port, t.secure));
        assert_eq!(of("wss://h.example/a?b=c").unwrap(), ("h.example".into(), 443, true));
        assert_eq!(of("ws://127.0.0.1:9/").unwrap(), ("127.0.0.1".into(), 9, false));
        assert_eq!(of("ws://[::1]:9/").unwrap(), ("::1".into(), 9, false));
        assert_eq!(of("wss://[::1]/").unwrap(), ("::1".into(), 443, true));
        let symbol = Target::parse("wss://h/ws/\u{5e01}usdt@trade").unwrap();
        assert_eq!(symbol.uri.path(), "/ws/%E5%B8%81usdt@trade");
        for wrong in ["http://h/", "h/path", "", "wss://", "ws://h:99999/", "ws://h:/"] {
            let said = of(wrong).unwrap_err().to_string();
            assert!(said.contains("wss://host"), "{wrong}: {said}");
        }
    }
}
