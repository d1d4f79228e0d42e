//! The walls between the crates stand, and each of them would be missed.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test says what it expects by failing"
)]

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use walls::rooms::{
    Broken, Dependency, Edge, FEATURES, Kind, Metadata, Node, OUTSIDERS, Package, ROOMS, Resolve,
    check,
};
use walls::{command, house};

#[test]
fn the_walls_stand() {
    let broken = check(&metadata());
    let report: Vec<String> = broken.iter().map(ToString::to_string).collect();
    assert!(broken.is_empty(), "{} broken\n{}", broken.len(), report.join("\n"));
}

#[test]
fn every_room_of_the_table_that_exists_is_seen() {
    let metadata = metadata();
    let seen: Vec<&str> = metadata
        .packages
        .iter()
        .filter(|p| metadata.workspace_members.contains(&p.id))
        .map(|p| p.name.as_str())
        .collect();
    assert!(seen.contains(&"model") && seen.contains(&"walls"), "{seen:?}");
    let model = metadata.packages.iter().find(|p| p.name == "model").unwrap();
    assert!(model.dependencies.iter().any(|d| d.name == "rust_decimal"), "dependencies are seen");
}

/// Every pair of rooms: what the table allows passes, what it does not is named with its way out.
#[test]
fn every_import_that_the_table_does_not_allow_is_a_broken_wall() {
    for importer in ROOMS {
        for imported in ROOMS.iter().filter(|imported| imported.name != importer.name) {
            for kind in [None, Some("dev"), Some("build")] {
                let mut house = empty_house();
                let optional = imported.name == "yardstick" && kind.is_none();
                declare(&mut house, importer.name, imported.name, kind, optional);
                let broken = check(&house);
                let allowed = importer.may_import.contains(&imported.name);
                if allowed && (imported.name != "yardstick" || optional) {
                    assert_eq!(broken, [], "{} may import {}", importer.name, imported.name);
                } else {
                    assert_eq!(broken.len(), 1, "{} imports {}", importer.name, imported.name);
                    assert_eq!(broken[0].offender, importer.name);
                    let report = broken[0].to_string();
                    assert!(report.contains(imported.name), "{report}");
                    assert!(allowed || report.contains(importer.instead), "{report}");
                }
            }
        }
    }
}

#[test]
fn the_yardstick_is_not_on_by_default() {
    for turned_on in ["yardsticks", "dep:yardstick", "yardstick/jiter", "all"] {
        let mut house = empty_house();
        declare(&mut house, "meltica", "yardstick", None, true);
        let meltica = house.packages.iter_mut().find(|p| p.name == "meltica").unwrap();
        let feature = |on: &str| vec![on.to_owned()];
        meltica.features = BTreeMap::from([
            ("yardsticks".to_owned(), feature("dep:yardstick")),
            ("all".to_owned(), feature("yardsticks")),
        ]);
        assert_eq!(check(&house), []);
        let meltica = house.packages.iter_mut().find(|p| p.name == "meltica").unwrap();
        meltica.features.insert("default".to_owned(), feature(turned_on));
        assert_one(&check(&house), "meltica", "off by default");
    }
}

#[test]
fn every_outsider_is_a_broken_wall_where_it_is_declared() {
    for outsider in OUTSIDERS {
        for (room, banned) in pairs(outsider.rooms, outsider.packages) {
            let mut house = empty_house();
            declare(&mut house, room, banned, None, false);
            let broken = check(&house);
            assert_one(&broken, room, outsider.instead);
            assert!(broken[0].to_string().contains(banned));
            // Tests and build scripts are not linked into the product.
            let mut house = empty_house();
            declare(&mut house, room, banned, Some("dev"), false);
            assert_eq!(check(&house), []);
        }
    }
}

#[test]
fn an_outsider_is_found_behind_other_libraries() {
    for outsider in OUTSIDERS {
        for (room, banned) in pairs(outsider.rooms, outsider.packages) {
            let mut house = empty_house();
            link(&mut house, room, "harmless", None);
            link(&mut house, "harmless", "helper", None);
            link(&mut house, "helper", banned, None);
            let broken = check(&house);
            if outsider.transitive {
                assert_one(&broken, room, outsider.instead);
                let way = format!("{room} → harmless → helper → {banned}");
                assert!(broken[0].how.contains(&way), "{}", broken[0]);
            } else {
                assert_eq!(broken, []);
            }
        }
    }
}

