//! Makes a Run of every combination of Data that fits a Plan and has none yet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use knit_domain::data::Data;
use knit_domain::decision::{Decision, Versioned};
use knit_domain::event::{Position, Recorded};
use knit_domain::id::{KnitId, PlanId};
use knit_domain::plan::Plan;
use knit_domain::run::creation::CandidateInput;
use knit_domain::run::project;
use knit_failpoint::failpoint;
use knit_projections::matcher::{Combination, Cursor, Due};
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;
use uuid::Uuid;

use super::backoff::{Backoff, until};
use crate::app::App;
use crate::command::{self, Cause, CommandError};
use crate::streams::{self, Source};

/// Combinations taken from the matcher at once: they share what is loaded for them.
const BATCH_MAX: usize = 512;
/// Runs decided at once: as many as one group commit of the log takes with pleasure.
const AT_ONCE_MAX: usize = 64;
/// Failed combinations that wait to be tried again while others are taken. When so many wait, the world is
/// broken and not they: then nothing is taken until their pause is over.
const FAILED_MAX: usize = BATCH_MAX;

/// The name of the role and of whoever acts in it.
pub(crate) const NAME: &str = "projection";

/// Runs the role `projection` until the process ends.
pub async fn run(app: App) {
    let mut matcher = app.views().matcher.watch();
    let (mut walk, shown) = (Walk::default(), ShownAtHand(&app));
    loop {
        walk.follow(matcher.borrow_and_update().instance);
        let due = walk.take(&app);
        let idle = due.combinations.is_empty() && due.exhausted;
        shown.are(walk.failed.len() + due.combinations.len());
        for (combination, outcome) in make_runs(&app, due.combinations).await {
            if let Err(failure) = &outcome {
                app.metrics().failed(NAME, failure.family());
            }
            walk.record(combination, outcome);
        }
        shown.are(walk.failed.len());
        if idle || walk.is_held_up() {
            tokio::select! {
                changed = matcher.changed() => if changed.is_err() { return },
                () = until(walk.pause.next()) => walk.revisit_failed(),
            }
        } else {
            walk.forget_failures();
        }
    }
}

/// Shows in the figures how many combinations are at hand: none when this server acts no more.
struct ShownAtHand<'a>(&'a App);

impl ShownAtHand<'_> {
    fn are(&self, count: usize) {
        self.0.metrics().combinations().are(count);
    }
}

impl Drop for ShownAtHand<'_> {
    fn drop(&mut self) {
        self.are(0);
    }
}

/// The walk through the combinations that are due, and what went wrong on it.
#[derive(Default)]
struct Walk {
    cursor: Cursor,
    /// Which instance of the matcher the cursor belongs to.
    instance: u64,
    failed: Vec<Combination>,
    /// The one pause of all that failed: what breaks one usually breaks all.
    pause: Backoff<()>,
}

impl Walk {
    /// What the cursor remembers of another instance is perhaps of another history.
    fn follow(&mut self, instance: u64) {
        if self.instance != instance {
            *self = Self { instance, ..Self::default() };
        }
    }

    fn take(&mut self, app: &App) -> Due {
        if self.is_held_up() {
            return Due::default();
        }
        let due = app.views().matcher.read().due(&mut self.cursor, BATCH_MAX);
        if !due.held.is_empty() {
            tracing::debug!(plans = ?due.held, "held: too many of their Runs have not ended");
        }
        due
    }

    fn is_held_up(&self) -> bool {
        self.failed.len() >= FAILED_MAX
    }

    fn record(&mut self, combination: Combination, outcome: Result<command::Done, CommandError>) {
        let Combination { plan_id, run_id, .. } = &combination;
        match outcome {
            Ok(_) => {}
            // The Data or the Plan has changed: whether it still fits, the matcher will know.
            Err(CommandError::Refused(refusal)) => {
                tracing::debug!(plan = %plan_id, run = %run_id, "no Run is made: {refusal}");
            }
            Err(failure) => {
                let reason = failure.to_string();
                if self.failed.is_empty() && self.pause.failed((), &reason, Instant::now()).alike == 1 {
                    tracing::warn!(plan = %plan_id, run = %run_id, "a Run is not made, to be tried again: {reason}");
                } else {
                    tracing::debug!(plan = %plan_id, run = %run_id, "a Run is not made, to be tried again: {reason}");
                }
                self.failed.push(combination);
            }
        }
    }

    /// The pause is over: what failed is handed out again.
    fn revisit_failed(&mut self) {
        self.pause.over(Instant::now());
        for combination in std::mem::take(&mut self.failed) {
            self.cursor.revisit(&combination);
        }
    }

    /// Combinations were taken and none of them failed.
    fn forget_failures(&mut self) {
        if self.failed.is_empty() {
            self.pause.succeeded(&());
        }
    }
}

