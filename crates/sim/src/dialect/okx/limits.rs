//! How often may be asked.
//!
//! www.okx.com/docs-v5/en, "Overview", "Rate Limits", and each request's page for its number:
//! public requests count by address, private ones by account, orders by account and instrument,
//! shared by REST and WebSocket.

use std::collections::BTreeMap;

use model::Nanos;

use super::errors::{LIMIT, Wrong};
use super::ms;
use super::rest::Path;
use super::trading::{Act, Query};
use crate::market::order::AccountId;

/// Requests are counted by so many milliseconds.
const WINDOW_MS: u64 = 2_000;

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counted {
    /// A public request; with what else the venue counts by, at most one for each instrument.
    Public(Path, usize),
    /// An account's question.
    Query(AccountId, Query, usize),
    /// What an account does to orders of an instrument: one by one, or several at once.
    Orders { account: AccountId, act: Act, several: bool, instrument: usize },
    /// All that an account places and amends of derivatives.
    Derivatives(AccountId),
    /// An account's dead-man switch with that tag.
    Switch(AccountId, String),
}

/// How often was asked in these two seconds. All clients of a simulator count as one address.
#[derive(Debug, Default)]
pub(super) struct Limits {
    window: u64,
    asked: BTreeMap<Counted, u32>,
}

impl Limits {
    /// Counts `count` more, where that stays within `max`.
    pub fn take(
        &mut self,
        now: Nanos,
        counted: Counted,
        count: u32,
        max: u32,
    ) -> Result<(), Wrong> {
        let window = ms(now) / WINDOW_MS;
        if window != self.window {
            (self.window, self.asked) = (window, BTreeMap::new());
        }
        let asked = self.asked.entry(counted).or_default();
        if *asked + count > max {
            return Err(LIMIT);
        }
        *asked += count;
        Ok(())
    }
}
