//! Restoring the projections from their snapshots, at the start (D6).

use std::time::Instant;

use anyhow::{Context as _, ensure};
use knit_domain::event::Position;
use knit_failpoint::failpoint;
use knit_log::{Log, Snapshot, chain};
use knit_projections::projection::Projection;

use super::Follower;
use crate::snapshots::{KEPT, Last};
use crate::views::{View, Views};

impl Follower {
    pub(super) async fn restore(&mut self) {
        // Before the first snapshot is read: what is redacted meanwhile is met.
        let redacted = self.log.redacted_up_to().await.context("the journal cannot be read");
        let redacted = redacted.inspect_err(|why| tracing::warn!("no snapshot is used: {why:#}")).ok();
        if let Some(redacted) = redacted.filter(|redacted| *redacted > 0)
            && let Err(fault) = self.log.forget_snapshots_before(redacted).await
        {
            tracing::warn!("snapshots from before a redaction are left until newer ones are saved: {fault}");
        }
        let restored = [
            restore(&self.log, &self.views.store, redacted).await,
            restore(&self.log, &self.views.matcher, redacted).await,
            restore(&self.log, &self.views.worklists, redacted).await,
        ];
        // Reading goes on behind the one that is furthest behind.
        self.last = restored.into_iter().min_by_key(|(position, _)| *position).unwrap_or(self.last);
        self.saved = Last { position: self.last.0, at: Instant::now() };
        self.views.knew_redactions(redacted.unwrap_or(0));
        self.views.advance(self.last.0, self.last.1);
    }
}

/// Restores one projection from its newest snapshot that can be read and that the log confirms, if there is one and
/// nothing was redacted since; answers where it is then, and the chain there.
async fn restore<P: Projection>(log: &Log, view: &View<P>, redacted: Option<Position>) -> (Position, chain::Hash) {
    // Where it is not known what was redacted, none is used.
    let candidates = redacted.map_or(0..0, |_| 0..KEPT);
    for newer in candidates {
        match confirmed_snapshot::<P>(log, newer, redacted.unwrap_or(0)).await {
            Ok(Some((projection, chain, generation))) => {
                let position = projection.position();
                tracing::info!(projection = P::NAME, log.position = position, "restored from a snapshot");
                view.set_generation(generation);
                view.replace(projection);
                failpoint("follower.restored");
                return (position, chain);
            }
            Ok(None) => break,
            Err(why) => tracing::warn!(projection = P::NAME, "snapshot passed over: {why:#}"),
        }
    }
    learn_generation(log, view).await;
    (0, chain::GENESIS)
}

/// What is folded from the beginning now is as good as what anybody has replaced before, and may take its place.
pub(super) async fn learn_generations(log: &Log, views: &Views) {
    learn_generation(log, &views.store).await;
    learn_generation(log, &views.matcher).await;
    learn_generation(log, &views.worklists).await;
}

async fn learn_generation<P: Projection>(log: &Log, view: &View<P>) {
    match log.newest_generation(P::NAME).await {
        Ok(newest) => view.set_generation(newest),
        Err(why) => tracing::warn!(projection = P::NAME, "it may not be saved, being taken for an older one: {why:#}"),
    }
}

/// A snapshot, than which so many are newer, as a projection, with the chain there, and its generation.
async fn confirmed_snapshot<P: Projection>(
    log: &Log,
    newer: usize,
    redacted: Position,
) -> anyhow::Result<Option<(P, chain::Hash, u64)>> {
    let Some(Snapshot { meta, chunks }) = log.earlier_snapshot(P::NAME, P::REVISION, newer).await? else {
        return Ok(None);
    };
    ensure!(meta.position >= redacted, "something was redacted after it was taken (position {})", meta.position);
    ensure!(
        log.chain_at(meta.position).await? == Some(meta.chain),
        "it was taken of another log (position {})",
        meta.position
    );
    ensure!(
        log.newest_generation(P::NAME).await? == meta.generation,
        "it is of what was replaced since (position {})",
        meta.position
    );
    let projection = P::restore(&chunks)?;
    ensure!(projection.position() == meta.position, "it is of another position than it says");
    Ok(Some((projection, meta.chain, meta.generation)))
}
