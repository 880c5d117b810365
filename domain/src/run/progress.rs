//! How a Run comes to run: volumes, the request for a Worker, the Worker's appearance.
//!
//! Volumes are made first and recorded after; a Worker is recorded as wanted first and created after,
//! because creating it twice would be worse than wanting it in vain (D9).

use std::collections::BTreeMap;

use super::{Run, RunRecord, RunRefused, Status, Worker, happens, must_change};
use crate::decision::{Condition, Decision, Versioned};
use crate::event::StreamId;
use crate::event::run::{RunEvent, WorkerOrder};
use crate::id::WorkerName;
use crate::plan::Plan;

/// Every volume of the outputs and the log exists: the Run becomes `ready`.
///
/// The decision holds only while the Plan stays as it is, so a Run of a Plan that is deactivated at
/// the same moment does not slip through (X9).
///
/// # Errors
/// [`RunRefused`]; a Run of an inactive Plan is `deactivated` and is refused as such.
pub fn prepare_volumes(run: &Versioned<Run>, plan: &Versioned<Plan>, attempt: u32) -> Result<Decision, RunRefused> {
    let record = run.state.at_attempt(attempt)?;
    let status = record.status.under(plan.state.active);
    if !must_change(status, Status::Ready)? {
        return Ok(Decision::nothing());
    }
    let volumes = record.outputs.iter().map(|output| output.volume_ref.clone()).collect();
    let unchanged = Condition::StreamAt { stream: StreamId::plan(record.plan), version: plan.version };
    Ok(happens(run, record, RunEvent::RunVolumesPrepared { attempt, volumes }).given(unchanged))
}

/// A Worker is wanted: the Run becomes `starting`, and what the Worker is made from is frozen.
///
/// `env` are the variables that before-hooks answered.
///
/// # Errors
/// [`RunRefused`].
pub fn request_worker(
    run: &Versioned<Run>,
    plan: &Versioned<Plan>,
    attempt: u32,
    env: BTreeMap<String, String>,
) -> Result<Decision, RunRefused> {
    let record = run.state.at_attempt(attempt)?;
    if !must_change(record.status, Status::Starting)? {
        return Ok(Decision::nothing());
    }
    let worker = worker_order(record, &plan.state, env)?;
    let unchanged = Condition::StreamAt { stream: StreamId::plan(record.plan), version: plan.version };
    Ok(happens(run, record, RunEvent::WorkerRequested { attempt, worker }).given(unchanged))
}

fn worker_order(record: &RunRecord, plan: &Plan, env: BTreeMap<String, String>) -> Result<WorkerOrder, RunRefused> {
    let definition = plan.definition().ok_or(RunRefused::UnknownPlan)?;
    Ok(WorkerOrder {
        name: record.worker_name.clone().unwrap_or_else(|| WorkerName::of(record.id, record.attempt)),
        image: definition.image.clone(),
        entrypoint: definition.entrypoint.clone(),
        args: definition.args.clone(),
        env,
        resources: plan.resources.clone(),
        on_node: definition.on_node.clone(),
        service_account: plan.service_account.clone(),
    })
}

/// What the runtime says about a Worker it has created or found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spawned {
    /// The runtime's own identity of the Worker.
    pub uid: String,
    /// What the image's tag meant at that moment.
    pub image_digest: Option<String>,
    /// What was done differently from what was asked, such as an ignored preference.
    pub notes: Vec<String>,
}

/// The requested Worker exists; from now on its absence means that it was lost.
///
/// # Errors
/// [`RunRefused`]; [`RunRefused::InvalidStateChange`] when no Worker is wanted any more, in which case
/// the one that was created has to be removed.
pub fn record_spawn(run: &Versioned<Run>, attempt: u32, spawned: Spawned) -> Result<Decision, RunRefused> {
    let record = run.state.at_attempt(attempt)?;
    let not_wanted = RunRefused::InvalidStateChange { from: record.status, to: Status::Starting };
    let wanted = matches!(record.status, Status::Starting | Status::Running);
    let worker = record.worker.as_ref().filter(|_| wanted).ok_or(not_wanted)?;
    match &worker.uid {
        Some(uid) if *uid == spawned.uid => Ok(Decision::nothing()),
        Some(uid) => Err(RunRefused::OtherWorker { recorded: uid.clone(), observed: spawned.uid }),
        None => Ok(happens(run, record, spawn_event(worker, attempt, spawned))),
    }
}

fn spawn_event(worker: &Worker, attempt: u32, spawned: Spawned) -> RunEvent {
    let Spawned { uid, image_digest, notes } = spawned;
    RunEvent::WorkerSpawned { attempt, worker_name: worker.name.clone(), uid, image_digest, notes }
}

/// The Worker was seen running: the Run becomes `running`.
///
/// # Errors
/// [`RunRefused`].
pub fn record_started(run: &Versioned<Run>, attempt: u32) -> Result<Decision, RunRefused> {
    let record = run.state.at_attempt(attempt)?;
    if !must_change(record.status, Status::Running)? {
        return Ok(Decision::nothing());
    }
    Ok(happens(run, record, RunEvent::RunStarted { attempt }))
}
