//! The environment over the file: `MELTICA_LOG_FILTER`, `MELTICA_PROVIDER_SPOT_WS_URL`.

use super::file::Fault;
use super::schema::{PROVIDER, SECTIONS, Section};
use super::suggest;
use super::written::{Data, Node, show};

/// What every variable of ours begins with.
pub(super) const PREFIX: &str = "MELTICA_";

/// Puts the variables that begin with [`PREFIX`] over what the file says; the last of a name
/// counts.
pub(super) fn apply(root: &mut Node, environment: &[(String, String)], faults: &mut Vec<Fault>) {
    let names = provider_names(root);
    for (variable, value) in environment.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        let node = Node::variable(variable, value);
        match place(variable, &names) {
            Ok(Place::Section(section, key)) => set(section_of(root, section), key, &node),
            Ok(Place::Providers(key)) => {
                for provider in providers_of(root, variable, key) {
                    set(Some(provider), key, &node);
                }
            }
            Err(expected) => {
                faults.push(Fault { key: node.key, value: node.shown, expected });
            }
        }
    }
}

/// What a variable is about.
enum Place {
    Section(&'static Section, &'static str),
    Providers(&'static str),
}

fn place(variable: &str, names: &[String]) -> Result<Place, String> {
    for section in SECTIONS.iter().filter(|section| !section.repeated) {
        let is_it = |key: &&&str| variable == in_section(section, key);
        if let Some(key) = section.keys.iter().find(is_it) {
            return Ok(Place::Section(section, key));
        }
    }
    for key in provider_keys() {
        let mut meant: Vec<&str> = names
            .iter()
            .filter(|name| variable == of_provider(name, key))
            .map(String::as_str)
            .collect();
        meant.dedup();
        match meant.as_slice() {
            [] => {}
            [_] => return Ok(Place::Providers(key)),
            several => {
                return Err(format!(
                    "a variable that means one provider; this one means {}: rename one of them",
                    show(&several.join(" and "))
                ));
            }
        }
    }
    Err(unknown(variable, names))
}

fn unknown(variable: &str, names: &[String]) -> String {
    let plain = SECTIONS
        .iter()
        .filter(|section| !section.repeated)
        .flat_map(|section| section.keys.iter().map(|key| in_section(section, key)));
    let of_providers =
        names.iter().flat_map(|name| provider_keys().map(move |key| of_provider(name, key)));
    let known: Vec<String> = plain.chain(of_providers).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    format!(
        "a variable of the form MELTICA_<SECTION>_<KEY> or MELTICA_PROVIDER_<NAME>_<KEY>, with a \
         section, a provider and a key that there are{}",
        suggest::hint(variable, &known)
    )
}

/// The keys of a provider that a variable may set: its name is what the variable goes by.
fn provider_keys() -> impl Iterator<Item = &'static str> {
    PROVIDER.keys.iter().copied().filter(|key| *key != "name")
}

fn in_section(section: &Section, key: &str) -> String {
    format!("{PREFIX}{}_{}", capitals(section.name), capitals(key))
}

fn of_provider(name: &str, key: &str) -> String {
    format!("{PREFIX}{}_{}_{}", capitals(PROVIDER.name), capitals(name), capitals(key))
}

/// In capitals, with `_` for everything that is no letter or digit.
fn capitals(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(letter).collect()
}

/// The names of the file's providers, sorted.
fn provider_names(root: &Node) -> Vec<String> {
    let Some(Data::List(providers)) = root.get(PROVIDER.name).map(|node| &node.data) else {
        return Vec::new();
    };
    let name = |provider: &Node| provider.get("name")?.text().map(str::to_owned);
    let mut names: Vec<String> = providers.iter().filter_map(name).collect();
    names.sort();
    names
}

fn providers_of<'a>(
    root: &'a mut Node,
    variable: &'a str,
    key: &'a str,
) -> impl Iterator<Item = &'a mut Node> {
    let providers = match &mut root.data {
        Data::Table(table) => table.get_mut(PROVIDER.name).map(|node| &mut node.data),
        _ => None,
    };
    let providers = match providers {
        Some(Data::List(providers)) => providers.as_mut_slice(),
        _ => &mut [],
    };
    providers.iter_mut().filter(move |provider| {
        let name = provider.get("name").and_then(Node::text);
        name.is_some_and(|name| of_provider(name, key) == variable)
    })
}

fn section_of<'a>(root: &'a mut Node, section: &Section) -> Option<&'a mut Node> {
    let Data::Table(table) = &mut root.data else { return None };
    Some(table.entry(section.name.to_owned()).or_insert_with(|| Node::table(section.name)))
}

/// A section that is no table is a fault that the check reports; nothing is put into it.
fn set(table: Option<&mut Node>, key: &str, node: &Node) {
    if let Some(Node { data: Data::Table(table), .. }) = table {
        table.insert(key.to_owned(), node.clone());
    }
}
