//! The items of one reactor: waiting for a free place, being looked at, or waiting after a failure.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use knit_domain::event::Position;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::{Due, Reactor};
use crate::command::CommandError;

/// Items looked at at once: enough to keep the log's group commit busy and to overlap waiting for disks,
/// few enough that a burst does not starve requests on a machine of two processors.
const AT_ONCE_MAX: usize = 32;

/// What a task gives back: its item and what came of it. A panic gives back nothing but its text.
type Ended<I> = (I, Result<(), CommandError>);

pub(super) struct Work<R: Reactor> {
    reactor: Arc<R>,
    seen: Position,
    queue: VecDeque<R::Item>,
    queued: HashSet<R::Item>,
    busy: HashSet<R::Item>,
    /// Became due again while it was being looked at: what was seen of it then may be out of date.
    again: HashSet<R::Item>,
    tasks: JoinSet<Ended<R::Item>>,
    backoff: Backoff<R::Item>,
}

impl<R: Reactor> Work<R> {
    pub(super) fn new(reactor: Arc<R>) -> Self {
        Self {
            reactor,
            seen: 0,
            queue: VecDeque::new(),
            queued: HashSet::new(),
            busy: HashSet::new(),
            again: HashSet::new(),
            tasks: JoinSet::new(),
            backoff: Backoff::default(),
        }
    }

    /// Queues what has become due since the last look.
    pub(super) fn look(&mut self) {
        let Due { items, seen } = self.reactor.due(self.seen);
        self.seen = seen;
        self.enqueue(items);
    }

    pub(super) fn enqueue(&mut self, items: impl IntoIterator<Item = R::Item>) {
        for item in items {
            if self.busy.contains(&item) {
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
            self.busy.insert(item.clone());
            let reactor = Arc::clone(&self.reactor);
            self.tasks.spawn(async move {
                let looking = tokio::spawn({
                    let item = item.clone();
                    async move { reactor.act(item).await }
                });
                let outcome = looking.await.unwrap_or_else(|panicked| Err(CommandError::Fault(panicked.to_string())));
                (item, outcome)
            });
        }
    }

    /// Waits until an item has been looked at, or a failed one may be tried again; for ever when there
    /// is neither.
    pub(super) async fn goes_on(&mut self) {
        let next = self.backoff.next();
        tokio::select! {
            Some(ended) = self.tasks.join_next() => match ended {
                Ok((item, outcome)) => self.record(item, outcome),
                Err(cut_off) => tracing::error!(reactor = self.reactor.name(), "a task was cut off: {cut_off}"),
            },
            () = sleep_until(next) => {
                let over = self.backoff.over(Instant::now());
                self.enqueue(over);
            }
        }
    }

    fn record(&mut self, item: R::Item, outcome: Result<(), CommandError>) {
        self.busy.remove(&item);
        let again = self.again.remove(&item);
        match outcome {
            Ok(()) => self.backoff.succeeded(&item),
            // A rule that says no is news: the Run has moved on since it was looked at.
            Err(CommandError::Refused(refusal)) => {
                tracing::debug!(reactor = self.reactor.name(), item = %item, "moved on: {refusal}");
                self.backoff.failed(item.clone(), Instant::now());
            }
            Err(failure) => {
                tracing::warn!(reactor = self.reactor.name(), item = %item, "to be tried again: {failure}");
                self.backoff.failed(item.clone(), Instant::now());
            }
        }
        if again {
            self.enqueue([item]);
        }
    }

    /// Looks at everything again.
    pub(super) async fn relist(&mut self) {
        if let Err(failure) = self.reactor.relist().await {
            tracing::warn!(reactor = self.reactor.name(), "cannot compare with the world: {failure}");
        }
        self.seen = 0;
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
