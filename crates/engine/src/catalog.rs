//! The directory of names: providers, instruments, consumers, and what each provider says about
//! its instruments. Shared by all threads; written rarely, never on the way of an event.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use model::ids::Interner;
use model::{ConsumerId, Error, Instrument, InstrumentId, ProviderId};

use crate::capacity::{FACTS_MAX, NAMES_MAX, PARTIES_MAX};

/// A handle on the directory: clones share it.
#[derive(Clone, Debug)]
pub struct Catalog {
    names: Arc<RwLock<Names>>,
}

#[derive(Debug)]
struct Names {
    providers: Interner,
    instruments: Interner,
    consumers: Interner,
    facts: BTreeMap<(ProviderId, InstrumentId), Arc<Instrument>>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self::new()
    }
}

impl Catalog {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(NAMES_MAX)
    }

    /// A directory for at most `instruments` names of instruments.
    fn with_limit(instruments: usize) -> Self {
        let names = Names {
            providers: Interner::new(PARTIES_MAX),
            instruments: Interner::new(instruments),
            consumers: Interner::new(PARTIES_MAX),
            facts: BTreeMap::new(),
        };
        Self { names: Arc::new(RwLock::new(names)) }
    }

    /// The number of a provider, new or known.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) when there are as many as there may be.
    pub fn provider(&self, name: &str) -> Result<ProviderId, Error> {
        narrow(self.write().providers.intern(name)?).map(ProviderId)
    }

    /// The number of a consumer, new or known.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) when there are as many as there may be.
    pub fn consumer(&self, name: &str) -> Result<ConsumerId, Error> {
        narrow(self.write().consumers.intern(name)?).map(ConsumerId)
    }

    /// The number of an instrument's canonical name, new or known.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) when the table is full.
    pub fn instrument(&self, name: &str) -> Result<InstrumentId, Error> {
        self.write().instruments.intern(name).map(InstrumentId)
    }

    /// The number of a merge and that of its instrument, new or known: both, or neither. A new merge
    /// may take over the number of one that is gone.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) when a table is full.
    pub(crate) fn merge(
        &self,
        name: &str,
        instrument: &str,
        gone: Option<ProviderId>,
    ) -> Result<(ProviderId, InstrumentId), Error> {
        let mut names = self.write();
        if gone.is_none() {
            names.providers.admit(name)?;
        }
        let instrument = names.instruments.intern(instrument).map(InstrumentId)?;
        if let Some(gone) = gone {
            names.providers.rename(gone.0.into(), name);
        }
        Ok((narrow(names.providers.intern(name)?).map(ProviderId)?, instrument))
    }

    /// Makes a provider's instrument known; what was known about it is replaced.
    ///
    /// # Errors
    /// [`Remedy::Reject`](model::Remedy::Reject) when the table is full.
    pub fn list(
        &self,
        provider: ProviderId,
        instrument: &Instrument,
    ) -> Result<InstrumentId, Error> {
        let mut names = self.write();
        let id = InstrumentId(names.instruments.intern(&instrument.name)?);
        let key = (provider, id);
        if names.facts.len() >= FACTS_MAX && !names.facts.contains_key(&key) {
            return Err(Error::reject(format!(
                "no room for '{}': the directory holds its limit of {FACTS_MAX} instruments",
                instrument.name
            )));
        }
        names.facts.insert(key, Arc::new(instrument.clone()));
        Ok(id)
    }

    /// The name behind a provider's number.
    #[must_use]
    pub fn provider_name(&self, id: ProviderId) -> Option<Arc<str>> {
        self.read().providers.name(id.0.into()).cloned()
    }

    /// The canonical name behind an instrument's number.
    #[must_use]
    pub fn instrument_name(&self, id: InstrumentId) -> Option<Arc<str>> {
        self.read().instruments.name(id.0).cloned()
    }

    /// The name behind a consumer's number.
    #[must_use]
    pub fn consumer_name(&self, id: ConsumerId) -> Option<Arc<str>> {
        self.read().consumers.name(id.0.into()).cloned()
    }

    /// The number of a provider that is known.
    #[must_use]
    pub fn find_provider(&self, name: &str) -> Option<ProviderId> {
        self.read().providers.get(name).and_then(|id| narrow(id).ok()).map(ProviderId)
    }

    /// The number of an instrument that is known.
    #[must_use]
    pub fn find_instrument(&self, name: &str) -> Option<InstrumentId> {
        self.read().instruments.get(name).map(InstrumentId)
    }

    /// What a provider's list says about an instrument.
    #[must_use]
    pub fn facts(&self, provider: ProviderId, instrument: InstrumentId) -> Option<Arc<Instrument>> {
        self.read().facts.get(&(provider, instrument)).cloned()
    }

    /// The providers known, in order of arrival.
    #[must_use]
    pub fn providers(&self) -> Vec<(ProviderId, Arc<str>)> {
        let names = self.read();
        (0..)
            .map_while(|id: u16| Some((ProviderId(id), names.providers.name(id.into())?.clone())))
            .collect()
    }

    // A lock of this type guards what is whole between any two statements, so a panic of another
    // thread while it held one takes nothing from this one.
    fn read(&self) -> RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Names> {
        self.names.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn narrow(id: u32) -> Result<u16, Error> {
    u16::try_from(id).map_err(|_| Error::reject("the name table is out of numbers"))
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use model::instrument::Contract;

    #[test]
    fn a_name_is_the_same_instrument_for_every_provider_and_facts_are_each_ones_own() {
        let catalog = Catalog::new();
        let (a, b) = (catalog.provider("a").unwrap(), catalog.provider("b").unwrap());
        let mut listed = Instrument::unlisted("BTC", "USDT", Contract::Spot);
        listed.price_places = Some(2);
        let btc = catalog.list(a, &listed).unwrap();
        listed.price_places = Some(1);
        assert_eq!(catalog.list(b, &listed).unwrap(), btc);
        assert_eq!(catalog.facts(a, btc).unwrap().price_places, Some(2));
        assert_eq!(catalog.facts(b, btc).unwrap().price_places, Some(1));
        listed.price_places = Some(3);
        catalog.list(a, &listed).unwrap();
        assert_eq!(catalog.facts(a, btc).unwrap().price_places, Some(3), "newer facts replace");
        assert_eq!(catalog.instrument_name(btc).as_deref(), Some("BTC-USDT"));
        assert_eq!(catalog.find_instrument("BTC-USDT"), Some(btc));
        assert_eq!(catalog.providers().len(), 2);
        assert_eq!(catalog.find_provider("b"), Some(b));
    }

    #[test]
    fn a_full_directory_refuses_new_names_and_keeps_the_old() {
        let catalog = Catalog::with_limit(1);
        let provider = catalog.provider("p").unwrap();
        let btc = Instrument::unlisted("BTC", "USDT", Contract::Spot);
        let eth = Instrument::unlisted("ETH", "USDT", Contract::Spot);
        let id = catalog.list(provider, &btc).unwrap();
        let error = catalog.list(provider, &eth).unwrap_err();
        assert_eq!(error.remedy, model::Remedy::Reject);
        assert!(error.message.contains("ETH-USDT"), "{error}");
        assert_eq!(catalog.list(provider, &btc).unwrap(), id);
        assert_eq!(catalog.facts(provider, InstrumentId(1)), None);
    }

    #[test]
    fn parties_are_bounded() {
        let catalog = Catalog::new();
        for n in 0..PARTIES_MAX {
            catalog.provider(&n.to_string()).unwrap();
        }
        assert!(catalog.provider("one more").is_err());
        assert_eq!(catalog.providers().len(), PARTIES_MAX);
    }
}
