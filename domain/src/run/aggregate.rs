//! Runs as cqrs-es sees them: a thin shell around the decisions that concern one stream.
//!
//! Creation, retry and delete concern several streams at once and are no commands of an aggregate.

use std::collections::BTreeMap;

use cqrs_es::event_sink::EventSink;

use super::ending::{Failure, Success};
use super::progress::Spawned;
use super::{Run, RunRefused, ending, progress};
use crate::decision::{Decision, Versioned};
use crate::event::run::RunEvent;
use crate::event::{Event, StreamType};
use crate::plan::Plan;

/// What may be asked of the stream of one Run.
#[derive(Debug, Clone, PartialEq)]
pub enum RunCommand {
    /// See [`progress::prepare_volumes`].
    PrepareVolumes {
        /// Which attempt.
        attempt: u32,
        /// Its Plan.
        plan: Box<Versioned<Plan>>,
    },
    /// See [`progress::request_worker`].
    RequestWorker {
        /// Which attempt.
        attempt: u32,
        /// Its Plan.
        plan: Box<Versioned<Plan>>,
        /// Variables that before-hooks answered.
        env: BTreeMap<String, String>,
    },
    /// See [`progress::record_spawn`].
    RecordSpawn {
        /// Which attempt.
        attempt: u32,
        /// What the runtime says.
        spawned: Spawned,
    },
    /// See [`progress::record_started`].
    RecordStarted {
        /// Which attempt.
        attempt: u32,
    },
    /// See [`ending::decide_success`].
    DecideSuccess {
        /// Which attempt.
        attempt: u32,
        /// What was observed.
        success: Success,
    },
    /// See [`ending::decide_failure`].
    DecideFailure {
        /// Which attempt.
        attempt: u32,
        /// What was observed.
        failure: Failure,
    },
    /// See [`ending::abort`].
    Abort,
    /// See [`ending::tear_off`].
    TearOff,
    /// See [`ending::finish`].
    Finish {
        /// Which attempt.
        attempt: u32,
        /// Hash of the whole log, if one is kept.
        log_sha256: Option<String>,
    },
}

fn decide(run: &Versioned<Run>, command: RunCommand) -> Result<Decision, RunRefused> {
    match command {
        RunCommand::PrepareVolumes { attempt, plan } => progress::prepare_volumes(run, &plan, attempt),
        RunCommand::RequestWorker { attempt, plan, env } => progress::request_worker(run, &plan, attempt, env),
        RunCommand::RecordSpawn { attempt, spawned } => progress::record_spawn(run, attempt, spawned),
        RunCommand::RecordStarted { attempt } => progress::record_started(run, attempt),
        RunCommand::DecideSuccess { attempt, success } => ending::decide_success(run, attempt, success),
        RunCommand::DecideFailure { attempt, failure } => ending::decide_failure(run, attempt, &failure),
        RunCommand::Abort => ending::abort(run),
        RunCommand::TearOff => ending::tear_off(run),
        RunCommand::Finish { attempt, log_sha256 } => ending::finish(run, attempt, log_sha256),
    }
}

impl cqrs_es::Aggregate for Run {
    const TYPE: &'static str = StreamType::Run.as_str();
    type Command = RunCommand;
    type Event = RunEvent;
    type Error = RunRefused;
    type Services = ();

    async fn handle(&mut self, command: RunCommand, (): &(), sink: &EventSink<Self>) -> Result<(), RunRefused> {
        let decision = decide(&Versioned::new(self.clone(), 0), command)?;
        for event in decision.writes.into_iter().flat_map(|write| write.events) {
            if let Event::Run(event) = event {
                sink.write(event, self).await;
            }
        }
        Ok(())
    }

    fn apply(&mut self, event: RunEvent) {
        Self::apply(self, &event);
    }
}

#[cfg(test)]
mod tests;
