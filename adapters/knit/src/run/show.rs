//! `knit run show`.

use clap::Args;
use knit_schemas::api::{Attempt, RunDetail, RunMountpoint};

use super::{log, notes};
use crate::as_of::AsOf;
use crate::client::{self, Client, Query};
use crate::error::{Ask, Error, Refusal, Subject};
use crate::form::{Form, Told};
use crate::ids::{self, Kind};
use crate::listing;
use crate::output;
use crate::session::Session;
use crate::telling::{self, counted, first, is_too_many, time};

/// Print a Run, one of its attempts, or its log
///
/// On a terminal a Run is told in a few lines, elsewhere as JSON. When it failed, or waits for something, standard
/// error says why.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    /// Print the log instead of the record
    #[arg(long, conflicts_with_all = ["output", "json"])]
    log: bool,
    /// With `--log`: wait until the Run starts, and go on printing while it runs
    #[arg(long, short)]
    follow: bool,
    /// Speak of this attempt of the Run, counted from 1; earlier ones keep only the end of their log
    #[arg(long, value_name = "N", value_parser = attempt_number)]
    attempt: Option<u32>,
    #[command(flatten)]
    as_of: AsOf,
    #[command(flatten)]
    form: Form,
    /// Id of the Run
    #[arg(value_name = "RUN_ID")]
    run_id: String,
}

impl Told for Attempt {
    const FIELDS: &'static [&'static str] =
        &["attempt", "status", "createdAt", "startedAt", "endedAt", "exit", "reason", "cause", "notes", "log"];

    /// It has no id but its number.
    fn ids(&self) -> Vec<String> {
        vec![self.attempt.to_string()]
    }
}

fn attempt_number(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("attempts are numbered 1, 2, and so on".to_owned()),
    }
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let as_of = &arguments.as_of;
    if as_of.is_past() && arguments.log {
        return Err(Error::Usage(
            "`--as-of` is for the record of a Run: when each line of a log came is not kept".to_owned(),
        ));
    }
    let form = &arguments.form;
    form.check(if arguments.attempt.is_some() { Attempt::FIELDS } else { RunDetail::FIELDS })?;
    let client = session.client()?;
    let run_id = &ids::whole_as_of(&client, Kind::Run, arguments.run_id, as_of).await?;
    if arguments.follow && !arguments.log {
        output::say("warning: `--follow` has no effect without `--log`");
    }
    match (arguments.attempt, arguments.log) {
        (None, false) => show(&client, run_id, as_of, form).await,
        (Some(attempt), false) => show_attempt(&client, run_id, attempt, as_of, form).await,
        (attempt, true) => log::print(&client, run_id, attempt, arguments.follow).await,
    }
}

async fn show(client: &Client, run_id: &str, as_of: &AsOf, form: &Form) -> Result<(), Error> {
    let ask = Ask::question("show", Subject::Run(run_id.to_owned()));
    let body = client.get_bytes_as_of(&ask, &["runs", run_id], Query::new(), as_of).await?;
    let run: RunDetail = client::understand(&ask, &body)?;
    let mut attempts = Vec::new();
    if form.is_for_people() {
        // An original server tells of no attempts.
        attempts = self::attempts(client, run_id, as_of).await.unwrap_or_default();
    }
    form.tell(&run, |run| lines(run, &attempts))?;
    if as_of.is_past() {
        // What is said beside it is about now.
        return Ok(());
    }
    notes::about(client, &run).await.iter().for_each(output::say);
    Ok(())
}

async fn attempts(client: &Client, run_id: &str, as_of: &AsOf) -> Result<Vec<Attempt>, Error> {
    let ask = Ask::question("show", Subject::AttemptsOf(run_id.to_owned()));
    let body = client.get_bytes_as_of(&ask, &["runs", run_id, "attempts"], Query::new(), as_of).await;
    client::understand(&ask, &body.map_err(Error::if_unable)?)
}

