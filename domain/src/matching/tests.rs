use super::*;
use crate::plan::draft::samples::{plan_id, tags};

const T1: [&str; 3] = ["a:1", "b:1", "c:1"];
const T2: [&str; 3] = ["a:2", "b:2", "c:2"];
const K1: &str = "knit#id:00000000-0000-0000-0000-0000000000a1";
const K2: &str = "knit#id:00000000-0000-0000-0000-0000000000a2";
const DAY1: &str = "knit#timestamp:2021-10-11T12:13:14.123+00:00";
const DAY2: &str = "knit#timestamp:2021-10-12T12:13:14.123+00:00";

fn id(of: &str) -> KnitId {
    of.strip_prefix("knit#id:").unwrap().parse().unwrap()
}

fn instant(of: &str) -> Option<Timestamp> {
    Some(Timestamp::parse(of.strip_prefix("knit#timestamp:").unwrap()).unwrap())
}

/// Whether an input that asks for all of `groups` admits the Data.
fn fits(data: &Candidate<'_>, groups: &[&[&str]]) -> bool {
    Requirement::of(&tags(&groups.concat())).admits(data)
}

fn other() -> KnitId {
    id("knit#id:00000000-0000-0000-0000-0000000000ff")
}

#[test]
fn nom_03_a_data_fits_by_its_tags_or_by_its_instant() {
    let tags = tags(&T1);
    let data = Candidate { knit_id: other(), tags: &tags, timestamp: instant(DAY2), done: true };
    assert!(fits(&data, &[&T1]));
    assert!(fits(&data, &[&[DAY2]]));
    assert!(!fits(&data, &[&[DAY1]]));
    assert!(!fits(&data, &[&[DAY1], &T1]));
}

#[test]
fn nom_04_a_pinned_data_must_also_have_the_tags_and_the_instant_asked_for() {
    let tags = tags(&T1);
    let data = Candidate { knit_id: id(K2), tags: &tags, timestamp: instant(DAY1), done: true };
    for asked in [&[&T1[..]][..], &[&[DAY1]], &[&[DAY1], &T1], &[&[K2]]] {
        assert!(fits(&data, asked), "{asked:?}");
    }
    for asked in [&[&[K2], &T2[..]][..], &[&[K2, DAY2]], &[&[K2, DAY2], &T2]] {
        assert!(!fits(&data, asked), "{asked:?}");
    }
}

#[test]
fn nom_05_a_data_that_is_all_that_is_asked_for_fits_every_part_of_it() {
    let tags = tags(&T1);
    let data = Candidate { knit_id: id(K1), tags: &tags, timestamp: instant(DAY1), done: true };
    let parts: [&[&str]; 3] = [&T1, &[DAY1], &[K1]];
    for mask in 1..8 {
        let asked: Vec<&[&str]> = (0..3).filter(|part| mask & (1 << part) != 0).map(|part| parts[part]).collect();
        assert!(fits(&data, &asked), "{asked:?}");
    }
}

#[test]
fn nom_06_an_untagged_data_fits_by_its_pins() {
    let none = TagSet::default();
    let data = Candidate { knit_id: id(K1), tags: &none, timestamp: instant(DAY1), done: true };
    for asked in [&[K1][..], &[DAY1], &[K1, DAY1]] {
        assert!(fits(&data, &[asked]));
    }
    assert!(!fits(&data, &[&T1]));
}

#[test]
fn nom_07_a_data_without_timestamp_fits_no_instant() {
    let tags = tags(&T1);
    let data = Candidate { knit_id: id(K1), tags: &tags, timestamp: None, done: true };
    for asked in [&[&[K1][..]][..], &[&T1], &[&[K1], &T1]] {
        assert!(fits(&data, asked));
    }
    assert!(!fits(&data, &[&[DAY1]]));
}

