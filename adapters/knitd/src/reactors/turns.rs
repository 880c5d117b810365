//! Whose turn it is at a Run: one reactor at a time.
//!
//! Different reactors care for one Run in its different stages, and each looks at a worklist that may be a
//! moment behind. Without turns, one could still be creating a Worker while another seals what that Worker
//! writes to, or one could still be making a volume while another has destroyed it for good. Whoever has
//! the turn reads the stream, acts on the world and records it before the next one begins.
//!
//! This holds within one process; what several of them could do to each other is mended afterwards, by
//! looking at the stream again.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use knit_domain::id::RunId;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The turns of one process.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Only Runs that somebody is at or waits for.
    runs: std::sync::Mutex<HashMap<RunId, Arc<Mutex<()>>>>,
}

/// The turn at one Run, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a Turns,
    run: RunId,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else is at `run`.
    pub(crate) async fn take(&self, run: RunId) -> Turn<'_> {
        let place = Arc::clone(self.runs().entry(run).or_default());
        // It exists before it waits, so that it tidies up when it is cut off while it waits.
        let mut turn = Turn { turns: self, run, held: None };
        turn.held = Some(place.lock_owned().await);
        turn
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, Arc<Mutex<()>>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut runs = self.turns.runs();
        // Others take their share of the place under the same lock, so nobody can be about to.
        if runs.get(&self.run).is_some_and(|place| Arc::strong_count(place) == 1) {
            runs.remove(&self.run);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn run(number: u128) -> RunId {
        RunId(uuid::Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn one_run_is_one_turn_and_another_is_another() {
        let turns = Turns::default();
        let first = turns.take(run(1)).await;
        assert!(turns.take(run(1)).now_or_never().is_none());
        assert!(turns.take(run(2)).now_or_never().is_some());
        drop(first);
        assert!(turns.take(run(1)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn the_next_turn_begins_when_the_one_before_ends() {
        let turns = Turns::default();
        let first = turns.take(run(1)).await;
        let mut next = Box::pin(turns.take(run(1)));
        assert!((&mut next).now_or_never().is_none());
        drop(first);
        let _second = next.await;
        assert!(turns.take(run(1)).now_or_never().is_none());
    }

    #[tokio::test]
    async fn nothing_is_kept_of_runs_that_nobody_is_at() {
        let turns = Turns::default();
        let first = turns.take(run(1)).await;
        let mut cut_off = Box::pin(turns.take(run(1)));
        assert!((&mut cut_off).now_or_never().is_none());
        drop(first);
        drop(cut_off);
        assert!(turns.runs().is_empty());
    }
}
