//! The application: every command there is, and access to everything that can be asked.
//!
//! HTTP handlers and reactors meet the rest of the server here and nowhere else. A command loads the
//! streams it needs, lets the domain decide, appends, and waits until this process's projections show
//! what was done, so that whoever is answered reads what they wrote (D13).

mod data;
mod journal;
pub(crate) mod plans;
mod redaction;
mod runs;
mod transfers;

pub use redaction::Forgotten;
pub use transfers::{OpenTransfer, Upload};

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use knit_domain::decision::Decision;
use knit_domain::event::Position;
use knit_domain::id::RunId;
use knit_log::{Fault, Head, Log};
use knit_runtime::Runtime;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::command::{Cause, CommandError, Done, Refusal};
use crate::metrics::Metrics;
use crate::reactors::gate::{Gate, OpenGate};
use crate::reactors::turns::{Turn, Turns};
use crate::streams::Source;
use crate::views::Views;

/// How long a reply waits for the projections (D13); then it says which position they have reached.
pub const FRESHNESS_WAIT: Duration = Duration::from_secs(2);

/// A handle on the running server; clones are the same one.
#[derive(Clone)]
pub struct App {
    parts: Arc<Parts>,
}

#[derive(Clone)]
struct Parts {
    log: Log,
    views: Arc<Views>,
    runtime: Arc<dyn Runtime>,
    gate: Arc<dyn Gate>,
    turns: Arc<Turns>,
    registering: Arc<Mutex<()>>,
    metrics: Arc<Metrics>,
    server: String,
    alone: bool,
    looks_only: bool,
}

impl App {
    /// Joins log, projections and runtime. `server` names this process among its replicas; it is `alone`
    /// when its database lets no other process in. Its gate is open.
    #[must_use]
    pub fn new(log: Log, views: Arc<Views>, runtime: Arc<dyn Runtime>, server: String, alone: bool) -> Self {
        let (gate, turns, registering, metrics) = (Arc::new(OpenGate), Arc::default(), Arc::default(), Arc::default());
        let looks_only = false;
        let parts = Parts { log, views, runtime, gate, turns, registering, metrics, server, alone, looks_only };
        Self { parts: Arc::new(parts) }
    }

