//! A physical connection: what it is to its link, how far it has come, and when something has to be
//! decided about it.

use std::collections::VecDeque;

use model::venue::Profile;
use model::{ConnId, LinkId, Nanos};

use super::SessionConfig;
use super::pace::Pacer;

/// What a connection is to its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The one; at most one a link.
    Main,
    /// Will be the one; at most one a link, and only beside a main one.
    Replacement,
    /// Brings the same as the main one, all the time; at most one a link. A link that has one needs
    /// no replacements: while one of the two is replaced the other is there.
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Connecting { give_up_at: Nanos },
    Open { since: Nanos },
}

/// A physical connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) link: LinkId,
    /// Under which its messages are counted: 0 or 1, another than its neighbour's.
    pub(super) seat: usize,
    pub(super) role: Role,
    pub(super) stage: Stage,
    pub(super) heard_at: Nanos,
    pub(super) pinged_at: Option<Nanos>,
    pub(super) first_data: Option<Nanos>,
    pub(super) renew_at: Option<Nanos>,
    /// A replacement that is itself to be replaced, once it is the main one.
    pub(super) renew_wanted: bool,
    pub(super) texts: VecDeque<String>,
    pub(super) pacer: Pacer,
}

impl Conn {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open { .. })
    }

    /// Spends a message of its budget; what is urgent is sent in any case.
    pub(super) fn take_message(&mut self, urgent: bool, now: Nanos) -> bool {
        if urgent {
            self.pacer.spend(1, now);
            return true;
        }
        self.pacer.take(1, now)
    }

    /// Something came: it lives.
    pub(super) fn heard(&mut self, now: Nanos) {
        self.heard_at = now;
        self.pinged_at = None;
    }

    /// When something has to be decided about it.
    pub(super) fn deadline(&self, profile: &Profile, config: &SessionConfig) -> Option<Nanos> {
        let since = match self.stage {
            Stage::Connecting { give_up_at } => return Some(give_up_at),
            Stage::Open { since } => since,
        };
        let mut at = match self.pinged_at {
            Some(pinged_at) => pinged_at + profile.pong_timeout,
            None => self.pacer.ready_at(1, self.heard_at + profile.ping_after),
        };
        at = at.earliest(self.renew_at);
        if !self.texts.is_empty() {
            at = at.min(self.pacer.ready_at(1, Nanos(0)));
        } else if self.role == Role::Replacement {
            at = at.min(since + config.renewal_grace);
        }
        Some(at)
    }

    /// Whether a replacement can take over: all that it has to ask for is asked for, and it brings
    /// data or has had the time to.
    pub(super) fn is_ready(&self, now: Nanos, config: &SessionConfig) -> bool {
        self.role == Role::Replacement && self.carries(now, config)
    }

    /// Whether it can be relied on to bring its streams.
    pub(super) fn carries(&self, now: Nanos, config: &SessionConfig) -> bool {
        let Stage::Open { since } = self.stage else { return false };
        let proven = self.first_data.is_some() || now >= since + config.renewal_grace;
        self.texts.is_empty() && proven
    }
}
