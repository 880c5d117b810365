//! `knit plan why-not`.

use clap::Args;
use knit_schemas::api::{DataVerdict, InputMatches, PlanDetail, PlanMatches, Tag};

use super::show;
use crate::client::{Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::ids::{self, Kind};
use crate::session::Session;
use crate::telling::{Telling, counted, fitting};

/// Say why a Plan has no Runs, or none on a certain Data
///
/// For every input it is said how many Data fit, and where none does, which tag is missing. With `--data` it is said
/// of each input whether that Data fits, what it lacks, and which Runs there are of it.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Say why the Plan has no Run on this Data
    #[arg(long, value_name = "KNIT_ID")]
    data: Option<String>,
    #[command(flatten)]
    telling: Telling,
    /// Id of the Plan
    #[arg(value_name = "PLAN_ID")]
    plan_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let client = session.client()?;
    let plan_id = ids::whole(&client, Kind::Plan, arguments.plan_id).await?;
    let mut query = Query::new();
    if let Some(data) = arguments.data {
        query.push(("data", ids::whole(&client, Kind::Data, data).await?));
    }
    let plan = plan(&client, &plan_id).await?;
    let ask = Ask::question("explain", Subject::Plan(plan_id.clone()));
    let matches: Result<PlanMatches, Error> = client.get(&ask, &["plans", &plan_id, "matches"], query).await;
    let matches = matches.map_err(Error::if_unable)?;
    arguments.telling.tell(&matches, |matches| lines(&plan, matches))
}

async fn plan(client: &Client, plan_id: &str) -> Result<PlanDetail, Error> {
    let ask = Ask::question("show", Subject::Plan(plan_id.to_owned()));
    client.get(&ask, &["plans", plan_id], Query::new()).await
}

fn lines(plan: &PlanDetail, matches: &PlanMatches) -> Vec<String> {
    let mut lines: Vec<String> = matches.inputs.iter().map(found).collect();
    lines.extend(matches.inputs.iter().filter_map(|input| Some((input, input.verdict.as_ref()?))).flat_map(verdict));
    let unfed = matches.inputs.iter().any(|input| input.candidates == 0);
    let misfit = matches.inputs.iter().any(|input| input.verdict.as_ref().is_some_and(|verdict| !verdict.fits));
    if plan.inputs.is_empty() {
        lines.push("it takes no Data: its Runs are uploads or imports".to_owned());
    } else if !unfed && !misfit && matches.held.is_some() {
        lines.push("nothing is missing: combinations of these Data without a Run have to wait for theirs".to_owned());
    } else if !unfed && !misfit {
        lines.push("nothing is missing: every combination of these Data has its Run, or gets it now".to_owned());
        lines.push(format!("hint: `knit run find -p {}` lists them", plan.plan_id));
    }
    lines.extend(show::notes(plan, Some(matches)));
    lines
}

fn found(input: &InputMatches) -> String {
    let asks: String = input.tags.iter().map(|tag| format!(" `{tag}`")).collect();
    format!("input {} asks for{asks}: {}", input.path, fitting(input.candidates))
}

fn verdict((input, verdict): (&InputMatches, &DataVerdict)) -> Vec<String> {
    let DataVerdict { knit_id, lacks, unusable, made_by, .. } = verdict;
    let (path, mut lines) = (&input.path, Vec::new());
    if let Some(status) = unusable {
        lines.push(format!("Data {knit_id} cannot be used: the Run that makes it, {made_by}, is {status}"));
        lines.push(format!("hint: `knit run explain {made_by}` says what that waits for, or why it failed"));
    }
    if !lacks.is_empty() {
        let lacked: Vec<String> = lacks.iter().map(|tag| format!("`{tag}`")).collect();
        lines.push(format!("Data {knit_id} does not fit {path}: it lacks {}", lacked.join(", ")));
        if !lacks.iter().any(Tag::is_system) {
            let adds: String = lacks.iter().map(|tag| format!(" --add '{tag}'")).collect();
            lines.push(format!("hint: if it should fit, `knit data tag{adds} {knit_id}`"));
        }
    }
    match (verdict.fits, verdict.runs_count, verdict.runs.first()) {
        (true, 0, _) => lines.push(format!("Data {knit_id} fits {path}, and no Run takes it there yet")),
        (true, count, Some(first)) => {
            let taken = counted(count, "Run takes it there", "Runs take it there");
            let first = if count == 1 { format!("it is {first}") } else { format!("the first is {first}") };
            lines.push(format!("Data {knit_id} fits {path}: {taken}, {first}"));
        }
        (false, _, Some(first)) => lines.push(format!("Run {first} took it at {path} when it still fitted")),
        (true | false, _, None) => {}
    }
    lines
}
