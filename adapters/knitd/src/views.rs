//! The projections of this process: one live instance of each, how far each has come, and who waits for it.
//!
//! Readers share a lock with one writer, the follower, which holds it for one bounded batch at a time.
//! Whoever needs an answer that is at least as fresh as some position waits for that position, never for
//! longer than a bound: a projection that stopped must not hang the API.
//!
//! Everybody who looks at a projection relies on [`Followed`]: what was folded is a part of the log that
//! there is now. A database that was restored to an older state or swapped makes that untrue. Whoever sees
//! a sign of it says so ([`Views::doubt`]); from then on nothing here may be relied on until the follower has
//! looked.
//!
//! Whoever copies a projection or puts another instance in its place lets them stand still
//! ([`Views::stand_still`]): the follower waits, and so do commands until they are shown, so that it must be short. A
//! look without that would be in the follower's way at the lock, and a writer who waits there keeps new readers out.
//! Whoever needs to look for longer, to save a projection or to digest it, looks at a copy ([`image`]).

mod image;
mod name;
mod redacted;
mod switch;

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use knit_domain::event::{Position, Recorded};
use knit_domain::journal::Journal;
use knit_log::Head;
use knit_log::chain::Hash;
use knit_projections::matcher::Matcher;
use knit_projections::projection::{Projection, Unapplicable};
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;
use tokio::sync::{Notify, watch};

pub(crate) use image::{Look, ViewOf, image};
pub use name::Name;
pub use redacted::Redactions;
use switch::Before;

/// Every projection this process keeps.
#[derive(Debug, Default)]
pub struct Views {
    /// What may be asked: catalog and lineage.
    pub store: View<Store>,
    /// Which Data fit which inputs, and which combinations have no Run yet.
    pub matcher: View<Matcher>,
    /// What is due for each reactor.
    pub worklists: View<Worklists>,
    followed: watch::Sender<Followed>,
    redactions: watch::Sender<Redactions>,
    doubts: Notify,
    /// Why the log cannot be followed, if it is not as it was written.
    damage: ArcSwapOption<Damage>,
    /// Held by the follower while it folds a batch, and by whoever wants nothing to be folded.
    folding: tokio::sync::Mutex<()>,
    /// Held by whoever saves a projection.
    saving: tokio::sync::Mutex<()>,
}

/// The log is not as it was written, so that it cannot be followed. That does not pass by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where, if that is known.
    pub position: Option<Position>,
    /// What is wrong.
    pub why: String,
}

/// How far the log was followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Followed {
    /// The last event that was folded; 0 when there is none.
    pub position: Position,
    /// The chain at that position.
    pub chain: Hash,
    /// Whether the whole log was folded since it was opened or turned out to be another one. Before, the
    /// projections show a past in which nobody may act.
    pub caught_up: bool,
    /// Counts how often it turned out to be another one.
    pub log: u64,
}

impl Followed {
    /// Whether `head`, which was looked at later, cannot be the end of the log that was followed.
    #[must_use]
    pub fn contradicts(&self, head: &Head) -> bool {
        head.position < self.position || (head.position == self.position && head.chain != self.chain)
    }
}

/// One projection, shared by its readers and the follower.
#[derive(Debug)]
pub struct View<P> {
    live: RwLock<P>,
    reached: watch::Sender<Reached>,
    /// The events that are passed over, as administrators have decided (D8).
    skipped: ArcSwap<BTreeSet<Position>>,
    before: RwLock<Option<Before<P>>>,
    /// Of which generation the live instance is (see [`knit_log::SnapshotMeta`]).
    generation: AtomicU64,
    /// Whether it has taken the place of one that says something else, and no snapshot of it was saved since.
    begins_generation: AtomicBool,
}

/// Nothing is folded for as long as this is held.
#[derive(Debug)]
pub struct Standstill<'v> {
    /// How far the log was followed. A projection that has not stopped is there too, unless it has yet to catch up.
    pub at: Followed,
    _folding: tokio::sync::MutexGuard<'v, ()>,
}

/// How far a projection has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reached {
    /// The last position applied.
    pub position: Position,
    /// Why it goes no further, if it does not (D8).
    pub stopped: Option<String>,
    /// Counts the replacements of the live instance: whoever remembers something of an earlier one
    /// must forget it.
    pub instance: u64,
}

impl<P: Projection> Default for View<P> {
    fn default() -> Self {
        Self {
            live: RwLock::new(P::default()),
            reached: watch::Sender::new(Reached::default()),
            skipped: ArcSwap::default(),
            before: RwLock::new(None),
            generation: AtomicU64::new(0),
            begins_generation: AtomicBool::new(false),
        }
    }
}

