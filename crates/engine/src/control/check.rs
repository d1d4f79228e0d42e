//! Whether a subscription can be had, before anything of it is done.

use std::collections::BTreeMap;

use model::control::Refusal;
use model::{Kind, ProviderId, instrument};

use crate::capacity::STREAMS_PER_SUBSCRIPTION;
use crate::catalog::Catalog;
use crate::route::Subscription;

/// Whether all of it could be subscribed.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn subscription(
    wanted: &Subscription,
    catalog: &Catalog,
    offers: &BTreeMap<ProviderId, &'static [Kind]>,
) -> Result<(), Refusal> {
    names(wanted, catalog)?;
    let Subscription { providers, instruments, kinds, .. } = wanted;
    let [p, i, k] = [providers.len(), instruments.len(), kinds.len()].map(|len| len.max(1));
    if p.saturating_mul(i).saturating_mul(k) > STREAMS_PER_SUBSCRIPTION {
        return Err(Refusal::TooManyStreams);
    }
    let offered = |provider: &str| {
        let offer = catalog.find_provider(provider).and_then(|id| offers.get(&id));
        let data = kinds.iter().filter(|kind| !kind.is_critical());
        data.into_iter().all(|kind| offer.is_none_or(|offer| offer.contains(&data_kind(*kind))))
    };
    if instruments.is_empty() || providers.iter().all(|name| offered(name)) {
        Ok(())
    } else {
        Err(Refusal::NotOffered)
    }
}

/// Whether its names and kinds are such as can be subscribed at all.
///
/// # Errors
/// The first that is not.
pub(super) fn names(wanted: &Subscription, catalog: &Catalog) -> Result<(), Refusal> {
    let Subscription { providers, instruments, kinds, .. } = wanted;
    if kinds.iter().any(|kind| kind.is_critical() && *kind != Kind::StreamStatus) {
        return Err(Refusal::NotMarketData);
    }
    if providers.iter().any(|name| catalog.find_provider(name).is_none()) {
        return Err(Refusal::UnknownProvider);
    }
    if !instruments.iter().all(|name| instrument::is_canonical(name)) {
        return Err(Refusal::MalformedInstrument);
    }
    Ok(())
}

fn data_kind(kind: Kind) -> Kind {
    crate::books::lane_kind(kind)
}
