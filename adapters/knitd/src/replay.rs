//! Replaying a history: it is folded into projections that nobody else sees, and what they come to is told.
//!
//! Of the log of this server or of one that is sent, up to its end or to an earlier place. Nothing that the server
//! shows is touched; while it lasts there is another copy of all projections in memory.

mod ahead;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use knit_domain::event::{Event, Position, Recorded};
use knit_domain::journal::Journal;
use knit_domain::time::Timestamp;
use knit_log::{Fault, ReadError, chain};
use knit_projections::matcher::Matcher;
use knit_projections::projection::Projection;
use knit_projections::store::Store;
use knit_projections::worklists::Worklists;
use knit_schemas::api::{ReplayStep, ReplayedProjection, SkipAhead};
use tokio::sync::mpsc;

use self::ahead::{Ahead, Said, journal_of};
use crate::app::App;
use crate::background::background;
use crate::command::with_causes;
use crate::import::per_second;
use crate::sent::{Broken, Sent};
use crate::streams;
use crate::views::fold;

/// Events read at once, as the follower reads them.
const PAGE_EVENTS_MAX: usize = 4_000;
/// How often it is told how far it is: often enough to look alive.
const TELL_INTERVAL: Duration = Duration::from_millis(200);

/// Up to where a history is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// All of it.
    End,
    /// Up to this event.
    Position(Position),
    /// Up to the last event that was recorded at this time or before.
    Time(Timestamp),
}

impl Until {
    fn holds(self, event: &Recorded) -> bool {
        self.reaches(event.position, event.recorded_at)
    }

    fn reaches(self, position: Position, recorded_at: Timestamp) -> bool {
        match self {
            Self::End => true,
            Self::Position(last) => position <= last,
            Self::Time(last) => recorded_at <= last,
        }
    }
}

/// What is wrong with the end of the log, if something is: then none of it is folded.
pub(crate) async fn flaw_at_the_end(app: &App) -> Option<ReplayStep> {
    let fault = app.head().await.err().filter(Fault::is_damage)?;
    Some(not_read(&fault.into()))
}

/// Folds the log of this server up to `until`, which it has reached; tells `steps` how far it is, and answers the end.
pub(crate) async fn of_the_log(app: &App, until: Position, steps: &mpsc::Sender<ReplayStep>) -> ReplayStep {
    let mut replay = match streams::journal(app.log()).await {
        Ok(journal) => Replay::passing_over(&journal.state),
        Err(error) => return not_read(&error),
    };
    // What was changed behind the log would be folded like anything else, beside a chain that knows nothing of it.
    let mut pages = app.log().read_ahead(PAGE_EVENTS_MAX).checked().on(background());
    while replay.position < until {
        if steps.is_closed() {
            return ReplayStep::Failed { why: "nobody listens any more".to_owned() };
        }
        let events = match pages.read(replay.position).await {
            Ok(events) => events,
            Err(error) => return not_read(&error),
        };
        if let Err(why) = replay.fold(events, Until::Position(until)).await {
            return ReplayStep::Failed { why };
        }
        if let Some(step) = replay.progress(until) {
            // Whoever does not keep up with hearing misses nothing but a number.
            let _ = steps.try_send(step);
        }
    }
    replay.end().await
}

/// The end of a replay of a log that cannot be read.
fn not_read(error: &ReadError) -> ReplayStep {
    let why = with_causes(error);
    match error.flaw() {
        Some(position) => ReplayStep::Flawed { position, why },
        None => ReplayStep::Failed { why },
    }
}

