//! Reactors: level-triggered, like the controllers of Kubernetes.
//!
//! A reactor looks at what is due in a worklist, makes the world match with calls that may be repeated,
//! and records the outcome with an expected version. It keeps nothing worth keeping: after a crash it
//! looks again. It wakes on the log and on the runtime's changes, never by polling; an item that fails
//! waits longer each time, and holds up nobody else.

pub mod backoff;
pub mod finishing;
pub mod garbage_collection;
pub mod gate;
pub mod housekeeping;
pub mod initialize;
pub mod projection;
pub mod run_management;
mod work;

use std::collections::HashSet;
use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use knit_domain::event::Position;
use knit_domain::id::RunId;
use knit_projections::projection::Projection as _;
use knit_projections::worklists::{Stage, Worklists};
use tokio::sync::Notify;

use crate::app::App;
use crate::command::CommandError;
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
    fn act(&self, item: Self::Item) -> impl Future<Output = Result<(), CommandError>> + Send;

    /// Compares whole lists with the world, now and then.
    fn relist(&self) -> impl Future<Output = Result<(), CommandError>> + Send {
        async { Ok(()) }
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

/// Wakes a reactor for a reason that is not in the log, such as the end of a Worker.
#[derive(Debug)]
pub struct Wake<I> {
    notify: Notify,
    changed: std::sync::Mutex<HashSet<I>>,
}

impl<I: Eq + Hash> Default for Wake<I> {
    fn default() -> Self {
        Self { notify: Notify::new(), changed: std::sync::Mutex::new(HashSet::new()) }
    }
}

impl<I: Eq + Hash> Wake<I> {
    /// Says that `item` is to be looked at again.
    pub fn item(&self, item: I) {
        self.changed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(item);
        self.notify.notify_one();
    }

    fn take(&self) -> HashSet<I> {
        std::mem::take(&mut *self.changed.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// Runs `reactor` until the process ends.
pub async fn run<R: Reactor>(app: App, reactor: Arc<R>, wake: Arc<Wake<R::Item>>) {
    let mut log = app.views().worklists.watch();
    let mut relist = tokio::time::interval(RELIST);
    let mut work = Work::new(reactor);
    loop {
        work.look();
        work.take_up();
        tokio::select! {
            changed = log.changed() => if changed.is_err() { return },
            () = wake.notify.notified() => work.enqueue(wake.take()),
            () = work.goes_on() => {}
            _ = relist.tick() => work.relist().await,
        }
    }
}

/// The Runs that came to one of `stages` after `after`.
fn runs_due(app: &App, stages: &[Stage], after: Position) -> Due<RunId> {
    let worklists = app.views().worklists.read();
    let runs = stages.iter().flat_map(|stage| worklists.run_ids(*stage, after));
    Due { items: runs.collect(), seen: position(&worklists) }
}

fn position(worklists: &Worklists) -> Position {
    worklists.position()
}
