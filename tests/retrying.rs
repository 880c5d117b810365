//! Retrying: the Run again, its Data new, and what was before stays readable.

use knit_tests::plans::PlanFile;
use knit_tests::wait::wait_for;
use knit_tests::workshop::{Workshop, id_of, output_of};
use serde_json::Value;

/// A number that differs from attempt to attempt.
const DRAW: &str = "number=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \\n'); echo \"drew $number\"";
/// How much of a log is kept when its Run is retried.
const KEPT_BYTES: usize = 64 * 1024;

fn failing_run(shop: &Workshop, script: &str) -> Value {
    let plan = PlanFile::shell(script).input("/in", &["a:b"]).output("/out", &["is:drawn"]).log(&["is:log"]);
    let plan = shop.apply(&plan);
    shop.push(&[("it", "x")], &["a:b"]);
    shop.only_run_reaches(&plan, "failed")
}

/// Retries a Run and waits for the end of its next attempt.
fn retried(shop: &Workshop, before: &Value) -> Value {
    let id = id_of(before, "runId");
    let _ = shop.knit(&["run", "retry", &id]);
    wait_for("the next attempt to end", || {
        let run = shop.run(&id);
        assert_ne!(run["status"], "invalidated");
        (run["outputs"] != before["outputs"] && run["status"] == before["status"]).then_some(run)
    })
}

#[test]
fn a_retried_run_keeps_its_earlier_attempts_readable() {
    let shop = Workshop::open();
    let first = failing_run(&shop, &format!("{DRAW}; exit 3"));
    let id = id_of(&first, "runId");
    let first_log = shop.log_of(&id);
    let second = retried(&shop, &first);
    let second_log = shop.log_of(&id);
    assert_ne!(first_log, second_log, "the Worker ran again");

    let attempt = shop.knit(&["run", "show", &id, "--attempt", "1"]).tells("exit code 3").json();
    assert_eq!((&attempt["status"], &attempt["exit"]["code"]), (&"failed".into(), &3.into()));
    for time in ["createdAt", "startedAt", "endedAt"] {
        assert!(attempt[time].is_string(), "the attempt says {time}: {attempt:#}");
    }
    assert!(attempt["cause"].is_string(), "the attempt says what decided its end: {attempt:#}");
    assert_eq!(shop.knit(&["run", "show", &id, "--attempt", "1", "--log"]).stdout, first_log);
    assert_eq!(shop.knit(&["run", "show", &id, "--attempt", "2", "--log"]).stdout, second_log);
    let _ = shop.refused(4, &["run", "show", &id, "--attempt", "3"]);

    assert_eq!(shop.data(&output_of(&first, "/out")), None, "the Data of the earlier attempt are gone");
    assert!(shop.data(&output_of(&second, "/out")).is_some(), "the Data of the present one are there");
}

#[test]
fn the_end_of_a_long_log_is_kept_when_its_run_is_retried() {
    let shop = Workshop::open();
    let first = failing_run(&shop, "seq 1 40000; exit 1");
    let id = id_of(&first, "runId");
    let whole = shop.log_of(&id);
    assert!(whole.len() > 2 * KEPT_BYTES, "the log is long enough to be cut");
    retried(&shop, &first);
    let kept = shop.knit(&["run", "show", &id, "--attempt", "1", "--log"]).stdout;
    assert_eq!(kept, whole[whole.len() - KEPT_BYTES..]);
}

#[test]
fn a_run_that_runs_is_not_retried() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("sleep 1000").input("/in", &["a:b"]));
    shop.push(&[("it", "x")], &["a:b"]);
    let id = id_of(&shop.only_run_reaches(&plan, "running"), "runId");
    let _ = shop.refused(5, &["run", "retry", &id]).tells("the run may not be finished");
    assert_eq!(shop.run(&id)["status"], "running", "a refusal changes nothing");
}

#[test]
fn a_run_whose_data_were_used_is_not_retried() {
    let shop = Workshop::open();
    let first = shop.apply(&PlanFile::shell("echo x > /out/x").input("/in", &["a:b"]).output("/out", &["is:made"]));
    let second = shop.apply(&PlanFile::shell("true").input("/in", &["is:made"]));
    shop.push(&[("it", "x")], &["a:b"]);
    shop.only_run_reaches(&second, "done");
    let first = shop.only_run_reaches(&first, "done");
    let user = id_of(&shop.only_run_reaches(&second, "done"), "runId");
    let refused = shop.refused(5, &["run", "retry", &id_of(&first, "runId")]).tells("output of the run is in use");
    let refused = refused.tells(&format!("hint: `knit run rm {user}` removes what uses it"));
    assert!(!refused.stderr.contains("discard"), "nothing was discarded: {}", refused.stderr);
    let _ = shop.refused(5, &["run", "rm", &id_of(&first, "runId")]).tells(&format!("hint: `knit run rm {user}`"));
    assert_eq!(shop.run(&id_of(&first, "runId")), first, "a refusal changes nothing");
}

#[test]
fn an_upload_is_not_retried() {
    let shop = Workshop::open();
    let data = shop.push(&[("it", "x")], &["a:b"]);
    let upload = id_of(&shop.data(&data).unwrap()["upstream"]["run"], "runId");
    let _ = shop.refused(5, &["run", "retry", &upload]).tells("root Run cannot be retried");
}

#[test]
fn what_is_not_there_is_not_retried_stopped_or_removed() {
    let shop = Workshop::open();
    for words in [&["retry"][..], &["stop"], &["stop", "--fail"], &["rm"], &["show"], &["show", "--log"]] {
        for id in ["3b0f5a52-6c1e-4d0e-9a53-0d1f6f6b7c11", "not-an-id"] {
            let _ = shop.refused(4, &[&["run"], words, &[id]].concat());
        }
        let _ = shop.refused(2, &[&["run"], words, &[".."]].concat()).tells("is not an id");
    }
}
