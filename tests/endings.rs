//! Every Run comes to an end, and says why it came to this one.

use knit_tests::plans::PlanFile;
use knit_tests::workshop::{Workshop, id_of, output_of};
use serde_json::{Value, json};

/// The only Run of `plan`, over a Data that fits it, once it has `status`.
fn run_to(shop: &Workshop, plan: PlanFile, status: &str) -> Value {
    let plan = shop.apply(&plan.input("/in", &["a:b"]));
    shop.push(&[("it", "x")], &["a:b"]);
    shop.only_run_reaches(&plan, status)
}

#[test]
fn a_failing_run_says_why() {
    let shop = Workshop::open();
    let plan = PlanFile::shell("echo trying; echo 'no such column: age' >&2; exit 3")
        .output("/out", &["is:made"])
        .log(&["is:log"]);
    let run = run_to(&shop, plan, "failed");
    let id = id_of(&run, "runId");
    assert_eq!(run["exit"]["code"], 3);
    assert_ne!(run["exit"]["message"], "", "an exit has a message: {run:#}");
    assert_eq!(shop.log_of(&id), "trying\nno such column: age\n");
    let _ = shop.knit(&["run", "show", &id]).tells("exit code 3").tells(&format!("knit run show --log {id}"));
}

#[test]
fn what_a_failed_run_made_feeds_nobody() {
    let shop = Workshop::open();
    let next = shop.apply(&PlanFile::shell("true").input("/in", &["is:made"]));
    let run = run_to(&shop, PlanFile::shell("echo half > /out/half; exit 1").output("/out", &["is:made"]), "failed");
    let made = output_of(&run, "/out");
    let data = shop.data(&made).expect("the Data of a failed Run stays visible");
    let tags = data["tags"].as_array().expect("tags are a list");
    assert!(tags.contains(&json!("knit#transient:failed")) && tags.contains(&json!("is:made")), "{tags:?}");
    assert_eq!(data["nomination"], json!([]), "it is no candidate");
    let good = shop.push(&[("it", "whole")], &["is:made"]);
    let fed = shop.only_run_reaches(&next, "done");
    assert_eq!(fed["inputs"][0]["knitId"], json!(good), "only the Data that was made whole is taken");
}

#[test]
fn a_worker_that_is_killed_by_a_signal_fails_its_run() {
    let shop = Workshop::open();
    let run = run_to(&shop, PlanFile::shell("kill -KILL $$"), "failed");
    assert_eq!(run["exit"]["code"], 128 + 9, "as shells report signals");
}

#[test]
fn a_worker_sees_its_inputs_and_cannot_change_them() {
    let shop = Workshop::open();
    let script = "cat /in/it; echo; exec 2>/dev/null; if echo more > /in/more; then echo written; fi
                  if echo other > /in/it; then echo overwritten; fi; ls /in";
    let run = run_to(&shop, PlanFile::shell(script).log(&["is:log"]), "done");
    assert_eq!(shop.log_of(&id_of(&run, "runId")), "x\nit\n");
}

#[test]
fn a_worker_sees_nothing_of_the_state_directory() {
    let shop = Workshop::open();
    let state = shop.server.state_dir().to_str().expect("paths of tests are text").to_owned();
    let script = format!("if [ -e '{state}' ]; then ls -la '{state}'; echo seen; else echo hidden; fi");
    let run = run_to(&shop, PlanFile::shell(&script).log(&["is:log"]), "done");
    assert_eq!(shop.log_of(&id_of(&run, "runId")), "hidden\n");
}

/// What the machine cannot give ends a Run as failed, before its Worker ever ran, with a reason for people.
#[track_caller]
fn cannot_be_had(plan: PlanFile, reason: &str) {
    let shop = Workshop::open();
    let run = run_to(&shop, plan, "failed");
    let message = run["exit"]["message"].as_str().expect("a message is a text");
    assert_eq!(run["exit"]["code"], 255, "255 stands for a Worker that could not be set up: {run:#}");
    assert!(message.contains(reason), "{message:?} names {reason:?}");
}

#[test]
fn an_image_that_is_not_here_fails_the_run_and_says_what_to_do() {
    cannot_be_had(PlanFile::shell("true").with("image", json!("nowhere.example/thing:v1")), "nowhere.example/thing:v1");
}

