//! The environment over the file: `MELTICA_LOG_FILTER`, `MELTICA_PROVIDER_SPOT_WS_URL`.

use super::file::Fault;
use super::schema::{SECTIONS, Section};
use super::suggest;
use super::written::{Data, Node, show};

/// What every variable of ours begins with.
pub(super) const PREFIX: &str = "MELTICA_";

/// Puts the variables that begin with [`PREFIX`] over what the file says; the last of a name
/// counts.
pub(super) fn apply(root: &mut Node, environment: &[(String, String)], faults: &mut Vec<Fault>) {
    let names = Names::of(root);
    for (variable, value) in environment.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        let node = Node::variable(variable, value);
        match place(variable, &names) {
            Ok(Place::Section(section, key)) => set(section_of(root, section), key, &node),
            Ok(Place::Named(section, key)) => {
                for table in tables_of(root, section, variable, key) {
                    set(Some(table), key, &node);
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
    /// A key of a section that stands once.
    Section(&'static Section, &'static str),
    /// A key of the tables of a repeated section whose name the variable bears.
    Named(&'static Section, &'static str),
}

/// The names in use, by repeated section, sorted.
struct Names(Vec<(&'static Section, Vec<String>)>);

impl Names {
    fn of(root: &Node) -> Self {
        let repeated = SECTIONS.iter().filter(|section| section.repeated);
        Self(repeated.map(|section| (section, names(root, section))).collect())
    }

    /// Every (section, key, name) that a variable may be about.
    fn all(&self) -> impl Iterator<Item = (&'static Section, &'static str, &str)> {
        self.0.iter().flat_map(|(section, names)| {
            let keys = keys(section).map(move |key| (*section, key));
            keys.flat_map(|(section, key)| names.iter().map(move |name| (section, key, &**name)))
        })
    }
}

fn place(variable: &str, names: &Names) -> Result<Place, String> {
    for section in SECTIONS.iter().filter(|section| !section.repeated) {
        let is_it = |key: &&&str| variable == in_section(section, key);
        if let Some(key) = section.keys.iter().find(is_it) {
            return Ok(Place::Section(section, key));
        }
    }
    let meant = names.all().filter(|(section, key, name)| variable == of_named(section, name, key));
    let mut meant: Vec<_> = meant.collect();
    meant.dedup();
    match meant.as_slice() {
        [] => Err(unknown(variable, names)),
        [(section, key, _)] => Ok(Place::Named(section, key)),
        [(section, ..), ..] => {
            let several: Vec<_> = meant.iter().map(|(_, _, name)| *name).collect();
            Err(format!(
                "a variable that means one {}; this one means {}: rename one of them",
                section.name,
                show(&several.join(" and "))
            ))
        }
    }
}

fn unknown(variable: &str, names: &Names) -> String {
    let plain = SECTIONS
        .iter()
        .filter(|section| !section.repeated)
        .flat_map(|section| section.keys.iter().map(|key| in_section(section, key)));
    let named = names.all().map(|(section, key, name)| of_named(section, name, key));
    let known: Vec<String> = plain.chain(named).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    format!(
        "a variable of the form MELTICA_<SECTION>_<KEY>, MELTICA_PROVIDER_<NAME>_<KEY> (or MERGE or \
         CONSUMER), with a section, a name and a key that there are{}",
        suggest::hint(variable, &known)
    )
}

/// The keys of a repeated section that a variable may set: its name is what the variable goes by.
fn keys(section: &'static Section) -> impl Iterator<Item = &'static str> {
    section.keys.iter().copied().filter(|key| *key != "name")
}

fn in_section(section: &Section, key: &str) -> String {
    format!("{PREFIX}{}_{}", capitals(section.name), capitals(key))
}

fn of_named(section: &Section, name: &str, key: &str) -> String {
    format!("{PREFIX}{}_{}_{}", capitals(section.name), capitals(name), capitals(key))
}

/// In capitals, with `_` for everything that is no letter or digit.
fn capitals(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(letter).collect()
}

/// The names of a section's tables, sorted.
fn names(root: &Node, section: &Section) -> Vec<String> {
    let Some(Data::List(tables)) = root.get(section.name).map(|node| &node.data) else {
        return Vec::new();
    };
    let name = |table: &Node| table.get("name")?.text().map(str::to_owned);
    let mut names: Vec<String> = tables.iter().filter_map(name).collect();
    names.sort();
    names
}

fn tables_of<'a>(
    root: &'a mut Node,
    section: &'static Section,
    variable: &'a str,
    key: &'a str,
) -> impl Iterator<Item = &'a mut Node> {
    let tables = match &mut root.data {
        Data::Table(table) => table.get_mut(section.name).map(|node| &mut node.data),
        _ => None,
    };
    let tables = match tables {
        Some(Data::List(tables)) => tables.as_mut_slice(),
        _ => &mut [],
    };
    tables.iter_mut().filter(move |table| {
        let name = table.get("name").and_then(Node::text);
        name.is_some_and(|name| of_named(section, name, key) == variable)
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
