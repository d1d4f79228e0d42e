//! What the venues know, what the ledger has and what the trader was told, held against each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use meltica::demo::stage::Part;
use model::ledger::OrderKey;
use sim::accounts::Account;
use sim::venue::TrueOrder;
use store::ledger::LedgerRead;

use crate::account::{Named, Said, named};
use crate::ledger::Place;
use crate::notebook::{self, About, FILE, Line, TRADER};

/// Rows asked for at once.
const ROWS: usize = 1_000;
/// So many breaches are told in words; all are counted.
const TOLD: usize = 20;

/// What it came to.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// Orders at the venues.
    pub placed: u64,
    /// Fills there.
    pub fills: u64,
    /// Reports in the ledger.
    pub reports: u64,
    /// Lines in the notebook.
    pub lines: u64,
    /// Orders that are open at a venue or in the ledger.
    pub open: u64,
    /// Requests under a name that was used before.
    pub sent_twice: u64,
    /// Orders at the venues of which the ledger has no intent.
    pub unknown_to_ledger: u64,
    /// Reports that the trader never dealt with, and what a venue did that the ledger lacks.
    pub lost: u64,
    /// What the ledger has or the trader was told otherwise than the venue did it.
    pub wrong: u64,
    /// Reports that came again though they were acknowledged, or under another position.
    pub doubled: u64,
    /// The last gateway did not end as it should.
    pub unclean: bool,
    /// The first of them in words.
    pub what: Vec<String>,
}

/// What the ledger has.
struct Ledger {
    reader: Box<dyn LedgerRead>,
    /// By their position.
    reports: BTreeMap<u64, About>,
    /// The order behind each of the venues' ids.
    keys: BTreeMap<Named, OrderKey>,
    /// What open orders are called at their venues.
    open: BTreeSet<String>,
}

/// Compares them all. `acknowledged` has, for each life, how far the trader had got at its start.
pub fn compare(
    parts: &[Part],
    (folder, place): (&Path, &Place),
    acknowledged: &[u64],
) -> Result<Compared, String> {
    let mut ledger = Ledger::read(place)?;
    let (lines, _) = notebook::read(&folder.join(FILE))?;
    let mut seen = Compared {
        reports: ledger.reports.len() as u64,
        lines: lines.len() as u64,
        open: ledger.open.len() as u64,
        ..Compared::default()
    };
    seen.repetitions(&lines, acknowledged);
    let told = seen.told(&lines, &ledger.reports);
    let written = Said::of(ledger.reports.values());
    let sides = [("was not told", &told), ("is not in the ledger", &written)];
    let mut known = BTreeSet::new();
    for part in parts {
        let counts = part.counts();
        seen.sent_twice += counts.sent_twice;
        for order in part.simulator.orders(&Account::demo().api_key) {
            known.insert(seen.truth(part.venue, &order, &sides, &mut ledger)?);
        }
        if counts.sent_twice > 0 {
            seen.tell(|| format!("{}: {} orders were sent twice", part.venue, counts.sent_twice));
        }
    }
    for of in written.beside(&known) {
        seen.wrong += 1;
        seen.tell(|| format!("no venue has {of:?}, which is in the ledger"));
    }
    Ok(seen)
}

impl Ledger {
    fn read(place: &Place) -> Result<Self, String> {
        let failed = |error: store::ledger::LedgerError| error.to_string();
        let mut reader = place.read()?.ok_or("there is no ledger")?;
        let (mut reports, mut keys, mut open) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let mut after = 0;
        loop {
            let rows = reader.reports_after(TRADER, after, ROWS).map_err(failed)?;
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            for (position, report) in rows {
                let about = About::of(&report);
                keys.insert(named(&about), report.order);
                reports.insert(position, about);
            }
        }
        after = 0;
        loop {
            let rows = reader.open_orders(after, ROWS).map_err(failed)?;
            let Some(last) = rows.last() else { break };
            after = last.position;
            open.extend(rows.into_iter().map(|order| order.submit.venue_client_id.to_string()));
        }
        Ok(Self { reader, reports, keys, open })
    }