/// Makes the Runs of one batch, and waits until the matcher knows them.
async fn make_runs(
    app: &App,
    combinations: Vec<Combination>,
) -> Vec<(Combination, Result<command::Done, CommandError>)> {
    let loaded = &Loaded::default();
    // Why a combination is due, the store tells; it is asked about what the matcher has seen.
    app.shown(app.views().matcher.position()).await;
    let outcomes = futures::stream::iter(combinations)
        .map(|combination| async move {
            let Combination { plan_id, run_id, .. } = &combination;
            let span = tracing::debug_span!(
                "react",
                reactor = NAME,
                plan.id = %plan_id,
                run.id = %run_id,
                correlation = Empty
            );
            let outcome = make_run(app, loaded, &combination).instrument(span).await;
            (combination, outcome)
        })
        .buffer_unordered(AT_ONCE_MAX)
        .collect::<Vec<_>>()
        .await;
    if !outcomes.is_empty() {
        failpoint("projection.batch-made");
    }
    let made = outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().ok());
    app.shown(made.map(|done| done.position).max().unwrap_or_default()).await;
    outcomes
}

async fn make_run(app: &App, loaded: &Loaded, combination: &Combination) -> Result<command::Done, CommandError> {
    let cause = loaded.cause(app, combination).await?;
    command::execute(app.log(), &cause, |source| async move {
        if source.remembers() {
            return decide(app, source, loaded, combination).await;
        }
        // What was loaded for the whole batch is out of date, or somebody else has made the Run.
        if streams::run(source, combination.run_id).await?.exists() {
            return Ok(Decision::nothing());
        }
        decide(app, source, &Loaded::default(), combination).await
    })
    .await
}

async fn decide(
    app: &App,
    source: Source<'_>,
    loaded: &Loaded,
    wanted: &Combination,
) -> Result<Decision, CommandError> {
    let plan = loaded.plan(source, wanted.plan_id).await?;
    let mut inputs = Vec::with_capacity(wanted.inputs.len());
    for input in &wanted.inputs {
        let data = loaded.data(source, input.knit_id).await?;
        // The matcher has seen the Run that made the Data succeed; that never changes for this Data.
        let done_at = app.views().matcher.read().done_at(input.knit_id);
        inputs.push((input.path.as_str(), data, done_at));
    }
    let candidates: Vec<CandidateInput<'_>> =
        inputs.iter().map(|(path, data, done_at)| CandidateInput { path, data, done_at: *done_at }).collect();
    Ok(project(wanted.plan_id, &plan, &candidates, &wanted.trigger, || KnitId(Uuid::new_v4()))?)
}

/// Streams folded for one batch, shared by its combinations.
#[derive(Default)]
struct Loaded {
    plans: Mutex<HashMap<PlanId, Versioned<Plan>>>,
    data: Mutex<HashMap<KnitId, Versioned<Data>>>,
    /// What set combinations off, by its position: one event may have set off all of them.
    causes: Mutex<HashMap<Position, Arc<Recorded>>>,
}

impl Loaded {
    /// The event that completed a combination. Where something is missing by now there is none, and no Run either.
    async fn cause(&self, app: &App, wanted: &Combination) -> Result<Cause, CommandError> {
        let cause = Cause::reactor(NAME);
        let set_off = app.views().store.read().set_off_at(wanted.plan_id, &wanted.inputs);
        let Some(position) = set_off else { return Ok(cause) };
        if let Some(event) = held(&self.causes, &position) {
            return Ok(cause.because_of(&event));
        }
        let Some(event) = app.log().event_at(position).await? else { return Ok(cause) };
        keep(&self.causes, position, Arc::clone(&event));
        Ok(cause.because_of(&event))
    }

    async fn plan(&self, source: Source<'_>, id: PlanId) -> Result<Versioned<Plan>, CommandError> {
        if let Some(plan) = held(&self.plans, &id) {
            return Ok(plan);
        }
        let plan = streams::plan(source, id).await?;
        keep(&self.plans, id, plan.clone());
        Ok(plan)
    }

    async fn data(&self, source: Source<'_>, id: KnitId) -> Result<Versioned<Data>, CommandError> {
        if let Some(data) = held(&self.data, &id) {
            return Ok(data);
        }
        let data = streams::data(source, id).await?;
        keep(&self.data, id, data.clone());
        Ok(data)
    }
}

fn held<K: std::hash::Hash + Eq, V: Clone>(map: &Mutex<HashMap<K, V>>, key: &K) -> Option<V> {
    map.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get(key).cloned()
}

fn keep<K: std::hash::Hash + Eq, V>(map: &Mutex<HashMap<K, V>>, key: K, value: V) {
    map.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(key, value);
}
