//! How long it takes from a Worker's end to the start of the Run that its output set off.
//!
//! A hop goes through four events: the end of the Worker is decided, its Run succeeds, a Run is made because of that,
//! and its Worker is requested. Each names what it followed from, so a hop is known by remembering, for a moment, when
//! the first of them was recorded. What is forgotten is merely not measured.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use knit_domain::event::plan::PlanEvent;
use knit_domain::event::run::{RunEvent, SuccessCause};
use knit_domain::event::{Event, Recorded};
use knit_domain::id::{EventId, RunId};
use knit_domain::time::Timestamp;

/// Hops remembered at each of their steps: more than are under way at any time on one machine. When there are more, all
/// are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// The hops that are under way.
#[derive(Debug, Default)]
pub(super) struct Hops(Mutex<UnderWay>);

/// When the Worker's end was recorded, by what has come of it so far.
#[derive(Debug, Default)]
struct UnderWay {
    decided: HashMap<RunId, Timestamp>,
    succeeded: HashMap<EventId, Timestamp>,
    made: HashMap<RunId, Timestamp>,
}

impl Hops {
    /// Takes notice of events that were recorded a moment ago.
    pub(super) fn recorded<'e>(&self, events: impl Iterator<Item = &'e Recorded>) {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            under_way.take_notice(event);
        }
    }

    /// The Worker of `run` was requested at `now`: how long its hop took, if it was one.
    pub(super) fn ended(&self, run: RunId, now: Timestamp) -> Option<Duration> {
        let began = self.0.lock().unwrap_or_else(PoisonError::into_inner).made.remove(&run)?;
        Some(Duration::from_millis(u64::try_from(now.0 - began.0).unwrap_or_default()))
    }
}

impl UnderWay {
    fn take_notice(&mut self, recorded: &Recorded) {
        match &recorded.event {
            Event::Run(event) => self.run(recorded, event),
            // What a Plan had held was not on its way. Which Runs these are is not known here, so all are forgotten.
            Event::Plan(PlanEvent::PlanActivated {}) => self.made.clear(),
            Event::Plan(_) | Event::Catalog(_) | Event::Data(_) | Event::Agent(_) | Event::Journal(_) => {}
        }
    }

    fn run(&mut self, recorded: &Recorded, event: &RunEvent) {
        let stream = || recorded.stream.id.parse::<RunId>().ok();
        match event {
            RunEvent::RunSuccessDecided { cause: SuccessCause::WorkerSucceeded, .. } => {
                let Some(run) = stream() else { return };
                remember(&mut self.decided, run, recorded.recorded_at);
            }
            RunEvent::RunSucceeded { .. } => {
                let Some(began) = stream().and_then(|run| self.decided.remove(&run)) else { return };
                remember(&mut self.succeeded, recorded.event_id, began);
            }
            RunEvent::RunProjected { run_id, .. } => {
                let cause = recorded.metadata.causation;
                let Some(began) = cause.and_then(|cause| self.succeeded.get(&cause).copied()) else { return };
                remember(&mut self.made, *run_id, began);
            }
            RunEvent::RunSuccessDecided { .. }
            | RunEvent::UploadStarted { .. }
            | RunEvent::ImportStarted { .. }
            | RunEvent::RunVolumesPrepared { .. }
            | RunEvent::WorkerRequested { .. }
            | RunEvent::WorkerSpawned { .. }
            | RunEvent::RunStarted { .. }
            | RunEvent::RunFailureDecided { .. }
            | RunEvent::RunFailed { .. }
            | RunEvent::RunRetried { .. }
            | RunEvent::RunInvalidated { .. }
            | RunEvent::RunErased { .. } => {}
        }
    }
}

fn remember<K: std::hash::Hash + Eq>(steps: &mut HashMap<K, Timestamp>, key: K, began: Timestamp) {
    if steps.len() >= REMEMBERED_MAX {
        steps.clear();
    }
    steps.insert(key, began);
}