#[test]
fn nom_08_every_tag_asked_for_is_needed() {
    let (some, all) = (tags(&T1), tags(&[T1, T2].concat()));
    let data = |tags| Candidate { knit_id: other(), tags, timestamp: None, done: true };
    assert!(!fits(&data(&some), &[&T1, &T2]));
    assert!(fits(&data(&all), &[&T1, &T2]));
    assert!(fits(&data(&all), &[&T1]));
}

#[test]
fn nom_09_an_input_that_asks_for_nothing_is_never_filled() {
    let tags = tags(&T1);
    let data = Candidate { knit_id: other(), tags: &tags, timestamp: instant(DAY1), done: true };
    assert!(!fits(&data, &[]));
}

#[test]
fn nom_10_only_data_of_a_done_run_fit() {
    let tags = tags(&T1);
    let data = Candidate { knit_id: id(K1), tags: &tags, timestamp: instant(DAY1), done: false };
    for asked in [&[&T1[..]][..], &[&[K1]], &[&[DAY1]]] {
        assert!(!fits(&data, asked));
    }
}

#[test]
fn q3_a_pin_copied_from_a_display_matches_in_any_offset() {
    let none = TagSet::default();
    let data = Candidate { knit_id: other(), tags: &none, timestamp: instant(DAY1), done: true };
    assert!(fits(&data, &[&["knit#timestamp:2021-10-11T21:13:14.123+09:00"]]));
    assert!(fits(&data, &[&["knit#timestamp:2021-10-11T12:13:14.123999Z"]]));
    assert!(!fits(&data, &[&["knit#timestamp:2021-10-11T12:13:14.124Z"]]));
}

#[test]
fn an_input_that_no_data_can_satisfy_is_never_filled() {
    let tags = tags(&T1);
    let data = Candidate { knit_id: id(K1), tags: &tags, timestamp: instant(DAY1), done: true };
    for absurd in [&["a:1", "knit#transient:failed"][..], &[K1, K2], &[DAY1, DAY2], &["a:1", "knit#timestamp:soon"]] {
        assert!(!fits(&data, &[absurd]), "{absurd:?}");
    }
}

#[test]
fn an_output_feeds_an_unpinned_input_whose_tags_it_all_carries() {
    let feeds = |output: &[&str], input: &[&str]| Requirement::of(&tags(input)).fed_by(&tags(output));
    assert!(feeds(&["a:1", "b:1"], &["a:1"]));
    assert!(!feeds(&["a:1"], &["a:1", "b:1"]));
    assert!(!feeds(&["a:1"], &["a:1", K1]));
    assert!(!feeds(&["a:1"], &["a:1", DAY1]));
    assert!(!feeds(&["a:1"], &[K1]));
}

fn assignment(path: &str, knit_id: &str) -> Assignment {
    Assignment { path: path.to_owned(), knit_id: id(knit_id) }
}

#[test]
fn x3_a_combination_is_one_run_in_whatever_order_it_is_told() {
    let (first, second) = (assignment("/in/1", K1), assignment("/in/2", K2));
    let run = RunId::of_combination(plan_id(1), &[first.clone(), second.clone()]);
    assert_eq!(run, RunId::of_combination(plan_id(1), &[second, first]));
    // The value is part of every stored history: a change of the encoding would run everything again.
    assert_eq!(run.to_string(), "1351b9a1-0013-5d67-8936-7741bcef48cd");
}

#[test]
fn x3_different_combinations_are_different_runs() {
    let runs = [
        RunId::of_combination(plan_id(1), &[assignment("/in/1", K1), assignment("/in/2", K2)]),
        RunId::of_combination(plan_id(1), &[assignment("/in/1", K2), assignment("/in/2", K1)]),
        RunId::of_combination(plan_id(2), &[assignment("/in/1", K1), assignment("/in/2", K2)]),
        RunId::of_combination(plan_id(1), &[assignment("/in/1", K1)]),
        RunId::of_combination(plan_id(1), &[assignment("/in/1", K1), assignment("/in/2", K1)]),
        RunId::of_combination(plan_id(1), &[]),
    ];
    let distinct: std::collections::HashSet<RunId> = runs.into_iter().collect();
    assert_eq!(distinct.len(), 6);
}