impl<P: Projection> View<P> {
    /// Looks at the projection. Keep the guard short: the follower waits for it.
    pub fn read(&self) -> RwLockReadGuard<'_, P> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, P> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it has come, and a wake-up whenever it comes further.
    pub fn watch(&self) -> watch::Receiver<Reached> {
        self.reached.subscribe()
    }

    /// How far it has come.
    pub fn reached(&self) -> Reached {
        self.reached.borrow().clone()
    }

    /// The last position applied.
    pub fn position(&self) -> Position {
        self.reached.borrow().position
    }

    /// Waits until `position` is applied, at most `limit`; answers whether it is.
    pub async fn reaches(&self, position: Position, limit: Duration) -> bool {
        let mut reached = self.watch();
        let there = reached.wait_for(|reached| reached.position >= position || reached.stopped.is_some());
        match tokio::time::timeout(limit, there).await {
            Ok(Ok(reached)) => reached.position >= position,
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Replaces the live instance, at start or when the log turned out to be another one.
    pub(crate) fn replace(&self, projection: P) {
        let position = projection.position();
        // Both at once: whoever reads the new instance must not take it for the one before.
        let mut live = self.write();
        *live = projection;
        self.reached.send_modify(|reached| {
            *reached = Reached { position, stopped: None, instance: reached.instance + 1 };
        });
    }

    /// How often it was replaced by one that says something else, here or on another server, before it was folded or
    /// restored.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// It is of this generation from now on: it was restored from a snapshot of it, or saved as one.
    pub(crate) fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Ordering::Release);
        self.begins_generation.store(false, Ordering::Release);
    }

    /// The same, but nothing of it was saved: if it is still to begin a generation, that is one more.
    pub(crate) fn adopt_generation(&self, generation: u64) {
        self.generation.store(generation, Ordering::Release);
    }

    /// It says something else than what was live before: the next snapshot begins another generation, whenever there is
    /// room for one.
    pub(crate) fn begin_generation(&self) {
        self.begins_generation.store(true, Ordering::Release);
    }

    /// Whether the next snapshot begins another generation.
    pub(crate) fn begins_generation(&self) -> bool {
        self.begins_generation.load(Ordering::Acquire)
    }

    /// How many events it passes over.
    pub fn skipped(&self) -> usize {
        self.skipped.load().len()
    }

    /// Learns from the journal which events are passed over. A projection that has stopped at one of them goes on
    /// behind it.
    fn learn(&self, journal: &Journal) {
        let skipped = journal.skipped_by(P::NAME);
        if self.reached.borrow().stopped.is_some() {
            self.pass_over(&skipped);
        }
        self.skipped.store(Arc::new(skipped));
    }

    fn pass_over(&self, skipped: &BTreeSet<Position>) {
        let mut live = self.write();
        let next = live.position() + 1;
        if !skipped.contains(&next) || live.skip(next).is_err() {
            return;
        }
        tracing::warn!(projection = P::NAME, log.position = next, "passed over an event, as it was decided");
        self.reached.send_modify(|reached| {
            *reached = Reached { position: next, stopped: None, instance: reached.instance };
        });
    }

    fn reset(&self) {
        self.replace(P::default());
        drop(self.before().take());
    }

    /// Applies one batch of events; those already applied are passed over.
    pub(crate) fn apply<E: Borrow<Recorded>>(&self, events: &[E]) {
        if self.reached.borrow().stopped.is_some() {
            return;
        }
        let outcome = self.apply_until_stopped(events);
        self.reached.send_if_modified(|reached| {
            let (position, stopped) = match &outcome {
                Ok(position) => (*position, None),
                Err((position, why)) => (*position, Some(why.to_string())),
            };
            let changed = reached.position != position || reached.stopped != stopped;
            *reached = Reached { position, stopped, instance: reached.instance };
            changed
        });
        if let Err((position, why)) = outcome {
            tracing::error!(projection = P::NAME, log.position = position, "projection stopped: {why}");
        }
    }

    fn apply_until_stopped<E: Borrow<Recorded>>(&self, events: &[E]) -> Result<Position, (Position, Unapplicable)> {
        let skipped = self.skipped.load();
        let mut live = self.write();
        for event in events.iter().map(Borrow::borrow) {
            if event.position > live.position() {
                fold(&mut *live, event, &skipped).map_err(|why| (event.position.saturating_sub(1), why))?;
            }
        }
        Ok(live.position())
    }
}

/// Folds the next event, or passes over it if that was decided.
///
/// # Errors
/// [`Unapplicable`], as [`Projection::apply`].
pub(crate) fn fold<P: Projection>(
    projection: &mut P,
    event: &Recorded,
    skipped: &BTreeSet<Position>,
) -> Result<(), Unapplicable> {
    if skipped.contains(&event.position) { projection.skip(event.position) } else { projection.apply(event) }
}

