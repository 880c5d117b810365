//! The follower: reads the log in order and folds it into the projections, for ever.
//!
//! It starts from the newest snapshot whose chain value the log confirms, and checks the same whenever
//! the log shrinks under it: a database that was restored to an older state or swapped for another one
//! is folded again from the beginning, and the server is not ready meanwhile (D6).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use knit_domain::event::{Position, Recorded};
use knit_failpoint::failpoint;
use knit_log::{Log, Snapshot, SnapshotMeta};
use knit_projections::projection::Projection;

use crate::views::{View, Views};

/// Events read and applied at once: readers wait for one batch at most, about a millisecond.
const BATCH_EVENTS_MAX: usize = 1_000;
/// Events between two snapshots: folding so many again at start takes well under a second.
const SNAPSHOT_EVERY_EVENTS: u64 = 20_000;
/// Snapshots kept of each projection: the newest, and one to fall back on when it is damaged.
const SNAPSHOTS_KEPT: usize = 2;
/// Pause before the log is read again after a fault.
const FAULT_PAUSE: Duration = Duration::from_millis(500);

/// Folds the log into the projections of this process.
pub struct Follower {
    log: Log,
    views: Arc<Views>,
    ready: Arc<AtomicBool>,
    snapshot_at: Position,
    last: Option<(Position, [u8; 32])>,
}

impl Follower {
    /// A follower of `log`; `ready` tells when the projections have caught up for the first time.
    #[must_use]
    pub fn new(log: Log, views: Arc<Views>, ready: Arc<AtomicBool>) -> Self {
        Self { log, views, ready, snapshot_at: 0, last: None }
    }

    /// Restores the projections, then follows the log until the process ends.
    pub async fn run(mut self) {
        let mut wake = self.log.subscribe();
        self.restore().await;
        loop {
            match self.catch_up().await {
                Ok(()) => {
                    self.ready.store(true, Ordering::Release);
                    self.snapshot_when_due().await;
                    if wake.changed().await.is_err() {
                        return;
                    }
                }
                Err(why) => {
                    self.ready.store(false, Ordering::Release);
                    tracing::error!("cannot follow the log: {why:#}");
                    tokio::time::sleep(FAULT_PAUSE).await;
                }
            }
        }
    }

    async fn catch_up(&mut self) -> anyhow::Result<()> {
        self.check_same_log().await?;
        loop {
            let Some(after) = self.views.slowest() else { return Ok(()) };
            let events = self.log.read(after, BATCH_EVENTS_MAX).await?;
            let Some(newest) = events.last() else { return Ok(()) };
            self.last = Some((newest.position, newest.chain));
            failpoint("follower.read");
            self.apply(events).await;
            failpoint("follower.applied");
        }
    }

    /// Folding is work for the processor; it must not hold up the tasks that serve requests.
    async fn apply(&self, events: Vec<Recorded>) {
        let views = Arc::clone(&self.views);
        let folded = tokio::task::spawn_blocking(move || views.apply(&events)).await;
        if let Err(panicked) = folded {
            tracing::error!("folding panicked: {panicked}");
        }
    }

    /// Folds again from the beginning when the log no longer holds what was folded.
    async fn check_same_log(&mut self) -> anyhow::Result<()> {
        let Some((position, chain)) = self.last else { return Ok(()) };
        if self.log.chain_at(position).await? == Some(chain) {
            return Ok(());
        }
        tracing::warn!(log.position = position, "the log was restored or swapped; folding it again from the beginning");
        self.ready.store(false, Ordering::Release);
        self.last = None;
        self.snapshot_at = 0;
        self.views.store.reset();
        self.views.matcher.reset();
        self.views.worklists.reset();
        Ok(())
    }

    async fn restore(&mut self) {
        restore(&self.log, &self.views.store).await;
        restore(&self.log, &self.views.matcher).await;
        restore(&self.log, &self.views.worklists).await;
        self.snapshot_at = self.views.position();
    }

    async fn snapshot_when_due(&mut self) {
        let (Some((position, chain)), true) = (self.last, self.views.stopped().is_none()) else { return };
        if position < self.snapshot_at + SNAPSHOT_EVERY_EVENTS {
            return;
        }
        let saved = async {
            save(&self.log, &self.views, |views| &views.store, position, chain).await?;
            save(&self.log, &self.views, |views| &views.matcher, position, chain).await?;
            save(&self.log, &self.views, |views| &views.worklists, position, chain).await
        };
        match saved.await {
            Ok(()) => tracing::info!(log.position = position, "saved snapshots of the projections"),
            Err(why) => tracing::warn!("snapshots were not saved, starting will take longer: {why:#}"),
        }
        self.snapshot_at = position;
    }
}

/// Restores one projection from its newest snapshot, if there is one that the log confirms.
async fn restore<P: Projection>(log: &Log, view: &View<P>) {
    match confirmed_snapshot::<P>(log).await {
        Ok(Some(projection)) => {
            tracing::info!(projection = P::NAME, log.position = projection.position(), "restored from a snapshot");
            view.replace(projection);
            failpoint("follower.restored");
        }
        Ok(None) => {}
        Err(why) => tracing::warn!(projection = P::NAME, "snapshot passed over, folding from the beginning: {why:#}"),
    }
}

async fn confirmed_snapshot<P: Projection>(log: &Log) -> anyhow::Result<Option<P>> {
    let Some(Snapshot { meta, chunks }) = log.newest_snapshot(P::NAME, P::REVISION).await? else { return Ok(None) };
    anyhow::ensure!(
        log.chain_at(meta.position).await? == Some(meta.chain),
        "it was taken of another log (position {})",
        meta.position
    );
    let projection = P::restore(&chunks)?;
    anyhow::ensure!(projection.position() == meta.position, "it is of another position than it says");
    Ok(Some(projection))
}

/// Takes a snapshot between two batches: queries go on, the follower waits.
async fn save<P: Projection + Send + Sync + 'static>(
    log: &Log,
    views: &Arc<Views>,
    view: fn(&Views) -> &View<P>,
    position: Position,
    chain: [u8; 32],
) -> anyhow::Result<()> {
    let taken = Arc::clone(views);
    let chunks = tokio::task::spawn_blocking(move || view(&taken).read().snapshot()).await?;
    failpoint("snapshot.taken");
    let meta = SnapshotMeta { name: P::NAME.to_owned(), revision: P::REVISION, position, chain };
    log.save_snapshot(&meta, &chunks).await?;
    failpoint("snapshot.saved");
    log.prune_snapshots(P::NAME, P::REVISION, SNAPSHOTS_KEPT).await?;
    failpoint("snapshot.pruned");
    Ok(())
}
