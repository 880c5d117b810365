//! `knit plan apply`.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use knit_schemas::api::{InputMatches, LineageEdge, PastRuns, PlanDetail, PlanForecast, PlanSpec};
use reqwest::Method;

use super::{count, doubtful_limits, file, show};
use crate::client::{Client, Query};
use crate::error::{Ask, Error, Subject};
use crate::form::{Form, Told};
use crate::number;
use crate::output;
use crate::session::Session;
use crate::telling::{counted, fitting};

/// Where to look how a Plan file is written.
const EXAMPLE: &str = "`knit plan template --scratch` prints a Plan file to compare with";

/// Runs to come that are told to people one by one: they look whether these are what they meant.
const RUNS_TOLD_MAX: usize = 4;
/// Tags by which a Data of such a Run is told from others.
const TAGS_TOLD_MAX: usize = 2;

/// Register a Plan and print it
///
/// A Plan cannot be registered twice: when an equivalent one exists, that one is named. With `--dry-run` nothing is
/// registered, and it is said which Runs there would be.
#[derive(Debug, Args)]
#[command(mut_arg("output", |output| output.short('o')))]
pub(crate) struct Arguments {
    /// Register nothing; say which Runs the Plan would get
    #[arg(long)]
    dry_run: bool,
    /// With `--dry-run`: say also how many Runs it would have got on each of the last so many days
    #[arg(long, value_name = "N", requires = "dry_run", value_parser = number::parse::<u32>)]
    days: Option<u32>,
    /// With `--dry-run`: name at most so many of the Runs, from the first on; 0 names all, as far as they are made at
    /// once [default: 4, in JSON 20]
    #[arg(long, value_name = "NUMBER", requires = "dry_run", value_parser = number::parse::<usize>)]
    limit: Option<usize>,
    /// Refuse a Plan that would get more than so many Runs
    #[arg(long, value_name = "N", value_parser = number::parse::<u64>)]
    max_runs: Option<u64>,
    #[command(flatten)]
    form: Form,
    /// YAML or JSON file that describes the Plan; `-` reads standard input
    #[arg(value_name = "PLAN_FILE")]
    file: PathBuf,
}

impl Told for PlanForecast {
    const FIELDS: &'static [&'static str] = &["asOf", "runs", "atOnce", "inputs", "first", "data", "past", "notes"];

    /// The Data that the first of its Runs would take: the Plan and its Runs have no ids yet.
    fn ids(&self) -> Vec<String> {
        self.data.iter().map(|data| data.knit_id.clone()).collect()
    }
}

pub(crate) async fn run(arguments: Arguments, session: &Session) -> Result<(), Error> {
    arguments.form.check(if arguments.dry_run { PlanForecast::FIELDS } else { PlanDetail::FIELDS })?;
    let spec = spec(&arguments.file)?;
    let client = session.client()?;
    if arguments.dry_run {
        check_ability(&client, &arguments.file, "forecast").await?;
        let mut query: Query = vec![("dry-run", String::new())];
        query.extend(arguments.max_runs.map(within));
        query.extend(arguments.days.map(|days| ("days", days.to_string())));
        query.extend(arguments.limit.map(|limit| ("limit", limit.to_string())));
        let verb = if arguments.max_runs.is_some() { "accept" } else { "forecast" };
        let ask = Ask::question(verb, Subject::NewPlan(arguments.file));
        let forecast: PlanForecast = client.change_with(&ask, Method::POST, &["plans"], query, Some(&spec)).await?;
        let told_max = if arguments.limit.is_some() { usize::MAX } else { RUNS_TOLD_MAX };
        let is_active = spec.active.unwrap_or(true);
        return arguments.form.tell(&forecast, |forecast| lines(forecast, is_active, told_max));
    }
    let query = match arguments.max_runs {
        Some(runs_max) => limit(&client, &arguments.file, &spec, runs_max).await?,
        None => Query::new(),
    };
    let ask = Ask::order("register", Subject::NewPlan(arguments.file));
    let plan: PlanDetail = client.change_with(&ask, Method::POST, &["plans"], query, Some(&spec)).await?;
    arguments.form.tell(&plan, show::lines)
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

fn lines(forecast: &PlanForecast, is_active: bool, told_max: usize) -> Vec<String> {
    let PlanForecast { runs, at_once, .. } = forecast;
    let mut lines = vec![match runs {
        0 => "nothing is registered; the Plan would get no Run now".to_owned(),
        runs => format!("nothing is registered; the Plan would get {} now", many(*runs)),
    }];
    if !is_active && *runs > 0 {
        lines.push(
            "note: none of them would start: the Plan is switched off (`active: false`), so they wait as deactivated"
                .to_owned(),
        );
    }
    if at_once < runs {
        lines.push(format!(
            "note: a Plan may have {at_once} Runs that have not ended, so the others are made as these end; `--max-runs N` refuses a Plan with so many"
        ));
    }
    lines.extend(forecast.notes.iter().map(|note| format!("note: no Run could run here: {note}")));
    lines.extend(forecast.inputs.iter().map(found));
    lines.extend(forecast.first.iter().take(told_max).map(|run| one(run, forecast)));
    let told = forecast.first.len().min(told_max) as u64;
    if *runs == UNCOUNTABLE {
        lines.push("  and others".to_owned());
    } else if *runs > told {
        lines.push(format!("  and {} more", runs - told));
    }
    lines.extend(forecast.past.iter().flat_map(past));
    lines.extend(show::misspelt(&forecast.inputs));
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

/// What stands for more Runs than can be counted.
const UNCOUNTABLE: u64 = u64::MAX;

/// So many Runs, in words.
fn many(runs: u64) -> String {
    if runs == UNCOUNTABLE { "more Runs than can be counted".to_owned() } else { counted(runs, "Run", "Runs") }
}

/// A Run as the Data that it would take, each with the tags by which people know it from the others that fit.
fn one(run: &[LineageEdge], forecast: &PlanForecast) -> String {
    let known = |input: &LineageEdge| {
        let asked = forecast.inputs.iter().find(|matches| matches.path == input.path).map(|matches| &matches.tags);
        let named = forecast.data.iter().find(|data| data.knit_id == input.knit_id)?;
        let own = named.tags.iter().filter(|tag| !tag.is_system() && !asked.is_some_and(|asked| asked.contains(tag)));
        let own: Vec<String> = own.take(TAGS_TOLD_MAX).map(|tag| format!("`{tag}`")).collect();
        (!own.is_empty()).then(|| format!(" ({})", own.join(" ")))
    };
    let input = |input: &LineageEdge| format!("{} {}{}", input.path, input.knit_id, known(input).unwrap_or_default());
    format!("  a Run of {}", run.iter().map(input).collect::<Vec<_>>().join(", "))
}

fn past(past: &PastRuns) -> Vec<String> {
    let at_least = if past.exact { "" } else { " at least" };
    let mut lines = vec![format!("had it always been registered, it would have got{at_least}, by days of UTC,")];
    lines.extend(past.days.first().map(|first| format!("  before {}: {}", first.day, many(past.before))));
    lines.extend(past.days.iter().map(|day| format!("  on     {}: {}", day.day, many(day.runs))));
    lines
}
