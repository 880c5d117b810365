//! Folded streams: what a decision is taken on.

use knit_domain::agent::Agent;
use knit_domain::catalog::Catalog;
use knit_domain::data::Data;
use knit_domain::decision::Versioned;
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{AgentName, KnitId, PlanId, RunId};
use knit_domain::plan::Plan;
use knit_domain::run::Run;
use knit_log::{Log, ReadError};

/// A state that is folded from the events of one stream.
pub trait Folded: Default {
    /// Takes one event; those of other kinds of streams cannot occur and change nothing.
    fn fold(&mut self, event: &Event);
}

macro_rules! folded {
    ($($state:ident = $kind:ident),* $(,)?) => {$(
        impl Folded for $state {
            fn fold(&mut self, event: &Event) {
                if let Event::$kind(event) = event {
                    self.apply(event);
                }
            }
        }
    )*};
}
folded!(Catalog = Catalog, Plan = Plan, Run = Run, Data = Data, Agent = Agent);

/// Folds `stream` up to its end.
///
/// # Errors
/// When the log cannot be read.
pub async fn load<T: Folded>(log: &Log, stream: &StreamId) -> Result<Versioned<T>, ReadError> {
    let events = log.load(stream).await?;
    Ok(Versioned::fold(&events, |state: &mut T, recorded| state.fold(&recorded.event)))
}

/// The Plan catalog.
///
/// # Errors
/// When the log cannot be read.
pub async fn catalog(log: &Log) -> Result<Versioned<Catalog>, ReadError> {
    load(log, &StreamId::catalog()).await
}

/// One Plan.
///
/// # Errors
/// When the log cannot be read.
pub async fn plan(log: &Log, id: PlanId) -> Result<Versioned<Plan>, ReadError> {
    load(log, &StreamId::plan(id)).await
}

/// One Run.
///
/// # Errors
/// When the log cannot be read.
pub async fn run(log: &Log, id: RunId) -> Result<Versioned<Run>, ReadError> {
    load(log, &StreamId::run(id)).await
}

/// One Data.
///
/// # Errors
/// When the log cannot be read.
pub async fn data(log: &Log, id: KnitId) -> Result<Versioned<Data>, ReadError> {
    load(log, &StreamId::data(id)).await
}

/// One Data Agent.
///
/// # Errors
/// When the log cannot be read.
pub async fn agent(log: &Log, name: &AgentName) -> Result<Versioned<Agent>, ReadError> {
    load(log, &StreamId::agent(name)).await
}
