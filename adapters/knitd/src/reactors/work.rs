//! The items of one reactor: waiting for a free place, being looked at, or waiting after a failure.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use knit_domain::event::Position;
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::backoff::{Backoff, until};
use super::{Due, NotDone, Reactor};
use crate::command::{CommandError, with_causes};
use crate::metrics::Metrics;

/// Items looked at at once: enough to keep the log's group commit busy and to overlap waiting for disks,
/// few enough that a burst does not starve requests on a machine of two processors.
const AT_ONCE_MAX: usize = 32;
/// A refusal is reported when it comes a second time. The first usually says that the worklist was behind;
/// by the time of the next try it has caught up, and what is refused then will not mend itself.
const REFUSALS_UNREPORTED_MAX: u32 = 1;

pub(super) struct Work<R: Reactor> {
    reactor: Arc<R>,
    metrics: Arc<Metrics>,
    /// Which instance of the worklists was looked at.
    instance: u64,
    seen: Position,
    queue: VecDeque<R::Item>,
    queued: HashSet<R::Item>,
    busy: HashMap<task::Id, R::Item>,
    /// Became due again while it was being looked at: what was seen of it then may be out of date.
    again: HashSet<R::Item>,
    tasks: JoinSet<Result<(), NotDone>>,
    backoff: Backoff<R::Item>,
}

impl<R: Reactor> Work<R> {
    pub(super) fn new(reactor: Arc<R>, metrics: Arc<Metrics>) -> Self {
        Self {
            reactor,
            metrics,
            instance: 0,
            seen: 0,
            queue: VecDeque::new(),
            queued: HashSet::new(),
            busy: HashMap::new(),
            again: HashSet::new(),
            tasks: JoinSet::new(),
            backoff: Backoff::default(),
        }
    }

    /// Queues what has become due since the last look. If the worklists are another `instance` by now, they
    /// may tell another history, and positions of the one before mean nothing in it.
    pub(super) fn look(&mut self, instance: u64) {
        if self.instance != instance {
            (self.instance, self.seen) = (instance, 0);
        }
        let Due { items, seen } = self.reactor.due(self.seen);
        self.seen = seen;
        self.enqueue(items);
    }

    /// Queues everything that is due, except what waits after a failure.
    pub(super) fn look_at_everything(&mut self) {
        let Due { items, seen } = self.reactor.due(0);
        self.seen = seen;
        let items: Vec<R::Item> = items.into_iter().filter(|item| !self.backoff.waits(item)).collect();
        self.enqueue(items);
    }

    pub(super) fn enqueue(&mut self, items: impl IntoIterator<Item = R::Item>) {
        for item in items {
            if self.busy.values().any(|busy| *busy == item) {
                self.again.insert(item);
            } else if self.queued.insert(item.clone()) {
                self.queue.push_back(item);
            }
        }
    }

    /// Starts on as many items as there are places.
    pub(super) fn take_up(&mut self) {
        while self.tasks.len() < AT_ONCE_MAX {
            let Some(item) = self.queue.pop_front() else { return };
            self.queued.remove(&item);
            let (reactor, act_on) = (Arc::clone(&self.reactor), item.clone());
            let span = tracing::debug_span!("react", reactor = reactor.name(), %item, correlation = Empty);
            let task = self.tasks.spawn(async move { reactor.act(act_on).await }.instrument(span));
            self.busy.insert(task.id(), item);
        }
    }

    /// Waits until an item has been looked at, or a failed one may be tried again; for ever when there
    /// is neither.
    pub(super) async fn goes_on(&mut self) {
        let next = self.backoff.next();
        tokio::select! {
            Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            () = until(next) => {
                let over = self.backoff.over(Instant::now());
                self.enqueue(over);
            }
        }
    }

    fn ended(&mut self, ended: Result<(task::Id, Result<(), NotDone>), JoinError>) {
        let (task, outcome) = match ended {
            Ok(ended) => ended,
            Err(panicked) => (panicked.id(), Err(CommandError::Fault(panicked.to_string()).into())),
        };
        let Some(item) = self.busy.remove(&task) else { return };
        self.record(&item, outcome);
        if self.again.remove(&item) {
            self.enqueue([item]);
        }
    }

    fn record(&mut self, item: &R::Item, outcome: Result<(), NotDone>) {
        let reactor = self.reactor.name();
        let Err(failure) = outcome else {
            if let Some(failures) = self.backoff.succeeded(item).filter(|failures| failures.reported) {
                tracing::info!(reactor, %item, failures = failures.count, "done at last");
            }
            return;
        };
        self.metrics.failed(reactor, failure.family());
        let reason = reason(&failure);
        let failures = self.backoff.failed(item.clone(), &reason, Instant::now());
        let unreported = match failure {
            NotDone::Command(CommandError::Refused(_)) => REFUSALS_UNREPORTED_MAX,
            NotDone::Command(CommandError::Conflict { .. } | CommandError::Fault(_) | CommandError::Damaged(_))
            | NotDone::Gate(_) => 0,
        };
        if failures.alike == unreported + 1 {
            failures.reported = true;
            tracing::warn!(reactor, %item, "to be tried again: {reason}");
        } else {
            tracing::debug!(reactor, %item, failures = failures.count, "to be tried again: {reason}");
        }
    }
}

/// Why something was not done, with every reason below it, in one line.
pub(super) fn reason(failure: &NotDone) -> String {
    with_causes(failure)
}

#[cfg(test)]
mod tests;
