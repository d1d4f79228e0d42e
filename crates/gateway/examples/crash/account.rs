//! What one side says of the orders at the venues, and how it differs from what the venues did.

use std::collections::{BTreeMap, BTreeSet};

use model::Decimal;
use model::order::OrderState;
use sim::market::order::State;
use sim::venue::TrueOrder;

use crate::notebook::{About, Filled};

/// A venue's order, as all sides name it.
pub type Named = (String, String, String);

/// What the name of an order begins with that has no id of its venue.
const NO_ID: &str = "client:";

/// The order that a report is about.
pub fn named(about: &About) -> Named {
    (about.provider.clone(), about.instrument.clone(), about.venue_order_id.clone())
}

/// What one side says.
#[derive(Default)]
pub struct Said {
    /// Every fill, by its trade.
    fills: BTreeMap<Named, BTreeMap<String, Filled>>,
    /// How each order stands by the last report of it.
    last: BTreeMap<Named, About>,
}

/// What of an order is amiss.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Amiss {
    /// What the venue did and this side lacks.
    pub lacks: Vec<String>,
    /// What is said otherwise than the venue did it.
    pub wrong: Vec<String>,
}

impl Said {
    /// By reports, oldest first.
    pub fn of<'a>(reports: impl Iterator<Item = &'a About>) -> Self {
        let mut said = Self::default();
        for about in reports {
            let of = named(about);
            if let Some(fill) = &about.fill {
                let fills = said.fills.entry(of.clone()).or_default();
                fills.insert(fill.trade_id.clone(), fill.clone());
            }
            said.last.insert(of, about.clone());
        }
        said
    }

    /// Holds an order of a venue against it.
    pub fn compare(&self, of: &Named, order: &TrueOrder) -> Amiss {
        let mut amiss = Amiss::default();
        let none = BTreeMap::new();
        let fills = self.fills.get(of).unwrap_or(&none);
        for fill in &order.fills {
            let (trade_id, told) = (fill.trade.to_string(), fills.get(&fill.trade.to_string()));
            let (price, quantity) = (plain(fill.price), plain(fill.quantity));
            let truth = Filled { trade_id, price, quantity };
            match told {
                None => amiss.lacks.push(format!("the fill {truth:?}")),
                Some(told) if *told != truth => {
                    amiss.wrong.push(format!("the fill {told:?} was {truth:?}"));
                }
                Some(_) => {}
            }
        }
        let known = |trade: &str| order.fills.iter().any(|fill| fill.trade.to_string() == trade);
        let never = fills.keys().filter(|trade| !known(trade));
        amiss.wrong.extend(never.map(|trade| format!("the fill {trade} never was")));
        if order.state.is_open() {
            return amiss;
        }
        match self.last.get(of).filter(|last| last.over) {
            None => amiss.lacks.push(format!("the end, {:?}", order.state)),
            // What lacks fills can't have the rest right.
            Some(last) if amiss.lacks.is_empty() => amiss.wrong.extend(end(last, order)),
            Some(_) => {}
        }
        amiss
    }

    /// Orders that are said to be at a venue and are not among those that it has. What a venue refused,
    /// or never got, goes by our own name, and has no fill.
    pub fn beside<'a>(&'a self, known: &'a BTreeSet<Named>) -> impl Iterator<Item = &'a Named> {
        let there = self.last.iter().filter(|(of, last)| {
            let refused = of.2.is_empty() || of.2.starts_with(NO_ID);
            !refused || last.filled != "0"
        });
        there.map(|(of, _)| of).filter(|of| !known.contains(of))
    }
}

/// How the last report of an order differs from its end.
fn end(last: &About, order: &TrueOrder) -> Option<String> {
    let ends: &[OrderState] = match order.state {
        State::New | State::PartiallyFilled => &[],
        State::Filled => &[OrderState::Filled],
        State::Cancelled => &[OrderState::Cancelled],
        // Some venues have one word for both.
        State::Expired | State::ExpiredInMatch => &[OrderState::Expired, OrderState::Cancelled],
    };
    let (quantity, filled) = (plain(order.quantity), plain(order.filled));
    let remaining = plain(order.quantity.saturating_sub(order.filled));
    let same = (&last.quantity, &last.filled, &last.remaining) == (&quantity, &filled, &remaining);
    let right = ends.iter().any(|state| state.name() == last.state) && same;
    (!right).then(|| {
        format!(
            "the end {}, {} of {} filled, {} not, was {:?}, {filled} of {quantity}, {remaining} not",
            last.state, last.filled, last.quantity, last.remaining, order.state
        )
    })
}

/// A number as all sides write it.
pub fn plain(number: Decimal) -> String {
    number.normalize().to_string()
}

#[cfg(test)]
mod tests {
    use model::{Nanos, Side};
    use sim::venue::TrueFill;

    use super::*;

