//! Names into addresses, handed in like the clock: tests and private venues bring their own.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// The addresses of a name, later.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Finds the addresses of a host.
pub trait Resolver: Send + Sync {
    /// The addresses of `host`, best first, each with `port`. Must not block the thread.
    ///
    /// # Errors
    /// In the words of whoever looked it up; the caller adds the name and what to do.
    fn resolve(&self, host: &str, port: u16) -> Resolving;
}

/// The machine's own resolver (`getaddrinfo`), on a helper thread because it blocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> Resolving {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
