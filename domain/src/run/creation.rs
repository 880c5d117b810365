//! How Runs come into being: projected from a combination of Data, or as an upload or import.
//!
//! The Run, its claims on its inputs and the reservation of its outputs are one append (X11), so
//! nobody ever sees one without the others.

use crate::agent;
use crate::data::Data;
use crate::decision::{Condition, Decision, Versioned};
use crate::event::StreamId;
use crate::event::data::DataEvent;
use crate::event::plan::Mountpoint;
use crate::event::run::{Assignment, OutputData, RunEvent};
use crate::id::{AgentMode, AgentName, KnitId, PlanId, RunId, VolumeRef, WorkerName};
use crate::matching::{Candidate, Requirement};
use crate::plan::{Builtin, Plan};
use crate::time::Timestamp;

/// How long an importer may take from begin to end: 30 minutes (domain.md 5.11).
pub const IMPORT_ALLOWED_MS: u64 = 30 * 60 * 1_000;

/// A Data proposed for one input of a Plan.
#[derive(Debug, Clone, Copy)]
pub struct CandidateInput<'a> {
    /// Path of the input.
    pub path: &'a str,
    /// The Data.
    pub data: &'a Versioned<Data>,
    /// When the attempt that made it succeeded (`recorded_at` of its `RunSucceeded`); absent if it did
    /// not. It stays true for as long as the Data is not discarded.
    pub done_at: Option<Timestamp>,
}

/// A combination of Data that makes no Run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProjectionRefused {
    /// The Plan does not exist or is built in.
    #[error("{plan_id} is no Plan with an image")]
    NoImagePlan {
        /// What was asked for.
        plan_id: PlanId,
    },
    /// The combination does not name every input of the Plan exactly once.
    #[error("the combination does not fill exactly the inputs of the Plan {plan_id}")]
    Incomplete {
        /// The Plan.
        plan_id: PlanId,
    },
    /// The Data is unknown or discarded.
    #[error("there is no Data for the input `{path}` any more")]
    NoData {
        /// The input.
        path: String,
    },
    /// The Data does not match the input: it is not made, or its tags have changed.
    #[error("the Data {knit_id} does not match the input `{path}`")]
    NoMatch {
        /// The input.
        path: String,
        /// The Data.
        knit_id: KnitId,
    },
    /// The trigger is not part of the combination.
    #[error("the trigger {} on `{}` is not in the combination", trigger.knit_id, trigger.path)]
    ForeignTrigger {
        /// What was said to complete it.
        trigger: Assignment,
    },
}

