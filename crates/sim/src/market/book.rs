//! One order book: price before time.
//!
//! Orders lie in one vector and know their neighbours at the same price, so that one in the middle
//! of a queue leaves it without a search. The number of open orders is bounded by the accounts'
//! limits.

use std::collections::BTreeMap;

use model::Side;

use super::order::Order;

/// No neighbour.
const NONE: u32 = u32::MAX;

/// The orders at one price, oldest first.
#[derive(Clone, Copy, Debug)]
struct Queue {
    lots: u64,
    head: u32,
    tail: u32,
}

#[derive(Clone, Debug)]
struct Node {
    order: Order,
    ticks: u64,
    before: u32,
    after: u32,
}

/// The open orders of an instrument.
#[derive(Clone, Debug, Default)]
pub struct Book {
    bids: BTreeMap<u64, Queue>,
    asks: BTreeMap<u64, Queue>,
    nodes: Vec<Option<Node>>,
    free: Vec<u32>,
    by_id: BTreeMap<u64, u32>,
}

impl Book {
    /// Price and quantity of the levels of a side, best first.
    pub fn levels(&self, side: Side) -> impl Iterator<Item = (u64, u64)> + '_ {
        let (bids, asks) = match side {
            Side::Buy => (Some(self.bids.iter().rev()), None),
            Side::Sell => (None, Some(self.asks.iter())),
        };
        let all = bids.into_iter().flatten().chain(asks.into_iter().flatten());
        all.map(|(ticks, queue)| (*ticks, queue.lots))
    }

    /// The best price of a side and what stands there.
    #[must_use]
    pub fn best(&self, side: Side) -> Option<(u64, u64)> {
        let best = match side {
            Side::Buy => self.bids.last_key_value(),
            Side::Sell => self.asks.first_key_value(),
        };
        best.map(|(ticks, queue)| (*ticks, queue.lots))
    }

    /// What stands at a price.
    #[must_use]
    pub fn lots(&self, side: Side, ticks: u64) -> u64 {
        self.side(side).get(&ticks).map_or(0, |queue| queue.lots)
    }

    /// How many orders stand at a price.
    #[must_use]
    pub fn orders_at(&self, side: Side, ticks: u64) -> usize {
        let head = self.side(side).get(&ticks).and_then(|queue| self.node(queue.head));
        std::iter::successors(head, |node| self.node(node.after)).count()
    }

    /// How many orders there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The order of that id.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Order> {
        self.node(*self.by_id.get(&id)?).map(|node| &node.order)
    }

    /// All orders, by id.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.by_id.values().filter_map(|at| self.node(*at)).map(|node| &node.order)
    }

    /// The orders of a side in the sequence in which they would trade.
    pub(super) fn queue(&self, side: Side) -> impl Iterator<Item = &Order> {
        let fronts: Vec<u32> = match side {
            Side::Buy => self.bids.values().rev().map(|queue| queue.head).collect(),
            Side::Sell => self.asks.values().map(|queue| queue.head).collect(),
        };
        fronts.into_iter().flat_map(move |head| {
            let next = |node: &&Node| self.node(node.after);
            std::iter::successors(self.node(head), next).map(|node| &node.order)
        })
    }

    /// The order that trades next on a side.
    pub(super) fn front(&mut self, side: Side) -> Option<&mut Order> {
        let queue = match side {
            Side::Buy => self.bids.last_key_value(),
            Side::Sell => self.asks.first_key_value(),
        };
        let head = queue?.1.head;
        self.node_mut(head).map(|node| &mut node.order)
    }

    /// Puts an order behind those of its price.
    pub(super) fn push(&mut self, order: Order, ticks: u64) {
        let (id, side, left) = (order.id, order.side, order.left());
        let at = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(None);
            u32::try_from(self.nodes.len() - 1).unwrap_or(NONE)
        });
        let queue = self.side_mut(side).entry(ticks);
        let queue = queue.or_insert(Queue { lots: 0, head: at, tail: NONE });
        let before = queue.tail;
        queue.lots += left;
        queue.tail = at;
        if let Some(node) = self.node_mut(before) {
            node.after = at;
        }
        if let Some(place) = self.nodes.get_mut(at as usize) {
            *place = Some(Node { order, ticks, before, after: NONE });
        }
        self.by_id.insert(id, at);
    }

    /// Takes so many lots of what is left of an order out of its level: its order must become
    /// smaller by as much.
    pub(super) fn shrink(&mut self, side: Side, ticks: u64, lots: u64) {
        if let Some(queue) = self.side_mut(side).get_mut(&ticks) {
            queue.lots = queue.lots.saturating_sub(lots);
        }
    }

    /// The order of that id, to be changed without changing what is left of it.
    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Order> {
        let at = *self.by_id.get(&id)?;
        self.node_mut(at).map(|node| &mut node.order)
    }

    /// Takes an order out.
    pub(super) fn remove(&mut self, id: u64) -> Option<Order> {
        let at = self.by_id.remove(&id)?;
        let node = self.nodes.get_mut(at as usize)?.take()?;
        self.free.push(at);
        if let Some(before) = self.node_mut(node.before) {
            before.after = node.after;
        }
        if let Some(after) = self.node_mut(node.after) {
            after.before = node.before;
        }
        let side = self.side_mut(node.order.side);
        if let Some(queue) = side.get_mut(&node.ticks) {
            queue.lots = queue.lots.saturating_sub(node.order.left());
            if queue.head == at {
                queue.head = node.after;
            }
            if queue.tail == at {
                queue.tail = node.before;
            }
            if queue.head == NONE {
                side.remove(&node.ticks);
            }
        }
        Some(node.order)
    }

    fn side(&self, side: Side) -> &BTreeMap<u64, Queue> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<u64, Queue> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)?.as_ref()
    }

    fn node_mut(&mut self, at: u32) -> Option<&mut Node> {
        self.nodes.get_mut(at as usize)?.as_mut()
    }
}
