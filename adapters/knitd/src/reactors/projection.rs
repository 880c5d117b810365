//! Makes a Run of every combination of Data that fits a Plan and has none yet.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use futures::StreamExt as _;
use knit_domain::data::Data;
use knit_domain::decision::{Decision, Versioned};
use knit_domain::id::{KnitId, PlanId};
use knit_domain::plan::Plan;
use knit_domain::run::creation::CandidateInput;
use knit_domain::run::project;
use knit_failpoint::failpoint;
use knit_log::Log;
use knit_projections::matcher::{Combination, Cursor};
use uuid::Uuid;

use crate::app::App;
use crate::command::{self, Cause, CommandError};
use crate::streams;

/// Combinations taken from the matcher at once: they share what is loaded for them.
const BATCH_MAX: usize = 512;
/// Runs decided at once: as many as one group commit of the log takes with pleasure.
const AT_ONCE_MAX: usize = 64;
/// Pause after a combination could not be made into a Run for a reason other than a rule.
const FAULT_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// Runs the role `projection` until the process ends.
pub async fn run(app: App) {
    let mut matcher = app.views().matcher.watch();
    let mut cursor = Cursor::default();
    let mut instance = 0;
    loop {
        let reached = matcher.borrow_and_update().instance;
        if reached != instance {
            // What the cursor remembers is of another instance, and perhaps of another history.
            cursor = Cursor::default();
        }
        instance = reached;
        let due = app.views().matcher.read().due(&mut cursor, BATCH_MAX);
        if !due.held.is_empty() {
            tracing::debug!(plans = ?due.held, "held: too many of their Runs have not ended");
        }
        let idle = due.combinations.is_empty() && due.exhausted;
        let faults = make_runs(&app, &mut cursor, due.combinations).await;
        if faults {
            tokio::time::sleep(FAULT_PAUSE).await;
        } else if idle && matcher.changed().await.is_err() {
            return;
        }
    }
}

/// Makes the Runs of one batch; answers whether some could not be made because the world broke.
async fn make_runs(app: &App, cursor: &mut Cursor, combinations: Vec<Combination>) -> bool {
    let loaded = &Loaded::default();
    let outcomes = futures::stream::iter(combinations)
        .map(|combination| async move {
            let outcome = make_run(app, loaded, &combination).await;
            (combination, outcome)
        })
        .buffer_unordered(AT_ONCE_MAX)
        .collect::<Vec<_>>()
        .await;
    let mut faults = false;
    let mut newest = 0;
    for (combination, outcome) in outcomes {
        match outcome {
            Ok(done) => newest = newest.max(done.position),
            // The Data or the Plan has changed: whether it still fits, the matcher will know.
            Err(CommandError::Refused(refusal)) => {
                tracing::debug!(plan = %combination.plan_id, "no Run: {refusal}");
            }
            Err(failure) => {
                tracing::warn!(plan = %combination.plan_id, "a Run could not be made, to be tried again: {failure}");
                cursor.revisit(&combination);
                faults = true;
            }
        }
    }
    failpoint("projection.batch-made");
    app.shown(newest).await;
    faults
}

async fn make_run(app: &App, loaded: &Loaded, combination: &Combination) -> Result<command::Done, CommandError> {
    let conflicts = AtomicU32::new(0);
    command::execute(app.log(), &Cause::reactor("projection"), || async {
        if conflicts.fetch_add(1, Ordering::Relaxed) == 0 {
            return decide(app, loaded, combination).await;
        }
        // What was loaded for the whole batch is out of date, or somebody else has made the Run.
        if streams::run(app.log(), combination.run_id).await?.exists() {
            return Ok(Decision::nothing());
        }
        decide(app, &Loaded::default(), combination).await
    })
    .await
}

async fn decide(app: &App, loaded: &Loaded, wanted: &Combination) -> Result<Decision, CommandError> {
    let plan = loaded.plan(app.log(), wanted.plan_id).await?;
    let mut inputs = Vec::with_capacity(wanted.inputs.len());
    for input in &wanted.inputs {
        let data = loaded.data(app.log(), input.knit_id).await?;
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
}

impl Loaded {
    async fn plan(&self, log: &Log, id: PlanId) -> Result<Versioned<Plan>, CommandError> {
        if let Some(plan) = held(&self.plans, &id) {
            return Ok(plan);
        }
        let plan = streams::plan(log, id).await?;
        keep(&self.plans, id, plan.clone());
        Ok(plan)
    }

    async fn data(&self, log: &Log, id: KnitId) -> Result<Versioned<Data>, CommandError> {
        if let Some(data) = held(&self.data, &id) {
            return Ok(data);
        }
        let data = streams::data(log, id).await?;
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
