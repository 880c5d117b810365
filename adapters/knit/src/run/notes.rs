//! What is said beside the record of a Run: why it ended as it did, or what it waits for, and what to do next.

use knit_schemas::api::{Exit, ExplainedStep, PlanDetail, RunDetail, RunExplanation};

use crate::client::{Client, Query};
use crate::error::{Ask, Subject};
use crate::telling;

/// What servers say of a command that ended with a code other than 0.
const COMMAND_FAILED: &str = "(container main) Error";
/// What they say of one that used more memory than it may.
const OUT_OF_MEMORY: &str = "(container main) OOMKilled";
/// What runtimes say where no change of the machine or of the Plan helps: a Plan's command cannot be changed.
const ANOTHER_PLAN: &str = "register a Plan";
/// The code by which shells say that there is no such program.
const COMMAND_NOT_FOUND: u8 = 127;
/// What stands in messages of runtimes for the id of the Plan.
pub(super) const PLAN_PLACEHOLDER: &str = "PLAN_ID";
/// The code of a Run whose Worker never ran.
const NEVER_RAN: u8 = 255;

/// Notes and hints about `run`, line by line.
pub(super) async fn about(client: &Client, run: &RunDetail) -> Vec<String> {
    let (id, plan) = (&run.run_id, &run.plan.plan_id);
    match (run.status.as_str(), &run.exit, run.plan.name.as_deref()) {
        ("failed" | "aborting", Some(exit), _) => failure(client, run, exit).await,
        ("failed", None, Some("knit#uploaded")) => failed_upload(client, id).await,
        ("invalidated", ..) => removal(client, id).await,
        ("deactivated", ..) => vec![
            "note: the Run does not start, because its Plan is switched off".to_owned(),
            format!("hint: `knit plan active yes {plan}` lets it start; `knit run stop --fail {id}` ends it"),
        ],
        ("starting", ..) => {
            vec![format!(
                "note: its Worker is asked for; it may wait until there is room for it, which `knit run explain {id}` tells"
            )]
        }
        _ => Vec::new(),
    }
}

/// Why an upload failed. Older servers did not record it, and only whoever uploaded was told.
async fn failed_upload(client: &Client, id: &str) -> Vec<String> {
    let ask = Ask::question("explain", Subject::Run(id.to_owned()));
    let told = client.get::<RunExplanation>(&ask, &["runs", id, "explain"], Query::new()).await;
    let reason = told.ok().and_then(|told| told.failure).and_then(|failure| failure.reason);
    let why = reason.unwrap_or_else(|| "it was refused or broke off".to_owned());
    vec![format!("note: the upload failed, and nothing of it is kept: {why}"), "hint: push it again".to_owned()]
}

/// When a Run was removed and by whom, and how it is seen as it was. What the server does not tell is left out.
pub(super) async fn removal(client: &Client, id: &str) -> Vec<String> {
    const FINAL: &str = "the Data that it made; its Plan is not run on the same Data again";
    let ask = Ask::question("explain", Subject::Run(id.to_owned()));
    let told = client.get::<RunExplanation>(&ask, &["runs", id, "explain"], Query::new()).await;
    let steps = told.map(|told| told.steps).unwrap_or_default();
    match steps.iter().rev().find(|step| step.status.as_deref() == Some("invalidated")) {
        Some(ExplainedStep { moment, .. }) => vec![
            format!("note: the Run was removed {}, and so were {FINAL}", telling::when(moment)),
            format!("hint: `knit run show --as-of {} {id}` shows it as it was", moment.position.saturating_sub(1)),
        ],
        None => vec![format!("note: the Run is removed, and so are {FINAL}")],
    }
}

async fn failure(client: &Client, run: &RunDetail, exit: &Exit) -> Vec<String> {
    let id = &run.run_id;
    let reason = reason(exit, &run.plan.plan_id);
    let mut notes = vec![format!("note: the Run {}: {reason}", verb(&run.status))];
    if exit.message == OUT_OF_MEMORY {
        notes.push(more_memory(client, run).await);
    }
    if exit.code == COMMAND_NOT_FOUND && exit.message == COMMAND_FAILED {
        notes.push("note: 127 mostly means that a program of the command is not in the image".to_owned());
    }
    if exit.code == NEVER_RAN && exit.message.contains(ANOTHER_PLAN) {
        notes.push(format!(
            "hint: `knit plan active no {}` keeps the Plan that cannot run from trying",
            run.plan.plan_id
        ));
    } else if exit.code == NEVER_RAN {
        notes.push(format!("hint: when that is mended, `knit run retry {id}` runs it again"));
    } else if run.log.is_some() {
        notes.push(format!("hint: `knit run show --log {id}` prints its log"));
    }
    notes
}

/// The words for a `status` that is or becomes a failure.
pub(super) fn verb(status: &str) -> &'static str {
    if status == "failed" { "failed" } else { "is failing" }
}

/// What an `exit` of a Run of the Plan `plan_id` says. A runtime that says what to do with the Plan does not know its id.
pub(super) fn message(exit: &Exit, plan_id: &str) -> String {
    exit.message.replace(PLAN_PLACEHOLDER, plan_id)
}

/// The same where the code stands beside it: that a command has failed is no news then.
pub(super) fn news(exit: &Exit, plan_id: &str) -> String {
    if exit.message == COMMAND_FAILED { String::new() } else { message(exit, plan_id) }
}

/// Why it failed.
pub(super) fn reason(exit: &Exit, plan_id: &str) -> String {
    match message(exit, plan_id).as_str() {
        "" => format!("exit code {}", exit.code),
        COMMAND_FAILED => format!("its command ended with exit code {}", exit.code),
        OUT_OF_MEMORY => format!("it used more memory than its Plan allows (OOMKilled, exit code {})", exit.code),
        message => format!("{message} (exit code {})", exit.code),
    }
}

/// How to give it more memory. What the Plan allows is asked for; without an answer it is left out.
async fn more_memory(client: &Client, run: &RunDetail) -> String {
    let (id, plan) = (&run.run_id, &run.plan.plan_id);
    let ask = Ask::question("show", Subject::Plan(plan.clone()));
    let asked = client.get::<PlanDetail>(&ask, &["plans", plan], Query::new()).await;
    let limit = asked.ok().and_then(|plan| plan.resources.get("memory").map(ToString::to_string));
    let change =
        |memory: &str| format!("`knit plan resource --set memory={memory} {plan}`, then `knit run retry {id}`");
    match limit {
        Some(limit) => {
            format!("hint: the Plan allows {limit} at present; for twice that: {}", change(&doubled(&limit)))
        }
        None => format!("hint: to allow more: {}", change("QUANTITY")),
    }
}

fn doubled(quantity: &str) -> String {
    let (number, suffix) = quantity.split_at(quantity.find(|c: char| !c.is_ascii_digit()).unwrap_or(quantity.len()));
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(2)) {
        Some(twice) => format!("{twice}{suffix}"),
        None => "QUANTITY".to_owned(),
    }
}
