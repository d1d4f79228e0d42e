//! What a new process takes over from the ledger before anything else happens.

use engine::orders::Desk;
use model::Nanos;
use store::ledger::{LedgerError, LedgerRead};

use super::room::Party;
use crate::outcome::RunError;

/// Rows asked for at once.
const ROWS: usize = 1_000;

/// Open orders with all their facts, and the position of each consumer by its fills.
///
/// # Errors
/// When the ledger can't be read, or there is no room for what is open.
pub(super) fn restore(
    desk: &mut Desk,
    ledger: &mut dyn LedgerRead,
    parties: &[Party],
    now: Nanos,
) -> Result<(), RunError> {
    let failed = |error: LedgerError| RunError::new("the ledger", error);
    let mut after = 0;
    loop {
        let open = ledger.open_orders(after, ROWS).map_err(failed)?;
        let Some(last) = open.last() else { break };
        after = last.position;
        for order in open {
            let key = order.submit.order.clone();
            let (mut facts, mut last) = (Vec::new(), 0);
            loop {
                let rows = ledger.facts_of(&key, last, ROWS).map_err(failed)?;
                let Some((position, _)) = rows.last() else { break };
                last = *position;
                facts.extend(rows.into_iter().map(|(_, fact)| fact));
            }
            desk.restore(order.submit, &facts, now)
                .map_err(|error| RunError(format!("order {key}: {}", error.message)))?;
        }
    }
    for Party { name, .. } in parties {
        let mut after = 0;
        loop {
            let rows = ledger.reports_after(name, after, ROWS).map_err(failed)?;
            let Some((position, _)) = rows.last() else { break };
            after = *position;
            rows.iter().for_each(|(_, report)| desk.restore_fill(report));
        }
    }
    Ok(())
}