    /// The same, counting into `metrics`, which the log and the follower may be given as well.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<Metrics>) -> Self {
        Self { parts: Arc::new(Parts { metrics, ..Arc::unwrap_or_clone(self.parts) }) }
    }

    /// The same, refusing every command: nothing is appended.
    #[must_use]
    pub fn looking_only(self) -> Self {
        Self { parts: Arc::new(Parts { looks_only: true, ..Arc::unwrap_or_clone(self.parts) }) }
    }

    /// The same, with another gate before the transitions of Runs.
    #[must_use]
    pub fn with_gate(self, gate: Arc<dyn Gate>) -> Self {
        Self { parts: Arc::new(Parts { gate, ..Arc::unwrap_or_clone(self.parts) }) }
    }

    /// The event log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.parts.log
    }

    /// The projections of this process.
    #[must_use]
    pub fn views(&self) -> &Views {
        &self.parts.views
    }

    /// The same, for whoever looks at them on a thread of its own.
    pub(crate) fn shared_views(&self) -> Arc<Views> {
        Arc::clone(&self.parts.views)
    }

    /// Where Data and Workers live.
    #[must_use]
    pub fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.parts.runtime
    }

    /// Who is asked before a reactor lets a Run change its status.
    #[must_use]
    pub fn gate(&self) -> &dyn Gate {
        &*self.parts.gate
    }

    /// What this process measures of itself.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.parts.metrics
    }

    /// Waits until no other reactor of this process is at `run`; then it is the caller's turn.
    pub(crate) async fn turn(&self, run: RunId) -> Turn<'_> {
        self.parts.turns.take(run).await
    }

    /// Waits until nobody else registers a Plan through this process. All registrations change the one catalog:
    /// side by side they would only overtake each other.
    pub(crate) async fn turn_to_register(&self) -> MutexGuard<'_, ()> {
        self.parts.registering.lock().await
    }

    /// The name of this process among its replicas.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.parts.server
    }

    /// Whether no other process can use the same log.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.parts.alone
    }

    /// Waits until the projections show everything that was committed before now, at most
    /// [`FRESHNESS_WAIT`]; answers the position they have reached.
    ///
    /// # Errors
    /// [`CommandError::Fault`] when the log cannot be asked for its head, or is another one than was followed
    /// and not folded yet (D6); [`CommandError::Damaged`].
    pub async fn fresh(&self) -> Result<Position, CommandError> {
        let deadline = Instant::now() + FRESHNESS_WAIT;
        self.is_followed()?;
        loop {
            // Known before the look begins: a head before it cannot be explained by haste.
            let followed = self.views().followed();
            let head = self.head().await?;
            if followed.contradicts(&head) {
                self.views().doubt();
            }
            let shown = self.shown(head.position).await;
            if !followed.contradicts(&head) && self.views().followed().caught_up {
                return Ok(shown);
            }
            if Instant::now() >= deadline || !self.catches_up(deadline).await {
                return Err(self.still_folding());
            }
        }
    }

    /// The end of the log. Where that is damaged, the follower is to see it too.
    ///
    /// # Errors
    /// When the log cannot be asked, or its head and its last event contradict each other.
    pub async fn head(&self) -> Result<Head, Fault> {
        let head = self.log().head().await;
        if head.as_ref().is_err_and(Fault::is_damage) {
            self.views().doubt();
        }
        head
    }

    /// What is damaged is told at once: waiting does not mend it.
    fn is_followed(&self) -> Result<(), CommandError> {
        let is_behind = !self.views().followed().caught_up;
        if is_behind && self.views().damage().is_some() { Err(self.still_folding()) } else { Ok(()) }
    }

    /// Why the projections cannot be relied on yet.
    fn still_folding(&self) -> CommandError {
        match self.views().damage() {
            Some(damage) => CommandError::Damaged(damage.why.clone()),
            None => CommandError::Fault(
                "the projections are being folded: the log was just opened, restored or swapped".to_owned(),
            ),
        }
    }

    /// Waits until all of the log was followed since it was opened, restored or swapped, at most
    /// [`FRESHNESS_WAIT`]; answers the position reached.
    ///
    /// # Errors
    /// [`CommandError::Fault`] when that takes longer; [`CommandError::Damaged`].
    pub async fn caught_up(&self) -> Result<Position, CommandError> {
        self.is_followed()?;
        if self.catches_up(Instant::now() + FRESHNESS_WAIT).await {
            Ok(self.views().position())
        } else {
            Err(self.still_folding())
        }
    }

    /// Waits until all of the log was followed, at most until `deadline`; answers whether it was in time.
    async fn catches_up(&self, deadline: Instant) -> bool {
        let mut followed = self.views().watch_followed();
        let caught_up = followed.wait_for(|followed| followed.caught_up);
        tokio::time::timeout_at(deadline, caught_up).await.is_ok()
    }

    /// Waits until the projections show `position`, at most [`FRESHNESS_WAIT`]; answers the position
    /// they have reached.
    pub async fn shown(&self, position: Position) -> Position {
        let views = self.views();
        let all = async {
            views.store.reaches(position, FRESHNESS_WAIT).await;
            views.matcher.reaches(position, FRESHNESS_WAIT).await;
            views.worklists.reaches(position, FRESHNESS_WAIT).await;
        };
        // The three wait for the same thing; together they may not take longer than one.
        let _ = tokio::time::timeout(FRESHNESS_WAIT, all).await;
        views.position()
    }

    /// Whether commands are taken at all.
    ///
    /// # Errors
    /// [`Refusal::LooksOnly`].
    pub(crate) fn may_change(&self) -> Result<(), CommandError> {
        if self.parts.looks_only { Err(Refusal::LooksOnly.into()) } else { Ok(()) }
    }

    /// Decides and appends as [`crate::command::execute`] does, then waits until the projections show it.
    ///
    /// # Errors
    /// The refusal of `decide`, a conflict that does not end, or a fault; [`Refusal::LooksOnly`].
    pub(crate) async fn execute<'a, F: Future<Output = Result<Decision, CommandError>> + Send>(
        &'a self,
        cause: &Cause,
        decide: impl Fn(Source<'a>) -> F + Send + Sync,
    ) -> Result<Done, CommandError> {
        self.may_change()?;
        let before = self.views().followed().position;
        let done = crate::command::execute(self.log(), cause, decide).await?;
        if (1..=before).contains(&done.position) {
            // What is new cannot lie before what was known: the log went back, and the answer must not be
            // taken from what was.
            self.views().doubt();
            self.catches_up(Instant::now() + FRESHNESS_WAIT).await;
        }
        self.shown(done.position).await;
        Ok(done)
    }
}
