//! Saving the projections, so that the next start has less to fold (D6).
//!
//! What is saved is a copy: it is taken while the projection stands still, and packed and written when that moves on
//! already.

use std::sync::Arc;

use anyhow::ensure;
use knit_domain::event::Position;
use knit_failpoint::failpoint;
use knit_log::{Log, SnapshotMeta};
use knit_projections::projection::Projection;

use crate::views::{Look, ViewOf, Views, image};

/// Snapshots kept of each projection: the newest, and one to fall back on when it is damaged.
pub(crate) const KEPT: usize = 2;
/// The same after a projection was replaced: what was wrong must not come back.
pub(crate) const KEPT_AFTER_REPLACEMENT: usize = 1;

/// What was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Name of the projection.
    pub(crate) name: &'static str,
    /// The last event in it.
    pub(crate) position: Position,
    /// Bytes, compressed.
    pub(crate) bytes: u64,
}

/// Saves every projection, and keeps the two newest snapshots of each.
///
/// # Errors
/// The first that could not be saved, and why; those before it are.
pub(crate) async fn save_all(log: &Log, views: &Arc<Views>) -> anyhow::Result<[Saved; 3]> {
    Ok([
        save(log, views, |views| &views.store, KEPT).await?,
        save(log, views, |views| &views.matcher, KEPT).await?,
        save(log, views, |views| &views.worklists, KEPT).await?,
    ])
}

/// Saves one projection, and keeps the `kept` newest snapshots of it.
///
/// # Errors
/// When it has stopped, for a start would only stop there again, or the database does not take it.
pub(crate) async fn save<P: Projection + Send + Sync + 'static>(
    log: &Log,
    views: &Arc<Views>,
    view: ViewOf<P>,
    kept: usize,
) -> anyhow::Result<Saved> {
    let _turn = views.turn_to_save().await;
    let Look { at, reached, seen: projection } = image(views, view).await?;
    failpoint("snapshot.taken");
    if let Some(why) = reached.stopped {
        anyhow::bail!("the projection `{}` has stopped: {why}", P::NAME);
    }
    // The chain at another position is not known, and a snapshot is used only where the log has the same.
    ensure!(reached.position == at.position, "the projection `{}` has yet to catch up with the others", P::NAME);
    let chunks = tokio::task::spawn_blocking(move || projection.snapshot()).await?;
    failpoint("snapshot.packed");
    let meta = SnapshotMeta { name: P::NAME.to_owned(), revision: P::REVISION, position: at.position, chain: at.chain };
    log.save_snapshot(&meta, &chunks).await?;
    failpoint("snapshot.saved");
    log.prune_snapshots(P::NAME, P::REVISION, kept).await?;
    failpoint("snapshot.pruned");
    let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    Ok(Saved { name: P::NAME, position: at.position, bytes })
}
