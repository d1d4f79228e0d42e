//! Pings and pongs between a machine and a client, over a real socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use model::Nanos;
use sim::machine::{ClientId, ControlFrame, Machine, Output, Reply, Request, RequestId};
use sim::server::{ServerOptions, start};
use tokio_websockets::Message;

mod common;

use common::{connect, receive};

/// Pings whoever connects, and tells of every ping and pong that it hears.
struct Pinging {
    to_ping: Option<ClientId>,
}

impl Machine for Pinging {
    fn connect(
        &mut self,
        _: Nanos,
        client: ClientId,
        _: &str,
        _: &mut Vec<Output>,
    ) -> Result<(), Reply> {
        self.to_ping = Some(client);
        Ok(())
    }

    fn message(&mut self, _: Nanos, _: ClientId, _: &[u8], _: &mut Vec<Output>) {}

    fn control(
        &mut self,
        _: Nanos,
        client: ClientId,
        control: &ControlFrame,
        out: &mut Vec<Output>,
    ) {
        out.push(Output::Send { client, payload: format!("{control:?}").into() });
    }

    fn disconnected(&mut self, _: Nanos, _: ClientId, _: &mut Vec<Output>) {}

    fn request(&mut self, _: Nanos, _: RequestId, _: &Request, _: &mut Vec<Output>) {}

    fn answered(&mut self, _: Nanos, _: RequestId, _: bool, _: &mut Vec<Output>) {}

    fn tick(&mut self, _: Nanos, out: &mut Vec<Output>) {
        let ping = |client| Output::Ping { client, payload: Bytes::from_static(b"17") };
        out.extend(self.to_ping.take().map(ping));
    }

    fn deadline(&self) -> Option<Nanos> {
        self.to_ping.map(|_| Nanos(0))
    }
}

#[tokio::test]
async fn a_machine_pings_its_clients_and_hears_their_pings_and_pongs() {
    let machine = Box::new(Pinging { to_ping: None });
    let listen = ([127, 0, 0, 1], 0).into();
    let server = start(listen, machine, ServerOptions::default()).await.unwrap();
    let mut socket = connect(&server.ws_url()).await;
    let ping = socket.next().await.unwrap().unwrap();
    assert!(ping.is_ping() && &ping.as_payload()[..] == b"17");
    // The client's library answers it.
    assert_eq!(receive(&mut socket, 1).await, [br#"Pong(b"17")"#]);
    socket.send(Message::ping("mine")).await.unwrap();
    let mut heard = [socket.next().await, socket.next().await].map(|one| one.unwrap().unwrap());
    heard.sort_by_key(Message::is_pong);
    assert_eq!(&heard[0].as_payload()[..], br#"Ping(b"mine")"#);
    assert!(heard[1].is_pong() && &heard[1].as_payload()[..] == b"mine");
    server.stop().await;
}