    /// Whether there is an intent for a venue's order.
    fn knows(&mut self, of: &Named, client_order_id: &str) -> Result<bool, String> {
        if self.open.contains(client_order_id) {
            return Ok(true);
        }
        let Some(key) = self.keys.get(of) else { return Ok(false) };
        let stored = self.reader.order(key).map_err(|error| error.to_string())?;
        Ok(stored.is_some_and(|order| *order.submit.venue_client_id == *client_order_id))
    }
}

impl Compared {
    /// Whether nothing is missing any more and nothing is open.
    pub fn is_at_rest(&self) -> bool {
        self.open == 0 && self.lost == 0
    }

    /// Whether it is all as it has to be.
    pub fn holds(&self) -> bool {
        let breaches =
            [self.sent_twice, self.unknown_to_ledger, self.lost, self.wrong, self.doubled];
        !self.unclean && self.is_at_rest() && breaches == [0; 5]
    }

    /// A breach, in words.
    pub fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.what.len() < TOLD {
            self.what.push(what());
        }
    }

    /// What the trader was told, which is to be what the ledger has.
    fn told(&mut self, lines: &[Line], reports: &BTreeMap<u64, About>) -> Said {
        let mut told = BTreeMap::new();
        for Line { position, about, .. } in lines {
            told.insert(*position, about);
            if reports.get(position).is_some_and(|written| written != about) {
                self.wrong += 1;
                let written = &reports[position];
                self.tell(|| format!("told as {about:?}, at {position} is {written:?}"));
            }
        }
        for (position, about) in reports {
            if !told.contains_key(position) {
                self.lost += 1;
                self.tell(|| format!("the report at {position} was never dealt with: {about:?}"));
            }
        }
        Said::of(told.into_values())
    }

    /// One of the venue's orders, against what each side says of it; its name.
    fn truth(
        &mut self,
        venue: &str,
        order: &TrueOrder,
        sides: &[(&str, &Said)],
        ledger: &mut Ledger,
    ) -> Result<Named, String> {
        self.placed += 1;
        self.fills += order.fills.len() as u64;
        let of = (venue.to_owned(), order.instrument.clone(), order.id.to_string());
        let client_order_id = order.client_order_id.as_deref().unwrap_or_default();
        if !ledger.knows(&of, client_order_id)? {
            self.unknown_to_ledger += 1;
            self.tell(|| format!("the ledger does not know {of:?}, sent as '{client_order_id}'"));
        }
        for (lacks, side) in sides {
            let amiss = side.compare(&of, order);
            self.lost += amiss.lacks.len() as u64;
            self.wrong += amiss.wrong.len() as u64;
            amiss.lacks.iter().for_each(|what| self.tell(|| format!("{of:?}: {what} {lacks}")));
            amiss.wrong.iter().for_each(|what| self.tell(|| format!("{of:?}: {what}")));
        }
        if order.state.is_open() {
            self.open += 1;
            self.tell(|| format!("{of:?} is open"));
        }
        Ok(of)
    }

    /// What came again and should not have: at or before a life's acknowledged position, again in
    /// one life, or as another report.
    fn repetitions(&mut self, lines: &[Line], acknowledged: &[u64]) {
        let mut last: BTreeMap<u32, u64> = BTreeMap::new();
        let mut fills: BTreeMap<(Named, String), u64> = BTreeMap::new();
        let mut ends: BTreeMap<Named, u64> = BTreeMap::new();
        for line in lines {
            let Line { life, position, about } = line;
            let known = acknowledged.get(*life as usize - 1).copied().unwrap_or_default();
            let before = last.insert(*life, *position).unwrap_or(known);
            let first = match &about.fill {
                Some(fill) => {
                    *fills.entry((named(about), fill.trade_id.clone())).or_insert(*position)
                }
                None if about.over && !about.venue_order_id.is_empty() => {
                    *ends.entry(named(about)).or_insert(*position)
                }
                None => *position,
            };
            if *position <= before || first != *position {
                self.doubled += 1;
                self.tell(|| {
                    format!("told again: {line:?}, {known} was acknowledged, first at {first}")
                });
            }
        }
    }
}
