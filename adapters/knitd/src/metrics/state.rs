//! What is so at present: it is looked at when somebody asks, and costs nothing in between.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use knit_domain::event::Position;
use knit_domain::time::Timestamp;
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection as _;
use knit_projections::store::Store;
use knit_projections::worklists::{Stage, Worklists};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{ByProjection, ByRole, ByState};
use crate::app::App;
use crate::clock::now;
use crate::reactors::finishing::Finishing;
use crate::reactors::garbage_collection::GarbageCollection;
use crate::reactors::housekeeping::Housekeeping;
use crate::reactors::initialize::Initialize;
use crate::reactors::projection;
use crate::reactors::run_management::RunManagement;
use crate::views::Reached;

/// Every role that acts.
pub(super) const ROLES: [&str; 6] = [
    projection::NAME,
    Initialize::NAME,
    RunManagement::NAME,
    Finishing::NAME,
    GarbageCollection::NAME,
    Housekeeping::NAME,
];

/// How long is waited for the age of an event. Prometheus waits for ten seconds by default, and three projections may
/// each be behind.
const AGE_WAIT: Duration = Duration::from_secs(1);

type Seconds = Gauge<f64, AtomicU64>;

/// The gauges.
#[derive(Debug, Default)]
pub(super) struct State {
    log_position: Gauge,
    caught_up: Gauge,
    position: Family<ByProjection, Gauge>,
    lag_events: Family<ByProjection, Gauge>,
    lag_seconds: Family<ByProjection, Seconds>,
    stopped: Family<ByProjection, Gauge>,
    backlog: Family<ByRole, Gauge>,
    oldest_due: Family<ByRole, Seconds>,
    active: Family<ByRole, Gauge>,
    runs: Family<ByState, Gauge>,
    workers: Family<ByState, Gauge>,
    transfers: Gauge,
    combinations: AtHand,
    moved: Moved,
}

/// How far each projection was when somebody asked last, and since when it is there.
type Moved = Mutex<BTreeMap<&'static str, (Position, Instant)>>;

impl State {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let state = Self::default();
        registry.register(
            "knitd_log_position",
            "The newest position of the log known here",
            state.log_position.clone(),
        );
        registry.register("knitd_caught_up", "1 while the whole log has been followed", state.caught_up.clone());
        registry.register("knitd_projection_position", "The last event folded", state.position.clone());
        registry.register("knitd_projection_lag_events", "Events not folded yet", state.lag_events.clone());
        let help = "Age of the oldest event not folded yet";
        registry.register("knitd_projection_lag_seconds", help, state.lag_seconds.clone());
        registry.register("knitd_projection_stopped", "1 when it goes no further", state.stopped.clone());
        registry.register("knitd_reactor_backlog", "Items due and not done yet", state.backlog.clone());
        registry.register(
            "knitd_reactor_oldest_due_seconds",
            "How long the oldest of them is due",
            state.oldest_due.clone(),
        );
        registry.register("knitd_role_active", "1 while this server acts in the role", state.active.clone());
        registry.register("knitd_runs", "Runs that have not ended, by where they stand", state.runs.clone());
        registry.register("knitd_workers", "Workers asked for or there, by state", state.workers.clone());
        registry.register("knitd_transfers_open", "Uploads and downloads under way here", state.transfers.clone());
        ROLES.into_iter().for_each(|role| drop(state.active.get_or_create(&ByRole { role })));
        state
    }

    pub(super) fn transfers_open(&self, count: usize) {
        self.transfers.set(number(count));
    }

    pub(super) fn active(&self, role: &'static str) -> ActiveRole {
        let gauge = self.active.get_or_create(&ByRole { role }).clone();
        gauge.set(1);
        ActiveRole(gauge)
    }

    pub(super) fn combinations(&self) -> &AtHand {
        &self.combinations
    }

    /// Sets every gauge to what is so now.
    pub(super) async fn look(&self, app: &App) {
        let (views, now) = (app.views(), now());
        let head = app.log().position();
        self.log_position.set(position(head));
        self.caught_up.set(views.followed().caught_up.into());
        for (projection, reached) in [
            (Store::NAME, views.store.reached()),
            (Matcher::NAME, views.matcher.reached()),
            (Worklists::NAME, views.worklists.reached()),
        ] {
            self.look_at_projection(app, projection, &reached, head, now).await;
        }
        self.look_at_worklists(&views.worklists.read(), now);
        let (at_hand, since) = self.combinations.seen();
        self.put_backlog(projection::NAME, at_hand, since.as_secs_f64());
    }

    async fn look_at_projection(
        &self,
        app: &App,
        projection: &'static str,
        reached: &Reached,
        head: Position,
        now: Timestamp,
    ) {
        let label = ByProjection { projection };
        let lag = head.saturating_sub(reached.position);
        put(&self.position, &label, position(reached.position));
        put(&self.lag_events, &label, position(lag));
        put(&self.stopped, &label, reached.stopped.is_some().into());
        let stands_for = self.stands_for(projection, reached.position);
        let age = if lag == 0 { Some(0.0) } else { age_of_next(app, reached.position, now).await };
        // Where the log does not say how old that event is, it is at least so old that the projection has stood still:
        // without a figure nobody would be alerted just while something is wrong.
        self.lag_seconds.get_or_create(&label).set(age.unwrap_or(stands_for.as_secs_f64()));
    }

    /// For how long the projection is at `position`, as far as somebody has asked.
    fn stands_for(&self, projection: &'static str, position: Position) -> Duration {
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = moved.entry(projection).or_insert_with(|| (position, Instant::now()));
        if seen.0 != position {
            *seen = (position, Instant::now());
        }
        seen.1.elapsed()
    }

    fn look_at_worklists(&self, worklists: &Worklists, now: Timestamp) {
        for stage in Stage::ALL {
            put(&self.runs, &ByState { state: stage_name(stage) }, number(worklists.count(stage)));
        }
        for (state, stage) in
            [("requested", Stage::Requested), ("pending", Stage::Spawned), ("running", Stage::Running)]
        {
            put(&self.workers, &ByState { state }, number(worklists.count(stage)));
        }
        for (role, stages) in [
            (Initialize::NAME, [Stage::Waiting].as_slice()),
            (RunManagement::NAME, &[Stage::Ready, Stage::Requested]),
            (Finishing::NAME, &[Stage::Completing, Stage::Aborting]),
        ] {
            let count = stages.iter().map(|stage| worklists.count(*stage)).sum();
            let oldest = stages.iter().filter_map(|stage| worklists.runs(*stage, 0).next()).map(|run| run.since).min();
            self.put_backlog(role, count, age(oldest, now));
        }
        let oldest = worklists.garbage(0).next().map(|garbage| garbage.since);
        self.put_backlog(GarbageCollection::NAME, worklists.garbage_count(), age(oldest, now));
    }

    fn put_backlog(&self, role: &'static str, count: usize, oldest_seconds: f64) {
        let label = ByRole { role };
        put(&self.backlog, &label, number(count));
        self.oldest_due.get_or_create(&label).set(oldest_seconds);
    }
}