#[test]
fn more_memory_than_the_machine_has_fails_the_run() {
    cannot_be_had(PlanFile::shell("true").with("resources", json!({"memory": "900Ti"})), "memory");
}

#[test]
fn a_resource_that_the_machine_does_not_have_fails_the_run() {
    cannot_be_had(
        PlanFile::shell("true").with("resources", json!({"example.com/antimatter": 1})),
        "example.com/antimatter",
    );
}

#[test]
fn a_node_that_must_be_another_fails_the_run() {
    cannot_be_had(PlanFile::shell("true").with("on_node", json!({"must": ["accelerator=gpu"]})), "accelerator=gpu");
}

#[test]
fn a_service_account_fails_the_run() {
    cannot_be_had(PlanFile::shell("true").with("service_account", json!("trainer")), "trainer");
}

#[test]
fn nodes_that_may_or_preferably_are_others_do_not_matter() {
    let shop = Workshop::open();
    let plan = PlanFile::shell("true").with("on_node", json!({"may": ["dedicated=x"], "prefer": ["disk=nvme"]}));
    let run = id_of(&run_to(&shop, plan, "done"), "runId");
    let _ = shop.knit(&["run", "show", "--attempt", "1", &run]).tells("dedicated=x").tells("disk=nvme");
}

#[test]
fn a_run_that_asked_for_too_much_succeeds_once_its_advice_is_followed() {
    let shop = Workshop::open();
    let plan = PlanFile::shell("true").with("resources", json!({"nvidia.com/gpu": 1}));
    let run = run_to(&shop, plan, "failed");
    let (id, plan) = (id_of(&run, "runId"), id_of(&run["plan"], "planId"));
    let shown = shop.knit(&["run", "show", &id]).tells(&format!("`knit run retry {id}`"));
    let _ = shown.tells(&format!("`knit plan resource --unset nvidia.com/gpu {plan}`"));
    let _ = shop.knit(&["plan", "resource", "--unset", "nvidia.com/gpu", &plan]);
    let _ = shop.knit(&["run", "retry", &id]);
    shop.reaches(&id, "done");
}

#[test]
fn a_run_with_an_account_that_is_not_there_succeeds_once_its_advice_is_followed() {
    let shop = Workshop::open();
    let run = run_to(&shop, PlanFile::shell("true").with("service_account", json!("trainer")), "failed");
    let (id, plan) = (id_of(&run, "runId"), id_of(&run["plan"], "planId"));
    let _ = shop.knit(&["run", "show", &id]).tells(&format!("`knit plan serviceaccount --unset {plan}`"));
    let _ = shop.knit(&["plan", "serviceaccount", "--unset", &plan]);
    let _ = shop.knit(&["run", "retry", &id]);
    shop.reaches(&id, "done");
}

#[test]
fn a_program_that_is_not_there_fails_the_run_and_is_named() {
    let shop = Workshop::open();
    let plan = PlanFile::shell("").with("entrypoint", json!(["/no/such/program"])).with("args", json!([]));
    let run = run_to(&shop, plan, "failed");
    let message = run["exit"]["message"].as_str().expect("a message is a text");
    assert!(message.contains("/no/such/program"), "the message names the program: {message:?}");
}

#[test]
fn the_log_can_be_followed_while_the_run_runs() {
    let shop = Workshop::open();
    let script = "echo first words; while :; do sleep 0.05; done";
    let run = run_to(&shop, PlanFile::shell(script).log(&["is:log"]), "running");
    let id = id_of(&run, "runId");
    let following = shop.user().start(["run", "show", "--log", "--follow", &id]);
    following.shows("first words");
    assert_eq!(shop.run(&id)["status"], "running", "what was seen was seen while the Run ran");
    let _ = shop.knit(&["run", "stop", &id]);
    shop.reaches(&id, "done");
    assert_eq!(following.finish().ok().stdout, "first words\n", "following ends with the Run");
    assert_eq!(shop.log_of(&id), "first words\n");
}

#[test]
fn a_run_without_a_log_says_that_its_plan_keeps_none() {
    let shop = Workshop::open();
    let run = run_to(&shop, PlanFile::shell("echo unheard"), "done");
    let _ = shop.refused(4, &["run", "show", "--log", &id_of(&run, "runId")]).tells("keeps no log");
}
