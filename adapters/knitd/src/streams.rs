//! Folded streams: what a decision is taken on.
//!
//! A [`Source`] says where the events come from. What this process remembers is good enough to decide on, since
//! the log compares versions as it appends; what must be certain is read.

use std::sync::Arc;

use knit_domain::agent::Agent;
use knit_domain::catalog::Catalog;
use knit_domain::data::Data;
use knit_domain::decision::Versioned;
use knit_domain::event::{Event, StreamId};
use knit_domain::id::{AgentName, KnitId, PlanId, RunId};
use knit_domain::journal::Journal;
use knit_domain::plan::Plan;
use knit_domain::run::Run;
use knit_log::{Log, ReadError, Recalled};

/// With so many events folded, the state is remembered, and not folded again. With fewer, folding them costs less than
/// keeping a copy.
const KEPT_AFTER_EVENTS: usize = 32;

/// A state that is folded from the events of one stream.
pub trait Folded: Default + Clone + Send + Sync + 'static {
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
folded!(Catalog = Catalog, Plan = Plan, Run = Run, Data = Data, Agent = Agent, Journal = Journal);

/// Where the events of a stream come from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'l> {
    log: &'l Log,
    remembers: bool,
}

impl<'l> Source<'l> {
    /// The log as it is.
    #[must_use]
    pub fn certain(log: &'l Log) -> Self {
        Self { log, remembers: false }
    }

    /// What this process remembers of the log, and only else the log itself. Another process may have appended
    /// since.
    #[must_use]
    pub fn remembered(log: &'l Log) -> Self {
        Self { log, remembers: true }
    }

    /// Whether this is what is remembered.
    #[must_use]
    pub fn remembers(self) -> bool {
        self.remembers
    }
}

impl<'l> From<&'l Log> for Source<'l> {
    fn from(log: &'l Log) -> Self {
        Self::certain(log)
    }
}

/// Folds `stream` up to its end.
///
/// # Errors
/// When the log cannot be read.
pub async fn load<'l, T: Folded>(source: impl Into<Source<'l>>, stream: &StreamId) -> Result<Versioned<T>, ReadError> {
    let source = source.into();
    if source.remembers {
        let Recalled { made, events, forgotten } = source.log.recall_made::<T>(stream).await?;
        let mut folded =
            made.map_or_else(Versioned::default, |(state, version)| Versioned::new((*state).clone(), version));
        for event in &events {
            folded.state.fold(&event.event);
            folded.version = event.sequence;
        }
        if let Some(newest) = events.last().filter(|_| events.len() >= KEPT_AFTER_EVENTS) {
            source.log.keep(forgotten, newest, Arc::new(folded.state.clone()));
        }
        return Ok(folded);
    }
    let events = source.log.load(stream).await?;
    Ok(Versioned::fold(&events, |state: &mut T, recorded| state.fold(&recorded.event)))
}

/// The Plan catalog.
///
/// # Errors
/// When the log cannot be read.
pub async fn catalog<'l>(source: impl Into<Source<'l>>) -> Result<Versioned<Catalog>, ReadError> {
    load(source, &StreamId::catalog()).await
}

/// One Plan.
///
/// # Errors
/// When the log cannot be read.
pub async fn plan<'l>(source: impl Into<Source<'l>>, id: PlanId) -> Result<Versioned<Plan>, ReadError> {
    load(source, &StreamId::plan(id)).await
}

/// One Run.
///
/// # Errors
/// When the log cannot be read.
pub async fn run<'l>(source: impl Into<Source<'l>>, id: RunId) -> Result<Versioned<Run>, ReadError> {
    load(source, &StreamId::run(id)).await
}

/// One Data.
///
/// # Errors
/// When the log cannot be read.
pub async fn data<'l>(source: impl Into<Source<'l>>, id: KnitId) -> Result<Versioned<Data>, ReadError> {
    load(source, &StreamId::data(id)).await
}

/// One Data Agent.
///
/// # Errors
/// When the log cannot be read.
pub async fn agent<'l>(source: impl Into<Source<'l>>, name: &AgentName) -> Result<Versioned<Agent>, ReadError> {
    load(source, &StreamId::agent(name)).await
}

/// What administrators did to the log.
///
/// # Errors
/// When the log cannot be read.
pub async fn journal<'l>(source: impl Into<Source<'l>>) -> Result<Versioned<Journal>, ReadError> {
    load(source, &StreamId::journal()).await
}
