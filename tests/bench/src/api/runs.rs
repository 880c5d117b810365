//! What is set in motion: a Plan that many Data match, and the Runs that come of it.
//!
//! The Plans are inactive, so that their Runs are made and held: what is measured is making Runs, not
//! running them.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use knit_tests::plans::PlanFile;
use serde_json::json;

use super::Catalog;
use crate::graph::TAG_OF_ALL;
use crate::graph::sizes::{HUNDRED, SIDES, THOUSAND};
use crate::history::Ids;
use crate::row::{Row, number, rates, spread, time};
use crate::statistics::Sample;
use crate::wire::Wire;

/// Runs of one Plan that may wait: then the Plan is held.
const PENDING_MAX: u64 = 10_000;
/// Pause between two looks at how many there are: a look costs the server a fraction of a millisecond.
const LOOK: Duration = Duration::from_millis(5);
/// How long Runs may take to be made.
const PATIENCE: Duration = Duration::from_secs(120);
/// Events of one Run that is made: projected, and its one output reserved.
const EVENTS_PER_RUN: u64 = 2;
/// Events of a Plan that is registered: admitted and registered.
const EVENTS_PER_PLAN: u64 = 2;

/// One Plan that was registered, and what came of it.
struct Registered {
    /// Seconds until the answer.
    answered: f64,
    /// Seconds until the last Run was there.
    made: f64,
}

pub(super) fn measure(catalog: &Catalog<'_>) -> anyhow::Result<Vec<Row>> {
    let thousand = || PlanFile::shell("true").input("/in", &[THOUSAND]);
    let pairs = || PlanFile::shell("true").input("/in/left", &[SIDES[0]]).input("/in/right", &[SIDES[1]]);
    let all = || PlanFile::shell("true").input("/in", &[TAG_OF_ALL]);
    let data = catalog.filled.graph.data().len() as u64;
    let of_thousand = rounds(catalog, "thousand", thousand, 1_000)?;
    let of_pairs = rounds(catalog, "pairs", pairs, HUNDRED as u64 * HUNDRED as u64)?;
    let of_all = rounds(catalog, "all", all, data.min(PENDING_MAX))?;
    let answered = Sample::of(of_all.iter().map(|registered| registered.answered));
    Ok(vec![
        Row::judged("register a Plan that all Data match", "≤ 0.3 s", spread(&answered), answered.median() <= 0.3)
            .original("4.5 s")
            .value("measured_s", answered.median())
            .note(format!(
                "until the answer; the {} Runs that one Plan may have waiting were there after {}",
                number(data.min(PENDING_MAX) as f64),
                time(Sample::of(of_all.iter().map(|registered| registered.made)).median())
            )),
        made("make the Runs of 1 input × 1,000 Data", 1_000.0, &of_thousand, 23.0),
        made("make the Runs of 100 × 100 Data", 10_000.0, &of_pairs, 39.0),
    ])
}

fn made(what: &str, runs: f64, rounds: &[Registered], original: f64) -> Row {
    let per_second = Sample::of(rounds.iter().map(|registered| runs / registered.made));
    Row::judged(what, "≥ 2,000 Runs/s", rates(&per_second), per_second.median() >= 2_000.0)
        .original(&format!("{original} Runs/s"))
        .value("measured_per_s", per_second.median())
        .value("target_per_s", 2_000.0)
        .value("original_per_s", original)
}

fn rounds(
    catalog: &Catalog<'_>,
    name: &str,
    plan: impl Fn() -> PlanFile,
    runs: u64,
) -> anyhow::Result<Vec<Registered>> {
    let rounds = 0..catalog.bench.sizes.rounds;
    rounds.map(|round| register(catalog, &plan().output("/out", &[&format!("made-in:{name}-{round}")]), runs)).collect()
}

/// Registers a Plan and waits for its Runs. The log tells how many there are: nothing else is appended.
fn register(catalog: &Catalog<'_>, plan: &PlanFile, runs: u64) -> anyhow::Result<Registered> {
    let mut wire = Wire::to(catalog.server.address())?;
    let look = format!("/api/plans/{}", Ids::plan(0));
    let before = position(&mut wire, &look)?;
    let plan = plan.clone().with("active", json!(false)).json();
    let begun = Instant::now();
    wire.send("POST", "/api/plans", &plan)?;
    let answered = begun.elapsed().as_secs_f64();
    let end = before + EVENTS_PER_PLAN + EVENTS_PER_RUN * runs;
    loop {
        let reached = position(&mut wire, &look)?;
        if reached >= end {
            return Ok(Registered { answered, made: begun.elapsed().as_secs_f64() });
        }
        anyhow::ensure!(begun.elapsed() < PATIENCE, "the log came to {reached} instead of {end}");
        std::thread::sleep(LOOK);
    }
}

fn position(wire: &mut Wire, look: &str) -> anyhow::Result<u64> {
    wire.fetch(look)?.position.context("every answer tells its position")
}
