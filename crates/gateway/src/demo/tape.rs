//! What the maker does, in words for those who watch it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::decimal::Plain;
use model::event::Side;
use model::ledger::{Fill, Name, Report};
use model::order::OrderState;
use model::{Decimal, Nanos};

/// So many fills are shown, the newest first.
const FILLS: usize = 4;
/// So often it is said anew.
const EVERY: Duration = Duration::from_millis(200);
/// Places after the point of a result.
const CENTS: u32 = 2;

/// Where the words stand; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Board(Arc<Mutex<Vec<String>>>);

impl Board {
    /// What stands there, a line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, lines: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    }
}

/// What was ordered and what came of it.
#[derive(Debug, Default)]
pub struct Tape {
    board: Board,
    submitted: u64,
    filled: u64,
    ended: u64,
    fills: VecDeque<String>,
    /// By provider and instrument.
    held: BTreeMap<(Name, Name), Holding>,
    written: Nanos,
}

/// What is held of one instrument, and what it has cost.
#[derive(Debug, Default)]
struct Holding {
    /// In base currency or contracts; below zero where it is owed.
    quantity: Decimal,
    /// What was got for it, in quote currency; below zero where it was paid.
    got: Decimal,
    /// What one of it is worth, in quote currency: the last fill's price.
    worth: Decimal,
}

impl Holding {
    fn fill(&mut self, side: Side, fill: &Fill, contract_size: Decimal) {
        let bought = if side == Side::Buy { fill.quantity } else { -fill.quantity };
        let price = fill.price.saturating_mul(contract_size);
        self.quantity = self.quantity.saturating_add(bought);
        self.got = self.got.saturating_sub(price.saturating_mul(bought));
        self.worth = price;
    }

    /// What it would have brought if it were sold for what it is worth now.
    fn result(&self) -> Decimal {
        self.quantity.saturating_mul(self.worth).saturating_add(self.got)
    }
}

impl Tape {
    /// A tape whose words go there.
    #[must_use]
    pub fn on(board: Board) -> Self {
        Self { board, ..Self::default() }
    }

    /// An order was handed in.
    pub fn submitted(&mut self) {
        self.submitted += 1;
    }

    /// An order is over without a report: it was denied.
    pub fn denied(&mut self) {
        self.ended += 1;
    }

    /// A report came, of an instrument of which one contract is so much of its base currency.
    pub fn report(&mut self, report: &Report, contract_size: Decimal) {
        self.filled += u64::from(report.state == OrderState::Filled);
        self.ended += u64::from(report.state.is_terminal());
        let Some(fill) = &report.fill else { return };
        let place = (report.provider.clone(), report.instrument.clone());
        self.held.entry(place).or_default().fill(report.side, fill, contract_size);
        let did = if report.side == Side::Buy { "bought" } else { "sold" };
        let (quantity, price) = (Plain(fill.quantity), Plain(fill.price));
        let (what, at) = (&report.instrument, &report.provider);
        self.fills.push_front(format!("{did} {quantity} {what} for {price} at {at}"));
        self.fills.truncate(FILLS);
    }

    /// Says how things stand, where that was not just done.
    pub fn write(&mut self, now: Nanos) {
        if now.since(self.written) < EVERY {
            return;
        }
        self.written = now;
        self.board.write(self.lines());
    }

    fn lines(&self) -> Vec<String> {
        let (mut results, mut holds) = (BTreeMap::<&str, Decimal>::new(), Vec::new());
        for ((provider, instrument), holding) in &self.held {
            let quote = instrument.split('-').nth(1).unwrap_or_default();
            let result = results.entry(quote).or_default();
            *result = result.saturating_add(holding.result());
            if !holding.quantity.is_zero() {
                holds.push(format!("{} {instrument} at {provider}", Plain(holding.quantity)));
            }
        }
        let results = results.iter().map(|(quote, sum)| format!("{} {quote}", sum.round_dp(CENTS)));
        let results = results.collect::<Vec<_>>().join(", ");
        let (submitted, filled) = (self.submitted, self.filled);
        let open = submitted.saturating_sub(self.ended);
        let mut lines = vec![format!("maker: {submitted} orders, {open} open, {filled} filled")];
        if !results.is_empty() {
            lines[0].push_str(&format!("; result before fees {results}"));
        }
        lines.extend(self.fills.iter().map(|fill| format!("  {fill}")));
        if !holds.is_empty() {
            lines.push(format!("  holds {}", holds.join(", ")));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ledger::OrderKey;

    fn report(side: Side, state: OrderState, fill: Option<(&str, &str)>) -> Report {
        let fill = fill.map(|(quantity, price)| Fill {
            trade_id: "1".into(),
            price: price.parse().unwrap(),
            quantity: quantity.parse().unwrap(),
        });
        Report {
            order: OrderKey { consumer: "maker".into(), client_order_id: "m-1".into() },
            provider: "p".into(),
            instrument: "A-USDT".into(),
            venue_order_id: "7".into(),
            state,
            side,
            quantity: Decimal::TWO,
            filled: Decimal::ONE,
            fill,
            venue_event_id: None,
            text: "".into(),
            ts_event: None,
            ts_recv: Nanos::default(),
        }
    }

    #[test]
    fn what_was_bought_and_sold_is_counted_held_and_priced() {
        let mut tape = Tape::default();
        assert_eq!(tape.lines(), ["maker: 0 orders, 0 open, 0 filled"]);
        (0..4).for_each(|_| tape.submitted());
        tape.denied();
        tape.report(&report(Side::Buy, OrderState::Acknowledged, None), Decimal::TEN);
        tape.report(&report(Side::Buy, OrderState::Partial, Some(("2", "1.5"))), Decimal::TEN);
        tape.report(&report(Side::Sell, OrderState::Filled, Some(("0.5", "1.75"))), Decimal::TEN);
        let held = "  holds 1.5 A-USDT at p";
        let first = "maker: 4 orders, 2 open, 1 filled; result before fees 5.00 USDT";
        let fills = ["  sold 0.5 A-USDT for 1.75 at p", "  bought 2 A-USDT for 1.5 at p"];
        assert_eq!(tape.lines(), [first, fills[0], fills[1], held]);
        tape.report(&report(Side::Sell, OrderState::Filled, Some(("1.5", "1"))), Decimal::TEN);
        let lines = tape.lines();
        assert!(lines[0].ends_with("2 filled; result before fees -6.25 USDT"), "{lines:?}");
        assert_eq!(lines[1..].len(), 3, "nothing is held: {lines:?}");
        (0..9).for_each(|_| {
            tape.report(&report(Side::Buy, OrderState::Partial, Some(("1", "1"))), Decimal::ONE);
        });
        assert_eq!(tape.lines().len(), FILLS + 2);
    }

    #[test]
    fn it_is_said_now_and_then() {
        let board = Board::default();
        let mut tape = Tape::on(board.clone());
        tape.write(Nanos(0) + EVERY);
        tape.submitted();
        tape.write(Nanos(1) + EVERY);
        assert_eq!(board.lines(), ["maker: 0 orders, 0 open, 0 filled"]);
        tape.write(Nanos(0) + EVERY * 2);
        assert_eq!(board.lines(), ["maker: 1 orders, 1 open, 0 filled"]);
    }
}
