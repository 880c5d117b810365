//! Rebuilding a projection beside the live one (D8).
//!
//! A second instance is folded from the beginning of the log, which nobody notices. When it has nearly come up to the
//! live one, that is copied as it is at one moment, the second one is folded up to there, and both are compared by
//! their digests, for as long as it takes. Where they differ, the first record is told in which they do, and nothing is
//! swapped unless that was asked for: one of the two is wrong, and which one, a person has to say. Where they are
//! equal they stay so, because what comes next both fold alike. So the second one comes up once more, the projections
//! stand still for the last few events, and a pointer is swapped.
//!
//! Until the swap nothing outside this instance has changed. So a rebuild that is cancelled, or whose server dies, has
//! not happened; what it had folded is kept ([`unfinished`]), and the next one goes on from there.

mod unfinished;

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use knit_domain::event::{Position, Recorded};
use knit_failpoint::failpoint;
use knit_log::{ReadAhead, ReadError, chain};
use knit_projections::comparison::first_difference;
use knit_projections::projection::{Projection, Unapplicable};
use knit_schemas::api::{RebuildDifference, RebuildOrder, RebuildStep};
use tokio::runtime::Handle;

use self::unfinished::Unfinished;
use crate::app::App;
use crate::background::background;
use crate::command::with_causes;
use crate::import::per_second;
use crate::listener;
use crate::snapshots;
use crate::streams;
use crate::views::{Followed, Look, Reached, Redactions, Standstill, ViewOf, fold, image};

/// Events read at once, as the follower reads them.
const PAGE_EVENTS_MAX: usize = 4_000;
/// With so few events left the projections are made to stand still: the rest takes about a millisecond, and what is
/// appended while so many are folded is less, or the live one could not keep up either.
const REST_EVENTS_MAX: u64 = 200;
/// How often it is told how far the fold is: often enough to look alive.
const TELL_INTERVAL: Duration = Duration::from_millis(200);
/// How long a projection that was replaced is there for answers that are made from it piece by piece: a client on a
/// slow line takes a minute for the longest. Whoever takes longer is cut off, and sees it.
const ANSWERS_END_WITHIN: Duration = Duration::from_secs(60);
/// Steps that wait to be heard; of those that only say how far it is, further ones are left out.
pub(crate) const STEPS_WAITING_MAX: usize = 16;

/// Whoever follows a rebuild, and may end it.
pub(crate) type Listener = listener::Listener<RebuildStep>;

/// Why it came to nothing. The live projection is as it was.
enum Broken {
    /// Somebody has ended it.
    Cancelled,
    /// The log is not as it was written: what is folded from it would be no better than what is live.
    Flawed { position: Position, why: String },
    /// It cannot be done.
    Failed(String),
}

impl Broken {
    fn of(error: &dyn std::error::Error) -> Self {
        Self::Failed(with_causes(error))
    }

    fn while_reading(error: &ReadError) -> Self {
        match error.flaw() {
            Some(position) => Self::Flawed { position, why: with_causes(error) },
            None => Self::of(error),
        }
    }
}

/// Folds the projection again, compares, and switches as `order` says; answers the end.
pub(crate) async fn rebuild<P>(app: &App, view: ViewOf<P>, order: RebuildOrder, listener: &Listener) -> RebuildStep
where
    P: Projection + Send + Sync + 'static,
{
    let mut fresh = match Fresh::at_the_beginning(app, listener).await {
        Ok(fresh) => fresh,
        Err(broken) => return end_of(broken, 0, false),
    };
    fresh.resume(order.from_start).await;
    match fresh.compare_and_switch(view, order).await {
        Ok(end) => {
            fresh.forget_what_is_kept().await;
            end
        }
        Err(broken) => {
            let kept = matches!(broken, Broken::Cancelled) && fresh.keep().await;
            let position = fresh.projection.position();
            let end = end_of(broken, position, kept);
            tracing::info!(projection = P::NAME, log.position = position, ?end, "a rebuild came to nothing");
            end
        }
    }
}

/// Lets the instance that was kept at the last switch come up to the live one, and switches back to it; answers the
/// end. The one that was live is kept then.
pub(crate) async fn roll_back<P>(app: &App, view: ViewOf<P>, listener: &Listener) -> RebuildStep
where
    P: Projection + Send + Sync + 'static,
{
    // Before it is taken, so that whatever is redacted from now on is noticed.
    let redactions = app.views().redactions();
    let Some(previous) = view(app.views()).take_kept() else {
        return RebuildStep::Failed { why: format!("nothing is kept to which `{}` could be switched back", P::NAME) };
    };
    let position = previous.position();
    let mut fresh = match Fresh::going_on(app, listener, previous, redactions).await {
        Ok(fresh) => fresh,
        Err((previous, broken)) => {
            keep(app, view, previous, redactions).await;
            return end_of(broken, position, false);
        }
    };
    match fresh.catch_up_and_switch(view).await {
        Ok(end) => end,
        Err(broken) => {
            let (position, previous) = (fresh.projection.position(), fresh.projection);
            keep(app, view, previous, redactions).await;
            end_of(broken, position, false)
        }
    }
}

