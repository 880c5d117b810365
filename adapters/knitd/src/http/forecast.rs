//! What a Plan would start, asked before it is registered (ours).

use std::collections::BTreeSet;

use axum::response::Response;
use chrono::{DateTime, Days, NaiveDate, Utc};
use knit_domain::event::Position;
use knit_domain::event::plan::PlanDefinition;
use knit_domain::event::run::Assignment;
use knit_domain::id::KnitId;
use knit_domain::plan::PlanDraft;
use knit_domain::time::Timestamp;
use knit_projections::matcher::{self, PENDING_RUNS_PER_PLAN_MAX};
use knit_projections::store::{At, LOOKED_AT_MAX, PastRuns, Store};
use knit_schemas::api;

use super::front::Api;
use super::problem::Problem;
use super::query::Query;
use super::{as_of, matches, reply};
use crate::app::plans;
use crate::streams;

/// Runs that are told one by one if nothing is said: as many as a person reads.
const RUNS_TOLD_DEFAULT: usize = 20;
/// The most Runs that are told: as many as a Plan gets at once, for the others are made of what is there by then. With
/// two inputs they take some five megabytes.
const RUNS_TOLD_MAX: usize = PENDING_RUNS_PER_PLAN_MAX as usize;
/// Days that can be asked about: ten years, for each of which the log looks at some twenty events.
const DAYS_MAX: u64 = 3_653;

/// Answers what registering `draft` would do, without doing it.
///
/// # Errors
/// Whatever refuses the registration itself; 400 when a number is none.
pub(super) async fn answer(api: &Api, draft: &PlanDraft, query: &Query) -> Result<Response, Problem> {
    let (days, runs_max, told_max) = (days(query)?, runs_max(query)?, told_max(query)?);
    let definition = admissible(api, draft).await?;
    let notes = api.app.runtime().lacks_image(&definition.image).into_iter().collect();
    let (as_of, found) = api.app.forecast(definition.clone(), told_max).await.map_err(Problem::of_log)?;
    if let Some(runs_max) = runs_max {
        plans::prospect(as_of, &found).check(runs_max)?;
    }
    let past = match days {
        Some(days) => Some(past(api, definition, days, as_of).await?),
        None => None,
    };
    let inputs = told_inputs(api, found.inputs).await?;
    let data = named(api, &found.first, as_of).await?;
    let edge = |input: Assignment| api::LineageEdge { path: input.path, knit_id: input.knit_id.to_string() };
    let first = found.first.into_iter().map(|run| run.into_iter().map(edge).collect()).collect();
    let told = api::PlanForecast { as_of, runs: found.runs, at_once: found.at_once, inputs, notes, first, data, past };
    Ok(reply::at(as_of, reply::json(&told)))
}

/// What the inputs would find, and which of their tags are probably misspelt.
async fn told_inputs(api: &Api, inputs: Vec<matcher::InputMatches>) -> Result<Vec<api::InputMatches>, Problem> {
    let told = |store: &Store, input| {
        let misspelt = matches::misspelt(store, &input);
        matches::input_matches(input, Vec::new(), misspelt)
    };
    api.ask(move |store| inputs.into_iter().map(|input| told(store, input)).collect()).await
}

/// The Data that `runs` take, each once, with their tags.
async fn named(api: &Api, runs: &[Vec<Assignment>], as_of: Position) -> Result<Vec<api::ForecastData>, Problem> {
    let ids: BTreeSet<KnitId> = runs.iter().flatten().map(|input| input.knit_id).collect();
    let told = move |store: &Store, id: KnitId| {
        let data = store.data(id, At::Position(as_of))?;
        Some(api::ForecastData { knit_id: id.to_string(), tags: data.tags })
    };
    api.ask(move |store| ids.into_iter().filter_map(|id| told(store, id)).collect()).await
}

/// How many Runs a Plan may get, if `query` says.
///
/// # Errors
/// 400 when that is no number.
pub(super) fn runs_max(query: &Query) -> Result<Option<u64>, Problem> {
    let Some(text) = query.scalar("max-runs") else { return Ok(None) };
    let number = || Problem::bad_request("`max-runs` should be a number").because(format!("got `{text}`"));
    text.parse().map(Some).map_err(|_| number())
}