#[test]
fn what_only_tests_link_is_no_way_to_an_outsider() {
    let mut house = empty_house();
    link(&mut house, "engine", "harmless", Some("dev"));
    link(&mut house, "harmless", "tokio", None);
    assert_eq!(check(&house), []);
}

#[test]
fn every_banned_feature_is_a_broken_wall() {
    for banned in FEATURES {
        for feature in banned.features {
            let mut house = empty_house();
            link(&mut house, "model", banned.package, None);
            assert_eq!(check(&house), []);
            let node = house.resolve.nodes.iter_mut().find(|n| n.id == banned.package).unwrap();
            node.features = vec!["std".to_owned(), (*feature).to_owned()];
            let broken = check(&house);
            assert_one(&broken, banned.package, banned.instead);
            assert!(broken[0].wall.contains(feature), "{}", broken[0]);
        }
    }
}

#[test]
fn a_crate_without_a_row_is_a_broken_wall() {
    let mut house = empty_house();
    add(&mut house, "attic", true);
    assert_one(&check(&house), "attic", "ARCHITECTURE.md");
}

fn assert_one(broken: &[Broken], offender: &str, instead: &str) {
    assert_eq!(broken.len(), 1, "{broken:?}");
    assert_eq!(broken[0].offender, offender);
    assert!(broken[0].to_string().contains(instead), "{}", broken[0]);
}

fn pairs<'a>(
    rooms: &'a [&'static str],
    packages: &'a [&'static str],
) -> impl Iterator<Item = (&'static str, &'static str)> + 'a {
    rooms.iter().flat_map(move |room| packages.iter().map(move |package| (*room, *package)))
}

/// All rooms, each without a dependency.
fn empty_house() -> Metadata {
    let mut house =
        Metadata { packages: vec![], workspace_members: vec![], resolve: Resolve::default() };
    for room in ROOMS {
        add(&mut house, room.name, true);
    }
    house
}

fn add(house: &mut Metadata, name: &str, member: bool) {
    let id = name.to_owned();
    house.packages.push(Package { id: id.clone(), name: id.clone(), ..Package::default() });
    house.resolve.nodes.push(Node { id: id.clone(), ..Node::default() });
    if member {
        house.workspace_members.push(id);
    }
}

fn declare(house: &mut Metadata, from: &str, to: &str, kind: Option<&str>, optional: bool) {
    let kind = kind.map(str::to_owned);
    let package = house.packages.iter_mut().find(|p| p.name == from).unwrap();
    package.dependencies.push(Dependency { name: to.to_owned(), kind, optional });
}

fn link(house: &mut Metadata, from: &str, to: &str, kind: Option<&str>) {
    if !house.packages.iter().any(|p| p.name == to) {
        add(house, to, false);
    }
    let dep_kinds = vec![Kind { kind: kind.map(str::to_owned) }];
    let node = house.resolve.nodes.iter_mut().find(|n| n.id == from).unwrap();
    node.deps.push(Edge { pkg: to.to_owned(), dep_kinds });
}

/// The real thing. Only this machine's part of the graph, so that nothing has to be fetched which
/// the build has not fetched already; the declared dependencies are complete all the same.
fn metadata() -> Metadata {
    let limit = Duration::from_secs(60);
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or("rustc".into()));
    rustc.arg("-vV");
    let version = command::run(rustc, limit).expect("rustc").text;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");

    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(house::root());
    cargo.args(["metadata", "--format-version", "1", "--all-features", "--quiet"]);
    cargo.args(["--filter-platform", host]);
    let outcome = command::run(cargo, limit).expect("cargo metadata");
    assert!(outcome.ok, "cargo metadata: {}", outcome.text);
    let json = outcome.text.lines().find(|line| line.starts_with('{')).expect("a JSON object");
    serde_json::from_str(json).expect("the form of cargo metadata")
}
