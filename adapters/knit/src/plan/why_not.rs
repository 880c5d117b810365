//! `knit plan why-not`.

use std::cmp::Reverse;

use clap::Args;
use knit_schemas::api::{DataVerdict, InputMatches, PlanDetail, PlanMatches, RemovedRun, Tag};

use super::show;
use crate::as_of::AsOf;
use crate::client::{self, Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::form::{Form, Told};
use crate::ids::{self, Kind};
use crate::pasted;
use crate::session::Session;
use crate::telling::{self, counted, fitting};

/// How lines begin that say what to do: of what was, nothing is to be done any more.
const HINT: &str = "hint: ";

/// Say why a Plan has no Runs, or none on a certain Data
///
/// For every input it is said how many Data fit, and where none does, which tag is missing. With `--data` it is said
/// of each input whether that Data fits, what it lacks, and which Runs there are of it. With `--as-of` all of it is said
/// of an earlier time, without advice, which would come too late.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    /// Say why the Plan has no Run on this Data
    #[arg(long, value_name = "KNIT_ID")]
    data: Option<String>,
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    form: Form,
    /// Id of the Plan
    #[arg(value_name = "PLAN_ID")]
    plan_id: String,
}

impl Told for PlanMatches {
    const FIELDS: &'static [&'static str] =
        &["planId", "inputs", "runs", "pending", "removed", "failed", "lastFailed", "held"];

    fn ids(&self) -> Vec<String> {
        vec![self.plan_id.clone()]
    }
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let Arguments { data, as_of, form, plan_id } = arguments;
    form.check(PlanMatches::FIELDS)?;
    let client = session.client()?;
    let plan_id = ids::whole_as_of(&client, Kind::Plan, plan_id, &as_of).await?;
    let mut query = Query::new();
    if let Some(data) = data {
        query.push(("data", ids::whole_as_of(&client, Kind::Data, data, &as_of).await?));
    }
    let plan = plan(&client, &plan_id, &as_of).await?;
    let matches = matches(&client, &plan_id, query, &as_of).await?;
    let is_of_use = |line: &String| !as_of.is_past() || !line.starts_with(HINT);
    form.tell(&matches, |matches| lines(&plan, matches, &as_of).into_iter().filter(is_of_use).collect())
}

async fn plan(client: &Client, plan_id: &str, as_of: &AsOf) -> Result<PlanDetail, Error> {
    let ask = Ask::question("show", Subject::Plan(plan_id.to_owned()));
    client::understand(&ask, &client.get_bytes_as_of(&ask, &["plans", plan_id], Query::new(), as_of).await?)
}

async fn matches(client: &Client, plan_id: &str, query: Query, as_of: &AsOf) -> Result<PlanMatches, Error> {
    let ask = Ask::question("explain", Subject::Plan(plan_id.to_owned()));
    let body = client.get_bytes_as_of(&ask, &["plans", plan_id, "matches"], query, as_of).await;
    client::understand(&ask, &body.map_err(Error::if_unable)?)
}

fn lines(plan: &PlanDetail, matches: &PlanMatches, as_of: &AsOf) -> Vec<String> {
    let mut lines: Vec<String> = matches.inputs.iter().map(found).collect();
    lines.extend(about_data(&matches.inputs));
    let unfed = matches.inputs.iter().any(|input| input.candidates == 0);
    let verdicts = || matches.inputs.iter().filter_map(|input| input.verdict.as_ref());
    let removed = verdicts().find_map(|verdict| verdict.removed.first());
    let misfit = verdicts().any(|verdict| !verdict.fits);
    if plan.inputs.is_empty() {
        lines.push("it takes no Data: its Runs are uploads or imports".to_owned());
    } else if let Some(RemovedRun { run_id, .. }) = removed {
        lines.push(format!("hint: `knit run explain {run_id}` says what became of it"));
    } else if !unfed && !misfit && matches.held.is_some() {
        lines.push("nothing is missing: combinations of these Data without a Run have to wait for theirs".to_owned());
    } else if !unfed && !misfit {
        let but = if matches.removed > 0 { ", but for those whose Run was removed" } else { "" };
        let when = if as_of.is_past() { "then" } else { "now" };
        lines.push(format!("nothing is missing: every combination of these Data has its Run, or gets it {when}{but}"));
        lines.extend(failed(matches));
    }
    // What was removed, and what the nearest Data lacks, is told above where that is the Data that was asked about.
    let is_about_data = verdicts().next().is_some();
    let mut others = PlanMatches { removed: if is_about_data { 0 } else { matches.removed }, ..matches.clone() };
    let is_told = |input: &InputMatches| {
        let about = input.verdict.as_ref().filter(|verdict| !verdict.lacks.is_empty());
        about.is_some_and(|verdict| input.nearest.as_deref() == Some(verdict.knit_id.as_str()) && !input.producible)
    };
    others.inputs.retain(|input| !is_told(input));
    lines.extend(show::notes(plan, Some(&others)));
    lines.extend(show::to_be_corrected(plan, &matches.inputs));
    lines
}

