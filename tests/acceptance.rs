//! The table of acceptance cases (`docs/acceptance.md`) says what the tests say.
//!
//! A test carries the ids of the cases it keeps at the beginning of its name: `wrk_01_a_ready_run_…`,
//! `nom_18_20_…`, `fnd_17_to_19_…`, `prj_12_x3_…`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::architecture::{root, sources};

/// A row of the table.
struct Case {
    id: String,
    state: String,
    /// The files named, in backticks.
    files: Vec<String>,
}

fn table() -> Vec<Case> {
    let text = fs::read_to_string(root().join("docs/acceptance.md")).expect("the table is there");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.splitn(3, " | ").collect::<Vec<_>>());
    let cases = cells.filter_map(|cells| match cells[..] {
        [id, state, place] if id != "Id" => {
            let files = place.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect();
            Some(Case { id: id.to_owned(), state: state.to_owned(), files })
        }
        _ => None,
    });
    cases.collect()
}

/// The files that have tests with an id, by id.
fn tested(prefixes: &BTreeSet<String>) -> BTreeMap<String, BTreeSet<String>> {
    let mut tested: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let root = root();
    let tops = ["domain", "projections", "schemas", "adapters", "tests"].map(|top| root.join(top));
    for file in sources(&tops) {
        let name = file.strip_prefix(&root).unwrap_or(Path::new("")).display().to_string();
        let text = fs::read_to_string(&file).expect("sources are readable");
        for id in tests_in(&text).iter().flat_map(|test| ids_of(test, prefixes)) {
            tested.entry(id).or_default().insert(name.clone());
        }
    }
    tested
}

/// The names of the tests in a source: functions right behind an attribute that makes them tests.
fn tests_in(source: &str) -> Vec<&str> {
    let mut is_test = false;
    let mut tests = Vec::new();
    for line in source.lines().map(str::trim_start) {
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        if let Some(function) = function {
            if is_test {
                tests.extend(function.split(['(', '<']).next());
            }
            is_test = false;
        } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            is_test = false;
        }
    }
    tests
}

/// The ids at the beginning of a test's name: a prefix and a number, further numbers of the same prefix, `to`
/// between two of them, `and` anywhere, and invariants like `x3`.
fn ids_of(test: &str, prefixes: &BTreeSet<String>) -> Vec<String> {
    let mut ids = Vec::new();
    let mut prefix = String::new();
    let mut before: Option<u32> = None;
    let mut words = test.split('_').peekable();
    while let Some(word) = words.next() {
        let number = |word: &str| (word.len() == 2).then(|| word.parse::<u32>().ok()).flatten();
        let next = words.peek().copied().and_then(number);
        if let Some(found) = number(word).filter(|_| !prefix.is_empty()) {
            ids.push(format!("{prefix}-{found:02}"));
            before = Some(found);
        } else if next.is_some() && prefixes.contains(&word.to_uppercase()) {
            prefix = word.to_uppercase();
        } else if let (Some(first), Some(last), "to") = (before, next, word) {
            ids.extend((first + 1..last).map(|between| format!("{prefix}-{between:02}")));
        } else if word.strip_prefix('x').is_some_and(|number| number.parse::<u32>().is_ok()) {
            ids.push(word.to_uppercase());
        } else if !(word == "and" && next.is_some()) {
            break;
        }
    }
    ids
}

fn prefixes(table: &[Case]) -> BTreeSet<String> {
    table.iter().filter_map(|case| case.id.split_once('-')).map(|(prefix, _)| prefix.to_owned()).collect()
}

#[test]
fn every_case_of_the_table_is_where_it_says() {
    let table = table();
    let tested = tested(&prefixes(&table));
    for Case { id, state, files } in &table {
        match state.as_str() {
            "tested" => {
                assert!(!files.is_empty(), "{id} names no file");
                let missing = files.iter().find(|file| !tested.get(id).is_some_and(|found| found.contains(*file)));
                assert_eq!(missing, None, "no test in that file has {id} in its name");
            }
            "later" | "not ours" => assert!(!tested.contains_key(id), "{id} is {state}, but has a test"),
            other => panic!("{id} is `{other}`, which is no state"),
        }
    }
}

#[test]
fn every_id_in_the_name_of_a_test_is_in_the_table_once() {
    let table = table();
    let known: BTreeSet<&str> = table.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(known.len(), table.len(), "an id is there twice");
    assert!(known.len() > 200, "the table was read");
    for (id, files) in tested(&prefixes(&table)) {
        assert!(known.contains(id.as_str()), "{id}, in the name of a test in {files:?}, is not in the table");
    }
}

#[test]
fn ids_are_read_from_the_names_of_tests() {
    let prefixes = ["FND", "NOM", "PRJ", "WRK"].map(ToOwned::to_owned).into();
    let read = |test| ids_of(test, &prefixes).join(" ");
    assert_eq!(read("wrk_01_a_ready_run_waits_for_10_seconds"), "WRK-01");
    assert_eq!(read("fnd_17_to_19_runs_are_found"), "FND-17 FND-18 FND-19");
    assert_eq!(read("nom_18_and_20_and_everything"), "NOM-18 NOM-20");
    assert_eq!(read("nom_22_prj_04_x3_x10_runs"), "NOM-22 PRJ-04 X3 X10");
    assert_eq!(read("a_run_that_wrk_01"), "");
    let source = "#[test]\nfn wrk_01_a() {}\n#[tokio::test]\n// why\nasync fn b<T>() {}\nfn wrk_02_no_test() {}\n";
    assert_eq!(tests_in(source), ["wrk_01_a", "b"]);
}
