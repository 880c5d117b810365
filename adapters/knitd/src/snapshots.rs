//! Saving the projections, so that the next start has less to fold (D6).
//!
//! When they are is said in [`Schedule`]. Two of each are kept, so that one that is damaged costs no more than what was
//! folded since the one before; older ones go, and the database uses their room again.
//!
//! A projection that was replaced because it was wrong must not come back. So each replacement begins another
//! *generation*: snapshots say of which they are, and those of an earlier one are neither used nor kept. Another server
//! may still have the wrong one. It is not let save it, and is told to fold its own again, or to start again. A redaction
//! removes snapshots, but not of which generations they were.
//!
//! What is saved is a copy: it is taken while the projection stands still, and packed and written when that moves on
//! already.

mod schedule;

use std::sync::Arc;

use anyhow::{bail, ensure};
use knit_domain::event::Position;
use knit_failpoint::failpoint;
use knit_log::{Log, SnapshotMeta};
use knit_projections::projection::Projection;

use crate::background::background;
use crate::views::{Look, View, ViewOf, Views, image};

pub(crate) use self::schedule::{Last, Schedule};

/// Snapshots kept of each projection: the newest, and one to fall back on when it is damaged.
pub(crate) const KEPT: usize = 2;

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
        save(log, views, |views| &views.store).await?,
        save(log, views, |views| &views.matcher).await?,
        save(log, views, |views| &views.worklists).await?,
    ])
}

/// Saves one projection, and keeps the newest snapshots of its generation.
///
/// # Errors
/// When it has stopped, for a start would only stop there again, when another server has replaced it meanwhile, or the
/// database does not take it.
pub(crate) async fn save<P: Projection + Send + Sync + 'static>(
    log: &Log,
    views: &Arc<Views>,
    view: ViewOf<P>,
) -> anyhow::Result<Saved> {
    let _turn = views.turn_to_save().await;
    let generation = generation_of(log, view(views)).await?;
    let redactions = views.redactions();
    let Look { at, reached, seen: projection } = image(views, view).await;
    failpoint("snapshot.taken");
    // One that was met before the copy was taken is in it.
    let is_without = !redactions.are_in() && redactions == views.redactions();
    ensure!(is_without, "something was redacted and is being taken out: try again in a moment");
    if let Some(why) = reached.stopped {
        anyhow::bail!("the projection `{}` has stopped: {why}", P::NAME);
    }
    // The chain at another position is not known, and a snapshot is used only where the log has the same.
    ensure!(reached.position == at.position, "the projection `{}` has yet to catch up with the others", P::NAME);
    let chunks = background().spawn_blocking(move || projection.snapshot()).await?;
    failpoint("snapshot.packed");
    let (name, revision) = (P::NAME.to_owned(), P::REVISION);
    let meta = SnapshotMeta { name, revision, position: at.position, chain: at.chain, generation };
    put(log, &meta, &chunks).await?;
    view(views).set_generation(generation);
    log.prune_snapshots(P::NAME, P::REVISION, KEPT).await?;
    failpoint("snapshot.pruned");
    let bytes = chunks.iter().map(|chunk| chunk.len() as u64).sum();
    Ok(Saved { name: P::NAME, position: at.position, bytes })
}

/// Puts a snapshot into the database, unless something was redacted meanwhile that it may hold.
///
/// # Errors
/// When it was, or the database does not take it.
pub(crate) async fn put(log: &Log, meta: &SnapshotMeta, chunks: &[Vec<u8>]) -> anyhow::Result<()> {
    log.save_snapshot(meta, chunks).await?;
    failpoint("snapshot.saved");
    // Whoever redacts removes what is there; what comes later, its saver has to.
    let redacted = log.redacted_up_to().await?;
    if redacted > meta.position {
        log.forget_snapshots_before(redacted).await?;
        bail!("something was redacted meanwhile, so it was not kept");
    }
    Ok(())
}

/// Of which generation the projection is saved.
async fn generation_of<P: Projection>(log: &Log, view: &View<P>) -> anyhow::Result<u64> {
    let (own, newest) = (view.generation(), log.newest_generation(P::NAME).await?);
    if view.begins_generation() {
        return Ok(newest.max(own) + 1);
    }
    ensure!(
        own >= newest,
        "the projection `{name}` was replaced on another server since, because it was wrong; this one may still be: \
         `knit admin rebuild-projection {name}` here, or start this server again",
        name = P::NAME
    );
    Ok(own)
}
