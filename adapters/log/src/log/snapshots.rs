//! Snapshots of projections, beside the events.

use knit_domain::event::Position;
use knit_failpoint::failpoint;
use uuid::Uuid;

use super::Log;
use crate::columns::{hash, unsigned};
use crate::error::Fault;
use crate::reader::patiently;
use crate::snapshot::{Chunk, Snapshot, SnapshotMeta};

impl Log {
    /// Saves a snapshot, chunk by chunk; it is visible once the last chunk is there, and takes the place of what the
    /// same projection had saved at this position before.
    ///
    /// # Errors
    /// When the database does not take it.
    pub async fn save_snapshot(&self, meta: &SnapshotMeta, chunks: &[Vec<u8>]) -> Result<(), Fault> {
        // Ids tell which was begun later.
        let id = Uuid::now_v7();
        let count = i32::try_from(chunks.len()).unwrap_or(i32::MAX);
        for (bytes, chunk) in chunks.iter().zip(0..) {
            let chunk = Chunk { id, meta, chunk, chunks: count, bytes };
            patiently("saving a snapshot", || self.inner.backend.save_chunk(&chunk)).await?;
            failpoint("snapshot.chunk-saved");
        }
        patiently("removing snapshots", || self.inner.backend.supersede(id, meta)).await
    }

    /// The newest whole snapshot of this name and revision: of the newest generation, at the last position. Whoever uses it
    /// first compares its chain with [`Self::chain_at`] its position.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn newest_snapshot(&self, name: &str, revision: u32) -> Result<Option<Snapshot>, Fault> {
        self.earlier_snapshot(name, revision, 0).await
    }

    /// The whole snapshot than which so many are newer; at 0 it is [`Self::newest_snapshot`].
    ///
    /// # Errors
    /// As there.
    pub async fn earlier_snapshot(&self, name: &str, revision: u32, newer: usize) -> Result<Option<Snapshot>, Fault> {
        let doing = "reading a snapshot";
        let limit = i64::try_from(newer).unwrap_or(i64::MAX).saturating_add(1);
        let listed = patiently(doing, || self.inner.backend.snapshots(name, revision, limit)).await?;
        let Some(listed) = listed.into_iter().nth(newer) else { return Ok(None) };
        let chunks = patiently(doing, || self.inner.backend.chunks(listed.id)).await?;
        let damaged = |error| Fault::of(doing, error);
        let (position, chain) = (unsigned(listed.position).map_err(damaged)?, hash(&listed.chain).map_err(damaged)?);
        let generation = unsigned(listed.generation).map_err(damaged)?;
        let meta = SnapshotMeta { name: name.to_owned(), revision, position, chain, generation };
        Ok(Some(Snapshot { meta, chunks }))
    }

    /// The newest generation of the projection of this name of which something was saved, also if that was removed because
    /// of a redaction; 0 if nothing was.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn newest_generation(&self, name: &str) -> Result<u64, Fault> {
        let doing = "listing snapshots";
        let newest = patiently(doing, || self.inner.backend.newest_generation(name)).await?;
        unsigned(newest).map_err(|error| Fault::of(doing, error))
    }

    /// Keeps the `keep` newest whole snapshots of this name and revision, and removes the others of
    /// the name, of any revision, that are not newer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_snapshots(&self, name: &str, revision: u32, keep: usize) -> Result<(), Fault> {
        let limit = i64::try_from(keep).unwrap_or(i64::MAX);
        let kept = patiently("listing snapshots", || self.inner.backend.snapshots(name, revision, limit)).await?;
        let Some(newest) = kept.first() else { return Ok(()) };
        let ids: Vec<Uuid> = kept.iter().map(|listed| listed.id).collect();
        patiently("removing snapshots", || self.inner.backend.prune(name, newest, &ids)).await
    }

    /// Removes every snapshot of this name. It is for what is done with: of which generations they were is forgotten.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_snapshots_of(&self, name: &str) -> Result<(), Fault> {
        patiently("removing snapshots", || self.inner.backend.forget_snapshots_of(name)).await
    }

    /// Removes every snapshot that was taken before `position`, where something was redacted that it may hold. Of which
    /// generations they were is not forgotten.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_snapshots_before(&self, position: Position) -> Result<(), Fault> {
        patiently("removing snapshots", || self.inner.backend.forget_snapshots_before(position)).await
    }
}
