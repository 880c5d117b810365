//! Plans: what they hold, what they wait for, and that they say so.

use knit_tests::plans::PlanFile;
use knit_tests::workshop::{Workshop, id_of};
use serde_json::json;

#[test]
fn a_plan_that_matches_nothing_yet_says_so_and_what_would_match() {
    let shop = Workshop::open();
    let plan = shop.apply(
        &PlanFile::shell("true").input("/in/text", &["type:txet"]).input("/in/digits", &["type:digits", "checked:yes"]),
    );
    let near = shop.push(&[("it", "1")], &["type:digits"]);
    let shown = shop.knit(&["plan", "show", &plan]);
    let shown = shown.tells("/in/text matches no Data").tells("knit data push -t 'type:txet' SOURCE");
    let shown = shown.tells("/in/digits matches no Data").tells(&near).tells("checked:yes");
    assert_eq!(shown.json()["planId"], json!(plan), "the notes do not disturb the JSON");

    let _ = shop.knit(&["data", "tag", "--add", "checked:yes", &near]);
    let text = shop.push(&[("it", "a")], &["type:txet"]);
    shop.only_run_reaches(&plan, "done");
    let shown = shop.knit(&["plan", "show", &plan]);
    assert_eq!(shown.stderr, "", "a Plan whose inputs are fed has nothing to explain, {text} fits");
}

#[test]
fn an_input_that_another_plan_will_feed_names_it_and_what_became_of_its_runs() {
    let shop = Workshop::open();
    let maker = shop.apply(&PlanFile::shell("false").input("/in", &["a:b"]).output("/out", &["is:made"]));
    let waiting = shop.apply(&PlanFile::shell("true").input("/in", &["is:made"]));
    let told = |runs: &str| {
        let makes = format!("Plan {maker} makes what fits ({runs})");
        let _ = shop.knit(&["plan", "show", &waiting]).tells(&makes);
    };
    told("Runs under way: 0, failed: 0, removed: 0");
    shop.push(&[("it", "x")], &["a:b"]);
    let run = id_of(&shop.only_run_reaches(&maker, "failed"), "runId");
    told("Runs under way: 0, failed: 1, removed: 0");
    let _ = shop.knit(&["run", "rm", &run]).tells("not run on the same Data again");
    told("Runs under way: 0, failed: 0, removed: 1");
    let _ = shop.knit(&["plan", "show", &maker]).tells("Runs of the Plan that were removed: 1");
}

#[test]
fn a_log_can_be_followed_from_before_the_run_starts() {
    let shop = Workshop::open();
    let plan = PlanFile::shell("echo hello").input("/in", &["a:b"]).log(&["is:log"]).with("active", json!(false));
    let plan = shop.apply(&plan);
    shop.push(&[("it", "x")], &["a:b"]);
    let run = id_of(&shop.only_run_reaches(&plan, "deactivated"), "runId");
    let following = shop.user().start(["run", "show", "--log", "--follow", &run]);
    following.says("its Plan is switched off");
    let _ = shop.knit(&["plan", "active", "yes", &plan]);
    assert_eq!(following.finish().ok().stdout, "hello\n");
}

#[test]
fn an_inactive_plan_holds_its_runs_until_it_is_activated() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("true").input("/in", &["a:b"]).with("active", json!(false)));
    shop.push(&[("it", "x")], &["a:b"]);
    let run = id_of(&shop.only_run_reaches(&plan, "deactivated"), "runId");
    let _ = shop.knit(&["plan", "show", &plan]).tells("inactive").tells(&format!("knit plan active yes {plan}"));
    let active = shop.knit(&["plan", "active", "yes", &plan]).json();
    assert_eq!(active["active"], json!(true));
    shop.reaches(&run, "done");

    let _ = shop.knit(&["plan", "active", "no", &plan]);
    shop.push(&[("it", "y")], &["a:b"]);
    knit_tests::wait::wait_until("the second Run to be held", || {
        shop.runs_of(&plan).iter().any(|run| run["status"] == "deactivated")
    });
    assert_eq!(shop.run(&run)["status"], "done", "what has ended is not held");
}

#[test]
fn an_equivalent_plan_is_refused_and_names_the_one_there_is() {
    let shop = Workshop::open();
    let plan = PlanFile::shell("true").input("/in/", &["a:b", "c:d"]);
    let there = shop.apply(&plan);
    let same = PlanFile::shell("true").input("/in", &["c:d", "a:b", "a:b"]);
    let same =
        same.with("active", json!(false)).with("resources", json!({"cpu": 2})).with("annotations", json!(["x=y"]));
    let _ = shop.refused(5, &["plan", "apply", &shop.written(&same)]).tells(&there);
    assert_eq!(shop.knit(&["plan", "find", "--image", "host"]).json().as_array().map(Vec::len), Some(1));
}

#[test]
fn a_plan_that_would_feed_itself_is_refused() {
    let shop = Workshop::open();
    let alone = PlanFile::shell("true").input("/in", &["a:b"]).output("/out", &["a:b", "c:d"]);
    let _ = shop.refused(5, &["plan", "apply", &shop.written(&alone)]).tells("feed itself");
    shop.apply(&PlanFile::shell("true").input("/in", &["a:b"]).output("/out", &["c:d"]));
    let back = PlanFile::shell("true").input("/in", &["c:d"]).log(&["a:b"]);
    let _ = shop.refused(5, &["plan", "apply", &shop.written(&back)]).tells("feed itself");
    let answer = shop.server.http().send_json("POST", "/api/plans", &back.json());
    assert_eq!(answer.status, 409);
    // What `knit` tells people is its own; the wire keeps the original's spelling.
    assert_eq!(answer.message().lines().next(), Some("plan spec conflics with others"));
    assert_eq!(shop.knit(&["plan", "find", "--image", "host"]).json().as_array().map(Vec::len), Some(1));
}
