//! Stopping and removing Runs, and every refusal to.

use std::fs;

use knit_tests::plans::PlanFile;
use knit_tests::processes;
use knit_tests::wait::{wait_for, wait_until};
use knit_tests::workshop::{Workshop, id_of, output_of};
use serde_json::{Value, json};

/// A Run whose Worker has written something and then goes on for ever.
fn endless_run(shop: &Workshop, begin: &str) -> Value {
    let script = format!("{begin}; echo partial > /out/partial; echo begun; while :; do sleep 0.05; done");
    let plan = PlanFile::shell(&script).input("/in", &["a:b"]).output("/out", &["is:made"]).log(&["is:log"]);
    let plan = shop.apply(&plan);
    shop.push(&[("it", "x")], &["a:b"]);
    let run = shop.only_run_reaches(&plan, "running");
    shop.user().start(["run", "show", "--log", "--follow", &id_of(&run, "runId")]).shows("begun");
    run
}

#[test]
fn a_stopped_run_is_done_with_what_it_has_made() {
    let shop = Workshop::open();
    let run = endless_run(&shop, "true");
    let id = id_of(&run, "runId");
    let output = output_of(&run, "/out");
    let _ = shop.knit(&["data", "pull", "-x", &output, "early"]).tells("has not ended; this is what there is so far");
    let _ = shop.knit(&["run", "stop", &id]);
    let stopped = shop.reaches(&id, "done");
    assert_eq!(shop.knit(&["data", "pull", "-x", &output, "late"]).stderr, "", "now it is a result");
    assert_eq!(stopped["exit"], json!({"code": 0, "message": "stopped by user"}));
    let made = shop.pull(&output_of(&stopped, "/out"));
    assert_eq!(fs::read_to_string(made.join("partial")).unwrap(), "partial\n");
    let _ = shop.refused(5, &["run", "stop", &id]).tells("prohibited operation");
    let _ = shop.refused(5, &["run", "stop", "--fail", &id]).tells("prohibited operation");
    assert_eq!(shop.run(&id), stopped, "a refusal changes nothing");
}

#[test]
fn a_run_that_is_stopped_as_failed_is_failed() {
    let shop = Workshop::open();
    let run = endless_run(&shop, "true");
    let id = id_of(&run, "runId");
    let _ = shop.knit(&["run", "stop", "--fail", &id]);
    let failed = shop.reaches(&id, "failed");
    assert_eq!(failed["exit"], json!({"code": 253, "message": "aborted by user"}));
    let _ = shop.refused(5, &["run", "stop", &id]).tells("prohibited operation");
    assert_eq!(shop.run(&id), failed, "a refusal changes nothing");
}

#[test]
fn a_worker_that_ignores_signals_is_stopped_all_the_same() {
    let shop = Workshop::open();
    let run = endless_run(&shop, "trap '' TERM INT HUP QUIT");
    let id = id_of(&run, "runId");
    assert!(!processes::all_of(shop.server.state_dir()).is_empty(), "there is a Worker to be stopped");
    let _ = shop.knit(&["run", "stop", "--fail", &id]);
    shop.reaches(&id, "failed");
    // Only the server itself still works on the state directory.
    wait_until("the Worker's processes to be gone", || processes::all_of(shop.server.state_dir()).len() <= 1);
}

#[test]
fn a_run_that_has_not_started_can_only_be_stopped_as_failed() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("true").input("/in", &["a:b"]).with("active", json!(false)));
    shop.push(&[("it", "x")], &["a:b"]);
    let id = id_of(&shop.only_run_reaches(&plan, "deactivated"), "runId");
    let _ = shop.refused(5, &["run", "stop", &id]).tells("prohibited operation");
    assert_eq!(shop.run(&id)["status"], "deactivated", "a refusal changes nothing");
    let _ = shop.knit(&["run", "stop", "--fail", &id]);
    shop.reaches(&id, "failed");
}

#[test]
fn a_run_that_runs_is_not_removed() {
    let shop = Workshop::open();
    let id = id_of(&endless_run(&shop, "true"), "runId");
    let _ = shop.refused(5, &["run", "rm", &id]).tells("output of the run is in use");
    assert_eq!(shop.run(&id)["status"], "running", "a refusal changes nothing");
}

#[test]
fn a_removed_run_leaves_a_tombstone_and_is_never_made_again() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("echo x > /out/x").input("/in", &["a:b"]).output("/out", &["is:made"]));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let run = shop.only_run_reaches(&plan, "done");
    let (id, made) = (id_of(&run, "runId"), output_of(&run, "/out"));
    let _ = shop.knit(&["run", "rm", &id]);
    let tombstone = shop.run(&id);
    assert_eq!((&tombstone["status"], &tombstone["outputs"][0]["knitId"]), (&json!("invalidated"), &json!("")));
    assert_eq!(shop.data(&made), None, "what it made is gone");
    let _ = shop.refused(4, &["data", "pull", &made]);
    let _ = shop.refused(4, &["run", "rm", &id]);
    let _ = shop.refused(4, &["run", "retry", &id]);
    wait_until("the volume of the removed Data to be destroyed", || {
        shop.server.keeps() == [format!("volumes/data-knitid-{data}")]
    });

    let _ = shop.knit(&["data", "tag", "--remove", "a:b", &data]);
    let _ = shop.knit(&["data", "tag", "--add", "a:b", &data]);
    shop.push(&[("it", "y")], &["a:b"]);
    wait_for("the second Data to be run", || shop.runs_of(&plan).into_iter().find(|run| run["status"] == "done"));
    assert_eq!(shop.runs_of(&plan).len(), 2, "the removed combination is not made again");
}

#[test]
fn a_run_whose_data_are_used_is_removed_after_those_who_use_them() {
    let shop = Workshop::open();
    let first = shop.apply(&PlanFile::shell("echo x > /out/x").input("/in", &["a:b"]).output("/out", &["is:made"]));
    let second = shop.apply(&PlanFile::shell("true").input("/in", &["is:made"]));
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let second = id_of(&shop.only_run_reaches(&second, "done"), "runId");
    let first = id_of(&shop.only_run_reaches(&first, "done"), "runId");
    let upload = id_of(&shop.data(&data).unwrap()["upstream"]["run"], "runId");
    for used in [&first, &upload] {
        let _ = shop.refused(5, &["run", "rm", used]).tells("output of the run is in use").tells("downstreams");
    }
    for removed in [&second, &first, &upload] {
        let _ = shop.knit(&["run", "rm", removed]);
    }
    assert_eq!(shop.server.http().get("/api/runs").json(), json!([]), "without its Data no tombstone is left");
    assert_eq!(shop.server.http().get("/api/data").json(), json!([]));
    wait_until("the volumes to be destroyed", || shop.server.keeps().is_empty());
}