/// How many Runs are told one by one; 0 asks for all.
fn told_max(query: &Query) -> Result<usize, Problem> {
    match query.scalar("limit").map(|text| (text, text.parse())) {
        None => Ok(RUNS_TOLD_DEFAULT),
        Some((_, Ok(0))) => Ok(RUNS_TOLD_MAX),
        Some((_, Ok(limit))) if limit <= RUNS_TOLD_MAX => Ok(limit),
        Some((text, _)) => {
            let wanted = format!("`limit` should be a number of Runs, {RUNS_TOLD_MAX} at most, or 0 for all of these");
            Err(Problem::bad_request(wanted).because(format!("got `{text}`")))
        }
    }
}

/// What `draft` defines, if it may be registered.
async fn admissible(api: &Api, draft: &PlanDraft) -> Result<PlanDefinition, Problem> {
    let catalog = streams::catalog(api.app.log()).await.map_err(Problem::of_log)?;
    Ok(catalog.state.admissible(draft)?)
}

fn days(query: &Query) -> Result<Option<u64>, Problem> {
    let Some(text) = query.scalar("days") else { return Ok(None) };
    match text.parse() {
        Ok(days @ 1..=DAYS_MAX) => Ok(Some(days)),
        Ok(_) | Err(_) => Err(Problem::bad_request(format!("`days` should be a number from 1 to {DAYS_MAX}"))
            .because(format!("got `{text}`"))),
    }
}

async fn past(api: &Api, definition: PlanDefinition, days: u64, as_of: Position) -> Result<api::PastRuns, Problem> {
    let now = DateTime::from_timestamp_millis(as_of::now().0).unwrap_or_default();
    let days = last_days(now, days);
    // What is recorded at midnight is of the day that begins.
    let ends: Vec<Timestamp> = days.iter().map(|day| Timestamp(midnight_ms(*day) - 1)).collect();
    let boundaries = api.app.log().positions_at(&ends).await.map_err(Problem::of_log)?;
    let at = At::Position(as_of);
    let asked = api.ask(move |store| store.past_runs(&definition, &boundaries, at, LOOKED_AT_MAX));
    let PastRuns { counts, exact } = asked.await?;
    let mut counts = counts.into_iter();
    let before = counts.next().unwrap_or_default();
    let days = days.iter().zip(counts).map(|(day, runs)| api::DayOfRuns { day: day.to_string(), runs }).collect();
    Ok(api::PastRuns { before, days, exact })
}

/// The last `count` days of UTC, today included.
fn last_days(now: DateTime<Utc>, count: u64) -> Vec<NaiveDate> {
    let today = now.date_naive();
    (0..count).rev().filter_map(|ago| today.checked_sub_days(Days::new(ago))).collect()
}

fn midnight_ms(day: NaiveDate) -> i64 {
    day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_days_end_with_today() {
        let now: DateTime<Utc> = "2025-03-01T10:00:00Z".parse().unwrap();
        let days: Vec<String> = last_days(now, 3).iter().map(ToString::to_string).collect();
        assert_eq!(days, ["2025-02-27", "2025-02-28", "2025-03-01"]);
        assert_eq!(midnight_ms(last_days(now, 1)[0]), 1_740_787_200_000);
    }

    #[test]
    fn so_many_runs_are_told_as_are_asked_for() {
        let told = |text: &str| told_max(&Query::parse(Some(text)));
        assert_eq!((told(""), told("limit=3")), (Ok(RUNS_TOLD_DEFAULT), Ok(3)));
        assert_eq!((told("limit=0"), told("limit=10000")), (Ok(RUNS_TOLD_MAX), Ok(RUNS_TOLD_MAX)));
        assert!(["limit=-1", "limit=x", "limit=10001"].iter().all(|bad| told(bad).is_err()));
    }

    #[test]
    fn only_a_number_of_days_is_taken() {
        let days = |text: &str| days(&Query::parse(Some(text)));
        assert_eq!((days(""), days("days=7")), (Ok(None), Ok(Some(7))));
        assert!(["days=0", "days=-1", "days=x", "days=3654"].iter().all(|bad| days(bad).is_err()));
    }
}
