//! `knit run explain`.

use clap::Args;
use knit_schemas::api::{
    ExplainedInput, ExplainedStep, Failure, MatchedTag, PlanSummary, RunDetail, RunExplanation, Share, Tag, Trigger,
    TriggerKind, WantedRoom,
};

use super::notes;
use crate::as_of::AsOf;
use crate::client::{Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::form::{Form, Told};
use crate::ids::{self, Kind};
use crate::output;
use crate::session::Session;
use crate::telling::{clock, counted, day, moment, person, span, time, when};

/// Say why a Run is there, what it waited for and why it failed
///
/// What set it off is the last event of all that it needed: its Plan was registered, one of its Data was made, or
/// one of its Data got the tags that it lacked. For every input it is said since when its Data has what the input
/// asks for, and for every step how long the Run waited for it, and on what.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    form: Form,
    /// Id of the Run
    #[arg(value_name = "RUN_ID")]
    run_id: String,
}

impl Told for RunExplanation {
    const FIELDS: &'static [&'static str] =
        &["runId", "status", "plan", "asOf", "trigger", "inputs", "steps", "waitsFor", "failure"];

    fn ids(&self) -> Vec<String> {
        vec![self.run_id.clone()]
    }
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    arguments.form.check(RunExplanation::FIELDS)?;
    let client = session.client()?;
    let run_id = ids::whole_as_of(&client, Kind::Run, arguments.run_id, &arguments.as_of).await?;
    let ask = Ask::question("explain", Subject::Run(run_id.clone()));
    let explained: Result<RunExplanation, Error> =
        client.get(&ask, &["runs", &run_id, "explain"], arguments.as_of.query()).await;
    let explanation = explained.map_err(Error::if_unable)?;
    arguments.as_of.say(&client, Some(explanation.as_of)).await;
    arguments.form.tell(&explanation, lines)?;
    if arguments.form.is_for_people() && !arguments.as_of.is_past() {
        hints(&client, &run_id).await?.iter().for_each(output::say);
    }
    Ok(())
}

/// What to do about it, as `knit run show` says it.
async fn hints(client: &Client, run_id: &str) -> Result<Vec<String>, Error> {
    let ask = Ask::question("show", Subject::Run(run_id.to_owned()));
    let run: RunDetail = client.get(&ask, &["runs", run_id], Query::new()).await?;
    let notes = notes::about(client, &run).await;
    Ok(notes.into_iter().filter(|note| note.starts_with("hint:")).collect())
}

fn lines(told: &RunExplanation) -> Vec<String> {
    let mut lines = vec![format!("Run {} is {}", told.run_id, told.status), format!("  of {}", plan(&told.plan))];
    match &told.trigger {
        Some(trigger) => lines.extend(set_off(trigger)),
        None => lines.push("nothing in the log set it off: its history was imported".to_owned()),
    }
    if !told.inputs.is_empty() {
        lines.push("it takes".to_owned());
        lines.extend(told.inputs.iter().flat_map(input));
    }
    lines.push("what happened".to_owned());
    lines.extend(steps(&told.steps));
    if let Some(waiting) = &told.waits_for {
        let so_far = waiting.waited_ms.map(|ms| format!(", {} so far", span(ms))).unwrap_or_default();
        lines.push(format!("it waits for {}, since {}{so_far}", waiting.what, time(waiting.since)));
        lines.extend(waiting.room.iter().flat_map(room));
    }
    lines.extend(told.failure.iter().map(|why| failure(why, &told.plan.plan_id)));
    lines
}

/// The room for which its Worker waits, and who has it.
fn room(room: &WantedRoom) -> Vec<String> {
    let WantedRoom { asked, free, whole, ahead, held_by } = room;
    let mut lines = vec![format!("  it asks for {}; of {} are free {}", share(*asked), share(*whole), share(*free))];
    if *ahead > 0 {
        lines.push(format!("  {} before it", counted(*ahead, "Run waits", "Runs wait")));
    }
    lines.extend(held_by.iter().map(|holder| format!("  Run {} holds {}", holder.run_id, share(holder.share))));
    lines
}

fn share(Share { cpu_millis, memory_bytes }: Share) -> String {
    let cpu = if cpu_millis % 1_000 == 0 { (cpu_millis / 1_000).to_string() } else { format!("{cpu_millis}m") };
    format!("cpu={cpu} memory={}Mi", memory_bytes >> 20)
}

fn plan(plan: &PlanSummary) -> String {
    let image = plan.image.as_ref().or(plan.name.as_ref());
    let words = image.into_iter().chain(&plan.entrypoint).chain(&plan.args);
    let words: String = words.map(|word| format!(" {word}")).collect();
    format!("Plan {}{words}", plan.plan_id)
}

