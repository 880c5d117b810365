//! Bad luck: the server is killed, stopped, or started twice. Nothing acknowledged is lost, every Run comes to
//! one end, and no Worker runs twice.

use std::fs;

use knit_tests::archive::Archive;
use knit_tests::gate::Gate;
use knit_tests::plans::PlanFile;
use knit_tests::postgres::TestDatabase;
use knit_tests::processes;
use knit_tests::server::Setup;
use knit_tests::wait::{wait_for, wait_until};
use knit_tests::workshop::{Workshop, id_of, output_of};
use serde_json::{Value, json};

/// A Run whose Worker writes a line when it begins and one when it ends, behind the gate.
fn waiting_run(shop: &Workshop, gate: &Gate) -> String {
    let way = gate.approach() + "echo began >> /out/life; echo begun; " + Gate::WAIT;
    let plan = PlanFile::bash(&(way + "echo ended >> /out/life; exit 7"))
        .input("/in", &["a:b"])
        .output("/out", &["is:life"])
        .log(&["is:log"]);
    let plan = shop.apply(&plan);
    shop.push(&[("it", "x")], &["a:b"]);
    let id = id_of(&shop.only_run_reaches(&plan, "running"), "runId");
    shop.user().start(["run", "show", "--log", "--follow", &id]).shows("begun");
    id
}

/// The Run ended as its Worker did, and the Worker ran once from beginning to end.
#[track_caller]
fn ended_and_ran_once(shop: &Workshop, id: &str) {
    let run = shop.reaches(id, "failed");
    assert_eq!(run["exit"]["code"], 7, "the end is the Worker's own: {run:#}");
    let made = shop.pull(&output_of(&run, "/out"));
    assert_eq!(fs::read_to_string(made.join("life")).unwrap(), "began\nended\n", "the Worker ran exactly once");
    assert_eq!(shop.log_of(id), "begun\n");
    let attempts = shop.server.http().get(&format!("/api/runs/{id}/attempts")).json();
    assert_eq!(attempts.as_array().map(Vec::len), Some(1), "it took one attempt: {attempts:#}");
}

#[test]
fn a_server_killed_during_a_run_finds_the_worker_running_and_records_its_end() {
    killed_and_started_again(Setup::new(), false);
}

#[test]
fn a_server_killed_during_a_run_finds_the_worker_ended_and_records_its_end() {
    killed_and_started_again(Setup::new(), true);
}

#[test]
fn a_server_on_postgresql_killed_during_a_run_records_its_end() {
    let database = TestDatabase::new();
    killed_and_started_again(Setup::new().database(database.url()), true);
}

fn killed_and_started_again(setup: Setup, worker_ends_first: bool) {
    let gate = Gate::closed();
    let mut shop = Workshop::with(setup);
    let run = waiting_run(&shop, &gate);
    let before = everything(&shop);
    shop.server.kill();
    assert!(!processes::all_of(shop.server.state_dir()).is_empty(), "the Worker outlives its server");
    if worker_ends_first {
        gate.open();
        wait_until("the Worker to end", || processes::all_of(shop.server.state_dir()).is_empty());
    }
    shop.server.start();
    for (kind, ids) in &before {
        let after = everything(&shop).into_iter().find(|(other, _)| other == kind).map(|(_, ids)| ids);
        assert_eq!(after.as_ref(), Some(ids), "the {kind} are those from before");
    }
    gate.open();
    ended_and_ran_once(&shop, &run);
}

/// The ids of all there is.
fn everything(shop: &Workshop) -> Vec<(&'static str, Vec<String>)> {
    let kinds = [("data", "knitId"), ("plans", "planId"), ("runs", "runId")];
    let ids = |(kind, name): (&'static str, &str)| {
        let found = shop.server.http().get(&format!("/api/{kind}")).json();
        let mut ids: Vec<String> =
            found.as_array().expect("finding answers a list").iter().map(|it| id_of(it, name)).collect();
        ids.sort();
        (kind, ids)
    };
    kinds.into_iter().map(ids).collect()
}

#[test]
fn a_server_told_to_stop_leaves_the_worker_running_for_its_successor() {
    let gate = Gate::closed();
    let mut shop = Workshop::open();
    let run = waiting_run(&shop, &gate);
    assert!(shop.server.stop().success(), "a server that was told to stop ends well");
    assert!(!processes::all_of(shop.server.state_dir()).is_empty(), "the Worker outlives its server");
    shop.server.start();
    gate.open();
    ended_and_ran_once(&shop, &run);
}

