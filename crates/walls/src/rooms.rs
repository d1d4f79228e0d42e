//! The walls between the crates: who may import whom, and which libraries stay outside a room.
//!
//! Siblings are compared by what the manifests declare, for every target and for tests too; what
//! must not be reachable at all is followed through the resolved graph with all features on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;

/// A crate of the workspace and the siblings it may import.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// The package's name.
    pub name: &'static str,
    /// The siblings that it may import.
    pub may_import: &'static [&'static str],
    /// What to do when it seems to need another one.
    pub instead: &'static str,
}

/// The design's table. A new crate needs a row here.
pub const ROOMS: [Room; 10] = [
    Room {
        name: "pool",
        may_import: &[],
        instead: "pool knows no word of trading: implement its `Reset` where the type lives",
    },
    Room {
        name: "model",
        may_import: &["pool"],
        instead: "model holds nouns only: put the behaviour into the crate that acts on them",
    },
    Room {
        name: "venues",
        may_import: &["model", "pool"],
        instead: "a venue machine takes bytes and `now` and writes to a `Sink`: what it shares \
                  with others belongs in model, what drives it in net or gateway",
    },
    Room {
        name: "net",
        may_import: &["model", "pool"],
        instead: "net drives any `model::Venue` and knows none: gateway joins it to venues and \
                  to the engine",
    },
    Room {
        name: "engine",
        may_import: &["model", "pool"],
        instead: "the engine speaks in model's types (events, `LedgerAppend`): gateway joins it \
                  to venues, net, store and sim",
    },
    Room {
        name: "store",
        may_import: &["model"],
        instead: "store writes model's facts and records: gateway joins its queue to the engine's",
    },
    Room {
        name: "sim",
        may_import: &["model"],
        instead: "a simulator writes the venue's dialect down a second time: shared code would \
                  make the same misreading pass at both ends",
    },
    Room { name: "yardstick", may_import: &[], instead: "yardstick only measures libraries" },
    Room {
        name: "meltica",
        may_import: &["pool", "model", "venues", "net", "engine", "store", "sim", "yardstick"],
        instead: "walls is for tests only",
    },
    Room { name: "walls", may_import: &[], instead: "walls reads the others as text" },
];

/// Libraries that stay outside a room.
#[derive(Clone, Copy, Debug)]
pub struct Outsider {
    /// The rooms it stays out of.
    pub rooms: &'static [&'static str],
    /// The packages that stay out.
    pub packages: &'static [&'static str],
    /// Whether they may not even be reached through other libraries.
    pub transitive: bool,
    /// What to do instead.
    pub instead: &'static str,
}

/// What stays out of which room. Dependencies of tests and of build scripts are free.
pub const OUTSIDERS: [Outsider; 4] = [
    Outsider {
        rooms: &["pool", "model", "venues", "engine"],
        packages: &["tokio", "mio", "async-std", "smol"],
        transitive: true,
        instead: "take bytes and `now` as arguments and let net or gateway drive",
    },
    Outsider {
        rooms: &["pool", "model", "engine"],
        packages: &["serde_json"],
        transitive: false,
        instead: "decode in venues/src/json, configure in gateway",
    },
    Outsider {
        rooms: &["pool", "model", "venues", "engine"],
        packages: &["rand", "fastrand", "getrandom", "uuid"],
        transitive: false,
        instead: "take the random number or the seed as an argument",
    },
    Outsider {
        rooms: &["pool", "model", "venues", "engine"],
        packages: &["chrono", "time", "jiff", "quanta"],
        transitive: false,
        instead: "take `now` as a `model::time::Nanos` argument",
    },
];

/// Features that nobody may turn on.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// The library.
    pub package: &'static str,
    /// Its features that stay off.
    pub features: &'static [&'static str],
    /// What to do instead.
    pub instead: &'static str,
}

/// What stays off, whoever would turn it on. (`cargo-deny` knows such bans too, but does not print
/// their reason.)
pub const FEATURES: [Feature; 2] = [
    Feature {
        package: "rust_decimal",
        features: &["serde", "serde-float", "serde-with-float", "legacy-ops"],
        instead: "read the number's text and give it to `model::decimal::parse`",
    },
    Feature {
        package: "serde_json",
        features: &["arbitrary_precision", "preserve_order", "unbounded_depth"],
        instead: "borrow numbers as `&RawValue`: these features change a type's form, or its limits, \
                  for everybody",
    },
];

