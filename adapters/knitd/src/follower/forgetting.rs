//! Taking what was redacted out of the projections (D15).
//!
//! They know nothing of redactions: a fold that begins after one never meets what was redacted. So where one was met, all
//! of them are folded again beside those that are live, which go on and are asked meanwhile, and then put in their place.
//! Nothing stays of what was live, no kept instance and no snapshot; whoever is being answered from it piece by piece is
//! cut off. Whatever was begun before, a rebuild or the saving of a snapshot, finds out that it was.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use knit_domain::event::Position;
use knit_failpoint::failpoint;
use knit_log::{Log, ReadError, chain};

use super::restoring::learn_generations;
use super::{FAULT_PAUSE, PAGE_EVENTS_MAX, fold_side_by_side};
use crate::command::with_causes;
use crate::streams;
use crate::views::{Followed, Views};

/// With so few events left the projections are made to stand still: the rest takes some milliseconds.
const REST_EVENTS_MAX: u64 = 1_000;
/// Pause before it is begun again where it came to nothing, so that a log that is being swapped is not folded all the time.
const AGAIN_PAUSE: Duration = Duration::from_millis(50);

/// Folds again whenever something was redacted that is in the projections.
pub(super) async fn whatever_is_redacted(log: Log, views: Arc<Views>) -> Infallible {
    let mut redactions = views.watch_redactions();
    loop {
        // It cannot end: the views are held here.
        drop(redactions.wait_for(|redactions| redactions.are_in()).await);
        match forget(&log, &views).await {
            Ok(true) => {}
            Ok(false) => tokio::time::sleep(AGAIN_PAUSE).await,
            Err(error) => {
                tracing::error!("cannot take out what was redacted, trying on: {}", with_causes(&error));
                tokio::time::sleep(FAULT_PAUSE).await;
            }
        }
    }
}

/// Folds all projections again and puts them in the place of the live ones; answers whether it could: not where the log
/// turned out to be another one.
async fn forget(log: &Log, views: &Arc<Views>) -> Result<bool, ReadError> {
    let begun = Instant::now();
    let known = log.redacted_up_to().await?;
    // Those that were saved before went as it was redacted; others may have been saved meanwhile.
    log.forget_snapshots_before(known).await?;
    let mut fresh = Fresh::begin(log, views.followed().log).await?;
    loop {
        let live = views.followed().position;
        if live.saturating_sub(fresh.position) <= REST_EVENTS_MAX {
            break;
        }
        if !fresh.fold_up_to(live).await? {
            return Ok(false);
        }
    }
    failpoint("forgetting.folded");
    let standstill = views.stand_still().await;
    if !fresh.comes_to(standstill.at).await? {
        return Ok(false);
    }
    let gone = views.supplant(&fresh.views);
    // Before anything may be saved: one that was replaced elsewhere is another one now, and would be refused.
    learn_generations(log, views).await;
    views.forgot(known);
    drop(standstill);
    failpoint("forgetting.switched");
    // Freeing what is large takes a while.
    drop(tokio::task::spawn_blocking(move || drop(gone)));
    let (position, ms) = (fresh.position, begun.elapsed().as_millis());
    tracing::info!(log.position = position, ms, redaction = known, "what was redacted is out of the projections");
    Ok(true)
}

/// Projections that nobody can ask yet.
struct Fresh {
    views: Arc<Views>,
    pages: knit_log::ReadAhead,
    position: Position,
    /// The chain there.
    chain: chain::Hash,
    /// Which log is folded: see [`Followed::log`].
    log: u64,
}

impl Fresh {
    async fn begin(log: &Log, number: u64) -> Result<Self, ReadError> {
        let views = Arc::<Views>::default();
        views.learn(&streams::journal(log).await?.state);
        let pages = log.read_ahead(PAGE_EVENTS_MAX);
        Ok(Self { views, pages, position: 0, chain: chain::GENESIS, log: number })
    }

    /// Folds up to where the live ones stand still; answers whether that is the same log.
    async fn comes_to(&mut self, at: Followed) -> Result<bool, ReadError> {
        if at.log != self.log || at.position < self.position {
            return Ok(false);
        }
        Ok(self.fold_up_to(at.position).await? && self.chain == at.chain)
    }

    /// Folds on; answers whether the log goes on as it was. A projection that stops at an event does so here as well.
    async fn fold_up_to(&mut self, until: Position) -> Result<bool, ReadError> {
        while self.position < until {
            let mut events = self.pages.read(self.position).await?;
            events.retain(|event| event.position <= until);
            let Some((first, newest)) = events.first().zip(events.last()) else { return Ok(false) };
            if chain::link(&self.chain, first.position, first.recorded_at, &first.leaf) != first.chain {
                return Ok(false);
            }
            (self.position, self.chain) = (newest.position, newest.chain);
            fold_side_by_side(&self.views, events).await;
        }
        Ok(true)
    }
}
