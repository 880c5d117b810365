//! `knit plan apply`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use knit_schemas::api::{InputMatches, LineageEdge, PastRuns, PlanDetail, PlanForecast, PlanSpec};
use reqwest::Method;

use super::{count, doubtful_limits, file};
use crate::client::{Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::number;
use crate::output;
use crate::session::Session;
use crate::telling::{Telling, counted, fitting};

/// Where to look how a Plan file is written.
const EXAMPLE: &str = "`knit plan template --scratch` prints a Plan file to compare with";

/// Register a Plan and print it
///
/// A Plan cannot be registered twice: when an equivalent one exists, that one is named. With `--dry-run` nothing is
/// registered, and it is said which Runs there would be.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Register nothing; say which Runs the Plan would get
    #[arg(long)]
    dry_run: bool,
    /// With `--dry-run`: say also how many Runs it would have got on each of the last so many days
    #[arg(long, value_name = "N", requires = "dry_run", value_parser = number::parse::<u32>)]
    days: Option<u32>,
    /// Refuse a Plan that would get more than so many Runs
    #[arg(long, value_name = "N", value_parser = number::parse::<u64>)]
    max_runs: Option<u64>,
    #[command(flatten)]
    telling: Telling,
    /// YAML or JSON file that describes the Plan; `-` reads standard input
    #[arg(value_name = "PLAN_FILE")]
    file: PathBuf,
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    let spec = spec(&arguments.file)?;
    let client = session.client()?;
    if arguments.dry_run {
        check_ability(&client, &arguments.file, "forecast").await?;
        let mut query: Query = vec![("dry-run", String::new())];
        query.extend(arguments.max_runs.map(within));
        query.extend(arguments.days.map(|days| ("days", days.to_string())));
        let ask = Ask::question("forecast", Subject::NewPlan(arguments.file));
        let forecast: PlanForecast = client.change_with(&ask, Method::POST, &["plans"], query, Some(&spec)).await?;
        return arguments.telling.tell(&forecast, lines);
    }
    let query = match arguments.max_runs {
        Some(runs_max) => limit(&client, &arguments.file, &spec, runs_max).await?,
        None => Query::new(),
    };
    let ask = Ask::order("register", Subject::NewPlan(arguments.file));
    let plan: PlanDetail = client.change_with(&ask, Method::POST, &["plans"], query, Some(&spec)).await?;
    Ok(output::json(&plan)?)
}

/// An original server would register the Plan all the same, since it does not look at what it does not know. It has
/// no route for ids either, so that is asked for first.
async fn check_ability(client: &Client, file: &Path, verb: &'static str) -> Result<(), Error> {
    let ask = Ask::question(verb, Subject::NewPlan(file.to_owned()));
    let query = vec![("of", "plan".to_owned()), ("prefix", "0000".to_owned())];
    client.get_bytes(&ask, &["ids"], query).await.map(drop).map_err(Error::if_unable)
}

fn within(runs_max: u64) -> (&'static str, String) {
    ("max-runs", runs_max.to_string())
}

/// Lets the server refuse a Plan for its many Runs as it registers it. Where it cannot, they are counted before that.
async fn limit(client: &Client, file: &Path, spec: &PlanSpec, runs_max: u64) -> Result<Query, Error> {
    match check_ability(client, file, "limit").await {
        Ok(()) => Ok(vec![within(runs_max)]),
        Err(Error::Unable { .. }) => {
            count::check(client, spec, runs_max).await?;
            output::say(
                "note: this server cannot limit the Runs of a Plan: they were counted before it was registered",
            );
            Ok(Query::new())
        }
        Err(error) => Err(error),
    }
}

fn spec(path: &Path) -> Result<PlanSpec, Error> {
    let text = read(path)?;
    if file::is_blank(&text) {
        return Err(Error::EmptyPlan { path: path.to_owned() });
    }
    let parsed =
        file::parse(&text).map_err(|source| Error::Yaml { path: path.to_owned(), example: EXAMPLE, source })?;
    for warning in parsed.warnings.iter().chain(&doubtful_limits(&parsed.spec.resources)) {
        output::say(format_args!("warning: {}: {warning}", path.display()));
    }
    if !parsed.misspelt.is_empty() {
        return Err(Error::MisspeltPlan { path: path.to_owned(), keys: parsed.misspelt });
    }
    Ok(parsed.spec)
}

fn read(path: &Path) -> Result<String, Error> {
    if path.as_os_str() != "-" {
        return std::fs::read_to_string(path).map_err(Error::file("read", path));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(Error::file("read", "standard input"))?;
    Ok(text)
}

fn lines(forecast: &PlanForecast) -> Vec<String> {
    let PlanForecast { runs, at_once, .. } = forecast;
    let mut lines = vec![match runs {
        0 => "nothing is registered; the Plan would get no Run now".to_owned(),
        runs => format!("nothing is registered; the Plan would get {} now", counted(*runs, "Run", "Runs")),
    }];
    if at_once < runs {
        lines.push(format!("note: {at_once} of them at once, the others as these end; `--max-runs N` refuses so many"));
    }
    lines.extend(forecast.inputs.iter().map(found));
    lines.extend(forecast.first.iter().map(|run| one(run)));
    let told = forecast.first.len() as u64;
    if *runs > told {
        lines.push(format!("  and {} more", runs - told));
    }
    lines.extend(forecast.past.iter().flat_map(past));
    lines
}

fn found(input: &InputMatches) -> String {
    let asks: String = input.tags.iter().map(|tag| format!(" `{tag}`")).collect();
    let missing: Vec<String> = input.missing.iter().map(|tag| format!("`{tag}`")).collect();
    let lacks = match &input.nearest {
        Some(nearest) => format!("; the nearest, {nearest}, lacks {}", missing.join(", ")),
        None if input.candidates == 0 => format!("; none has {}", missing.join(" or ")),
        None => String::new(),
    };
    format!("input {} asks for{asks}: {}{lacks}", input.path, fitting(input.candidates))
}

fn one(run: &[LineageEdge]) -> String {
    let inputs: Vec<String> = run.iter().map(|input| format!("{} {}", input.path, input.knit_id)).collect();
    format!("  a Run of {}", inputs.join(", "))
}

fn past(past: &PastRuns) -> Vec<String> {
    let at_least = if past.exact { "" } else { "at least " };
    let mut lines = vec![format!("had it always been registered, Runs by day (UTC): {at_least}{} before", past.before)];
    lines.extend(past.days.iter().map(|day| format!("  {}  {at_least}{}", day.day, day.runs)));
    lines
}