async fn show_attempt(client: &Client, run_id: &str, number: u32, as_of: &AsOf, form: &Form) -> Result<(), Error> {
    let attempts = attempts(client, run_id, as_of).await?;
    let Some(attempt) = attempts.iter().find(|attempt| attempt.attempt == number) else {
        let reason =
            format!("it has {}, but not number {number}", counted(attempts.len() as u64, "attempt", "attempts"));
        let ask = Ask::question("show", Subject::AttemptsOf(run_id.to_owned()));
        return Err(Refusal::missing(ask, reason));
    };
    form.tell(attempt, |attempt| {
        let mut lines = vec![format!("attempt {} of Run {run_id} is {}", attempt.attempt, attempt.status)];
        lines.extend(times(attempt));
        // The note below says how one ended that failed.
        let exit = attempt.exit.as_ref().filter(|_| !is_failing(attempt));
        lines.extend(exit.map(|exit| format!("  ended: {}", notes::reason(exit, notes::PLAN_PLACEHOLDER))));
        lines
    })?;
    for note in &attempt.notes {
        output::say(format_args!("note: {note}"));
    }
    if let Some(exit) = attempt.exit.as_ref().filter(|_| is_failing(attempt)) {
        output::say(format_args!(
            "note: the attempt {}: {}",
            notes::verb(&attempt.status),
            notes::reason(exit, notes::PLAN_PLACEHOLDER)
        ));
    }
    Ok(())
}

fn is_failing(attempt: &Attempt) -> bool {
    matches!(attempt.status.as_str(), "failed" | "aborting")
}

fn lines(run: &RunDetail, attempts: &[Attempt]) -> Vec<String> {
    let mut lines = vec![format!("Run {} is {}", run.run_id, run.status)];
    lines.push(format!("  of Plan {} ({})", run.plan.plan_id, listing::plan(&run.plan)));
    lines.extend(run.plan.command_line().map(|command| format!("  command: {command}")));
    match attempts {
        [one] => lines.extend(times(one)),
        _ => lines.push(format!("  {} since {}", run.status, time(run.updated_at))),
    }
    lines.extend(points("takes", &run.inputs));
    lines.extend(points("makes", &run.outputs));
    lines.extend(
        run.log
            .iter()
            .filter(|log| !log.knit_id.is_empty())
            .map(|log| format!("log: Data {}  {}", log.knit_id, telling::tags(&log.tags))),
    );
    if attempts.len() > 1 {
        lines.push(counted(attempts.len() as u64, "attempt", "attempts"));
        // Who looks wants the latest, and those before only when there are few.
        let latest: Vec<&Attempt> = attempts.iter().rev().collect();
        lines.extend(first(&latest, |attempt| earlier(attempt, &run.plan.plan_id)));
    }
    if is_too_many(&run.inputs) || is_too_many(&run.outputs) || is_too_many(attempts) {
        lines.push(format!("hint: `knit run show -o json {}` prints all of it", run.run_id));
    }
    lines
}

/// The Data at the inputs or outputs, with the tags that its Plan has there.
fn points(verb: &str, points: &[RunMountpoint]) -> Vec<String> {
    let title = (!points.is_empty()).then(|| format!("it {verb}"));
    let line = |point: &RunMountpoint| {
        // What a removed Run made has no id any more.
        let data = if point.knit_id.is_empty() { "nothing any more" } else { &format!("Data {}", point.knit_id) };
        format!("  {}  {data}  {}", point.path, telling::tags(&point.tags))
    };
    title.into_iter().chain(first(points, line)).collect()
}

/// When it was made, ran and ended.
fn times(attempt: &Attempt) -> Vec<String> {
    let ran = match (attempt.started_at, attempt.ended_at) {
        (Some(started), Some(ended)) => {
            let ms = u64::try_from(ended.unix_ms() - started.unix_ms()).unwrap_or_default();
            Some(format!("  ran: {} to {}, {}", time(started), telling::clock(ended), telling::span(ms)))
        }
        (Some(started), None) => Some(format!("  started: {}", time(started))),
        (None, Some(ended)) => Some(format!("  ended: {}", time(ended))),
        (None, None) => None,
    };
    std::iter::once(format!("  made: {}", time(attempt.created_at))).chain(ran).collect()
}

/// One of several attempts in a line.
fn earlier(attempt: &Attempt, plan_id: &str) -> String {
    let exit = attempt.exit.as_ref().filter(|_| attempt.status == "failed");
    let why = exit.map(|exit| format!(": {}", notes::reason(exit, plan_id))).unwrap_or_default();
    let at = attempt.ended_at.or(attempt.started_at).unwrap_or(attempt.created_at);
    format!("  {}  {}  {}{why}", attempt.attempt, time(at), attempt.status)
}
