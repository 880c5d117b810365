//! `knit admin doctor` sees what is wrong, and says what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use knit_tests::cli::Outcome;
use knit_tests::postgres::{DatabaseServer, TestDatabase};
use knit_tests::server::Setup;
use knit_tests::wait::wait_for;
use knit_tests::workshop::Workshop;

fn finding(told: &Outcome, what: &str) -> (String, String) {
    let findings = told.json();
    let findings = findings.as_array().expect("a list").clone();
    let found = findings.iter().find(|finding| finding["what"] == what);
    let found = found.unwrap_or_else(|| panic!("it looks at the {what}: {told}"));
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    (text("verdict"), text("advice"))
}

#[test]
fn of_a_server_that_is_well_nothing_is_bad() {
    let shop = Workshop::open();
    let parts = ["database", "writing to the database", "state directory", "administration socket", "runtime", "clock"];
    // A database whose disk is busy with something else may answer late for a while, and that is found, too.
    let are_well = |told: &Outcome| parts.iter().all(|what| finding(told, what) == ("ok".to_owned(), String::new()));
    let told = wait_for("everything to be well", || Some(shop.knit(&["admin", "doctor"])).filter(are_well));
    for what in ["disk of the state directory", "projections", "snapshots"] {
        assert_ne!(finding(&told, what).0, "bad", "{what}: {told}");
    }
    let text = shop.knit(&["admin", "doctor", "--output", "text"]).stdout;
    assert!(text.contains("ok    projections: all have folded the whole log"), "{text}");
}

#[test]
fn a_state_directory_and_a_socket_that_others_may_open_are_found() {
    let shop = Workshop::open();
    let state = shop.server.state_dir();
    fs::set_permissions(state, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(state.join("admin.sock"), fs::Permissions::from_mode(0o666)).unwrap();
    let told = shop.refused(1, &["admin", "doctor"]);
    assert!(finding(&told, "state directory").1.contains("chmod 700"), "{told}");
    assert!(finding(&told, "administration socket").1.contains("chmod 600"), "{told}");
    let _ = told.tells("2 things do not work");
}

#[test]
fn a_projection_that_has_stopped_is_found() {
    let database = TestDatabase::new();
    let shop = Workshop::with(Setup::new().database(database.url()));
    database.contradict();
    let told =
        wait_for("the doctor to find it", || Some(shop.user().run(["admin", "doctor"])).filter(|told| told.code == 1));
    let (verdict, advice) = finding(&told, "projections");
    assert!(verdict == "bad" && advice.contains("knit admin skip"), "{told}");
}

#[test]
fn an_archive_that_cannot_be_made_is_found() {
    let shop = Workshop::with(Setup::new().option("--archive-dir", "/proc/nope"));
    let told = shop.refused(1, &["admin", "doctor"]);
    let (verdict, advice) = finding(&told, "archive");
    assert!(verdict == "bad" && advice.contains("--archive-dir"), "{told}");
    let counted = r#"knitd_errors_total{place="archive",family="fault"} 1"#;
    wait_for("it to be counted", || shop.server.http().get("/metrics").text().contains(counted).then_some(()));
}

#[test]
fn a_database_that_is_gone_is_found() {
    let mut database = DatabaseServer::start();
    let shop = Workshop::with(Setup::new().database(database.url()));
    database.kill();
    let told = shop.refused(1, &["admin", "doctor"]);
    let (verdict, advice) = finding(&told, "database");
    assert!(verdict == "bad" && advice.contains("see that it runs"), "{told}");
    assert_eq!(finding(&told, "state directory").0, "ok", "and what does not need it is looked at all the same");

    // Whoever began something else may be gone before it comes to nothing: the log says so, too.
    let directory = shop.new_path("archive");
    let _ = shop.refused(1, &["admin", "archive", "--to", directory.to_str().unwrap()]);
    let _ = shop.refused(1, &["admin", "rebuild-projection", "store"]);
    let _ = shop.refused(1, &["admin", "snapshot"]);
    let log = shop.server.log();
    for told in ["archiving the log", "rebuilding `store`", "administration"] {
        assert!(log.contains(&format!("{told} came to nothing: ")), "{told} in {log}");
    }
}