/// A combination of Data fits a Plan: its Run comes into being, with fresh outputs.
///
/// The id of the Run is that of the combination and its stream must not exist, so the same combination
/// never runs twice, not even after the Run was deleted (X3). The match is checked again here, and the
/// decision holds only while every input Data and the Plan stay as they are (X5, X6). Runs of an
/// inactive Plan are made all the same; they are `deactivated` until it is activated.
///
/// # Errors
/// [`ProjectionRefused`].
pub fn project(
    plan_id: PlanId,
    plan: &Versioned<Plan>,
    inputs: &[CandidateInput<'_>],
    trigger: &Assignment,
    fresh: impl FnMut() -> KnitId,
) -> Result<Decision, ProjectionRefused> {
    let definition = plan.state.definition().ok_or(ProjectionRefused::NoImagePlan { plan_id })?;
    if definition.inputs.len() != inputs.len() {
        return Err(ProjectionRefused::Incomplete { plan_id });
    }
    let assignments = (definition.inputs.iter())
        .map(|point| {
            let candidate = inputs.iter().find(|input| input.path == point.path);
            assign(point, candidate.ok_or(ProjectionRefused::Incomplete { plan_id })?)
        })
        .collect::<Result<Vec<_>, _>>()?;
    if !assignments.contains(trigger) {
        return Err(ProjectionRefused::ForeignTrigger { trigger: trigger.clone() });
    }
    let decision = born(plan_id, &plan.state, assignments, trigger, fresh);
    Ok(unchanged(decision, plan_id, plan, inputs))
}

/// The assignment of `candidate` to the input `point`, if it matches.
fn assign(point: &Mountpoint, candidate: &CandidateInput<'_>) -> Result<Assignment, ProjectionRefused> {
    let path = point.path.clone();
    let Ok(data) = candidate.data.state.living() else {
        return Err(ProjectionRefused::NoData { path });
    };
    let knit_id = data.knit_id;
    let (timestamp, done) = (candidate.done_at, candidate.done_at.is_some());
    let candidate = Candidate { knit_id, tags: &data.tags, timestamp, done };
    if Requirement::of(&point.tags).admits(&candidate) {
        Ok(Assignment { path, knit_id })
    } else {
        Err(ProjectionRefused::NoMatch { path, knit_id })
    }
}

fn born(
    plan_id: PlanId,
    plan: &Plan,
    inputs: Vec<Assignment>,
    trigger: &Assignment,
    fresh: impl FnMut() -> KnitId,
) -> Decision {
    let run_id = RunId::of_combination(plan_id, &inputs);
    let outputs = fresh_outputs(plan, fresh);
    let projected = RunEvent::RunProjected {
        run_id,
        plan_id,
        inputs,
        outputs: outputs.clone(),
        worker_name: WorkerName::of(run_id, 1),
        trigger: trigger.clone(),
    };
    reserving(Decision::write(StreamId::run(run_id), 0, [projected]), run_id, plan_id, 1, &outputs)
}

fn unchanged(decision: Decision, plan_id: PlanId, plan: &Versioned<Plan>, inputs: &[CandidateInput<'_>]) -> Decision {
    let plan_at = Condition::StreamAt { stream: StreamId::plan(plan_id), version: plan.version };
    let mut decision = decision.given(plan_at);
    for input in inputs {
        let Some(record) = &input.data.state.record else { continue };
        let stream = StreamId::data(record.knit_id);
        let data_at = Condition::StreamAt { stream, version: input.data.version };
        // The same Data may fill several inputs; it needs to be checked only once.
        if !decision.conditions.contains(&data_at) {
            decision = decision.given(data_at);
        }
    }
    decision
}

/// Fresh Data for every output of `plan` and for its log.
pub(super) fn fresh_outputs(plan: &Plan, mut fresh: impl FnMut() -> KnitId) -> Vec<OutputData> {
    let points = plan.output_points().into_iter();
    points
        .map(|point| {
            let knit_id = fresh();
            OutputData {
                path: point.path.to_owned(),
                log: point.log,
                knit_id,
                volume_ref: VolumeRef::of(knit_id),
                tags: point.tags.cloned().unwrap_or_default(),
            }
        })
        .collect()
}

/// `decision`, and in the same append the streams of `outputs` begin.
pub(super) fn reserving(
    decision: Decision,
    run_id: RunId,
    plan_id: PlanId,
    attempt: u32,
    outputs: &[OutputData],
) -> Decision {
    outputs.iter().fold(decision, |decision, output| {
        let OutputData { path, log, knit_id, volume_ref, tags } = output.clone();
        let reserved = DataEvent::DataReserved { knit_id, volume_ref, run_id, attempt, plan_id, path, log, tags };
        decision.and_write(StreamId::data(knit_id), 0, [reserved])
    })
}

/// An upload or import that cannot begin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferRefused {
    /// The built-in Plan was never defined: the installation is not complete.
    #[error("the built-in Plan `{name}` is not defined: run the initialization of the server first")]
    NoBuiltinPlan {
        /// Name of the Plan.
        name: &'static str,
    },
}

/// Everything fresh that an upload needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpload {
    /// Id of its Run.
    pub run_id: RunId,
    /// Id of the Data to be.
    pub knit_id: KnitId,
    /// Name of its writing Data Agent.
    pub agent: AgentName,
    /// The server process that takes it.
    pub server: String,
}

/// Somebody uploads: a running Run, a Data to be and its writing Data Agent come into being together.
///
/// `plan` is the built-in Plan [`Builtin::Uploaded`].
///
/// # Errors
/// [`TransferRefused`].
pub fn start_upload(plan: &Versioned<Plan>, upload: &NewUpload) -> Result<Decision, TransferRefused> {
    let NewUpload { run_id, knit_id, agent, server } = upload;
    let (plan_id, output) = transfer(Builtin::Uploaded, plan, *knit_id)?;
    let started = RunEvent::UploadStarted { run_id: *run_id, plan_id, output: output.clone() };
    let decision = Decision::write(StreamId::run(*run_id), 0, [started]);
    let decision = reserving(decision, *run_id, plan_id, 1, &[output]);
    Ok(agent::opens(decision, *knit_id, AgentMode::Write, agent, server))
}

/// Somebody imports a volume: a running Run and a Data to be come into being together.
///
/// `plan` is the built-in Plan [`Builtin::Imported`].
///
/// # Errors
/// [`TransferRefused`].
pub fn start_import(plan: &Versioned<Plan>, run_id: RunId, knit_id: KnitId) -> Result<Decision, TransferRefused> {
    let (plan_id, output) = transfer(Builtin::Imported, plan, knit_id)?;
    let started = RunEvent::ImportStarted { run_id, plan_id, output: output.clone(), allowed_ms: IMPORT_ALLOWED_MS };
    Ok(reserving(Decision::write(StreamId::run(run_id), 0, [started]), run_id, plan_id, 1, &[output]))
}

fn transfer(
    builtin: Builtin,
    plan: &Versioned<Plan>,
    knit_id: KnitId,
) -> Result<(PlanId, OutputData), TransferRefused> {
    let missing = TransferRefused::NoBuiltinPlan { name: builtin.name() };
    let is_image = plan.state.definition().is_some();
    match fresh_outputs(&plan.state, || knit_id).pop() {
        Some(output) if !is_image => Ok((builtin.id(), output)),
        Some(_) | None => Err(missing),
    }
}
