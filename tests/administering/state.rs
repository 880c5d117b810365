//! What an administrator is told: how the projections are, and how the log grows.

use knit_tests::server::Setup;
use knit_tests::workshop::Workshop;
use serde_json::Value;

fn projections(shop: &Workshop, words: &[&str]) -> Vec<Value> {
    let line = [&["admin", "projections"], words].concat();
    shop.knit(&line).json().as_array().expect("a list").clone()
}

#[test]
fn every_projection_shows_the_whole_log() {
    let shop = Workshop::open();
    shop.push(&[("it", "x")], &["a:b"]);
    let states = projections(&shop, &[]);
    let names: Vec<&Value> = states.iter().map(|state| &state["name"]).collect();
    assert_eq!(names, ["store", "matcher", "worklists"]);
    for state in &states {
        assert_eq!((&state["state"], &state["lag"]), (&"live".into(), &0.into()), "{state:#}");
        assert!(state["memoryBytes"].as_u64() > Some(0) && state["position"].as_u64() > Some(3), "{state:#}");
        assert_eq!(state["digest"], Value::Null, "it is reckoned only where it is asked for");
    }
    let table = shop.knit(&["admin", "projections", "--output", "table"]).stdout;
    assert!(table.starts_with("PROJECTION") && table.contains("\nmatcher"), "{table}");
}

#[test]
fn the_digests_outlive_a_restart_from_the_log_and_from_a_snapshot() {
    let mut shop = Workshop::open();
    shop.push(&[("it", "x")], &["a:b"]);
    let digests = |shop: &Workshop| -> Vec<Value> {
        projections(shop, &["--digest"]).iter().map(|state| state["digest"].clone()).collect()
    };
    let before = digests(&shop);
    let table = shop.knit(&["admin", "projections", "--digest", "-o", "table"]).stdout;
    for (line, digest) in table.lines().skip(1).zip(&before) {
        let whole = digest.as_str().unwrap();
        assert!(line.ends_with(&whole[..16]) && line.chars().count() < 80, "{table}");
    }
    assert!(before.iter().all(|digest| digest.as_str().is_some_and(|digest| digest.len() == 64)), "{before:?}");
    shop.server.kill();
    shop.server.start();
    assert_eq!(digests(&shop), before, "folded again from the log");
    let saved = shop.knit(&["admin", "snapshot"]).json();
    let position = projections(&shop, &[])[0]["position"].clone();
    for (saved, name) in saved.as_array().unwrap().iter().zip(["store", "matcher", "worklists"]) {
        assert_eq!((&saved["name"], &saved["position"]), (&name.into(), &position));
        assert!(saved["bytes"].as_u64() > Some(0));
    }
    assert!(projections(&shop, &[]).iter().all(|state| state["snapshot"] == position));
    shop.server.kill();
    shop.server.start();
    assert!(shop.server.log().contains("restored from a snapshot"), "{}", shop.server.log());
    assert_eq!(digests(&shop), before);
}

#[test]
fn the_log_tells_its_size_its_growth_and_its_longest_streams() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["a:b"]);
    for n in 0..12 {
        let _ = shop.knit(&["data", "tag", "--add", &format!("n:{n}"), &data]);
    }
    let stats = shop.knit(&["admin", "log", "stats"]).json();
    let events = stats["events"].as_u64().unwrap();
    assert!(events > 12 && stats["bytes"].as_u64() > Some(events * 100), "{stats:#}");
    // The test may run over midnight.
    let days: u64 = stats["days"].as_array().unwrap().iter().map(|day| day["events"].as_u64().unwrap()).sum();
    assert_eq!(days, events);
    let longest = &stats["longestStreams"][0];
    assert_eq!((&longest["type"], &longest["id"]), (&"data".into(), &data.as_str().into()), "{stats:#}");
    assert!(longest["events"].as_u64() > Some(12));
    let _ = shop.knit(&["admin", "log", "stats", "--output", "text"]).prints(&format!("{events} events, the last at "));
}

#[test]
fn a_server_on_postgresql_tells_the_same() {
    let database = knit_tests::postgres::TestDatabase::new();
    let shop = Workshop::with(Setup::new().database(database.url()));
    let stats = shop.knit(&["admin", "log", "stats"]).json();
    assert!(stats["bytes"].as_u64() > Some(0), "{stats:#}");
    assert_eq!(projections(&shop, &["--digest"]).len(), 3);
    assert_eq!(shop.knit(&["admin", "snapshot"]).json().as_array().map(Vec::len), Some(3));
}
