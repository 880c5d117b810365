//! The table of cases held against the sources: every place is in it, and nothing else is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::cases::{CASES, Case};

/// The instants at which the log names every event it writes.
const INSTANTS: [&str; 2] = ["commit", "committed"];
/// An event that nobody can cause yet.
const NEVER_CAUSED: [&str; 1] = ["ImportStarted"];
/// The heading of the document's table.
const TABLE: &str = "### Every place";
/// What the call of a failpoint looks like.
const CALL: &str = "failpoint(\"";

#[test]
fn every_place_at_which_a_server_may_die_is_in_the_matrix() {
    let (places, passed, named) = (places(), names(false), names(true));
    let unknown: Vec<&String> = named.difference(&places).collect();
    assert!(unknown.is_empty(), "the table names places that are not in the sources: {unknown:#?}");
    let missing: Vec<&String> = places.difference(&passed).collect();
    assert!(missing.is_empty(), "at these places nobody has died yet; add a case for each: {missing:#?}");
}

#[test]
fn the_document_tells_of_each_case_the_place_the_story_and_what_must_hold() {
    let document = fs::read_to_string(root().join("docs/reliability.md")).expect("the document exists");
    let (_, table) = document.split_once(TABLE).expect("the document has the table");
    let rows = table.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let told: BTreeSet<String> = rows.skip(2).filter_map(|row| Some(row.rsplit_once(" | ")?.0.to_owned())).collect();
    let row = |case: &Case| format!("| `{}` | {} | {}", case.place(), case.story.words(), case.holds);
    let cases: BTreeSet<String> = CASES.iter().map(row).collect();
    let untold: Vec<&String> = cases.difference(&told).collect();
    assert!(untold.is_empty(), "docs/reliability.md does not tell of {untold:#?}");
    let unproved: Vec<&String> = told.difference(&cases).collect();
    assert!(unproved.is_empty(), "docs/reliability.md tells what no case shows: {unproved:#?}");
}

/// Every place in the sources.
fn places() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in sources(&root().join("adapters")) {
        let text = fs::read_to_string(&file).expect("sources are readable");
        let names = text.split(CALL).skip(1).filter_map(|rest| rest.split('"').next());
        for name in names.map(str::to_owned) {
            assert!(found.insert(name.clone()), "{name} is the name of two places; one is in {}", file.display());
        }
    }
    let events = fs::read_dir(root().join("schemas/events")).expect("every event has a golden file");
    for event in events.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        let event = event.split('.').next().unwrap_or_default();
        if !NEVER_CAUSED.contains(&event) {
            found.extend(INSTANTS.iter().map(|instant| format!("{instant}.{event}")));
        }
    }
    found
}

/// The places at which a case dies; `or_waits`: and those at which it makes somebody wait.
fn names(or_waits: bool) -> BTreeSet<String> {
    let orders = CASES.iter().flat_map(|case| case.lives).flat_map(|orders| orders.split(','));
    let orders = orders.filter(|order| or_waits || !order.contains('>'));
    orders.flat_map(|order| order.split('>')).map(|order| order.split(':').next().unwrap_or(order).to_owned()).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("folders of the repository are readable").flatten();
    let found = entries.flat_map(|entry| {
        let path = entry.path();
        if path.is_dir() { sources(&path) } else { vec![path] }
    });
    // Tests of a crate are no places of the program.
    found
        .filter(|path| {
            path.extension().is_some_and(|rs| rs == "rs") && path.components().any(|part| part.as_os_str() == "src")
        })
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the kit lies below the root").to_path_buf()
}