#[test]
fn a_server_killed_during_an_upload_ends_it_as_failed_and_leaves_no_file() {
    killed_during_an_upload(Setup::new());
}

/// With other servers about, one that says nothing may be busy; it counts as dead when its lease has ended.
#[test]
fn a_server_on_postgresql_killed_during_an_upload_ends_it_as_failed_and_leaves_no_file() {
    let database = TestDatabase::new();
    killed_during_an_upload(Setup::new().database(database.url()));
}

fn killed_during_an_upload(setup: Setup) {
    let mut shop = Workshop::with(setup);
    let acknowledged = shop.push(&[("it", "safe")], &["a:b"]);
    let before = shop.server.keeps();
    let mut upload = shop.server.http().begin_upload();
    let archive = Archive::new().file("it", &[b'x'; 100_000]).file("and", &[b'y'; 100_000]).gzip();
    upload.chunk(&archive[..archive.len() - 20]).unwrap();
    let run = wait_for("the upload to be listed", || the_newest_run(&shop).filter(|run| run["status"] == "running"));
    wait_until("the archive to be unpacked", || shop.server.keeps() != before);
    shop.server.kill();
    shop.server.start();
    let failed = shop.reaches(&id_of(&run, "runId"), "failed");
    let data = shop.data(&output_of(&failed, "/upload")).expect("its Data stays listed");
    assert!(data["tags"].as_array().unwrap().contains(&json!("knit#transient:failed")), "{data:#}");
    wait_until("its files to be gone", || shop.server.keeps() == before);
    assert_eq!(fs::read_to_string(shop.pull(&acknowledged).join("it")).unwrap(), "safe");
}

#[test]
fn a_server_told_to_stop_during_an_upload_ends_it_as_failed() {
    let mut shop = Workshop::open();
    let before = shop.server.keeps();
    let mut upload = shop.server.http().begin_upload();
    upload.chunk(&Archive::new().file("it", &[b'x'; 100_000]).gzip()[..100]).unwrap();
    let run = wait_for("the upload to be listed", || the_newest_run(&shop).filter(|run| run["status"] == "running"));
    assert!(shop.server.stop().success(), "a server that was told to stop ends well");
    shop.server.start();
    shop.reaches(&id_of(&run, "runId"), "failed");
    wait_until("its files to be gone", || shop.server.keeps() == before);
}

fn the_newest_run(shop: &Workshop) -> Option<Value> {
    shop.server.http().get("/api/runs").json().as_array().and_then(|runs| runs.last()).cloned()
}

#[test]
fn whatever_was_acknowledged_survives_a_kill() {
    let mut shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("true").input("/in", &["never:matched"]));
    let mut data = Vec::new();
    for round in 0..5 {
        let id = shop.push(&[("round", &round.to_string())], &[&format!("round:{round}")]);
        let _ = shop.knit(&["plan", "active", if round % 2 == 0 { "no" } else { "yes" }, &plan]);
        shop.server.kill();
        shop.server.start();
        data.push(id);
        for (round, id) in data.iter().enumerate() {
            let tags = shop.data(id).expect("the Data is there")["tags"].clone();
            assert!(tags.as_array().unwrap().contains(&json!(format!("round:{round}"))), "its tags are there: {tags}");
            assert_eq!(fs::read_to_string(shop.pull(id).join("round")).unwrap(), round.to_string());
        }
        assert_eq!(shop.knit(&["plan", "show", &plan]).json()["active"], json!(round % 2 != 0));
    }
}

#[test]
fn a_second_server_on_the_same_state_refuses_to_run_and_says_why() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let said = Setup::new().on(shop.server.state_dir()).refused();
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("in use") && last.contains(shop.server.state_dir().to_str().unwrap()), "{said}");
    assert!(shop.data(&data).is_some(), "the first server goes on");
    shop.push(&[("it", "y")], &["a:b"]);
}

#[test]
fn a_second_server_on_the_same_address_refuses_to_run_and_says_why() {
    let shop = Workshop::open();
    let said = Setup::new().listening_on(shop.server.address()).refused();
    assert!(said.contains(&shop.server.address().to_string()) && said.contains("--listen"), "{said}");
}

#[test]
fn a_database_that_is_not_there_is_named_without_its_password() {
    let said = Setup::new().database("postgres://knit:secret@127.0.0.1:1/nowhere").refused();
    assert!(said.contains("127.0.0.1") && !said.contains("secret"), "{said}");
}
