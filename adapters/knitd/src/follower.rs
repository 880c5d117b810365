//! The follower: reads the log in order and folds it into the projections, for as long as the process runs.
//!
//! It starts from the newest snapshot whose chain value the log confirms. Each page it reads must continue
//! the chain of what was folded, and when there is nothing to read, the log must still hold it: a database
//! that was restored to an older state or swapped for another one is folded again from the beginning, and
//! nothing is shown meanwhile (D6).
//!
//! Where it meets a redaction the projections hold what was redacted. It goes on, while they are folded again beside
//! what is live (`follower/forgetting.rs`).

mod forgetting;
mod restoring;

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use knit_domain::event::journal::JournalEvent;
use knit_domain::event::{Event, Position, Recorded, UndecodableEvent};
use knit_failpoint::failpoint;
use knit_log::{Fault, Log, ReadError, chain};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::args::{SNAPSHOT_AFTER, SNAPSHOT_EVERY_EVENTS};
use crate::command::{ErrorFamily, UPON_DAMAGE};
use crate::metrics::{self, Metrics};
use crate::snapshots::{self, Last, Schedule};
use crate::streams;
use crate::views::{Damage, Views};

use restoring::learn_generations;

/// Events read at once. PostgreSQL plans every such reading anew, so that many events should share it, and a few
/// pages of this size are a few megabytes.
const PAGE_EVENTS_MAX: usize = 4_000;
/// Events applied at once: readers wait for one batch at most, about a millisecond.
const BATCH_EVENTS_MAX: usize = 1_000;
/// Events folded without handing them to a thread for long work, which takes longer than folding so few.
/// More would hold up the tasks that serve requests.
const FOLDED_AT_ONCE_MAX: usize = 32;
/// Pause before the log is read again after a fault.
const FAULT_PAUSE: Duration = Duration::from_millis(500);
/// A log that says nothing for so long is compared with what was folded: one that was swapped for another
/// of the same length says nothing, and reactors would act on what is no more.
const QUIET_MAX: Duration = Duration::from_secs(5);

/// An event that only a newer program can read. This one must stop: it would go on to decide on a part of
/// the truth (D8).
#[derive(Debug, thiserror::Error)]
#[error("event {position} was written by a newer program: run that one on this log")]
pub struct Outdated {
    /// Where the event is.
    pub position: Position,
    /// What is not known.
    #[source]
    pub source: UndecodableEvent,
}

/// Folds the log into the projections of this process.
pub struct Follower {
    log: Log,
    views: Arc<Views>,
    metrics: Arc<Metrics>,
    /// When snapshots are taken, and when the last was.
    snapshots: Schedule,
    saved: Last,
    /// Snapshots that are being saved.
    saving: Option<JoinHandle<()>>,
    /// The last event that was folded, and the chain there.
    last: (Position, chain::Hash),
    /// Whether the projections know which events of this log they pass over.
    knows_skips: bool,
    /// Whether the head of the log is to be held against its last event, when all was read.
    doubts_head: bool,
    /// The last fault that was told, lest it is told twice a second.
    told: String,
}

impl Follower {
    /// A follower of `log`, which tells `views` how far it has come.
    #[must_use]
    pub fn new(log: Log, views: Arc<Views>) -> Self {
        let snapshots = Schedule { events: SNAPSHOT_EVERY_EVENTS, time: SNAPSHOT_AFTER };
        let (saved, last) = (Last { position: 0, at: Instant::now() }, (0, chain::GENESIS));
        let (metrics, told) = (Arc::default(), String::new());
        let (saving, knows_skips, doubts_head) = (None, false, true);
        Self { log, views, metrics, snapshots, saved, saving, last, knows_skips, doubts_head, told }
    }

    /// The same, counting into `metrics`.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    /// The same, taking snapshots after so many events, and after so long if anything is new.
    #[must_use]
    pub fn with_snapshots(self, events: u64, time: Duration) -> Self {
        Self { snapshots: Schedule { events, time }, ..self }
    }

    /// Restores the projections, then follows the log until it meets an event that only a newer program can
    /// read.
    pub async fn run(mut self) -> Outdated {
        self.restore().await;
        let (log, views) = (self.log.clone(), Arc::clone(&self.views));
        tokio::select! {
            outdated = self.follow() => outdated,
            never = forgetting::whatever_is_redacted(log, views) => match never {},
        }
    }

