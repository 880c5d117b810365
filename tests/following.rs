//! Following: an answer that is kept up to date as Runs come and go, across a restart of the server.

use knit_tests::gate::Gate;
use knit_tests::plans::PlanFile;
use knit_tests::server::Setup;
use knit_tests::workshop::{Workshop, id_of};
use serde_json::Value;

/// A shop whose server comes back to the same address.
fn lasting_shop() -> Workshop {
    Workshop::with(Setup::new().at_a_lasting_address())
}

fn copies(input: &str, output: &str) -> PlanFile {
    PlanFile::shell("cp /in/it /out/it").input("/in", &[input]).output("/out", &[output])
}

/// The documents of a follower, one a line.
fn documents(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_followed_lineage_grows_with_what_is_made_also_after_a_restart() {
    let mut shop = lasting_shop();
    let data = shop.push(&[("it", "x")], &["n:1"]);
    let follower = shop.user().start(["data", "lineage", "--follow", "-n", "all", "-o", "json", &data]);
    follower.shows(&data);
    let first = shop.apply(&copies("n:1", "n:2"));
    let made = shop.only_run_reaches(&first, "done");
    follower.shows(&id_of(&made["outputs"][0], "knitId"));
    shop.server.stop();
    shop.server.start();
    let second = shop.apply(&copies("n:2", "n:3"));
    let run = shop.only_run_reaches(&second, "done");
    follower.shows(&id_of(&run["outputs"][0], "knitId"));
    // Whoever deletes what is followed ends it: there is nothing to show any more.
    let _ = shop.knit(&["run", "rm", &id_of(&run, "runId")]);
    let first_run = id_of(&made, "runId");
    let _ = shop.knit(&["run", "rm", &first_run]);
    let upload = shop.data(&data).unwrap()["upstream"]["run"]["runId"].as_str().unwrap().to_owned();
    let _ = shop.knit(&["run", "rm", &upload]);
    let told = follower.finish().ended(4).tells("went when its Run was deleted");
    let answers = documents(&told.stdout);
    assert!(answers.windows(2).all(|pair| pair[0] != pair[1]), "an answer is written when it is another: {told}");
    assert!(answers.iter().all(|answer| answer["start"] == *data), "{told}");
}

#[test]
fn a_followed_run_and_a_followed_plan_are_written_whole_again_behind_an_empty_line() {
    let shop = Workshop::open();
    let plan = shop.apply(&PlanFile::shell("sleep 1000").input("/in", &["n:1"]).output("/out", &["n:2"]));
    let _ = shop.push(&[("it", "x")], &["n:1"]);
    let run = id_of(&shop.only_run_reaches(&plan, "running"), "runId");
    let run_follower = shop.user().start(["run", "lineage", "--follow", "-o", "tree", &run]);
    let plan_follower = shop.user().start(["plan", "graph", "-f", "-o", "tree", &plan]);
    run_follower.shows(&format!("Run {run}  running"));
    plan_follower.shows(&format!("Plan {plan}  active"));
    let _ = shop.knit(&["plan", "active", "no", &plan]);
    plan_follower.shows(&format!("\n\nPlan {plan}  inactive"));
    let next = shop.apply(&copies("n:2", "n:3"));
    plan_follower.shows(&next);
    let _ = shop.knit(&["run", "stop", &run]);
    run_follower.shows(&format!("\n\nRun {run}  done"));
}

#[test]
fn a_followed_log_goes_on_behind_its_last_byte_when_the_server_is_started_again() {
    let mut shop = lasting_shop();
    // It goes on speaking also while nobody is there to listen, and ends when all are back.
    let gate = Gate::closed();
    let script = "echo one; echo two; n=0; until read -t 0.1 -r _ <&3; do n=$((n + 1)); echo $n; done; echo last";
    let plan = shop.apply(&PlanFile::bash(&(gate.approach() + script)).input("/in", &["n:1"]).log(&["is:log"]));
    let _ = shop.push(&[("it", "x")], &["n:1"]);
    let run = id_of(&shop.only_run_reaches(&plan, "running"), "runId");
    let follower = shop.user().start(["run", "show", "--log", "--follow", &run]);
    follower.shows("one\ntwo\n1\n");
    shop.server.stop();
    let told = shop.server.log();
    assert!(!told.contains("cutting off"), "who follows a log does not keep a server that stops: {told}");
    shop.server.start();
    gate.open();
    let run = shop.reaches(&run, "done");
    let whole = shop.log_of(&id_of(&run, "runId"));
    assert!(whole.starts_with("one\ntwo\n1\n") && whole.ends_with("\nlast\n"), "{whole}");
    let told = follower.finish().ok().tells("the log broke off; going on behind byte");
    assert_eq!(told.stdout, whole);
}
