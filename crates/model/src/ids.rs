//! Small integers for names that events carry, and the table that gives the names back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::event::Kind;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl $name {
            /// The id as an index into a table that it was handed out for.
            #[must_use]
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

id!(
    /// A configured connection to a venue.
    ProviderId(u16)
);
id!(
    /// A canonical instrument name such as `BTC-USDT`, the same for every provider that has it.
    InstrumentId(u32)
);
id!(
    /// A program fed by the gateway.
    ConsumerId(u16)
);
id!(
    /// A logical connection that a venue asks for: one address with its subscriptions.
    LinkId(u16)
);
id!(
    /// One physical connection; never used again once closed.
    ConnId(u32)
);
id!(
    /// One REST request of a provider; never used again.
    RequestId(u64)
);
id!(
    /// A command to the control bus, numbered by whoever gives it; the same number is the same
    /// command.
    CommandId(u64)
);

/// What an event belongs to: (provider, instrument, kind).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// Who sends it.
    pub provider: ProviderId,
    /// What it is about.
    pub instrument: InstrumentId,
    /// What it says.
    pub kind: Kind,
}

/// Hands out one small integer per name, in order of arrival, and gives the name back.
///
/// Names are shared (`Arc<str>`), so that giving one back costs no copy. The table is bounded:
/// names come from venues, and what a venue sends must not be able to fill the memory.
#[derive(Debug)]
pub struct Interner {
    names: Vec<Arc<str>>,
    index: BTreeMap<Arc<str>, u32>,
    limit: usize,
}

impl Interner {
    /// An empty table for at most `limit` names.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { names: Vec::new(), index: BTreeMap::new(), limit }
    }

    /// The number of `name`, new or known.
    ///
    /// # Errors
    /// [`Remedy::Reject`](crate::Remedy::Reject) when the table is full.
    pub fn intern(&mut self, name: &str) -> Result<u32, Error> {
        if let Some(&id) = self.index.get(name) {
            return Ok(id);
        }
        self.admit(name)?;
        let id = u32::try_from(self.names.len())
            .map_err(|_| Error::reject("the name table is out of numbers"))?;
        let name: Arc<str> = name.into();
        self.names.push(name.clone());
        self.index.insert(name, id);
        Ok(id)
    }

    /// Whether the name is known, or there is room for it.
    ///
    /// # Errors
    /// [`Remedy::Reject`](crate::Remedy::Reject) when the table is full.
    pub fn admit(&self, name: &str) -> Result<(), Error> {
        if self.names.len() < self.limit || self.index.contains_key(name) {
            return Ok(());
        }
        Err(Error::reject(format!(
            "no room for the name '{name}': the table holds its limit of {} names",
            self.limit
        )))
    }

    /// Gives a number to a new name, whose old one is forgotten; `false`, and nothing has changed,
    /// where the number is not given out or the name is known.
    pub fn rename(&mut self, id: u32, name: &str) -> bool {
        if self.index.contains_key(name) {
            return false;
        }
        let Some(place) = self.names.get_mut(id as usize) else { return false };
        let name: Arc<str> = name.into();
        let old = std::mem::replace(place, name.clone());
        self.index.remove(&old);
        self.index.insert(name, id);
        true
    }

    /// The number of a name that is already known.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u32> {
        self.index.get(name).copied()
    }

    /// The name behind a number.
    #[must_use]
    pub fn name(&self, id: u32) -> Option<&Arc<str>> {
        self.names.get(id as usize)
    }

    /// How many names there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no name was handed in yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_number_and_gives_it_back() {
        let mut names = Interner::new(8);
        let btc = names.intern("BTC-USDT").unwrap();
        let eth = names.intern("ETH-USDT").unwrap();
        assert_ne!(btc, eth);
        assert_eq!(names.intern("BTC-USDT").unwrap(), btc);
        assert_eq!(names.name(eth).map(|n| &**n), Some("ETH-USDT"));
        assert_eq!(names.get("SOL-USDT"), None);
    }

    #[test]
    fn a_full_table_refuses_new_names_and_keeps_the_old() {
        let mut names = Interner::new(1);
        names.intern("a").unwrap();
        let error = names.intern("b").unwrap_err();
        assert!(error.message.contains("'b'") && error.message.contains("limit of 1"));
        assert_eq!(names.intern("a").unwrap(), 0);
    }

    #[test]
    fn a_number_can_be_given_to_a_new_name_and_the_old_one_is_forgotten() {
        let mut names = Interner::new(2);
        names.intern("a").unwrap();
        names.intern("b").unwrap();
        assert!(!names.rename(0, "b") && !names.rename(2, "c"));
        assert!(names.rename(0, "c"));
        assert_eq!((names.get("a"), names.get("b"), names.get("c")), (None, Some(1), Some(0)));
        assert_eq!((names.name(0).map(|n| &**n), names.len()), (Some("c"), 2));
        assert!(names.admit("a").is_err() && names.admit("c").is_ok());
    }

    #[test]
    fn a_stream_fits_in_a_register() {
        assert_eq!(std::mem::size_of::<Stream>(), 8);
    }
}
