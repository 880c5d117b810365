//! What a rebuild that was broken off had folded, so that the next one goes on from there.
//!
//! It is kept when a rebuild is ended, by whomever, and now and then while it lasts, for a server that dies. It lies
//! beside the snapshots, under a name that no start looks for, and goes with them when something is redacted.
//!
//! Only the very program that has folded it goes on with it, and only while it passes over the same events: what another
//! one has folded may be just what is to be replaced. As with a snapshot, the log has to have the same chain there.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use knit_domain::event::Position;
use knit_failpoint::failpoint;
use knit_log::{Log, Snapshot, SnapshotMeta, chain};
use knit_projections::projection::Projection;
use knit_schemas::api::RebuildStep;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use super::Fresh;
use crate::background::background;
use crate::snapshots;

/// For so long a rebuild may fold before what it has is kept: as much is lost when its server dies. A million events
/// take less.
const KEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Folding takes so many times as long as keeping what was folded, or a large projection would do nothing else.
const FOLDING_PER_KEEPING: u32 = 10;

/// Where the unfinished instance of one projection is kept.
pub(super) struct Unfinished {
    name: String,
    /// Of which program it is, and which events that passes over.
    mark: [u8; 32],
    keep_at: Instant,
}

impl Unfinished {
    /// # Errors
    /// When this program cannot read itself.
    pub(super) async fn of<P: Projection>(skipped: &BTreeSet<Position>) -> anyhow::Result<Self> {
        let mut mark = Sha256::new_with_prefix(program().await?);
        skipped.iter().for_each(|position| mark.update(position.to_be_bytes()));
        let keep_at = Instant::now() + KEEP_INTERVAL;
        Ok(Self { name: format!("{}.rebuild", P::NAME), mark: mark.finalize().into(), keep_at })
    }

    /// What was kept and can be gone on with, none of it beyond `up_to`, and the chain there. What is there and cannot, is
    /// removed.
    pub(super) async fn find<P>(&self, log: &Log, up_to: Position) -> Option<(P, chain::Hash)>
    where
        P: Projection + Send + 'static,
    {
        match self.confirmed(log, up_to).await {
            Ok(Some(found)) => return Some(found),
            Ok(None) => {}
            Err(why) => tracing::info!(projection = P::NAME, "what an earlier rebuild had folded is not used: {why:#}"),
        }
        self.remove(log).await;
        None
    }

    async fn confirmed<P>(&self, log: &Log, up_to: Position) -> anyhow::Result<Option<(P, chain::Hash)>>
    where
        P: Projection + Send + 'static,
    {
        let Some(Snapshot { meta, chunks }) = log.newest_snapshot(&self.name, P::REVISION).await? else {
            return Ok(None);
        };
        let Some((mark, chunks)) = chunks.split_first() else { return Ok(None) };
        ensure!(mark[..] == self.mark, "another program has folded it, or it passes over other events");
        ensure!(meta.position <= up_to, "this server has not come so far (position {})", meta.position);
        ensure!(log.redacted_up_to().await? <= meta.position, "something was redacted since");
        ensure!(log.chain_at(meta.position).await? == Some(meta.chain), "it is of another log");
        let chunks = chunks.to_vec();
        let projection = background().spawn_blocking(move || P::restore(&chunks)).await??;
        ensure!(projection.position() == meta.position, "it is of another position than it says");
        Ok(Some((projection, meta.chain)))
    }

    /// Whether what is folded so far is to be kept now.
    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.keep_at
    }

    /// Keeps what is folded so far; answers that again, and whether it is kept.
    pub(super) async fn keep<P>(&mut self, log: &Log, projection: P, chain: chain::Hash) -> (P, bool)
    where
        P: Projection + Send + Sync + 'static,
    {
        let begun = Instant::now();
        let position = projection.position();
        let packing = background().spawn_blocking(move || {
            let chunks = projection.snapshot();
            (projection, chunks)
        });
        let (projection, chunks) = packing.await.expect("a projection that was folded can be packed");
        let mark = std::iter::once(self.mark.to_vec());
        let kept = self.put::<P>(log, (position, chain), &mark.chain(chunks).collect::<Vec<_>>()).await;
        if let Err(why) = &kept {
            tracing::warn!(projection = P::NAME, "what a rebuild has folded is not kept: {why:#}");
        }
        failpoint("rebuild.kept");
        self.keep_at = Instant::now() + KEEP_INTERVAL.max(begun.elapsed() * FOLDING_PER_KEEPING);
        (projection, kept.is_ok())
    }

    async fn put<P: Projection>(
        &self,
        log: &Log,
        (position, chain): (Position, chain::Hash),
        chunks: &[Vec<u8>],
    ) -> anyhow::Result<()> {
        let (name, revision) = (self.name.clone(), P::REVISION);
        snapshots::put(log, &SnapshotMeta { name, revision, position, chain, generation: 0 }, chunks).await?;
        log.prune_snapshots(&self.name, P::REVISION, 1).await?;
        Ok(())
    }

    /// Removes what was kept, when nobody is to go on with it.
    pub(super) async fn remove(&self, log: &Log) {
        if let Err(why) = log.forget_snapshots_of(&self.name).await {
            tracing::warn!(name = self.name, "what a rebuild had folded is left: {why:#}");
        }
    }
}

impl<P: Projection + Send + Sync + 'static> Fresh<'_, P> {
    /// Goes on where one that was broken off had come to, unless it is to begin at the start.
    pub(super) async fn resume(&mut self, from_start: bool) {
        let log = self.app.log();
        let unfinished = match Unfinished::of::<P>(&self.skipped).await {
            Ok(unfinished) => self.unfinished.insert(unfinished),
            Err(why) => return tracing::warn!(projection = P::NAME, "what is folded will not be kept: {why:#}"),
        };
        if from_start {
            return unfinished.remove(log).await;
        }
        let Some((projection, chain)) = unfinished.find(log, self.app.views().followed().position).await else {
            return;
        };
        (self.projection, self.chain) = (projection, chain);
        let position = self.projection.position();
        self.began_at = position;
        tracing::info!(projection = P::NAME, log.position = position, "a rebuild goes on where one was broken off");
        self.listener.tell(RebuildStep::Resumed { position }).await;
    }

    /// Keeps what is folded for the next one, unless something was redacted that is in it; answers whether it is kept.
    pub(super) async fn keep(&mut self) -> bool {
        let position = self.projection.position();
        let Some(unfinished) = &mut self.unfinished else { return false };
        if self.app.views().redactions() != self.redactions {
            return false;
        }
        if position == self.began_at {
            // It is what was gone on with, if anything was.
            return position > 0;
        }
        let projection = std::mem::take(&mut self.projection);
        let (projection, kept) = unfinished.keep(self.app.log(), projection, self.chain).await;
        self.projection = projection;
        kept
    }

    /// Removes what is kept: this one has come to its end.
    pub(super) async fn forget_what_is_kept(&self) {
        if let Some(unfinished) = &self.unfinished {
            unfinished.remove(self.app.log()).await;
        }
    }
}

/// SHA-256 of the program that runs, also if its file was replaced meanwhile.
async fn program() -> anyhow::Result<[u8; 32]> {
    static PROGRAM: OnceCell<[u8; 32]> = OnceCell::const_new();
    let hashed = || async {
        let hashing = background().spawn_blocking(|| {
            let mut hash = Sha256::new();
            io::copy(&mut File::open("/proc/self/exe")?, &mut hash)?;
            Ok::<_, io::Error>(hash.finalize().into())
        });
        hashing.await?.context("this program cannot read itself")
    };
    PROGRAM.get_or_try_init(hashed).await.copied()
}