/// Combinations of Data that the reactor has taken from the matcher and made no Runs of yet. How many more there are,
/// nobody knows: they are enumerated as they are taken.
#[derive(Debug, Default)]
pub(crate) struct AtHand(Mutex<Option<(usize, Instant)>>);

impl AtHand {
    /// So many are at hand now. Since when there are any is kept until there are none.
    pub(crate) fn are(&self, count: usize) {
        let mut at_hand = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = at_hand.map_or_else(Instant::now, |(_, since)| since);
        *at_hand = (count > 0).then_some((count, since));
    }

    fn seen(&self) -> (usize, Duration) {
        let at_hand = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        at_hand.map_or_else(Default::default, |(count, since)| (count, since.elapsed()))
    }
}

/// This server acts in a role for as long as this lives.
#[derive(Debug)]
pub(crate) struct ActiveRole(Gauge);

impl Drop for ActiveRole {
    fn drop(&mut self) {
        self.0.set(0);
    }
}

/// How old the event behind `after` is, or the next one that is there, whatever is wrong with it; none when the log does
/// not say so in time.
async fn age_of_next(app: &App, after: Position, now: Timestamp) -> Option<f64> {
    let next = app.log().read_unchecked(after, 1);
    let next = tokio::time::timeout(AGE_WAIT, next).await.ok()?.ok()?;
    Some(age(Some(next.first()?.recorded_at), now))
}

/// Seconds since `then`; 0 when there is nothing, or clocks disagree.
fn age(then: Option<Timestamp>, now: Timestamp) -> f64 {
    let passed_ms = then.map_or(0, |then| now.0 - then.0);
    Duration::from_millis(u64::try_from(passed_ms).unwrap_or_default()).as_secs_f64()
}

fn put<L: Clone + std::hash::Hash + Eq + EncodeLabelSet>(gauge: &Family<L, Gauge>, label: &L, value: i64) {
    gauge.get_or_create(label).set(value);
}

fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Waiting => "waiting",
        Stage::Held => "held",
        Stage::Ready => "ready",
        Stage::Requested => "requested",
        Stage::Spawned => "spawned",
        Stage::Running => "running",
        Stage::Uploading => "uploading",
        Stage::Importing => "importing",
        Stage::Completing => "completing",
        Stage::Aborting => "aborting",
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn position(position: Position) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
