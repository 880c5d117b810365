//! The rules of ARCHITECTURE.md that a machine can check: arrows go one way, and the map shows what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Which crates of the house each may name. A new arrow is a decision, and is written down here first.
const ARROWS: &[(&str, &[&str])] = &[
    ("knit-domain", &[]),
    ("knit-schemas", &[]),
    ("knit-projections", &["knit-domain", "knit-schemas"]),
    ("knit-failpoint", &[]),
    ("knit-log", &["knit-domain", "knit-schemas", "knit-failpoint"]),
    ("knit-runtime", &["knit-domain", "knit-failpoint"]),
    ("knitd", &["knit-domain", "knit-projections", "knit-schemas", "knit-log", "knit-runtime", "knit-failpoint"]),
    ("knit", &["knit-schemas"]),
    ("knit-tests", &[]),
    ("knit-histories", &["knit-domain", "knit-projections", "knit-schemas"]),
    ("knit-bench", &["knit-domain", "knit-projections", "knit-log", "knit-tests"]),
    ("knit-fuzz", &["knit-domain", "knit-projections", "knit-schemas", "knit-log", "knit-runtime", "knitd", "knit"]),
];

/// What the pure crates must never name, since each of these brings clocks, chance, files or networks.
const IMPURE: &[&str] = &["tokio", "sqlx", "rand", "reqwest", "hyper", "axum", "rustix", "nix", "tempfile"];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the kit lies below the root").to_path_buf()
}

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .exec()
        .expect("`cargo metadata` describes the workspace");
    let normal = |package: &cargo_metadata::Package| {
        let normal = package.dependencies.iter().filter(|dependency| dependency.kind == DependencyKind::Normal);
        normal.map(|dependency| dependency.name.to_string()).collect()
    };
    metadata.packages.iter().map(|package| (package.name.to_string(), normal(package))).collect()
}

#[test]
fn arrows_between_crates_go_one_way() {
    let dependencies = dependencies();
    let members: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    let drawn: BTreeSet<&str> = ARROWS.iter().map(|(member, _)| *member).collect();
    assert_eq!(members, drawn, "every member of the workspace has its arrows in ARROWS");
    for (member, allowed) in ARROWS {
        let named = dependencies[*member].iter().map(String::as_str).filter(|name| members.contains(name));
        let forbidden: Vec<&str> = named.filter(|name| !allowed.contains(name)).collect();
        assert!(forbidden.is_empty(), "{member} names {forbidden:?}, an arrow that ARROWS does not have");
    }
}

/// The driver stands outside the workspace, whose locking does not reach it: one that is out of date would only be
/// noticed by whoever calls `make fuzz`.
#[test]
fn the_lock_of_the_fuzzer_knows_what_the_crates_need() {
    let lock = std::fs::read_to_string(root().join("tests/fuzz/driver/Cargo.lock")).expect("it is in the repository");
    let dependencies = dependencies();
    let locked: Vec<(&str, &str)> = lock.split("[[package]]").filter_map(locked_package).collect();
    let ours: Vec<_> = locked.iter().filter(|(name, _)| dependencies.contains_key(*name)).collect();
    assert!(ours.iter().any(|(name, _)| *name == "knit-fuzz"), "the driver calls the targets");
    for (name, package) in ours {
        let known = |needed: &&String| {
            [format!(" \"{needed}\","), format!(" \"{needed} ")].iter().any(|as_listed| package.contains(as_listed))
        };
        let missing: Vec<&String> = dependencies[*name].iter().filter(|needed| !known(needed)).collect();
        assert!(missing.is_empty(), "{name} needs {missing:?}: call `cargo metadata` in tests/fuzz/driver");
    }
}

/// Name and text of a package in a lock.
fn locked_package(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once("name = \"")?;
    Some((rest.split_once('"')?.0, text))
}

#[test]
fn the_pure_crates_name_nothing_of_the_outside() {
    let dependencies = dependencies();
    for member in ["knit-domain", "knit-projections", "knit-schemas"] {
        let named: Vec<&&str> = IMPURE.iter().filter(|name| dependencies[member].contains(**name)).collect();
        assert!(named.is_empty(), "{member} names {named:?}");
    }
}

#[test]
fn the_pure_crates_ask_no_clock_chance_or_environment() {
    let ambient =
        ["SystemTime::now", "Instant::now", "Utc::now", "Local::now", "new_v4", "now_v7", "std::env::", "std::fs::"];
    for file in sources(&[root().join("domain/src"), root().join("projections/src")]) {
        let text = std::fs::read_to_string(&file).expect("sources are readable");
        let found: Vec<&&str> = ambient.iter().filter(|call| text.contains(**call)).collect();
        assert!(found.is_empty(), "{} asks {found:?}", file.display());
    }
}

#[test]
fn every_path_on_the_map_exists() {
    for document in ["ARCHITECTURE.md", "README.md"] {
        let text = std::fs::read_to_string(root().join(document)).expect("the document exists");
        let missing: Vec<&str> = paths_in(&text).into_iter().filter(|path| !root().join(path).exists()).collect();
        assert!(missing.is_empty(), "{document} names paths that do not exist: {missing:?}");
    }
}

/// Words in backticks that look like paths of the repository: they begin with a folder of the top level.
fn paths_in(text: &str) -> Vec<&str> {
    let tops = ["domain/", "projections/", "adapters/", "schemas/", "charts/", "tests/", "docs/", ".ci/"];
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|word| tops.iter().any(|top| word.starts_with(top)) && !word.contains(['*', ' ', '<', '{'])).collect()
}

#[test]
fn names_say_something() {
    let empty = ["util", "utils", "common", "helper", "helpers", "misc", "manager", "shared"];
    for file in
        sources(&[root().join("domain"), root().join("projections"), root().join("adapters"), root().join("tests")])
    {
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        assert!(!empty.contains(&stem), "{} is named for nothing in particular", file.display());
    }
}

/// A failure of a random test that cannot be repeated is worth little.
#[test]
fn every_random_test_says_its_seed() {
    let one_way = "knit_histories::chance";
    for file in
        sources(&[root().join("domain"), root().join("projections"), root().join("adapters"), root().join("tests")])
    {
        let text = std::fs::read_to_string(&file).expect("sources are readable");
        let begins =
            text.matches(concat!("proptest", "! {")).count() + text.matches(concat!("Test", "Runner::new(")).count();
        let says = text.matches(concat!("chance::", "cases(")).count();
        assert_eq!(begins, says, "{} begins {begins} random tests, {says} of them by {one_way}", file.display());
    }
}

pub(crate) fn sources(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = folders.to_vec();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).expect("folders of the repository are readable") {
            let path = entry.expect("entries are readable").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}