    async fn follow(&mut self) -> Outdated {
        let mut wake = self.log.subscribe();
        loop {
            let caught_up = match self.catch_up().await {
                Ok(()) => self.head_holds().await,
                failed => failed,
            };
            match caught_up {
                Ok(()) => {
                    self.told.clear();
                    self.views.found(None);
                    self.views.caught_up();
                    self.snapshot_when_due();
                    self.something_happens(&mut wake).await;
                }
                Err(ReadError::Undecodable { position, source }) if is_newer(&source) => {
                    return Outdated { position, source };
                }
                Err(error) => self.bear(&error).await,
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), ReadError> {
        // One that has stopped is looked after each time: that it may go on is an event as well, which lies behind the
        // one at which it has stopped, and all of them may have.
        if !self.knows_skips || self.views.stopped().is_some() {
            self.learn_skips().await?;
        }
        // While one page is folded, those behind it are read: on a long log each would wait for the other otherwise.
        let mut pages = self.log.read_ahead(PAGE_EVENTS_MAX);
        loop {
            let Some(after) = self.views.slowest() else { return Ok(()) };
            if self.apply_recent(after).await {
                if self.last.0 >= self.log.position() {
                    return Ok(());
                }
                continue;
            }
            // Before they are read: what had been redacted by then is not in them.
            let redacted = if self.views.are_empty() { Some(self.log.redacted_up_to().await?) } else { None };
            let read = pages.read(after).await;
            let continues = match read.as_deref() {
                Ok([first, ..]) if after == self.last.0 => self.is_continued_by(first),
                Ok(_) | Err(ReadError::Missing { .. }) => self.is_same_log().await?,
                Err(_) => true,
            };
            match read {
                _ if !continues => {
                    self.start_over().await;
                    self.learn_skips().await?;
                }
                Err(error) => return Err(error),
                Ok(events) => {
                    let Some(newest) = events.last() else { return Ok(()) };
                    let newest = (newest.position, newest.chain);
                    if after == 0 {
                        self.begin(events.len(), newest.0, redacted).await?;
                    }
                    self.apply(events, newest).await;
                    if newest.0 >= self.log.position() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Holds the head of the log against its last event, at the start and whenever nothing is heard or somebody doubts.
    /// Whoever appends does so too, unless he has written the last event himself.
    async fn head_holds(&mut self) -> Result<(), ReadError> {
        if self.doubts_head {
            self.log.head().await?;
            self.doubts_head = false;
        }
        Ok(())
    }

    /// Prepares to fold the log from its first event, when so many were read, up to `position`. An empty log that was
    /// followed may have become one with a long past at once, by an import: then its skips are to be known, and until all
    /// of it is folded, the projections show a past in which nobody may act. What was redacted up to `redacted` when they
    /// were empty does not come into them; otherwise all would be folded again because of it.
    async fn begin(&mut self, events: usize, position: Position, redacted: Option<Position>) -> Result<(), ReadError> {
        if let Some(redacted) = redacted {
            self.views.knew_redactions(redacted);
        }
        // A page of large events has fewer, and nobody appends a page while one is read.
        let is_followed = self.log.position().saturating_sub(position) >= PAGE_EVENTS_MAX as u64;
        if events == PAGE_EVENTS_MAX || is_followed {
            self.views.fall_behind();
        }
        self.learn_skips().await
    }

    /// Lets the projections know which events they pass over. Whoever folds from the beginning must know all of them
    /// before: they were decided on later than what they are about, and lie behind it.
    async fn learn_skips(&mut self) -> Result<(), ReadError> {
        let journal = streams::journal(&self.log).await?;
        let _standstill = self.views.stand_still().await;
        self.views.learn(&journal.state);
        self.knows_skips = true;
        Ok(())
    }

    /// Applies the next events if this process appended them itself and still has them; answers whether it did.
    async fn apply_recent(&mut self, after: Position) -> bool {
        let Some(events) = self.log.recent(after, BATCH_EVENTS_MAX).filter(|_| after == self.last.0) else {
            return false;
        };
        let Some(newest) = events.first().filter(|first| self.is_continued_by(first)).and(events.last()) else {
            return false;
        };
        let newest = (newest.position, newest.chain);
        self.apply(events, newest).await;
        true
    }

    /// Whether `event` was recorded behind what was folded last.
    fn is_continued_by(&self, event: &Recorded) -> bool {
        chain::link(&self.last.1, event.position, event.recorded_at, &event.leaf) == event.chain
    }

    /// Whether the log still holds what was folded last.
    async fn is_same_log(&self) -> Result<bool, Fault> {
        let (position, chain) = self.last;
        Ok(self.log.chain_at(position).await? == Some(chain))
    }

    /// Folds `events`, of which the last is `newest`.
    async fn apply<E>(&mut self, events: Vec<E>, newest: (Position, chain::Hash))
    where
        E: Borrow<Recorded> + Send + Sync + 'static,
    {
        failpoint("follower.read");
        // Before they are folded: whoever acts on what the projections show then finds them noticed.
        if self.views.followed().caught_up {
            self.metrics.recorded(events.iter().map(Borrow::<Recorded>::borrow));
        }
        let views = Arc::clone(&self.views);
        let _folding = views.stand_still().await;
        if let Some(redaction) = events.iter().map(Borrow::<Recorded>::borrow).rfind(|event| is_redaction(event)) {
            self.meet_redaction(redaction.position);
        }
        let span = tracing::debug_span!("fold", events = events.len(), log.position = newest.0);
        if events.len() <= FOLDED_AT_ONCE_MAX {
            span.in_scope(|| self.views.apply(&events));
        } else {
            fold_side_by_side(&self.views, events).instrument(span).await;
        }
        failpoint("follower.applied");
        // What is read again for a projection that had stopped moves nobody back.
        if newest.0 > self.last.0 {
            self.last = newest;
            self.views.advance(newest.0, newest.1);
        }
    }

    /// What was redacted by the event at `position` is in the projections, unless that was known when their folding began.
    fn meet_redaction(&mut self, position: Position) {
        if self.views.redactions().meets(position) {
            self.log.forget();
            self.views.met_redaction(position);
            // All snapshots went with it.
            self.saved = Last { position: 0, at: Instant::now() };
        }
    }

    /// Forgets everything that was folded. Nothing is shown before all is folded again.
    async fn start_over(&mut self) {
        tracing::warn!(
            log.position = self.last.0,
            "the log was restored or swapped; folding it again from the beginning"
        );
        let views = Arc::clone(&self.views);
        let _standstill = views.stand_still().await;
        self.last = (0, chain::GENESIS);
        self.saved = Last { position: 0, at: Instant::now() };
        self.knows_skips = false;
        self.log.forget();
        self.views.start_over();
        learn_generations(&self.log, &self.views).await;
        // Of this log they are asked for before its first event is read.
        self.views.knew_redactions(0);
    }

    /// Waits for a reason to look at the log again.
    async fn something_happens(&mut self, wake: &mut watch::Receiver<Position>) {
        tokio::select! {
            // The log outlives this: it is held here.
            _ = wake.changed() => {}
            () = self.views.doubted() => self.doubts_head = true,
            () = tokio::time::sleep(QUIET_MAX) => self.doubts_head = true,
        }
    }

    /// Tells what is wrong, once, and waits until it may have been mended.
    async fn bear(&mut self, error: &ReadError) {
        let mut why = crate::command::with_causes(error);
        if error.is_damage() {
            self.views.found(Some(Damage { position: error.flaw(), why: why.clone() }));
            why = format!("{why}; {UPON_DAMAGE}");
        }
        self.metrics.failed(metrics::FOLLOWER, ErrorFamily::Fault);
        // A database that is away is refused first and starting up then, and is one failure all the same.
        let is_away = matches!(error, ReadError::Fault(Fault::Unreachable { .. }));
        let failure = if is_away { "the database is away" } else { why.as_str() };
        if failure != self.told {
            tracing::error!("cannot follow the log, trying on: {why}");
            failure.clone_into(&mut self.told);
        }
        tokio::time::sleep(FAULT_PAUSE).await;
    }

    /// Lets the projections be saved while the log is followed on: whoever waits for an event to be shown must not
    /// wait for that. If it takes longer than until it is due again, it is not done twice at once.
    fn snapshot_when_due(&mut self) {
        let position = self.last.0;
        let is_saving = self.saving.as_ref().is_some_and(|saving| !saving.is_finished());
        let may_not = self.views.stopped().is_some() || self.views.redactions().are_in();
        if is_saving || may_not || !self.snapshots.is_due(position, self.saved) {
            return;
        }
        self.saved = Last { position, at: Instant::now() };
        let (log, views) = (self.log.clone(), Arc::clone(&self.views));
        self.saving = Some(tokio::spawn(async move {
            match snapshots::save_all(&log, &views).await {
                Ok(_) => tracing::info!(log.position = position, "saved snapshots of the projections"),
                Err(why) => tracing::warn!("snapshots were not saved, starting will take longer: {why:#}"),
            }
        }));
    }
}

/// Folds many events, each projection on a thread of its own: they know nothing of each other, and one after
/// another they would take longer than reading does.
async fn fold_side_by_side<E>(views: &Arc<Views>, events: Vec<E>)
where
    E: Borrow<Recorded> + Send + Sync + 'static,
{
    let events = Arc::new(events);
    let folds: [fn(&Views, &[E]); 3] = [
        |views, batch| views.store.apply(batch),
        |views, batch| views.worklists.apply(batch),
        |views, batch| views.matcher.apply(batch),
    ];
    let folding = folds.map(|fold| {
        let (views, events) = (Arc::clone(views), Arc::clone(&events));
        tokio::task::spawn_blocking(move || events.chunks(BATCH_EVENTS_MAX).for_each(|batch| fold(&views, batch)))
    });
    // The last to have folded frees them, and not the task that serves.
    drop(events);
    for folded in folding {
        if let Err(panicked) = folded.await {
            tracing::error!("folding panicked: {panicked}");
        }
    }
}

fn is_redaction(event: &Recorded) -> bool {
    matches!(event.event, Event::Journal(JournalEvent::EventRedacted { .. }))
}

fn is_newer(why: &UndecodableEvent) -> bool {
    match why {
        UndecodableEvent::UnknownStreamType { .. } | UndecodableEvent::UnknownVersion { .. } => true,
        UndecodableEvent::BadPayload { .. } => false,
    }
}