    fn truth(state: State, filled: &[i64]) -> TrueOrder {
        let fills = (1..).zip(filled).map(|(trade, quantity)| TrueFill {
            trade,
            at: Nanos::default(),
            price: Decimal::new(1_050, 2),
            quantity: Decimal::from(*quantity),
            fee: Decimal::ZERO,
            fee_asset: String::new(),
            is_maker: true,
        });
        TrueOrder {
            instrument: "A-B".to_owned(),
            id: 7,
            client_order_id: None,
            times_asked: 1,
            side: Side::Buy,
            price: None,
            quantity: Decimal::from(5),
            filled: filled.iter().sum::<i64>().into(),
            state,
            created: Nanos::default(),
            updated: Nanos::default(),
            fills: fills.collect(),
        }
    }

    fn about(state: OrderState, filled: i64, fill: Option<(u64, &str, &str)>) -> About {
        About {
            provider: "p".to_owned(),
            instrument: "A-B".to_owned(),
            client_order_id: "1".to_owned(),
            venue_order_id: "7".to_owned(),
            fill: fill.map(|(trade, price, quantity)| Filled {
                trade_id: trade.to_string(),
                price: price.to_owned(),
                quantity: quantity.to_owned(),
            }),
            state: state.name().to_owned(),
            over: state.is_terminal(),
            quantity: "5".to_owned(),
            filled: filled.to_string(),
            remaining: (5 - filled).to_string(),
        }
    }

    fn of() -> Named {
        ("p".to_owned(), "A-B".to_owned(), "7".to_owned())
    }

    #[track_caller]
    fn assert_amiss(said: &[About], order: &TrueOrder, lacks: &[&str], wrong: &[&str]) {
        let amiss = Said::of(said.iter()).compare(&of(), order);
        let like = |said: &[String], words: &[&str]| {
            said.len() == words.len() && said.iter().zip(words).all(|(s, w)| s.contains(w))
        };
        assert!(like(&amiss.lacks, lacks) && like(&amiss.wrong, wrong), "{amiss:?}");
    }

    #[test]
    fn what_is_said_as_it_was_is_right() {
        use OrderState::{Acknowledged, Cancelled, Expired, Filled, Partial};
        let first = about(Partial, 2, Some((1, "10.5", "2")));
        let whole = [first.clone(), about(Filled, 5, Some((2, "10.5", "3")))];
        assert_amiss(&whole, &truth(State::Filled, &[2, 3]), &[], &[]);
        let taken = [first, about(Cancelled, 2, None)];
        assert_amiss(&taken, &truth(State::Cancelled, &[2]), &[], &[]);
        for state in [Cancelled, Expired] {
            assert_amiss(&[about(state, 0, None)], &truth(State::Expired, &[]), &[], &[]);
        }
        assert_amiss(&[about(Acknowledged, 0, None)], &truth(State::New, &[]), &[], &[]);
    }

    #[test]
    fn every_difference_is_found() {
        use OrderState::{Cancelled, Expired, Filled, Partial};
        let fill = |trade, price, quantity| about(Partial, 2, Some((trade, price, quantity)));
        let end = |state, filled| about(state, filled, None);
        let order = truth(State::Cancelled, &[2]);
        let right = fill(1, "10.5", "2");
        assert_amiss(&[end(Cancelled, 2)], &order, &["the fill"], &[]);
        assert_amiss(std::slice::from_ref(&right), &order, &["the end"], &[]);
        for (said, words) in [
            (vec![right.clone(), end(Filled, 2)], "the end filled"),
            (vec![right.clone(), end(Expired, 2)], "the end expired"),
            (vec![right.clone(), end(Cancelled, 3)], "3 of 5 filled"),
            (vec![fill(1, "10.4", "2"), end(Cancelled, 2)], "10.4"),
            (
                vec![fill(1, "10.5", "1"), end(Cancelled, 2)],
                "\"1\", price: \"10.5\", quantity: \"1\"",
            ),
            (vec![right.clone(), fill(9, "10.5", "2"), end(Cancelled, 2)], "the fill 9 never was"),
            (vec![right.clone(), About { quantity: "6".into(), ..end(Cancelled, 2) }], "of 6"),
            (vec![right, About { remaining: "0".into(), ..end(Cancelled, 2) }], "filled, 0 not"),
        ] {
            assert_amiss(&said, &order, &[], &[words]);
        }
        let said = Said::of([end(Cancelled, 0)].iter());
        assert_eq!(said.beside(&BTreeSet::new()).collect::<Vec<_>>(), [&of()]);
        assert_eq!(said.beside(&BTreeSet::from([of()])).count(), 0);
        for (id, filled, beside) in [("client:x", 0, 0), ("", 0, 0), ("client:x", 1, 1)] {
            let about =
                About { venue_order_id: id.to_owned(), ..end(OrderState::Rejected, filled) };
            assert_eq!(Said::of([about].iter()).beside(&BTreeSet::new()).count(), beside, "{id}");
        }
    }
}