/// A wall that does not stand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Broken {
    /// The rule.
    pub wall: String,
    /// The crate that breaks it.
    pub offender: String,
    /// How.
    pub how: String,
    /// What to do instead.
    pub instead: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wall, offender, how, instead } = self;
        write!(f, "wall: {wall}\n  broken by {offender}: {how}\n  instead: {instead}")
    }
}

/// What `cargo metadata --format-version 1` prints, as far as the walls need it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Metadata {
    /// All packages of the graph.
    pub packages: Vec<Package>,
    /// The ids of the crates of the workspace.
    pub workspace_members: Vec<String>,
    /// The resolved graph.
    pub resolve: Resolve,
}

/// A package and what its manifest declares.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Package {
    /// Unique in the graph.
    pub id: String,
    /// The package's name.
    pub name: String,
    /// All that the manifest declares, for every target.
    pub dependencies: Vec<Dependency>,
    /// Its features and what each turns on.
    pub features: BTreeMap<String, Vec<String>>,
}

/// A declared dependency.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Dependency {
    /// The package's name, whatever it is called in the code.
    pub name: String,
    /// Absent for ordinary ones, else `dev` or `build`.
    pub kind: Option<String>,
    /// Whether a feature has to turn it on.
    pub optional: bool,
}

/// The resolved graph.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Resolve {
    /// One per package.
    pub nodes: Vec<Node>,
}

/// A package of the resolved graph.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Node {
    /// The package.
    pub id: String,
    /// What it is linked with.
    pub deps: Vec<Edge>,
    /// Its features that are on.
    pub features: Vec<String>,
}

/// A resolved dependency.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Edge {
    /// The package it leads to.
    pub pkg: String,
    /// Why it is there.
    pub dep_kinds: Vec<Kind>,
}

/// The kind of a resolved dependency.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Kind {
    /// Absent for ordinary ones, else `dev` or `build`.
    pub kind: Option<String>,
}

/// All walls that `metadata` breaks.
#[must_use]
pub fn check(metadata: &Metadata) -> Vec<Broken> {
    let is_member = |p: &&Package| metadata.workspace_members.contains(&p.id);
    let members: Vec<&Package> = metadata.packages.iter().filter(is_member).collect();
    let names: BTreeSet<&str> = members.iter().map(|p| p.name.as_str()).collect();
    let mut broken = Vec::new();
    for package in &members {
        match ROOMS.iter().find(|room| room.name == package.name) {
            Some(room) => siblings(room, package, &names, &mut broken),
            None => broken.push(Broken {
                wall: "every crate has a row in the design's table".to_owned(),
                offender: package.name.clone(),
                how: "it has none".to_owned(),
                instead: "make it a folder of an existing crate, or add the row to \
                          crates/walls/src/rooms.rs and to ARCHITECTURE.md"
                    .to_owned(),
            }),
        }
        for outsider in OUTSIDERS.iter().filter(|o| o.rooms.contains(&package.name.as_str())) {
            outsiders(outsider, package, metadata, &mut broken);
        }
    }
    for feature in FEATURES {
        features(&feature, metadata, &mut broken);
    }
    broken.sort();
    broken
}

fn features(banned: &Feature, metadata: &Metadata, broken: &mut Vec<Broken>) {
    let named = |node: &&Node| {
        metadata.packages.iter().any(|p| p.id == node.id && p.name == banned.package)
    };
    for node in metadata.resolve.nodes.iter().filter(named) {
        for feature in node.features.iter().filter(|on| banned.features.contains(&on.as_str())) {
            let package = banned.package;
            broken.push(Broken {
                wall: format!("{package} never has the feature {feature}"),
                offender: package.to_owned(),
                how: format!("it is on: `cargo tree -e features -i {package}` says through whom"),
                instead: banned.instead.to_owned(),
            });
        }
    }
}

