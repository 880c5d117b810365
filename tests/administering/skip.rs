//! A projection stops at an event that it cannot apply, and an administrator lets it pass over that event (D8).

use knit_tests::postgres::TestDatabase;
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;
use serde_json::{Value, json};

use crate::importing::{digests, looking};
use crate::verifying::{exported, text};

/// A server that has met an event which its store cannot apply, and the position of that.
fn stopped() -> (TestDatabase, Workshop, u64) {
    let database = TestDatabase::new();
    let shop = Workshop::with(Setup::new().database(database.url()));
    shop.push(&[("it", "x")], &["before:it"]);
    let position = database.contradict();
    wait_until("the store to stop", || state(&shop, "store")["state"] == "stopped");
    (database, shop, position)
}

fn state(shop: &Workshop, name: &str) -> Value {
    let states = shop.knit(&["admin", "projections"]).json();
    let found = states.as_array().unwrap().iter().find(|state| state["name"] == name);
    found.unwrap_or_else(|| panic!("there is a projection {name}: {states:#}")).clone()
}

fn skip(shop: &Workshop, position: u64) -> Value {
    let position = position.to_string();
    shop.knit(&["admin", "skip", &position, "--projection", "store", "--reason", "a mistake of 1.0"]).json()
}

/// Whoever runs this test.
pub(super) fn user() -> String {
    let uid = nix::unistd::geteuid();
    nix::unistd::User::from_uid(uid).unwrap().map_or_else(|| format!("uid:{uid}"), |user| user.name)
}

#[test]
fn d8_a_projection_that_has_stopped_goes_on_behind_the_event_that_is_skipped() {
    let (_database, shop, position) = stopped();
    let store = state(&shop, "store");
    assert_eq!(store["position"], position - 1);
    assert!(store["why"].as_str().unwrap().contains("there is no Data"), "{store:#}");
    assert_eq!(state(&shop, "worklists")["state"], "live", "the others go on");
    let told = shop.knit(&["admin", "projections"]);
    let _ = told.tells(&format!("`knit admin skip {position} --projection store --reason TEXT`"));
    assert_eq!(shop.server.http().get("/readyz").status, 503);

    let skipped = skip(&shop, position);
    assert_eq!((&skipped["projection"], &skipped["position"]), (&json!("store"), &json!(position)));
    assert!(
        skipped["recordedAt"].as_u64() > Some(position) && skipped["reached"] == skipped["recordedAt"],
        "{skipped}"
    );

    assert_eq!(shop.server.http().get("/readyz").status, 200);
    let data = shop.push(&[("it", "y")], &["behind:it"]);
    assert!(shop.data(&data).unwrap()["tags"].as_array().unwrap().contains(&json!("behind:it")));
    let events = shop.knit(&["events", "--type", "EventSkipped", "--output", "json"]).stdout;
    let event: Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    assert_eq!(event["actor"], user(), "{event:#}");
    let payload = json!({"projection": "store", "position": position, "reason": "a mistake of 1.0"});
    assert_eq!(event["payload"], payload);
}

#[test]
fn d8_whoever_folds_the_log_again_knows_all_skips_before() {
    let (database, mut shop, position) = stopped();
    skip(&shop, position);
    let digest = |shop: &Workshop| shop.knit(&["admin", "projections", "--digest"]).json()[0]["digest"].clone();
    let before = digest(&shop);
    assert_eq!(database.run("SELECT count(*) FROM log_snapshots"), "0", "nothing but the log is there");
    shop.server.kill();
    shop.server.start();
    assert_eq!(digest(&shop), before);
    assert_eq!(shop.server.log().matches("projection stopped").count(), 1, "it has not stopped again");
    assert_eq!(state(&shop, "store")["skipped"], 1);
    // Another server on the same log, which has never seen the projection stop.
    let other = Setup::new().database(database.url()).option("--role", "api").start();
    let told = other.knit().run(["admin", "projections", "--digest"]).ok().json();
    assert_eq!(told[0]["digest"], before);
}

#[test]
fn d8_only_the_event_at_which_it_has_stopped_can_be_skipped() {
    let (_database, shop, position) = stopped();
    let refused = |position: u64, projection: &str, reason: &str, code: i32| {
        let position = position.to_string();
        shop.refused(code, &["admin", "skip", &position, "--projection", projection, "--reason", reason])
    };
    let _ = refused(position - 1, "store", "why not", 5).tells(&format!("has stopped at position {position}"));
    let _ = refused(position, "matcher", "why not", 5).tells("has not stopped");
    let _ = refused(position, "store", " ", 1).tells("a reason is needed");
    let _ = refused(position, "lineage", "why not", 4).tells("there is no projection `lineage`, but store, matcher");
    assert_eq!(state(&shop, "store")["state"], "stopped", "nothing has changed");
    skip(&shop, position);
    let again = skip(&shop, position);
    assert_eq!(again["recordedAt"], 0, "it is recorded once: {again}");
}

#[test]
fn d8_a_history_that_is_replayed_or_imported_is_folded_with_all_its_skips() {
    let (_database, shop, position) = stopped();
    skip(&shop, position);
    let data = shop.push(&[("it", "y")], &["behind:it"]);
    let live = digests(&shop);
    let replayed = |words: &[&str]| {
        let told = shop.knit(words).json();
        let projections = told["projections"].as_array().unwrap().iter();
        let all: Vec<_> =
            projections.map(|one| (one["name"].clone(), one["position"].clone(), one["digest"].clone())).collect();
        all
    };
    let file = exported(&shop, "proto");
    assert_eq!(replayed(&["audit", "replay"]), live);
    assert_eq!(replayed(&["audit", "replay", text(&file)]), live, "what is skipped is said only behind it");
    let elsewhere = looking(Setup::new());
    let _ = elsewhere.knit(&["audit", "import", text(&file)]);
    assert_eq!(digests(&elsewhere), live);
    assert_eq!(state(&elsewhere, "store")["skipped"], 1);
    assert_eq!(elsewhere.server.log().matches("projection stopped").count(), 0, "it knew the skip before");
    assert!(elsewhere.data(&data).is_some());
}
