//! A log that somebody has changed behind its server is told to be so, wherever somebody asks, and with what to do.

use knit_tests::postgres::TestDatabase;
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;

use crate::verifying::{NOT_WHOLE, by_hand, text, with_a_history};

/// A server that was started on a log in which `change` was done.
fn on_a_changed_log(change: &str) -> (TestDatabase, Workshop) {
    let database = TestDatabase::new();
    let mut shop = with_a_history(Setup::new().database(database.url()).option("--archive-segment", "2"));
    shop.server.kill();
    let _ = database.run(&format!("{change}; DELETE FROM log_snapshots; SELECT 1"));
    shop.server.start_listening();
    wait_until("the server to find it", || shop.server.http().get("/readyz").text().contains("knit audit verify"));
    (database, shop)
}

fn is_told_everywhere(change: &str, reason: &str) {
    let (_database, shop) = on_a_changed_log(change);
    let http = shop.server.http();
    for path in ["/readyz", "/api/data", "/api/plans", "/api/runs"] {
        let answer = http.get(path);
        let told = answer.text();
        assert_eq!(answer.status, 503, "{path}: {told}");
        assert!(told.contains(reason) && told.contains("run `knit audit verify`"), "{path}: {told}");
        assert!(told.contains("keep the database as it is") && !told.contains("retry later"), "{path}: {told}");
    }
    let states = shop.knit(&["admin", "projections"]).json();
    for state in states.as_array().unwrap() {
        assert_eq!(state["state"], "damaged", "{state:#}");
        assert!(state["why"].as_str().is_some_and(|why| why.contains(reason)), "{state:#}");
    }
    let told = shop.refused(1, &["admin", "doctor", "--output", "text"]);
    let line = told.stdout.lines().find(|line| line.contains("projections: "));
    assert!(line.is_some_and(|line| line.starts_with("bad") && line.contains(reason)), "{told}");

    let archive = shop.new_path("archive");
    for words in [
        &["audit", "replay"][..],
        &["admin", "rebuild-projection", "store"],
        &["admin", "archive", "--to", text(&archive)],
    ] {
        let _ = shop.refused(NOT_WHOLE, words).tells("hint: `knit audit verify`");
    }
    let log = shop.server.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("cannot follow the log")).collect();
    assert!(matches!(lines[..], [line] if line.contains("knit audit verify")), "told once: {lines:#?}");
    let figures = http.get("/metrics").text();
    let lag = figures.lines().find_map(|line| line.strip_prefix("knitd_projection_lag_seconds{projection=\"store\"} "));
    assert!(lag.is_some_and(|lag| lag.parse::<f64>().is_ok_and(|lag| lag > 0.0)), "it has a lag: {figures}");
}

#[test]
fn a_missing_event_is_told_everywhere() {
    is_told_everywhere("DELETE FROM events WHERE position = 3", "event 3 is missing");
}

#[test]
fn a_forged_time_is_told_everywhere() {
    let change = "UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 3";
    is_told_everywhere(change, "event 3 does not continue the chain");
}

#[test]
fn what_is_stored_of_one_event_is_shown_although_the_log_is_damaged() {
    let (_database, shop) = on_a_changed_log("DELETE FROM events WHERE position = 3");
    let show = |position| shop.knit(&["audit", "show", position, "--output", "text"]);
    let _ = show("2").prints("is the hash of what is stored").prints("continues the one before");
    let _ = show("4").prints("IS MISSING from the log").prints("DOES NOT continue the one before");
    let _ =
        shop.refused(1, &["audit", "show", "3"]).tells("event 3 is missing from the log").tells("`knit audit verify`");
    let _ = shop.refused(4, &["audit", "show", "1000000"]).tells("there is no event `1000000`");
}

#[test]
fn an_event_that_somebody_has_emptied_is_not_to_be_asked_for_later() {
    let emptied = "UPDATE events SET payload = '{}', salt = '' WHERE position = 3";
    let (_database, shop) = on_a_changed_log(emptied);
    let told = shop.refused(1, &["audit", "show", "3"]).tells("the event log is damaged").tells("event 3 was emptied");
    assert!(!told.stderr.contains("later") && !told.stderr.contains("for the moment"), "{told}");
}

#[test]
fn a_changed_name_or_version_of_an_event_is_damage_and_no_event_of_a_newer_program() {
    for change in ["event_type = 'PlanAdmittee'", "event_version = '9'", "aggregate_type = 'catalog'"] {
        // Of an event that the start itself loads, and of one that it only follows.
        for position in [2, 5] {
            let (_database, shop) =
                on_a_changed_log(&format!("UPDATE events SET {change} WHERE position = {position}"));
            let told = shop.server.http().get("/readyz").text();
            assert!(told.contains("the event log is damaged") && !told.contains("newer"), "{change}: {told}");
            let named = format!("position {position}: ");
            let _ = shop.refused(NOT_WHOLE, &["audit", "verify"]).tells(&named);
        }
    }
}

#[test]
fn a_changed_name_of_an_event_in_a_file_is_damage_too() {
    let mut shop = with_a_history(Setup::new());
    let _ = shop.server.stop();
    by_hand(
        shop.server.state_dir(),
        "UPDATE events SET event_type = 'PlanAdmittee' WHERE position = 5; DELETE FROM log_snapshots",
    );
    shop.server.start_listening();
    wait_until("the server to find it", || {
        shop.server.http().get("/readyz").text().contains("event 5 is not what was")
    });
    let _ = shop.refused(NOT_WHOLE, &["audit", "verify"]).tells("position 5: ");
}

#[test]
fn what_is_stored_is_told_although_it_is_no_event_any_more() {
    let database = TestDatabase::new();
    let shop = with_a_history(Setup::new().database(database.url()));
    let change = "UPDATE events SET payload = regexp_replace(payload::text, '\"', '\"x')::json WHERE position = 3";
    let _ = database.run(&format!("{change}; SELECT 1"));
    let told = shop.refused(1, &["audit", "show", "3"]).tells("the event log is damaged").tells("event 3 was changed");
    let _ = told.tells("of version 1, which says {\"x").tells("`knit audit verify`");
}