/// What became of its Runs, where some failed, and how to see why; otherwise how to see them all.
fn failed(matches: &PlanMatches) -> Vec<String> {
    let PlanMatches { plan_id, runs, failed, last_failed, .. } = matches;
    let Some(last) = last_failed else { return vec![format!("hint: `knit run find -p {plan_id}` lists them")] };
    vec![
        format!("but of its {} {failed} failed", counted(*runs, "Run", "Runs")),
        format!(
            "hint: `knit run explain {last}` says why the last one did; `knit run find -p {plan_id} -s failed` lists them"
        ),
    ]
}

fn found(input: &InputMatches) -> String {
    let asks: String = input.tags.iter().map(|tag| format!(" `{tag}`")).collect();
    format!("input {} asks for{asks}: {}", input.path, fitting(input.candidates))
}

/// How the Data that was asked about does, input by input.
fn about_data(inputs: &[InputMatches]) -> Vec<String> {
    let verdicts = || inputs.iter().filter_map(|input| Some((input, input.verdict.as_ref()?)));
    let mut lines = Vec::new();
    if let Some((_, DataVerdict { knit_id, unusable: Some(status), made_by, .. })) = verdicts().next() {
        lines.push(format!("Data {knit_id} cannot be used: the Run that makes it, {made_by}, is {status}"));
        lines.push(format!("hint: `knit run explain {made_by}` says what that waits for, or why it failed"));
    }
    for (input, verdict) in verdicts() {
        let DataVerdict { knit_id, lacks, .. } = verdict;
        if !lacks.is_empty() {
            let lacked: Vec<String> = lacks.iter().map(|tag| format!("`{tag}`")).collect();
            lines.push(format!("Data {knit_id} does not fit {}: it lacks {}", input.path, lacked.join(", ")));
        }
        lines.extend(taken(&input.path, verdict));
    }
    lines.extend(to_be_tagged(inputs));
    lines
}

/// The tags that would make the Data fit, where it fits none of the `inputs`: those of the input that it comes nearest
/// to. A Data that cannot be used is of no use tagged, and where its Run was removed, it would get none.
fn to_be_tagged(inputs: &[InputMatches]) -> Option<String> {
    let verdicts = || inputs.iter().filter_map(|input| Some((input, input.verdict.as_ref()?)));
    let is_hopeless = |verdict: &DataVerdict| verdict.fits || verdict.unusable.is_some() || !verdict.removed.is_empty();
    if verdicts().any(|(_, verdict)| is_hopeless(verdict)) {
        return None;
    }
    let can_be = |input: &InputMatches, lacks: &[Tag]| input.misspelt.is_empty() && !lacks.iter().any(Tag::is_system);
    // Where nothing fits yet comes first, then what it has the most of.
    let distance = |(input, verdict): &(&InputMatches, &DataVerdict)| {
        let has = input.tags.len().saturating_sub(verdict.lacks.len());
        (input.candidates > 0, Reverse(has), verdict.lacks.len())
    };
    let possible = verdicts().filter(|(input, verdict)| can_be(input, &verdict.lacks));
    let (_, nearest) = possible.min_by_key(distance)?;
    let (adds, knit_id) = (pasted::options("--add", &nearest.lacks), &nearest.knit_id);
    Some(format!("hint: if it should fit, `knit data tag{adds} {knit_id}`"))
}

/// Which Runs take a Data on the input at `path`, and which did that were removed.
fn taken(path: &str, verdict: &DataVerdict) -> Vec<String> {
    let DataVerdict { knit_id, runs_count, removed, removed_count, .. } = verdict;
    let mut lines: Vec<String> = Vec::new();
    lines.extend(removed.iter().map(|RemovedRun { run_id, moment }| {
        let at = telling::when(moment);
        format!("its Run {run_id}, which took it at {path}, was removed at {at}, so it is not made again")
    }));
    let untold = removed_count.saturating_sub(removed.len() as u64);
    if untold > 0 {
        lines.push(format!("and so were {untold} more"));
    }
    let first = verdict.runs.iter().find(|run| removed.iter().all(|removed| removed.run_id != **run));
    match (verdict.fits, runs_count.saturating_sub(*removed_count), first) {
        (true, 0, _) if *removed_count > 0 => {
            lines.push(format!("Data {knit_id} fits {path}, and no other Run takes it there"));
        }
        (true, 0, _) => lines.push(format!("Data {knit_id} fits {path}, and no Run takes it there yet")),
        (true, count, first) => {
            let taken = counted(count, "Run takes it there", "Runs take it there");
            let first = first
                .map(|first| if count == 1 { format!(", it is {first}") } else { format!(", the first is {first}") });
            lines.push(format!("Data {knit_id} fits {path}: {taken}{}", first.unwrap_or_default()));
        }
        (false, 0, _) => {}
        (false, 1, Some(first)) => lines.push(format!("Run {first} took it at {path} when it still fitted")),
        (false, count, first) => {
            let first = first.map(|first| format!(", the first is {first}")).unwrap_or_default();
            lines.push(format!("{} took it at {path} when it still fitted{first}", counted(count, "Run", "Runs")));
        }
    }
    lines
}
