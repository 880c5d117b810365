//! `knit plan show`.

use clap::Args;
use knit_schemas::api::{InputMatches, PlanDetail, PlanMatches, Tag};

use crate::client::{Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::output;
use crate::session::Session;

/// Print a Plan, and say why it makes no Runs
///
/// The Plan is printed as JSON on standard output. When one of its inputs finds no Data, or when
/// something holds its Runs back, standard error says so.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Id of the Plan
    #[arg(value_name = "PLAN_ID")]
    plan_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let client = session.client()?;
    let ask = Ask::question("show", Subject::Plan(arguments.plan_id.clone()));
    let plan: PlanDetail = client.get(&ask, &["plans", &arguments.plan_id], Query::new()).await?;
    output::json(&plan)?;
    if !plan.inputs.is_empty() {
        let matches = matches(&client, &arguments.plan_id).await?;
        notes(&plan, matches.as_ref()).iter().for_each(output::say);
    }
    Ok(())
}

/// What the Plan finds; an original server cannot tell.
async fn matches(client: &Client, plan_id: &str) -> Result<Option<PlanMatches>, Error> {
    let ask = Ask::question("explain", Subject::Plan(plan_id.to_owned()));
    match client.get(&ask, &["plans", plan_id, "matches"], Query::new()).await {
        Ok(matches) => Ok(Some(matches)),
        Err(Error::Refused(refusal)) if matches!(refusal.status, 404 | 405) => Ok(None),
        Err(error) => Err(error),
    }
}

fn notes(plan: &PlanDetail, matches: Option<&PlanMatches>) -> Vec<String> {
    let mut notes = Vec::new();
    if !plan.active {
        notes.push("note: the Plan is inactive, so its Runs do not start".to_owned());
        notes.push(format!("hint: `knit plan active yes {}` lets them", plan.plan_id));
    }
    let Some(matches) = matches else { return notes };
    notes.extend(matches.held.iter().map(|reason| format!("note: no further Runs are made: {reason}")));
    for input in matches.inputs.iter().filter(|input| input.candidates == 0) {
        notes.extend(unfed(input));
    }
    notes
}

/// Why an input finds nothing, and what would change that.
fn unfed(input: &InputMatches) -> Vec<String> {
    let path = &input.path;
    let missing = if input.missing.is_empty() { &input.tags } else { &input.missing };
    let missing: Vec<String> = missing.iter().map(|tag| format!("`{tag}`")).collect();
    let missing = missing.join(", ");
    let mut notes = match (&input.nearest, input.producible) {
        (_, true) => vec![format!("note: input {path} has no Data yet; the output of another Plan will fit")],
        (Some(nearest), false) => {
            vec![format!("note: input {path} matches no Data; the nearest, {nearest}, lacks {missing}")]
        }
        (None, false) => {
            vec![format!("note: input {path} can never match: no Data and no Plan's output has {missing}")]
        }
    };
    let pinned = input.missing.iter().any(Tag::is_system);
    if let (Some(nearest), false, false) = (&input.nearest, input.producible, pinned) {
        let adds: String = input.missing.iter().map(|tag| format!(" --add '{tag}'")).collect();
        notes.push(format!("hint: if it should match, `knit data tag{adds} {nearest}`"));
    }
    notes
}