/// Folds the history that is sent in `body` up to `until`. All of it is verified. `skips` are the events that are
/// passed over, and `ahead` the bytes in front of it that tell its redactions: both are known only at its end, so that
/// whoever sends it may be told to send it again with them.
pub(crate) async fn of_what_is_sent(body: Body, until: Until, skips: &[SkipAhead], ahead: Option<usize>) -> ReplayStep {
    let (ahead, body) = match ahead {
        None => (Ahead::default(), body),
        Some(bytes) => match Ahead::of(body, bytes).await {
            Ok(taken) => taken,
            Err(why) => return ReplayStep::Failed { why },
        },
    };
    let mut replay = Replay::passing_over(&journal_of(skips));
    match replay.take(body, until, ahead).await {
        Ok(()) => {}
        Err(Interrupted::Redacted { position }) => return ReplayStep::RedactedAhead { position },
        Err(Interrupted::Sent(Broken::Flaw(flaw))) => {
            return ReplayStep::Flawed { position: flaw.position, why: flaw.wrong.to_string() };
        }
        Err(Interrupted::Sent(broken)) => return ReplayStep::Failed { why: broken.to_string() },
        Err(Interrupted::Failed(why)) => return ReplayStep::Failed { why },
    }
    if let Until::Position(position) = until
        && replay.position < position
    {
        return ReplayStep::Failed { why: format!("the export ends at position {}", replay.position) };
    }
    let ahead = replay.skips_ahead();
    if ahead.is_empty() { replay.end().await } else { ReplayStep::SkipsAhead { skips: ahead } }
}

/// Why a history that is sent is not folded to its end.
enum Interrupted {
    /// What remains of this event is said behind it.
    Redacted {
        position: Position,
    },
    Sent(Broken),
    Failed(String),
}

impl From<Broken> for Interrupted {
    fn from(broken: Broken) -> Self {
        Self::Sent(broken)
    }
}

/// The projections of a replay, and how far they are.
struct Replay {
    scratch: Scratch,
    position: Position,
    chain: chain::Hash,
    recorded_at: Option<Timestamp>,
    /// What the journal has said so far.
    journal: Journal,
    begun: Instant,
    told: Instant,
}

/// Every projection there is.
struct Scratch {
    store: Folding<Store>,
    matcher: Folding<Matcher>,
    worklists: Folding<Worklists>,
}

/// One of them.
struct Folding<P> {
    projection: P,
    skipped: BTreeSet<Position>,
    /// Why it goes no further.
    stopped: Option<String>,
}

impl Replay {
    fn passing_over(journal: &Journal) -> Self {
        let scratch = Scratch {
            store: Folding::passing_over(journal),
            matcher: Folding::passing_over(journal),
            worklists: Folding::passing_over(journal),
        };
        let (now, journal) = (Instant::now(), Journal::default());
        Self { scratch, position: 0, chain: chain::GENESIS, recorded_at: None, journal, begun: now, told: now }
    }

    async fn take(&mut self, body: Body, until: Until, ahead: Ahead) -> Result<(), Interrupted> {
        let ahead = Arc::new(ahead);
        let known = Arc::clone(&ahead);
        let mut sent = Sent::new(body, move |events| Said::by(events, &known));
        let (mut redactions, mut unknown) = (Vec::new(), None);
        while let Some(said) = sent.next().await? {
            let said = said.map_err(Interrupted::Failed)?;
            for event in &said.events {
                if let Event::Journal(event) = &event.event {
                    self.journal.apply(event);
                }
            }
            redactions.extend(said.redactions);
            unknown = unknown.or(said.unknown.filter(|(position, at)| until.reaches(*position, *at)));
            if let (Some((position, _)), None) = (unknown, &ahead.redactions) {
                return Err(Interrupted::Redacted { position });
            }
            let is_over = said.events.first().is_none_or(|first| !until.holds(first));
            if !is_over && unknown.is_none() {
                self.fold(said.events, until).await.map_err(Interrupted::Failed)?;
            }
        }
        sent.finish()?;
        if ahead.redactions.as_ref().is_some_and(|told| *told != redactions) {
            return Err(Interrupted::Failed(
                "other redactions are in it than were told ahead: send it again".to_owned(),
            ));
        }
        match unknown {
            None => Ok(()),
            Some((position, _)) => {
                Err(Interrupted::Failed(format!("the history does not say what remains of event {position}")))
            }
        }
    }

