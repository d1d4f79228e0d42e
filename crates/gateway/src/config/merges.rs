//! The merges of a configuration: what is written of each, checked against the providers.

use std::ops::RangeInclusive;

use engine::MergeSpec;
use model::Kind;

use super::checked::{Reader, add};
use super::file::Fault;
use super::schema::MERGE;
use super::suggest::one_of;
use super::values;
use super::written::{Data, Node};
use super::{Merge, Provider};

/// Every merge; none where nothing is written of them.
pub(super) fn merges(root: &Node, providers: &[Provider], faults: &mut Vec<Fault>) -> Vec<Merge> {
    let Some(node) = root.get(MERGE.name) else { return Vec::new() };
    let Data::List(nodes) = &node.data else {
        add(faults, node, "double brackets: [[merge]], once for each".to_owned());
        return Vec::new();
    };
    nodes.iter().map(|node| merge(node, providers, faults)).collect()
}

fn merge(node: &Node, providers: &[Provider], faults: &mut Vec<Fault>) -> Merge {
    let standard = MergeSpec::default();
    let mut reader = Reader::of(node, &MERGE, faults);
    let name = reader.required("name", values::name);
    let instrument = reader.required("instrument", values::instrument);
    let kind = reader.required("kind", values::merged_kind);
    let wanted = (instrument.as_deref(), kind);
    let provider = |node: &Node| provider(node, providers, wanted);
    let names = reader.list("providers", "[\"one\", \"other\"]", provider);
    if names.is_none() {
        reader.missing("providers", "the names of at least two providers");
    }
    let names = names.unwrap_or_default();
    let close = reader.read("close", values::close_on).unwrap_or(standard.close);
    let window = reader.read("window", values::duration(MergeSpec::WINDOW));
    let most = reader.read("max_fragments", values::number(fragments(names.len())));
    let consumers = reader.list("consumers", "[\"strategy\"]", values::name);
    count_fits(node, &names, faults);
    Merge {
        spec: MergeSpec {
            name: name.unwrap_or_default().into(),
            instrument: instrument.unwrap_or_default().into(),
            kind: kind.unwrap_or(standard.kind),
            providers: names,
            close,
            window: window.unwrap_or(standard.window),
            fragments_max: most.unwrap_or(standard.fragments_max),
        },
        consumers: consumers.unwrap_or_default(),
    }
}

/// At least one fragment from each provider must fit.
fn fragments(providers: usize) -> RangeInclusive<u32> {
    let least = u32::try_from(providers).unwrap_or(u32::MAX).max(*MergeSpec::FRAGMENTS.start());
    least..=*MergeSpec::FRAGMENTS.end()
}

fn count_fits(node: &Node, names: &[Box<str>], faults: &mut Vec<Fault>) {
    let Some(list) = node.get("providers") else { return };
    // What is wrong in the list was said; how many there are counts where nothing is.
    let whole = list.list().is_some_and(|nodes| nodes.len() == names.len() && !names.is_empty());
    if whole && !MergeSpec::PROVIDERS.contains(&names.len()) {
        let (least, most) = (MergeSpec::PROVIDERS.start(), MergeSpec::PROVIDERS.end());
        add(faults, list, format!("the names of {least} to {most} providers"));
    }
}

/// The name of a provider that has what is merged; what is not known of it is not asked for.
fn provider(
    node: &Node,
    providers: &[Provider],
    (instrument, kind): (Option<&str>, Option<Kind>),
) -> Result<Box<str>, String> {
    let text = node.text().unwrap_or_default();
    let has = |of: &Provider| {
        instrument.is_none_or(|name| of.instruments.iter().any(|other| other == name))
            && kind.is_none_or(|kind| of.kinds.contains(&kind))
    };
    if providers.iter().any(|of| of.name == text && !text.is_empty() && has(of)) {
        return Ok(text.into());
    }
    let fitting: Vec<_> =
        providers.iter().filter(|of| has(of)).map(|of| of.name.as_str()).collect();
    let what = [instrument, kind.and_then(values::kind_name)];
    let what: Vec<_> = what.into_iter().flatten().collect();
    let of_what = if what.is_empty() { String::new() } else { format!(" with {}", what.join(" ")) };
    if fitting.is_empty() {
        return Err(format!("the name of a provider{of_what}: there is none"));
    }
    Err(format!("the name of a provider{of_what}: {}", one_of(text, &fitting)))
}