fn siblings(room: &Room, package: &Package, names: &BTreeSet<&str>, broken: &mut Vec<Broken>) {
    let wall = if room.may_import.is_empty() {
        format!("{} imports no sibling", room.name)
    } else {
        format!("{} imports no sibling but {}", room.name, room.may_import.join(", "))
    };
    for dependency in package.dependencies.iter().filter(|d| names.contains(d.name.as_str())) {
        if dependency.name == room.name {
            continue; // A crate's own integration tests may switch its features on.
        }
        if !room.may_import.contains(&dependency.name.as_str()) {
            let kind = dependency.kind.as_deref().map(|k| format!("{k}-")).unwrap_or_default();
            broken.push(Broken {
                wall: wall.clone(),
                offender: room.name.to_owned(),
                how: format!("its manifest has the {kind}dependency {}", dependency.name),
                instead: room.instead.to_owned(),
            });
        } else if dependency.name == "yardstick" {
            yardstick(dependency, package, broken);
        }
    }
}

/// The measuring crate holds what is banned elsewhere, so nobody may have it without asking.
fn yardstick(dependency: &Dependency, package: &Package, broken: &mut Vec<Broken>) {
    let by_default = closure(&package.features, "default").contains("yardsticks");
    let how = match (dependency.optional && dependency.kind.is_none(), by_default) {
        (true, false) => return,
        (true, true) => "its default features turn it on",
        (false, _) => "its manifest has it without `optional = true`",
    };
    broken.push(Broken {
        wall: "yardstick is only an optional dependency".to_owned(),
        offender: package.name.clone(),
        how: how.to_owned(),
        instead: "declare it optional, behind the feature `yardsticks`, off by default".to_owned(),
    });
}

/// All that turning on `feature` turns on.
fn closure<'a>(features: &'a BTreeMap<String, Vec<String>>, feature: &'a str) -> BTreeSet<&'a str> {
    let (mut seen, mut todo) = (BTreeSet::new(), vec![feature]);
    while let Some(next) = todo.pop() {
        if seen.insert(next) {
            todo.extend(features.get(next).into_iter().flatten().map(String::as_str));
            // `dep:yardstick` and `yardstick/x` turn it on as well as its feature does.
            if matches!(next, "yardstick" | "dep:yardstick") || next.starts_with("yardstick/") {
                seen.insert("yardsticks");
            }
        }
    }
    seen
}

fn outsiders(outsider: &Outsider, package: &Package, graph: &Metadata, broken: &mut Vec<Broken>) {
    for banned in outsider.packages {
        let declared = package.dependencies.iter().any(|d| d.name == *banned && d.kind.is_none());
        let how = if declared {
            format!("its manifest has the dependency {banned}")
        } else if let Some(way) = way(graph, &package.id, banned).filter(|_| outsider.transitive) {
            format!("it is linked with {}", way.join(" → "))
        } else {
            continue;
        };
        let verb = if outsider.transitive { "reaches" } else { "imports" };
        broken.push(Broken {
            wall: format!("{} never {verb} {banned}", package.name),
            offender: package.name.clone(),
            how,
            instead: outsider.instead.to_owned(),
        });
    }
}

/// The shortest way of ordinary dependencies from the package `from` to one named `banned`.
fn way(graph: &Metadata, from: &str, banned: &str) -> Option<Vec<String>> {
    let names: BTreeMap<&str, &str> =
        graph.packages.iter().map(|p| (p.id.as_str(), p.name.as_str())).collect();
    let nodes: BTreeMap<&str, &Node> =
        graph.resolve.nodes.iter().map(|n| (n.id.as_str(), n)).collect();
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut level = vec![from];
    while !level.is_empty() {
        let mut next = Vec::new();
        for id in level {
            let edges = nodes.get(id).into_iter().flat_map(|node| &node.deps);
            for edge in edges.filter(|e| e.dep_kinds.iter().any(|k| k.kind.is_none())) {
                let to = edge.pkg.as_str();
                if to == from || came_from.contains_key(to) {
                    continue;
                }
                came_from.insert(to, id);
                if names.get(to) == Some(&banned) {
                    return Some(trace(&came_from, &names, to));
                }
                next.push(to);
            }
        }
        level = next;
    }
    None
}

fn trace(
    came_from: &BTreeMap<&str, &str>,
    names: &BTreeMap<&str, &str>,
    last: &str,
) -> Vec<String> {
    let mut way = Vec::new();
    let mut at = Some(&last);
    while let Some(id) = at {
        way.push((*names.get(id).unwrap_or(id)).to_owned());
        at = came_from.get(*id);
    }
    way.reverse();
    way
}
