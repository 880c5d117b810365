//! Reservations: claims that exclude each other without being versions of anybody's stream.
//!
//! A popular Data is used by thousands of Runs. Were each use a version of the Data's stream, they
//! would all collide. Instead each use is a key in the scope of that Data, and discarding the Data
//! only requires the scope to be empty. Reservations are a pure function of the events, so they can
//! be rebuilt from the log, and are on import.

use std::fmt;

use crate::event::agent::AgentEvent;
use crate::event::run::{ErasureCause, RunEvent};
use crate::event::{Event, StreamId};
use crate::id::{AgentMode, KnitId, RunId};

/// A set of keys that exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Who uses a Data: Runs that have it as input, and open Data Agents.
    DataUse(KnitId),
    /// Tombstones of deleted Runs that had this Data as input; they are erased when it is discarded.
    DataTombstones(KnitId),
}

/// Who holds a place in a scope.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// A Run that has the Data as input.
    Run(RunId),
    /// The one writing Data Agent.
    Writer,
    /// A reading Data Agent, by name.
    Reader(String),
}

impl fmt::Display for Scope {
    /// The stored text; it never changes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataUse(id) => write!(f, "data-use/{id}"),
            Self::DataTombstones(id) => write!(f, "data-tombstones/{id}"),
        }
    }
}

impl fmt::Display for Holder {
    /// The stored text; it never changes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(id) => write!(f, "run/{id}"),
            Self::Writer => f.write_str("writer"),
            Self::Reader(name) => write!(f, "reader/{name}"),
        }
    }
}

impl Holder {
    /// Reads the stored text back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('/') {
            None if text == "writer" => Some(Self::Writer),
            Some(("run", id)) => id.parse().ok().map(Self::Run),
            Some(("reader", name)) => Some(Self::Reader(name.to_owned())),
            None | Some(_) => None,
        }
    }
}

/// One change of the reservations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The place must be free and is taken.
    Take(Scope, Holder),
    /// The place is given back; giving back a free one is no error.
    Release(Scope, Holder),
}

/// What `event` in `stream` does to the reservations.
#[must_use]
pub fn changes(stream: &StreamId, event: &Event) -> Vec<Change> {
    match event {
        Event::Run(event) => match stream.id.parse() {
            Ok(run) => run_changes(run, event),
            Err(_) => Vec::new(),
        },
        Event::Agent(event) => vec![agent_change(event)],
        Event::Catalog(_) | Event::Plan(_) | Event::Data(_) | Event::Journal(_) => Vec::new(),
    }
}

fn run_changes(run: RunId, event: &RunEvent) -> Vec<Change> {
    let holder = || Holder::Run(run);
    match event {
        RunEvent::RunProjected { inputs, .. } => {
            let mut used: Vec<KnitId> = inputs.iter().map(|input| input.knit_id).collect();
            used.sort();
            used.dedup();
            used.into_iter().map(|id| Change::Take(Scope::DataUse(id), holder())).collect()
        }
        RunEvent::RunInvalidated { released, .. } => released
            .iter()
            .flat_map(|id| {
                [Change::Release(Scope::DataUse(*id), holder()), Change::Take(Scope::DataTombstones(*id), holder())]
            })
            .collect(),
        RunEvent::RunErased {
            cause: ErasureCause::RootDeleted | ErasureCause::UpstreamDiscarded(_), released, ..
        } => released.iter().map(|id| Change::Release(Scope::DataTombstones(*id), holder())).collect(),
        RunEvent::UploadStarted { .. }
        | RunEvent::ImportStarted { .. }
        | RunEvent::RunVolumesPrepared { .. }
        | RunEvent::WorkerRequested { .. }
        | RunEvent::WorkerSpawned { .. }
        | RunEvent::RunStarted { .. }
        | RunEvent::RunSuccessDecided { .. }
        | RunEvent::RunFailureDecided { .. }
        | RunEvent::RunSucceeded { .. }
        | RunEvent::RunFailed { .. }
        | RunEvent::RunRetried { .. } => Vec::new(),
    }
}

fn agent_change(event: &AgentEvent) -> Change {
    match event {
        AgentEvent::AgentOpened { name, knit_id, mode, .. } => {
            Change::Take(Scope::DataUse(*knit_id), agent_holder(*mode, &name.0))
        }
        AgentEvent::AgentClosed { name, knit_id, mode, .. } => {
            Change::Release(Scope::DataUse(*knit_id), agent_holder(*mode, &name.0))
        }
    }
}

fn agent_holder(mode: AgentMode, name: &str) -> Holder {
    match mode {
        AgentMode::Write => Holder::Writer,
        AgentMode::Read => Holder::Reader(name.to_owned()),
    }
}
