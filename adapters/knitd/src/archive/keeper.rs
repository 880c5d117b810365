//! A server that archives by itself, as segments get sealed.

use std::sync::Arc;
use std::time::Duration;

use knit_domain::event::Position;
use knit_log::Log;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Archive, Archived, Checks, Listener, Redactions, archive};
use crate::command::ErrorFamily;
use crate::metrics::{self, Metrics};

/// Pause between two looks while the log moves: a segment is archived, and what was redacted is gone from the archive,
/// within so much and the time that writing takes.
const LOOK_PAUSE: Duration = Duration::from_secs(2);
/// Pause after archiving came to nothing: a full disk is not made free within seconds.
const FAULT_PAUSE: Duration = Duration::from_secs(30);

/// Archives until `stop` is cancelled.
pub(crate) async fn keep(log: Log, place: Archive, metrics: Arc<Metrics>, stop: CancellationToken) {
    let listener = Listener { steps: None, cancelled: stop.clone() };
    let mut keeper = Keeper { moved: log.subscribe(), log, place, metrics, told: String::new() };
    tokio::select! {
        () = keeper.run(&listener) => {}
        () = stop.cancelled() => {}
    }
}

struct Keeper {
    log: Log,
    place: Archive,
    moved: watch::Receiver<Position>,
    metrics: Arc<Metrics>,
    /// What was told to have gone wrong, lest it is told twice a minute.
    told: String,
}

impl Keeper {
    async fn run(&mut self, listener: &Listener) {
        let mut heeded = Redactions::default();
        loop {
            self.moved.mark_unchanged();
            match archive(&self.log, &self.place, Checks::LastAndRedacted { heeded: &heeded }, listener).await {
                Ok(Some(archived)) => {
                    self.told.clear();
                    self.something_to_do(&archived).await;
                    heeded = archived.redactions;
                }
                // Another server does it.
                Ok(None) => tokio::time::sleep(FAULT_PAUSE).await,
                Err(why) => self.bear(&why).await,
            }
        }
    }

    /// Waits until a further segment is sealed, or an event was redacted; or the log is no longer the one it was.
    async fn something_to_do(&mut self, archived: &Archived) {
        loop {
            // The log outlives this: it is held here.
            let _ = self.moved.changed().await;
            let head = *self.moved.borrow_and_update();
            let has_moved = self.place.sealed(head) > archived.position || head < archived.position;
            if has_moved || self.redactions(archived).await.is_some_and(|now| now != archived.redactions) {
                return;
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// What is redacted now. A database that does not answer is asked again at the next look.
    async fn redactions(&self, archived: &Archived) -> Option<Redactions> {
        match Redactions::of(&self.log).await {
            Ok(now) => Some(now),
            Err(why) => {
                tracing::debug!(log.position = archived.head, "cannot ask what was redacted: {why}");
                None
            }
        }
    }

    async fn bear(&mut self, why: &anyhow::Error) {
        self.metrics.failed(metrics::ARCHIVE, ErrorFamily::Fault);
        let why = format!("{why:#}");
        if why != self.told {
            tracing::error!("cannot archive the log, trying on: {why}");
            self.told = why;
        }
        tokio::time::sleep(FAULT_PAUSE).await;
    }
}