    /// Folds the next events, as far as `until`; the projections side by side, since they know nothing of each other.
    async fn fold(&mut self, mut events: Vec<Recorded>, until: Until) -> Result<(), String> {
        events.retain(|event| until.holds(event));
        let Some((first, last)) = events.first().zip(events.last()) else {
            return Err(format!("the log does not go on behind position {}: was it restored?", self.position));
        };
        if chain::link(&self.chain, first.position, first.recorded_at, &first.leaf) != first.chain {
            return Err(format!("event {} does not continue what was folded: was the log restored?", first.position));
        }
        let reached = (last.position, last.chain, last.recorded_at);
        let mut scratch = std::mem::take(&mut self.scratch);
        let folding = background().spawn_blocking(move || {
            scratch.fold(&events);
            scratch
        });
        self.scratch = folding.await.map_err(|panicked| panicked.to_string())?;
        (self.position, self.chain) = (reached.0, reached.1);
        self.recorded_at = Some(reached.2);
        Ok(())
    }

    fn progress(&mut self, head: Position) -> Option<ReplayStep> {
        if self.told.elapsed() < TELL_INTERVAL {
            return None;
        }
        self.told = Instant::now();
        let events_per_second = per_second(self.position, self.begun.elapsed());
        Some(ReplayStep::Folding { position: self.position, head, events_per_second })
    }

    /// What the journal lets projections pass over that have stopped there.
    fn skips_ahead(&self) -> Vec<SkipAhead> {
        let Scratch { store, matcher, worklists } = &self.scratch;
        let journal = &self.journal;
        [store.skip_ahead(journal), matcher.skip_ahead(journal), worklists.skip_ahead(journal)].concat()
    }

    async fn end(self) -> ReplayStep {
        let took = self.begun.elapsed();
        let scratch = self.scratch;
        let digesting = background().spawn_blocking(move || {
            // Whoever asked is answered when all is freed: what comes next may need the memory.
            std::thread::scope(|scope| {
                let store = scope.spawn(|| scratch.store.told());
                let matcher = scope.spawn(|| scratch.matcher.told());
                let worklists = scratch.worklists.told();
                (store.join(), matcher.join(), worklists)
            })
        });
        let Ok((Ok(store), Ok(matcher), worklists)) = digesting.await else {
            return ReplayStep::Failed {
                why: "a projection cannot be digested: the log of the server says more".to_owned(),
            };
        };
        ReplayStep::Replayed {
            position: self.position,
            chain: hex::encode(self.chain),
            at: self.recorded_at.and_then(|at| knit_schemas::instant::Instant::from_unix_ms(at.0)),
            events_per_second: per_second(self.position, took),
            projections: vec![store, matcher, worklists],
        }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Replay::passing_over(&Journal::default()).scratch
    }
}

impl Scratch {
    fn fold(&mut self, events: &[Recorded]) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.store.fold(events));
            scope.spawn(|| self.matcher.fold(events));
            self.worklists.fold(events);
        });
    }
}

impl<P: Projection> Folding<P> {
    fn passing_over(journal: &Journal) -> Self {
        Self { projection: P::default(), skipped: journal.skipped_by(P::NAME), stopped: None }
    }

    fn fold(&mut self, events: &[Recorded]) {
        if self.stopped.is_none() {
            let folded = events.iter().try_for_each(|event| fold(&mut self.projection, event, &self.skipped));
            self.stopped = folded.err().map(|why| why.to_string());
        }
    }

    fn skip_ahead(&self, journal: &Journal) -> Vec<SkipAhead> {
        let next = self.projection.position() + 1;
        if self.stopped.is_none() || !journal.skipped_by(P::NAME).contains(&next) {
            return Vec::new();
        }
        // All of them at once: it may stop at the next one as well.
        let all = journal.skipped_by(P::NAME).into_iter();
        all.map(|position| SkipAhead { projection: P::NAME.to_owned(), position }).collect()
    }

    fn told(&self) -> ReplayedProjection {
        ReplayedProjection {
            name: P::NAME.to_owned(),
            position: self.projection.position(),
            revision: P::REVISION,
            digest: hex::encode(self.projection.digest()),
            why: self.stopped.clone(),
        }
    }
}
