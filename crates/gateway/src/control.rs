//! Commanding a gateway that runs, from any thread.

use std::sync::mpsc::Receiver;
use std::time::Duration;

use engine::control::Answer;
use engine::{Command, Operator, Subscription};
use model::Error;
use model::control::Verdict;

/// An operator's hand on a gateway; clones are the same one. Commands that are given before it runs
/// are carried out when it does.
/// ```no_run
/// # use std::time::Duration;
/// # use meltica::{Gateway, Kind, Subscription, config};
/// # let config = config::load("meltica.toml".as_ref()).unwrap();
/// let gateway = Gateway::builder(config);
/// let control = gateway.control();
/// std::thread::spawn(move || {
///     let wanted = Subscription::of("spot", "ETH-USDT", Kind::Trade);
///     let ticket = control.subscribe("strategy", wanted).unwrap();
///     println!("{:?}", ticket.settled(Duration::from_secs(10)));
/// });
/// gateway.run().unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Control(Operator);

/// A command that was handed in, and its answers.
#[derive(Debug)]
pub struct Ticket(Receiver<Answer>);

impl Control {
    pub(crate) fn new(operator: Operator) -> Self {
        Self(operator)
    }

    /// Commands something for a consumer, by its name.
    ///
    /// # Errors
    /// Too many commands wait, or the gateway does not run any more.
    pub fn command(&self, consumer: &str, command: Command) -> Result<Ticket, Error> {
        self.0.command(consumer, command).map(Ticket)
    }

    /// Subscribes a consumer to something more.
    ///
    /// # Errors
    /// As for [`command`](Self::command).
    pub fn subscribe(&self, consumer: &str, wanted: Subscription) -> Result<Ticket, Error> {
        self.command(consumer, Command::Subscribe(wanted))
    }

    /// Takes one of a consumer's subscriptions away.
    ///
    /// # Errors
    /// As for [`command`](Self::command).
    pub fn unsubscribe(&self, consumer: &str, unwanted: Subscription) -> Result<Ticket, Error> {
        self.command(consumer, Command::Unsubscribe(unwanted))
    }

    /// Lets a consumer's orders go, or not. It is off for good once the ticket says so, and stays so
    /// whatever the consumer commands until an operator switches it on.
    ///
    /// # Errors
    /// As for [`command`](Self::command).
    pub fn set_trading(&self, consumer: &str, on: bool) -> Result<Ticket, Error> {
        self.command(consumer, Command::SetTrading(on))
    }

    /// The kill switch: every consumer's switch goes off, and every order of every account is taken
    /// back, again and again until none is open. Orders that are not ours go too. Nothing but cancels
    /// leaves any more once the ticket says that it is effective.
    ///
    /// # Errors
    /// As for [`command`](Self::command).
    pub fn kill(&self) -> Result<Ticket, Error> {
        self.command("", Command::Kill)
    }

    /// Says that an order whose outcome can't be found out has never arrived: at venues without a
    /// deadline for requests nobody else can. Whoever says so has looked at the venue.
    ///
    /// # Errors
    /// As for [`command`](Self::command).
    pub fn never_arrived(&self, consumer: &str, client_order_id: &str) -> Result<Ticket, Error> {
        self.command(consumer, Command::NeverArrived(client_order_id.into()))
    }
}

impl Ticket {
    /// The next answer: the ack, then the result of a command whose ack said pending. `None` where
    /// none came within that time.
    #[must_use]
    pub fn next(&self, within: Duration) -> Option<Answer> {
        self.0.recv_timeout(within).ok()
    }

    /// The answer that is the last one: effective or refused. `None` where it did not come; each of
    /// the two answers may take that time.
    #[must_use]
    pub fn settled(&self, within: Duration) -> Option<Answer> {
        let ack = self.next(within)?;
        let pending = matches!(ack.verdict, Verdict::Pending { .. });
        if pending { self.next(within) } else { Some(ack) }
    }
}
