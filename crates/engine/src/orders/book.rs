//! All orders of the process: open ones, and the last that have settled.

use std::collections::{BTreeMap, VecDeque};

use model::ledger::{Change, Name, OrderKey, Submit};
use model::{Error, ExecReport, Nanos};

use super::order::{Effects, Order};

/// What names a venue order: ids are unique per provider and instrument.
type VenueKey = (Name, Name, Name);

/// The orders, bounded on both sides.
///
/// A new order finds room among `open_max` open ones or is refused. One that has settled stays
/// among the last `settled_max`, so that what is told of it late finds it; then it leaves, and the
/// ledger alone knows it.
#[derive(Debug)]
pub struct Orders {
    orders: BTreeMap<OrderKey, Order>,
    /// Venue orders of `orders`, at most [`super::order::LEGS_MAX`] each.
    by_venue: BTreeMap<VenueKey, OrderKey>,
    /// (provider, the id that the venue knows it by), one for each of `orders`.
    by_client: BTreeMap<(Name, Name), OrderKey>,
    /// Those that have settled, first settled first.
    settled: VecDeque<OrderKey>,
    /// Those that have left since it was asked.
    left: Vec<OrderKey>,
    open_max: usize,
    settled_max: usize,
}

impl Orders {
    /// None yet. The last that has settled is always remembered.
    #[must_use]
    pub fn new(open_max: usize, settled_max: usize) -> Self {
        Self {
            orders: BTreeMap::new(),
            by_venue: BTreeMap::new(),
            by_client: BTreeMap::new(),
            settled: VecDeque::new(),
            left: Vec::new(),
            open_max,
            settled_max: settled_max.max(1),
        }
    }

    /// How many are open.
    #[must_use]
    pub fn open_len(&self) -> usize {
        self.orders.len() - self.settled.len()
    }

    /// An order by its key.
    #[must_use]
    pub fn get(&self, key: &OrderKey) -> Option<&Order> {
        self.orders.get(key)
    }

    /// Those that are open or were until lately, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&OrderKey, &Order)> {
        self.orders.iter()
    }

    /// Whose order a venue's order is: by the venue's id, else by the id that we gave it.
    #[must_use]
    pub fn find(&self, provider: &Name, seen: &ExecReport) -> Option<&OrderKey> {
        let (instrument, id) = (seen.instrument.as_str(), seen.venue_order_id.as_str());
        let client = seen.venue_client_id.as_str();
        self.by_venue
            .get(&(provider.clone(), instrument.into(), id.into()))
            .or_else(|| self.by_client.get(&(provider.clone(), client.into())))
    }

    /// Takes a new order in. Whether its key was ever used before is for the ledger to say.
    ///
    /// # Errors
    /// `Reject` when there is no room, or when its key or its id at the venue is that of an order
    /// that is here.
    pub fn submit(&mut self, submit: Submit) -> Result<(), Error> {
        self.put(Order::new(submit))
    }

    /// Takes an order in that was [restored](Order::restore).
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn put(&mut self, order: Order) -> Result<(), Error> {
        let key = order.submit().order.clone();
        let client =
            (order.submit().terms.provider.clone(), order.submit().venue_client_id.clone());
        if self.orders.contains_key(&key) || self.by_client.contains_key(&client) {
            return Err(Error::reject(format!("order {key} is here already: use a new id")));
        }
        if self.open_len() >= self.open_max && !order.standing().is_terminal() {
            return Err(Error::reject(format!(
                "no room for order {key}: {} orders are open, which is the limit; wait until some \
                 have settled",
                self.open_max
            )));
        }
        self.by_client.insert(client, key.clone());
        self.orders.insert(key.clone(), order);
        self.index(&key);
        self.settle(&key, false);
        Ok(())
    }

    /// Takes an order out: its intent did not get into the ledger as its own.
    pub fn withdraw(&mut self, key: &OrderKey) {
        self.settled.retain(|settled| settled != key);
        self.forget(key);
    }

    /// One that has settled and found no room among the last any more, of those that were not taken
    /// yet; to be asked until there is none.
    pub fn take_left(&mut self) -> Option<OrderKey> {
        self.left.pop()
    }

    /// Does something to an order and keeps the tables right; `None` where there is no such order.
    pub fn update<T>(&mut self, key: &OrderKey, change: impl FnOnce(&mut Order) -> T) -> Option<T> {
        let order = self.orders.get_mut(key)?;
        let (legs, settled) = (order.legs().len(), order.standing().is_terminal());
        let done = change(order);
        if order.legs().len() != legs {
            self.index(key);
        }
        self.settle(key, settled);
        Some(done)
    }

    /// Takes in what a venue says of one of an order's venue orders.
    pub fn observe(&mut self, key: &OrderKey, seen: &ExecReport) -> Option<Effects> {
        self.update(key, |order| order.observe(seen))
    }

    /// A change of an order is wanted.
    ///
    /// # Errors
    /// `Reject` when there is no such order, or when too many of its changes are on their way.
    pub fn change(&mut self, change: &Change) -> Result<(), Error> {
        match self.update(&change.order, |order| order.change(change)) {
            Some(true) => Ok(()),
            Some(false) => Err(Error::reject(format!(
                "order {} has settled, or as many of its changes as may be are on their way: wait \
                 for an answer",
                change.order
            ))),
            None => Err(Error::reject(format!(
                "order {} is not open here: ask the ledger what became of it",
                change.order
            ))),
        }
    }

    /// The private stream of a provider was interrupted: each of its open orders is to be asked
    /// about.
    pub fn disconnected(&mut self, provider: &str, now: Nanos) {
        for order in self.orders.values_mut() {
            if &*order.submit().terms.provider == provider {
                order.doubt(now);
            }
        }
    }

    /// The orders that the venue is to be asked about by now, by key.
    pub fn due(&self, now: Nanos) -> impl Iterator<Item = &OrderKey> {
        let due = move |order: &Order| order.ask_at().is_some_and(|at| at <= now);
        self.orders.iter().filter(move |(_, order)| due(order)).map(|(key, _)| key)
    }

    fn index(&mut self, key: &OrderKey) {
        let Some(order) = self.orders.get(key) else { return };
        let terms = &order.submit().terms;
        for leg in order.legs() {
            let (provider, instrument) = (terms.provider.clone(), terms.instrument.clone());
            let venue = (provider, instrument, leg.venue_order_id().clone());
            self.by_venue.insert(venue, key.clone());
        }
    }

    /// Keeps the line of settled orders: one that lives after all leaves it.
    fn settle(&mut self, key: &OrderKey, before: bool) {
        let now = self.orders.get(key).is_some_and(|order| order.standing().is_terminal());
        match (before, now) {
            (false, true) => self.settled.push_back(key.clone()),
            (true, false) => self.settled.retain(|settled| settled != key),
            (false, false) | (true, true) => {}
        }
        while self.settled.len() > self.settled_max {
            if let Some(oldest) = self.settled.pop_front() {
                self.forget(&oldest);
                self.left.push(oldest);
            }
        }
    }

    fn forget(&mut self, key: &OrderKey) {
        let Some(order) = self.orders.remove(key) else { return };
        let terms = &order.submit().terms;
        self.by_client.remove(&(terms.provider.clone(), order.submit().venue_client_id.clone()));
        for leg in order.legs() {
            let (provider, instrument) = (terms.provider.clone(), terms.instrument.clone());
            let venue = (provider, instrument, leg.venue_order_id().clone());
            if self.by_venue.get(&venue) == Some(key) {
                self.by_venue.remove(&venue);
            }
        }
    }
}
