//! The hop: from the end of a Worker to the request for the Worker that takes what it made.
//!
//! A row of Plans, each taking what the one before makes; every Worker is `date +%s%N`, which writes the
//! time into its log and ends. The time of the next request is in the event log. What `date` needs to end
//! after it has looked at the clock counts as part of the hop.

use std::collections::HashMap;

use anyhow::Context as _;
use knit_domain::event::StreamType;
use knit_domain::event::run::RunEvent;
use knit_domain::event::{Event, Recorded};
use knit_domain::id::{KnitId, RunId};
use knit_log::{Database, Log, Options};
use knit_tests::plans::PlanFile;
use knit_tests::server::Setup;
use knit_tests::wait::wait_until;
use knit_tests::workshop::Workshop;
use serde_json::json;

use crate::bench::Bench;
use crate::plot::{Plot, Series};
use crate::process::{self, silent};
use crate::read::PAGE;
use crate::report::Outcome;
use crate::row::{Row, latency, time};
use crate::statistics::Sample;

/// Plans in a row: one hop fewer for each Data that enters.
const PLANS: usize = 11;
/// Data that enter, one after another.
const ENTERING: usize = 40;
/// Calls of the same command.
const CALLS: usize = 101;
const PROGRAM: &str = "date";
const ARGUMENT: &str = "+%s%N";

/// One hop, in seconds.
struct Hop {
    /// Until the next Worker is requested.
    to_request: f64,
    /// Until the next Worker looks at the clock.
    to_start: f64,
}

pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Outcome> {
    let mut shop = Workshop::with(Setup::new().logging("info"));
    let plans: Vec<String> = (0..PLANS).map(|at| shop.apply(&plan(at))).collect();
    for round in 1..=(ENTERING / bench.sizes.shorter).max(2) {
        shop.push(&[("it", "goes round")], &["hop:0"]);
        wait_until("the last Run to be done", || {
            let runs = shop.runs_of(&plans[PLANS - 1]);
            runs.len() == round && runs.iter().all(|run| run["status"] == "done")
        });
    }
    let ends = ends(&shop, &plans)?;
    let database = shop.server.state_dir().join("knitfab.db");
    shop.server.stop();
    let history = bench.tokio.block_on(history(&database))?;
    let hops = hops(&history, &ends);
    let spawned = process::wall(CALLS, || Ok(silent(PROGRAM, &[ARGUMENT])))?;
    outcome(&hops, &spawned)
}

fn plan(at: usize) -> PlanFile {
    let (from, to) = (format!("hop:{at}"), format!("hop:{}", at + 1));
    PlanFile::shell("")
        .with("entrypoint", json!([PROGRAM]))
        .with("args", json!([ARGUMENT]))
        .input("/in", &[&from])
        .output("/out", &[&to])
        .log(&[&format!("log-of:{at}")])
}

/// When each Worker looked at the clock, in seconds since 1970.
fn ends(shop: &Workshop, plans: &[String]) -> anyhow::Result<HashMap<RunId, f64>> {
    let mut ends = HashMap::new();
    for run in plans.iter().flat_map(|plan| shop.runs_of(plan)) {
        let id = run["runId"].as_str().context("a Run has an id")?;
        let log = shop.server.http().get(&format!("/api/runs/{id}/log")).text();
        let nanoseconds: f64 = log.trim().parse().with_context(|| format!("no time: {log:?}"))?;
        ends.insert(id.parse()?, nanoseconds / 1e9);
    }
    Ok(ends)
}

/// The whole log of a server that has stopped.
async fn history(database: &std::path::Path) -> anyhow::Result<Vec<Recorded>> {
    let log = Log::open(&Database::Sqlite(database.to_owned()), Options::default()).await?;
    let mut history = Vec::new();
    loop {
        let page = log.read(history.last().map_or(0, |last: &Recorded| last.position), PAGE).await?;
        if page.is_empty() {
            log.close().await;
            return Ok(history);
        }
        history.extend(page);
    }
}

fn hops(history: &[Recorded], ends: &HashMap<RunId, f64>) -> Vec<Hop> {
    let (mut makers, mut takers): (HashMap<KnitId, RunId>, HashMap<RunId, KnitId>) = <_>::default();
    let mut hops = Vec::new();
    for recorded in history.iter().filter(|recorded| recorded.stream.kind == StreamType::Run) {
        let Event::Run(event) = &recorded.event else { continue };
        let Ok(run) = recorded.stream.id.parse::<RunId>() else { continue };
        if let RunEvent::RunProjected { inputs, outputs, .. } = event {
            makers.extend(outputs.iter().map(|output| (output.knit_id, run)));
            takers.extend(inputs.iter().map(|input| (run, input.knit_id)));
        }
        if matches!(event, RunEvent::WorkerRequested { .. })
            && let Some(maker) = takers.get(&run).and_then(|data| makers.get(data))
            && let (Some(before), Some(after)) = (ends.get(maker), ends.get(&run))
        {
            let requested = recorded.recorded_at.0 as f64 / 1e3;
            hops.push(Hop { to_request: (requested - before).max(0.0), to_start: after - before });
        }
    }
    hops
}

fn outcome(hops: &[Hop], spawned: &Sample) -> anyhow::Result<Outcome> {
    anyhow::ensure!(!hops.is_empty(), "no Worker followed another");
    let (to_request, to_start) =
        (Sample::of(hops.iter().map(|hop| hop.to_request)), Sample::of(hops.iter().map(|hop| hop.to_start)));
    let met = to_request.median() <= 0.02 && to_request.p99() <= 0.2;
    let row = Row::judged(
        "hop, local: a Worker's end → its successor's start request",
        "p50 ≤ 20 ms, p99 ≤ 200 ms",
        latency(&to_request),
        met,
    )
    .beside("fork+exec of the same command", &latency(spawned), spawned.median() / to_request.median())
    .value("p50_s", to_request.median())
    .value("p99_s", to_request.p99())
    .note(format!(
        "{} hops on the embedded default, one at a time; the request's time is recorded in whole milliseconds, \
         truncated; the original needs about 42 s. Until the next Worker itself looks at the clock: {}; the fastest and slowest hop: {} and {}",
        hops.len(),
        latency(&to_start),
        time(to_request.min()),
        time(to_request.max())
    ));
    let course = |name: &str, sample: &Sample| {
        let share = |at: usize| 100.0 * (at + 1) as f64 / sample.len() as f64;
        let points = sample.sorted().iter().enumerate().map(|(at, seconds)| (share(at), seconds * 1e3)).collect();
        Series { name: name.to_owned(), points }
    };
    let series = vec![course("until the next is requested", &to_request), course("until the next runs", &to_start)];
    let plot = Plot::lines("Hops, from the fastest to the slowest", "percent of all hops", "ms", series);
    Ok(Outcome { rows: vec![row], plots: vec![plot], remarks: Vec::new() })
}