/// Keeps again what was taken, unless something was redacted since: it would hold that for ever.
async fn keep<P: Projection>(app: &App, view: ViewOf<P>, previous: P, redactions: Redactions) {
    let _standstill = app.views().stand_still().await;
    if app.views().redactions() == redactions {
        view(app.views()).keep(previous);
    }
}

fn end_of(broken: Broken, position: Position, kept: bool) -> RebuildStep {
    match broken {
        Broken::Cancelled => RebuildStep::Cancelled { position, kept },
        Broken::Flawed { position, why } => RebuildStep::Flawed { position, why },
        Broken::Failed(why) => RebuildStep::Failed { why },
    }
}

/// An instance that is not live yet.
struct Fresh<'a, P> {
    app: &'a App,
    listener: &'a Listener,
    projection: P,
    /// The chain at its position.
    chain: chain::Hash,
    /// Which log is folded: see [`Followed::log`].
    log: u64,
    /// What was redacted when it began; what is redacted later may be in it.
    redactions: Redactions,
    /// The events that are passed over. All are known before it begins: they were decided on later than what they
    /// are about.
    skipped: Arc<BTreeSet<Position>>,
    /// Where what is folded is kept when it is broken off; a switch back keeps nothing but its instance.
    unfinished: Option<Unfinished>,
    pages: ReadAhead,
    begun: Instant,
    began_at: Position,
    told: Instant,
}

/// What the comparison of two instances has shown.
struct Comparison {
    position: Position,
    live: [u8; 32],
    fresh: [u8; 32],
    difference: Option<RebuildDifference>,
}

impl Comparison {
    fn differs(&self) -> bool {
        self.live != self.fresh
    }

    fn step(&self) -> RebuildStep {
        RebuildStep::Compared {
            position: self.position,
            live: hex::encode(self.live),
            rebuilt: hex::encode(self.fresh),
            difference: self.difference.clone(),
        }
    }
}