impl Views {
    /// Applies one batch to every projection.
    pub(crate) fn apply<E: Borrow<Recorded>>(&self, events: &[E]) {
        self.worklists.apply(events);
        self.matcher.apply(events);
        self.store.apply(events);
    }

    /// Waits until the batch that is being folded is folded; then nothing is, for as long as the answer is held.
    pub async fn stand_still(&self) -> Standstill<'_> {
        let folding = self.folding.lock().await;
        Standstill { at: self.followed(), _folding: folding }
    }

    /// Waits until nobody else saves a projection. Otherwise one that was taken earlier could come later, and bring
    /// back what a rebuild has just replaced.
    pub(crate) async fn turn_to_save(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.saving.lock().await
    }

    /// Learns from the journal which events are passed over.
    pub(crate) fn learn(&self, journal: &Journal) {
        self.store.learn(journal);
        self.matcher.learn(journal);
        self.worklists.learn(journal);
    }

    /// How far the log was followed.
    pub fn followed(&self) -> Followed {
        *self.followed.borrow()
    }

    /// The same, and a wake-up whenever it changes.
    pub fn watch_followed(&self) -> watch::Receiver<Followed> {
        self.followed.subscribe()
    }

    /// Says that the log may be another one than was followed. The follower looks, and until it has, nothing
    /// here is relied on.
    pub fn doubt(&self) {
        self.followed.send_modify(|followed| followed.caught_up = false);
        self.doubts.notify_one();
    }

    /// Waits until somebody doubts.
    pub(crate) async fn doubted(&self) {
        self.doubts.notified().await;
    }

    /// Says how far the log was followed.
    pub(crate) fn advance(&self, position: Position, chain: Hash) {
        self.followed.send_modify(|followed| (followed.position, followed.chain) = (position, chain));
    }

    /// Says that all of the log was followed.
    pub(crate) fn caught_up(&self) {
        self.followed.send_if_modified(|followed| !std::mem::replace(&mut followed.caught_up, true));
    }

    /// Says that there is more to follow than is followed in a moment.
    pub(crate) fn fall_behind(&self) {
        self.followed.send_modify(|followed| followed.caught_up = false);
    }

    /// Why the log cannot be followed, if it is not as it was written.
    pub fn damage(&self) -> Option<Arc<Damage>> {
        self.damage.load_full()
    }

    /// Says that the log cannot be followed because of `damage`, or that it can be.
    pub(crate) fn found(&self, damage: Option<Damage>) {
        let is_damaged = damage.is_some();
        self.damage.store(damage.map(Arc::new));
        if is_damaged {
            // Nobody acts on it any more.
            self.fall_behind();
        }
    }

    /// Forgets everything that was folded, to be folded again from the beginning.
    pub(crate) fn start_over(&self) {
        self.followed.send_modify(|followed| *followed = Followed { log: followed.log + 1, ..Followed::default() });
        self.store.reset();
        self.matcher.reset();
        self.worklists.reset();
    }

    /// The position up to which every projection has come.
    pub fn position(&self) -> Position {
        self.store.position().min(self.matcher.position()).min(self.worklists.position())
    }

    /// Whether nothing was folded into any projection.
    pub(crate) fn are_empty(&self) -> bool {
        [self.store.position(), self.matcher.position(), self.worklists.position()] == [0; 3]
    }

    /// The position from which the follower has to read on: that of the slowest projection that still
    /// goes on. A stopped one holds nobody up; none when all have stopped.
    pub(crate) fn slowest(&self) -> Option<Position> {
        let all = [self.store.reached(), self.matcher.reached(), self.worklists.reached()];
        all.iter().filter(|reached| reached.stopped.is_none()).map(|reached| reached.position).min()
    }

    /// Why a projection goes no further, if one does not.
    pub fn stopped(&self) -> Option<String> {
        let why = |name: &str, reached: Reached| reached.stopped.map(|why| format!("{name}: {why}"));
        why(Store::NAME, self.store.reached())
            .or_else(|| why(Matcher::NAME, self.matcher.reached()))
            .or_else(|| why(Worklists::NAME, self.worklists.reached()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knit_domain::time::Timestamp;

    #[test]
    fn d6_a_head_that_went_back_or_has_another_chain_contradicts_what_was_followed() {
        let followed = Followed { position: 7, chain: [7; 32], caught_up: true, log: 0 };
        let head = |position, chain| Head { position, chain, recorded_at: Timestamp(0), log: uuid::Uuid::nil() };
        assert!(followed.contradicts(&head(6, [6; 32])), "the log went back");
        assert!(followed.contradicts(&head(7, [8; 32])), "another log is as long");
        assert!(!followed.contradicts(&head(7, [7; 32])));
        assert!(!followed.contradicts(&head(8, [8; 32])), "a longer one is looked at when it is read");
    }
}
