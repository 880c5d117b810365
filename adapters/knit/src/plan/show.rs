//! `knit plan show`.

use clap::Args;
use knit_schemas::api::{InputMatches, MisspeltTag, Pair, PlanDetail, PlanDownstream, PlanMatches, Producer, Tag};

use crate::as_of::AsOf;
use crate::client::{self, Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::form::{Form, Told as _};
use crate::ids::{self, Kind};
use crate::listing;
use crate::output;
use crate::pasted;
use crate::session::Session;
use crate::telling::{self, counted, first, is_too_many};

/// Print a Plan, and say why it makes no Runs
///
/// On a terminal the Plan is told in a few lines, elsewhere it is printed as JSON. When one of its inputs finds no Data, when it is switched
/// off, or when too many of its Runs have not ended, standard error says so. What a single Run waits for is
/// told by `knit run show`.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    form: Form,
    /// Id of the Plan
    #[arg(value_name = "PLAN_ID")]
    plan_id: String,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    arguments.form.check(PlanDetail::FIELDS)?;
    let client = session.client()?;
    let plan_id = ids::whole_as_of(&client, Kind::Plan, arguments.plan_id, &arguments.as_of).await?;
    let ask = Ask::question("show", Subject::Plan(plan_id.clone()));
    let body = client.get_bytes_as_of(&ask, &["plans", &plan_id], Query::new(), &arguments.as_of).await?;
    let plan: PlanDetail = client::understand(&ask, &body)?;
    arguments.form.tell(&plan, lines)?;
    // Why it makes no Runs is known of now.
    if !plan.inputs.is_empty() && !arguments.as_of.is_past() {
        let matches = matches(&client, &plan_id).await?;
        notes(&plan, matches.as_ref()).iter().for_each(output::say);
        let inputs = matches.map(|matches| matches.inputs).unwrap_or_default();
        to_be_corrected(&plan, &inputs).iter().for_each(output::say);
    }
    Ok(())
}

/// A Plan in words: what it runs, what it takes and makes, and which Plans are before and behind it.
pub(super) fn lines(plan: &PlanDetail) -> Vec<String> {
    let summary = plan.summary();
    let active = if plan.active { "active" } else { "switched off" };
    let mut lines = vec![format!("Plan {} is {active}", plan.plan_id), format!("  image: {}", listing::plan(&summary))];
    lines.extend(summary.command_line().map(|command| format!("  command: {command}")));
    lines.extend(settings(plan));
    lines.extend((!plan.inputs.is_empty()).then(|| "it takes".to_owned()));
    lines.extend(first(&plan.inputs, |input| {
        let fed = match input.upstreams.as_slice() {
            [] => String::new(),
            [one] => format!(", made by Plan {}", one.plan.plan_id),
            several => format!(", made by {} Plans", several.len()),
        };
        format!("  {}  {}{fed}", input.path, telling::tags(&input.tags))
    }));
    lines.extend((!plan.outputs.is_empty() || plan.log.is_some()).then(|| "it makes".to_owned()));
    lines.extend(first(&plan.outputs, |output| point(&output.path, &output.tags, &output.downstreams)));
    lines.extend(plan.log.iter().map(|log| point("log", &log.tags, &log.downstreams)));
    if is_too_many(&plan.inputs) || is_too_many(&plan.outputs) {
        lines.push(format!("hint: `knit plan show -o json {}` prints all of it", plan.plan_id));
    }
    lines
}

/// An output or the log, and who takes what it gives.
fn point(path: &str, tags: &[Tag], downstreams: &[PlanDownstream]) -> String {
    let feeds = match downstreams {
        [] => String::new(),
        [one] => format!(", taken by Plan {} as {}", one.plan.plan_id, one.mountpoint.path),
        several => format!(", taken by {}", counted(several.len() as u64, "input of a Plan", "inputs of Plans")),
    };
    format!("  {path}  {}{feeds}", telling::tags(tags))
}

