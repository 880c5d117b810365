//! Reactors: level-triggered, like the controllers of Kubernetes.
//!
//! A reactor looks at what is due in a worklist, makes the world match with calls that may be repeated,
//! and records the outcome with an expected version. It keeps nothing worth keeping: after a crash it
//! looks again. It wakes on the log and on the runtime's changes, never by polling; an item that fails
//! waits longer each time, is reported once, and holds up nobody else.

mod backoff;
pub mod finishing;
pub mod garbage_collection;
pub mod gate;
pub mod housekeeping;
pub mod initialize;
pub mod projection;
pub mod run_management;
pub(crate) mod turns;
mod work;

use std::collections::HashSet;
use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use knit_domain::event::Position;
use knit_domain::id::RunId;
use knit_projections::projection::Projection as _;
use knit_projections::worklists::{Stage, Worklists};
use tokio::sync::Notify;

use crate::app::App;
use crate::command::{CommandError, ErrorFamily};
use crate::metrics::Metrics;
use gate::Closed;
use work::Work;

/// Everything is looked at again after so long, in case the world changed without a word.
const RELIST: Duration = Duration::from_secs(30);

/// Something that makes the world match what has been decided.
pub trait Reactor: Send + Sync + 'static {
    /// One thing to look after; equal items are the same thing and are never looked at twice at once.
    type Item: Clone + Eq + Hash + Display + Send + Sync + 'static;

    /// The name in the log's metadata and in log lines.
    fn name(&self) -> &'static str;

    /// What became due after the position `after` (0: everything that is due).
    fn due(&self, after: Position) -> Due<Self::Item>;

    /// Looks at one thing and does what is to be done. It may be cut off anywhere and is then done again.
    fn act(&self, item: Self::Item) -> impl Future<Output = Result<(), NotDone>> + Send;

    /// Compares whole lists with the world, now and then.
    fn relist(&self) -> impl Future<Output = Result<(), NotDone>> + Send {
        async { Ok(()) }
    }

    /// Tells `wake` of what changes in the world, for ever. Whatever changes after this was called (not:
    /// first polled) is told.
    fn watch(&self, _wake: &Wake<Self::Item>) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// Items, and the position up to which the worklist was looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due<I> {
    /// What is due.
    pub items: Vec<I>,
    /// Ask again after this position.
    pub seen: Position,
}

/// Why something that was due was not done.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The command came to nothing.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The gate is closed.
    #[error(transparent)]
    Gate(#[from] Closed),
}

impl NotDone {
    /// To which family of errors it belongs. A gate that says no is a rule like any other.
    pub(crate) fn family(&self) -> ErrorFamily {
        match self {
            Self::Command(error) => error.family(),
            Self::Gate(Closed::Refused { .. }) => ErrorFamily::Refused,
            Self::Gate(Closed::Unanswered { .. }) => ErrorFamily::Fault,
        }
    }
}

/// Wakes a reactor for a reason that is not in the log, such as the end of a Worker.
#[derive(Debug)]
pub struct Wake<I> {
    notify: Notify,
    changed: Mutex<Changed<I>>,
}

#[derive(Debug)]
struct Changed<I> {
    items: HashSet<I>,
    /// Everything that is due is to be looked at, not only these.
    everything: bool,
}

impl<I> Default for Changed<I> {
    fn default() -> Self {
        Self { items: HashSet::new(), everything: false }
    }
}

impl<I> Default for Wake<I> {
    fn default() -> Self {
        Self { notify: Notify::new(), changed: Mutex::new(Changed::default()) }
    }
}

impl<I: Eq + Hash> Wake<I> {
    /// Says that `item` is to be looked at again.
    pub fn item(&self, item: I) {
        self.change(|changed| {
            changed.items.insert(item);
        });
    }

    fn everything(&self) {
        self.change(|changed| changed.everything = true);
    }

    fn change(&self, change: impl FnOnce(&mut Changed<I>)) {
        change(&mut self.changed.lock().unwrap_or_else(PoisonError::into_inner));
        self.notify.notify_one();
    }

    fn take(&self) -> Changed<I> {
        std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs `reactor` until the process ends.
pub async fn run<R: Reactor>(app: App, reactor: Arc<R>) {
    let (mut log, wake) = (app.views().worklists.watch(), Wake::default());
    // Listening comes before the first look: what happens in between would be seen by neither.
    let watching = reactor.watch(&wake);
    let mut beside = pin!(async { tokio::join!(watching, relist(&*reactor, &wake, app.metrics())) });
    let mut work = Work::new(Arc::clone(&reactor), Arc::clone(app.metrics()));
    loop {
        work.look(log.borrow_and_update().instance);
        work.take_up();
        tokio::select! {
            changed = log.changed() => if changed.is_err() { return },
            () = wake.notify.notified() => {
                let Changed { items, everything } = wake.take();
                work.enqueue(items);
                if everything {
                    work.look_at_everything();
                }
            }
            () = work.goes_on() => {}
            _ = &mut beside => return,
        }
    }
}

/// Compares with the world at once and then now and then, beside the work on single items.
async fn relist<R: Reactor>(reactor: &R, wake: &Wake<R::Item>, metrics: &Metrics) {
    let mut again = tokio::time::interval(RELIST);
    again.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut reported = String::new();
    loop {
        again.tick().await;
        match reactor.relist().await {
            Ok(()) => reported.clear(),
            Err(failure) => {
                metrics.failed(reactor.name(), failure.family());
                let reason = work::reason(&failure);
                if reason != reported {
                    tracing::warn!(
                        reactor = reactor.name(),
                        "cannot compare with the world, to be tried again: {reason}"
                    );
                }
                reported = reason;
            }
        }
        wake.everything();
    }
}

/// The Runs that came to one of `stages` after `after`.
fn runs_due(app: &App, stages: &[Stage], after: Position) -> Due<RunId> {
    let worklists = app.views().worklists.read();
    let runs = stages.iter().flat_map(|stage| worklists.run_ids(*stage, after));
    Due { items: runs.collect(), seen: position(&worklists) }
}

/// Whether the Run is at one of `stages`. A reactor asks before it takes the turn: a Run that another cares for
/// is left alone at once, however long that other takes.
fn is_at(app: &App, run: RunId, stages: &[Stage]) -> bool {
    app.views().worklists.read().run(run).is_some_and(|work| stages.contains(&work.stage))
}

fn position(worklists: &Worklists) -> Position {
    worklists.position()
}