impl<'a, P: Projection + Send + Sync + 'static> Fresh<'a, P> {
    async fn at_the_beginning(app: &'a App, listener: &'a Listener) -> Result<Self, Broken> {
        let redactions = app.views().redactions();
        Self::begin(app, listener, P::default(), chain::GENESIS, redactions).await.map_err(|(_, broken)| broken)
    }

    async fn going_on(
        app: &'a App,
        listener: &'a Listener,
        projection: P,
        redactions: Redactions,
    ) -> Result<Self, (P, Broken)> {
        match app.log().chain_at(projection.position()).await {
            Ok(Some(chain)) => Self::begin(app, listener, projection, chain, redactions).await,
            Ok(None) => Err((projection, another_log())),
            Err(fault) => Err((projection, Broken::of(&fault))),
        }
    }

    async fn begin(
        app: &'a App,
        listener: &'a Listener,
        projection: P,
        chain: chain::Hash,
        redactions: Redactions,
    ) -> Result<Self, (P, Broken)> {
        let followed = app.views().followed();
        if let Some(damage) = app.views().damage() {
            let why = damage.why.clone();
            let damaged = |position| Broken::Flawed { position, why: why.clone() };
            return Err((projection, damage.position.map_or_else(|| Broken::Failed(why.clone()), damaged)));
        }
        if let Err(fault) = app.head().await {
            return Err((projection, Broken::while_reading(&fault.into())));
        }
        if !followed.caught_up {
            let why = "the projections are being folded: the log was just opened, restored or swapped".to_owned();
            return Err((projection, Broken::Failed(why)));
        }
        if redactions.are_in() || redactions != app.views().redactions() {
            return Err((projection, redacted_meanwhile()));
        }
        let skipped = match streams::journal(app.log()).await {
            Ok(journal) => Arc::new(journal.state.skipped_by(P::NAME)),
            Err(error) => return Err((projection, Broken::while_reading(&error))),
        };
        let pages = app.log().read_ahead(PAGE_EVENTS_MAX).checked().on(background());
        let began_at = projection.position();
        let now = Instant::now();
        let log = followed.log;
        let unfinished = None;
        let (begun, told) = (now, now);
        Ok(Self {
            app,
            listener,
            projection,
            chain,
            log,
            redactions,
            skipped,
            unfinished,
            pages,
            begun,
            began_at,
            told,
        })
    }

    async fn compare_and_switch(&mut self, view: ViewOf<P>, order: RebuildOrder) -> Result<RebuildStep, Broken> {
        let app = self.app;
        // One that has stopped goes no further, and is compared with where it is.
        self.come_near(|| view(app.views()).position()).await?;
        failpoint("rebuild.folded");
        let comparison = self.compare(view).await?;
        failpoint("rebuild.compared");
        if !comparison.differs()
            && let Ok(newest) = app.log().newest_generation(P::NAME).await
        {
            // Whatever was replaced elsewhere: what is live here is what the log says.
            view(app.views()).adopt_generation(newest);
        }
        // Whoever hears it may take long: nothing stands still. That somebody is gone is seen before the switch.
        self.listener.tell(comparison.step()).await;
        let (position, differs) = (comparison.position, comparison.differs());
        if order.verify_only || (differs && !order.replace) {
            return Ok(if differs { RebuildStep::Differs { position } } else { RebuildStep::Verified { position } });
        }
        let keeps = order.keep_old || differs;
        let (position, held) = self.meet_and_switch(view, keeps).await?;
        // Snapshots of what was replaced would bring it back at the next start.
        let begins_generation = differs || view(app.views()).begins_generation();
        let warning = if begins_generation { self.save(view).await } else { None };
        Ok(self.switched(position, held, keeps, warning))
    }

    async fn catch_up_and_switch(&mut self, view: ViewOf<P>) -> Result<RebuildStep, Broken> {
        let (position, held) = self.meet_and_switch(view, true).await?;
        let warning = self.save(view).await;
        Ok(self.switched(position, held, true, warning))
    }

    /// Folds until it is so near to where `live` says that the rest is a matter of a millisecond.
    async fn come_near(&mut self, live: impl Fn() -> Position + Send) -> Result<(), Broken> {
        loop {
            let live = live();
            if live.saturating_sub(self.projection.position()) <= REST_EVENTS_MAX {
                return Ok(());
            }
            self.fold_page(live, &background()).await?;
            if self.unfinished.as_ref().is_some_and(Unfinished::is_due) {
                let _ = self.keep().await;
            }
        }
    }

    /// Comes up to the live ones and makes it one of them; answers where, and for how long nothing else was folded.
    async fn meet_and_switch(&mut self, view: ViewOf<P>, keeps: bool) -> Result<(Position, Duration), Broken> {
        let app = self.app;
        self.is_still_wanted()?;
        self.come_near(|| app.views().followed().position).await?;
        let standstill = app.views().stand_still().await;
        let begun = Instant::now();
        self.fold_recent(standstill.at.position).await?;
        self.take_the_rest(standstill.at, &Handle::current()).await?;
        Ok((standstill.at.position, self.switch(view, keeps, standstill, begun)))
    }

    /// Folds what this process has appended itself and still has in memory, while others wait. What was compared was
    /// read from the log.
    async fn fold_recent(&mut self, until: Position) -> Result<(), Broken> {
        while self.projection.position() < until {
            let Some(recent) = self.app.log().recent(self.projection.position(), PAGE_EVENTS_MAX) else { break };
            self.fold(recent, until, &Handle::current()).await?;
        }
        Ok(())
    }

    /// Folds what is left up to `at`.
    async fn take_the_rest(&mut self, at: Followed, on: &Handle) -> Result<(), Broken> {
        if at.log != self.log || at.position < self.projection.position() {
            return Err(another_log());
        }
        self.is_without_redacted()?;
        self.fold_up_to(at.position, on).await?;
        if at.chain == self.chain { Ok(()) } else { Err(another_log()) }
    }

    async fn fold_up_to(&mut self, until: Position, on: &Handle) -> Result<(), Broken> {
        while self.projection.position() < until {
            self.fold_page(until, on).await?;
        }
        Ok(())
    }

    async fn fold_page(&mut self, until: Position, on: &Handle) -> Result<(), Broken> {
        self.is_still_wanted()?;
        let after = self.projection.position();
        let page = self.pages.read(after).await.map_err(|error| Broken::while_reading(&error))?;
        self.fold(page, until, on).await?;
        self.tell_progress();
        Ok(())
    }

    fn is_without_redacted(&self) -> Result<(), Broken> {
        if self.app.views().redactions() == self.redactions { Ok(()) } else { Err(redacted_meanwhile()) }
    }

    fn is_still_wanted(&self) -> Result<(), Broken> {
        if self.listener.has_ended_it() { Err(Broken::Cancelled) } else { Ok(()) }
    }

    /// Folds the next events, but none beyond `until`, on one of the threads `on` which may take long.
    async fn fold<E>(&mut self, mut events: Vec<E>, until: Position, on: &Handle) -> Result<(), Broken>
    where
        E: Borrow<Recorded> + Send + Sync + 'static,
    {
        events.retain(|event| event.borrow().position <= until);
        let mut known = events.iter().map(Borrow::<Recorded>::borrow);
        let Some(first) = known.next() else { return Err(another_log()) };
        if chain::link(&self.chain, first.position, first.recorded_at, &first.leaf) != first.chain {
            return Err(another_log());
        }
        let chain = known.next_back().unwrap_or(first).chain;
        let (mut projection, skipped) = (std::mem::take(&mut self.projection), Arc::clone(&self.skipped));
        let folding = on.spawn_blocking(move || {
            let folded: Result<(), Unapplicable> =
                events.iter().try_for_each(|event| fold(&mut projection, event.borrow(), &skipped));
            failpoint("rebuild.page-folded");
            (projection, folded)
        });
        let (projection, folded) = folding.await.map_err(|panicked| Broken::of(&panicked))?;
        self.projection = projection;
        self.chain = chain;
        folded.map_err(|why| Broken::of(&why))
    }

    fn tell_progress(&mut self) {
        if self.told.elapsed() < TELL_INTERVAL {
            return;
        }
        self.told = Instant::now();
        let position = self.projection.position();
        let events_per_second = per_second(position - self.began_at, self.begun.elapsed());
        let head = self.app.log().position().max(position);
        self.listener.mention(RebuildStep::Folding { position, head, events_per_second });
    }

    /// Compares with the live one, as it is at one moment and both are soon.
    async fn compare(&mut self, view: ViewOf<P>) -> Result<Comparison, Broken> {
        let copied = image(self.app.views(), view).await;
        failpoint("rebuild.copied");
        let Look { at, reached: Reached { position, .. }, seen: live } = copied;
        self.is_without_redacted()?;
        if position == at.position {
            self.take_the_rest(at, &background()).await?;
        } else if at.log == self.log && position >= self.projection.position() {
            self.fold_up_to(position, &background()).await?;
        } else {
            return Err(another_log());
        }
        let fresh = std::mem::take(&mut self.projection);
        // One after the other: a rebuild has time.
        let comparing = background().spawn_blocking(move || {
            let (of_live, of_fresh) = (live.digest(), fresh.digest());
            let difference = if of_live == of_fresh { None } else { first_difference(&live, &fresh) };
            (fresh, of_live, of_fresh, difference)
        });
        let (fresh, of_live, of_fresh, difference) = comparing.await.map_err(|panicked| Broken::of(&panicked))?;
        self.projection = fresh;
        let difference =
            difference.map(|found| RebuildDifference { record: found.record, live: found.left, rebuilt: found.right });
        Ok(Comparison { position, live: of_live, fresh: of_fresh, difference })
    }

    /// Makes it live and lets the projections go on; answers for how long they had stood still. What it replaces is let
    /// go once answers that are made from it have had the time to end, unless it is kept.
    fn switch(&mut self, view: ViewOf<P>, keeps: bool, standstill: Standstill<'_>, since: Instant) -> Duration {
        let views = self.app.shared_views();
        let switched = view(&views).switch(std::mem::take(&mut self.projection), keeps);
        failpoint("rebuild.switched");
        drop(standstill);
        let held = since.elapsed();
        tokio::spawn(async move {
            drop(background().spawn_blocking(move || drop(switched.freed)));
            tokio::time::sleep(ANSWERS_END_WITHIN).await;
            drop(background().spawn_blocking(move || drop(view(&views).let_go(switched.instance))));
        });
        held
    }

    /// Saves what is live now, and removes the snapshots of what it has replaced; answers what could not be done.
    async fn save(&self, view: ViewOf<P>) -> Option<String> {
        view(self.app.views()).begin_generation();
        let saved = snapshots::save(self.app.log(), &self.app.shared_views(), view).await;
        failpoint("rebuild.saved");
        saved
            .err()
            .map(|why| format!("no snapshot was saved, so a restart would bring back what was replaced: {why:#}"))
    }

    fn switched(&self, position: Position, held: Duration, kept: bool, warning: Option<String>) -> RebuildStep {
        let held_us = u64::try_from(held.as_micros()).unwrap_or(u64::MAX);
        tracing::info!(projection = P::NAME, log.position = position, held_us, "another instance is live");
        RebuildStep::Switched { position, held_us, kept, warning }
    }
}

fn redacted_meanwhile() -> Broken {
    Broken::Failed("something was redacted meanwhile, and is taken out of the projections: begin again".to_owned())
}

fn another_log() -> Broken {
    Broken::Failed("the log was restored or swapped meanwhile: begin again".to_owned())
}