/// What else was set when it was registered, or later.
fn settings(plan: &PlanDetail) -> Vec<String> {
    let joined = |words: Vec<String>| (!words.is_empty()).then(|| words.join(", "));
    let pairs = |pairs: &[Pair]| joined(pairs.iter().map(ToString::to_string).collect());
    let nodes = plan.on_node.as_ref();
    let settings = [
        ("resources", joined(plan.resources.iter().map(|(name, limit)| format!("{name} {limit}")).collect())),
        ("must run on nodes with", nodes.and_then(|nodes| pairs(&nodes.must))),
        ("prefers nodes with", nodes.and_then(|nodes| pairs(&nodes.prefer))),
        ("may run on nodes with", nodes.and_then(|nodes| pairs(&nodes.may))),
        ("service account", plan.service_account.clone()),
        ("annotations", pairs(&plan.annotations)),
    ];
    settings.into_iter().filter_map(|(name, value)| Some(format!("  {name}: {}", value?))).collect()
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

pub(super) fn notes(plan: &PlanDetail, matches: Option<&PlanMatches>) -> Vec<String> {
    let mut notes = Vec::new();
    if !plan.active {
        notes.push("note: the Plan is inactive, so its Runs do not start".to_owned());
        notes.push(format!("hint: `knit plan active yes {}` lets them", plan.plan_id));
    }
    let Some(matches) = matches else { return notes };
    notes.extend(matches.held.iter().map(|reason| format!("note: no further Runs are made: {reason}")));
    if matches.removed > 0 {
        let removed = matches.removed;
        notes
            .push(format!("note: Runs of the Plan that were removed: {removed}; it is not run on the same Data again"));
    }
    for input in matches.inputs.iter().filter(|input| input.candidates == 0) {
        notes.extend(unfed(input));
    }
    notes
}

/// Which tags of a Plan are probably misspelt, and what to do about it.
pub(super) fn to_be_corrected(plan: &PlanDetail, inputs: &[InputMatches]) -> Vec<String> {
    let mut notes = misspelt(inputs);
    if !notes.is_empty() {
        let id = &plan.plan_id;
        notes.push(format!("hint: a Plan cannot be changed: register a corrected one, and `knit plan active no {id}`"));
    }
    notes
}

/// Which tags are probably misspelt.
pub(super) fn misspelt(inputs: &[InputMatches]) -> Vec<String> {
    let told = |MisspeltTag { tag, meant }: &MisspeltTag| format!("note: there is `{meant}`: is `{tag}` misspelt?");
    inputs.iter().flat_map(|input| &input.misspelt).map(told).collect()
}

/// Why an input finds nothing, and what would change that.
fn unfed(input: &InputMatches) -> Vec<String> {
    match &input.nearest {
        _ if input.producible => yet_to_be_made(input),
        Some(nearest) => unlike(input, nearest),
        None => unheard_of(input),
    }
}

/// Another Plan makes what fits, but has not yet.
fn yet_to_be_made(input: &InputMatches) -> Vec<String> {
    let path = &input.path;
    if input.producers.is_empty() {
        return vec![format!("note: input {path} has no Data yet; the output of another Plan will fit")];
    }
    let mut notes = Vec::new();
    for Producer { plan_id, pending, failed, removed } in &input.producers {
        notes.push(format!(
            "note: input {path} has no Data yet; Plan {plan_id} makes what fits (Runs under way: {pending}, failed: {failed}, removed: {removed})"
        ));
        if *failed > 0 {
            notes.push(format!("hint: `knit run find -p {plan_id} -s failed` lists those that failed"));
        } else if *pending == 0 {
            notes.push(format!("hint: `knit plan show {plan_id}` says what that Plan waits for"));
        }
    }
    notes
}

/// Some Data have some of the tags, but none has all of them.
fn unlike(input: &InputMatches, nearest: &str) -> Vec<String> {
    let (path, missing) = (&input.path, quoted(&input.missing, ", "));
    let mut notes = vec![format!("note: input {path} matches no Data; the nearest, {nearest}, lacks {missing}")];
    // No Data is to be given a tag that was meant otherwise.
    if !input.missing.iter().any(Tag::is_system) && input.misspelt.is_empty() {
        let adds = pasted::options("--add", &input.missing);
        notes.push(format!("hint: if it should match, `knit data tag{adds} {nearest}`"));
    }
    notes
}

/// No Data has any of the tags. One that is pushed or tagged later may, unless one by its id is asked for.
fn unheard_of(input: &InputMatches) -> Vec<String> {
    let (path, tags) = (&input.path, if input.missing.is_empty() { &input.tags } else { &input.missing });
    if let Some(wanted) = input.tags.iter().find(|tag| tag.key == "knit#id") {
        let id = &wanted.value;
        return vec![
            format!("note: input {path} matches no Data: there is no Data `{id}`, and none gets that id later"),
            "hint: an id is written whole, and `knit data find` lists all; a Plan cannot be changed: register a corrected one"
                .to_owned(),
        ];
    }
    let wanted = quoted(tags, " or ");
    let mut notes = vec![format!("note: input {path} matches no Data: none has {wanted} yet, and no Plan makes one")];
    if !tags.iter().any(Tag::is_system) && input.misspelt.is_empty() {
        let (push, tag) = (pasted::options("-t", tags), pasted::options("--add", tags));
        notes.push(format!("hint: push one, `knit data push{push} SOURCE`, or tag one, `knit data tag{tag} KNIT_ID`"));
    }
    notes
}

fn quoted(tags: &[Tag], between: &str) -> String {
    tags.iter().map(|tag| format!("`{tag}`")).collect::<Vec<_>>().join(between)
}