fn set_off(trigger: &Trigger) -> Vec<String> {
    let knit_id = trigger.knit_id.as_deref().unwrap_or_default();
    let paths = trigger.paths.join(" and ");
    let what = match trigger.what {
        TriggerKind::PlanRegistered => "its Plan was registered when all its Data were there".to_owned(),
        TriggerKind::DataAvailable => format!("Data {knit_id} for {paths} was made"),
        TriggerKind::TagsChanged => format!("Data {knit_id} for {paths} got {}", quoted(&trigger.tags)),
        TriggerKind::Uploaded => "somebody uploaded a Data".to_owned(),
        TriggerKind::Imported => "somebody imported a Data".to_owned(),
    };
    let mut lines = vec![format!("set off: {what}, {}", moment(&trigger.moment))];
    if let Some(rest) = trigger.rest_since {
        let waited_ms = u64::try_from(trigger.moment.at.unix_ms() - rest.unix_ms()).unwrap_or_default();
        lines.push(format!("  all else that it needs was there {} earlier, at {}", span(waited_ms), time(rest)));
    }
    lines
}

fn input(input: &ExplainedInput) -> Vec<String> {
    let done = input.available.as_ref().map(|made| format!(", done {}", time(made.at))).unwrap_or_default();
    let mut lines =
        vec![format!("  {}  Data {}", input.path, input.knit_id), format!("    made by Run {}{done}", input.made_by)];
    lines.extend(input.tags.iter().map(matched));
    lines
}

/// A tag that was asked for. What has gone since is no reason any more to look for it on the Data.
fn matched(MatchedTag { tag, since, until }: &MatchedTag) -> String {
    let since = since.as_ref().map(|since| format!(" since {}", when(since))).unwrap_or_default();
    match until {
        Some(until) => format!("    `{tag}`{since}; removed again {}, after the Run was made", when(until)),
        None => format!("    `{tag}`{since}"),
    }
}

/// What happened, each with its time of day; the day is told where it changes, and the attempt where there are several.
fn steps(steps: &[ExplainedStep]) -> Vec<String> {
    let are_several = steps.last().is_some_and(|last| last.attempt > 1);
    let (mut day_before, mut attempt_before, mut lines) = (String::new(), 0, Vec::new());
    for one in steps {
        let is_new = are_several && one.attempt != attempt_before;
        let day = day(one.moment.at);
        match (is_new, day == day_before) {
            (true, true) => lines.push(format!("  attempt {}", one.attempt)),
            (true, false) => lines.push(format!("  attempt {}, {day}", one.attempt)),
            (false, true) => {}
            (false, false) => lines.push(format!("  {day}")),
        }
        (day_before, attempt_before) = (day, one.attempt);
        lines.push(step(one));
    }
    lines
}

fn step(step: &ExplainedStep) -> String {
    let what = step.status.as_deref().unwrap_or_else(|| happened(&step.moment.event));
    let held = match (step.held_ms, step.full_ms) {
        (0, 0) => String::new(),
        (0, full_ms) => format!(" ({} of it because its Plan had as many Runs as it may have at once)", span(full_ms)),
        (held_ms, _) => format!(" ({} of it because its Plan was switched off)", span(held_ms)),
    };
    let waited = match step.waited_for.as_str() {
        "nothing" => String::new(),
        what => format!(", after {} for {what}{held}", span(step.waited_ms)),
    };
    let by = person(&step.moment).map(|actor| format!(" by {actor}")).unwrap_or_default();
    format!("  {}  {what}{by}{waited}", clock(step.moment.at))
}

/// What an event that leaves the status as it is says to people; the log has it by its own name.
fn happened(event: &str) -> &str {
    match event {
        "RunVolumesPrepared" => "volumes made",
        "WorkerRequested" => "Worker asked for",
        "WorkerSpawned" => "Worker made",
        "RunStarted" => "Worker seen running",
        "RunErased" => "removed for good",
        event => event,
    }
}

fn failure(failure: &Failure, plan_id: &str) -> String {
    let reason = match (&failure.exit, failure.cause.as_deref()) {
        (Some(exit), _) => notes::reason(exit, plan_id),
        (None, Some(cause)) => match &failure.reason {
            Some(reason) => format!("{reason} ({cause})"),
            None => cause.to_owned(),
        },
        (None, None) => "nobody knows why".to_owned(),
    };
    let decided = failure.decided.as_ref().map(|decided| format!(", decided {}", when(decided))).unwrap_or_default();
    format!("it failed: {reason}{decided}")
}

fn quoted(tags: &[Tag]) -> String {
    tags.iter().map(|tag| format!("`{tag}`")).collect::<Vec<_>>().join(" and ")
}
