//! The group-commit appender (D3): one task that writes everything that waits, in one transaction.
//!
//! While one batch is being written, the next gathers in the queue; so the more there is to do, the
//! more each transaction carries, and nobody waits for a timer. The batch is judged request by
//! request ([`crate::batch`]). When the database goes away, the same batch is tried again with the
//! same event ids until it answers or patience ends; events that turn out to be there already were
//! written by the try whose answer was lost.

use std::sync::Arc;
use std::time::Duration;

use knit_domain::event::Position;
use knit_failpoint::failpoint;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::alone::{TURN_MAX, Turn};
use crate::backend::Backend;
use crate::batch::{self, Answers, Changes, Questions, Verdict};
use crate::database::Clock;
use crate::error::{AppendError, Fault, Trouble};
use crate::observer::{BatchWritten, Observer};
use crate::recent::Recent;
use crate::redacted::Redacted;
use crate::request::{Appended, Prepared};
use crate::tail;

/// Requests that may wait. Beyond it, callers wait to be let in, which slows them down instead of
/// letting memory grow.
pub(crate) const QUEUE_REQUESTS_MAX: usize = 1_024;
/// Requests of one batch: enough to make the cost of a commit vanish, few enough that the first does
/// not wait long for the last.
const BATCH_REQUESTS_MAX: usize = 256;
/// Events after which a batch takes no further request.
const BATCH_EVENTS_MAX: usize = 2_000;
/// Stored bytes after which a batch takes no further request.
const BATCH_BYTES_MAX: usize = 4 << 20;
/// How often the appender steps back while its queue grows; after a few times the growth is new work, not
/// the return of those who were answered.
const YIELDS_MAX: usize = 8;
/// The pause before the first further try; it doubles up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause between tries.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Decides on the answers of the database what is to be written.
pub(crate) type Judge<'j, 'a> = dyn FnMut(Answers) -> Changes<'a> + Send + 'j;

/// A batch was not written, or it is not known whether it was.
#[derive(Debug)]
pub(crate) struct Unwritten {
    error: sqlx::Error,
    /// The database may have recorded the batch although it could not say so.
    outcome_open: bool,
}

impl Unwritten {
    /// Nothing was recorded.
    pub(crate) fn certain(error: sqlx::Error) -> Self {
        Self { error, outcome_open: false }
    }

    /// Nothing was recorded if the server itself says so; if the connection broke, who knows.
    pub(crate) fn unless_answered(error: sqlx::Error) -> Self {
        let outcome_open = Trouble::of(&error) == Trouble::Connection;
        Self { error, outcome_open }
    }

    /// A commit to a file failed. Unless there was no room for it, what has reached the disk is only
    /// known when the file is opened again.
    pub(crate) fn unless_full(error: sqlx::Error) -> Self {
        let outcome_open = Trouble::of(&error) != Trouble::DiskFull;
        Self { error, outcome_open }
    }
}

/// What waits in the queue.
#[derive(Debug)]
pub(crate) enum Queued {
    /// A request, which may share a transaction with others.
    Request(Pending),
    /// Somebody who wants to decide and append while nobody else does.
    Turn(Turn),
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Pending {
    request: Prepared,
    waiting: Waiting,
}

/// Who waits for an answer, and since when.
#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Verdict>,
    since: Instant,
}

impl Pending {
    /// A request that waits from now on, and where its verdict will be.
    pub(crate) fn new(request: Prepared) -> (Self, oneshot::Receiver<Verdict>) {
        let (answer, verdict) = oneshot::channel();
        (Self { request, waiting: Waiting { answer, since: Instant::now() } }, verdict)
    }
}

/// What the task needs besides its queue.
pub(crate) struct Appender {
    pub(crate) backend: Arc<Backend>,
    pub(crate) clock: Clock,
    pub(crate) newest: Arc<watch::Sender<Position>>,
    pub(crate) recent: Arc<Recent>,
    pub(crate) redacted: Arc<Redacted>,
    /// How long a batch is tried while the database is away.
    pub(crate) patience: Duration,
    pub(crate) observer: Arc<dyn Observer>,
}

impl Appender {
    /// Writes what comes, until the queue is closed and empty.
    pub(crate) async fn run(self, mut queue: mpsc::Receiver<Queued>, mut closing: watch::Receiver<bool>) {
        let (mut left_over, mut answered) = (None, 0);
        loop {
            let first = match left_over.take() {
                Some(first) => Some(first),
                None => wait(&mut queue, &mut closing).await,
            };
            let first = match first {
                Some(Queued::Request(first)) => first,
                Some(Queued::Turn(turn)) => {
                    self.give(turn).await;
                    continue;
                }
                None => return,
            };
            if answered > 1 {
                let_the_answered_come_back(&queue).await;
            }
            let batch = gather(first, &mut queue, &mut left_over);
            answered = batch.len();
            self.append(batch).await;
        }
    }

    /// Writes nothing until the one whose turn it is has decided, or gives up, or takes too long.
    async fn give(&self, turn: Turn) {
        if turn.begun.send(()).is_ok()
            && let Ok(Ok(pending)) = tokio::time::timeout(TURN_MAX, turn.request).await
        {
            self.append(vec![pending]).await;
        }
    }

    async fn append(&self, batch: Vec<Pending>) {
        let (requests, waiting): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|pending| (pending.request, pending.waiting)).unzip();
        let requests: Vec<&Prepared> = requests.iter().collect();
        let verdicts = match self.write(&requests).await {
            Err(Failure::Content(_)) if requests.len() > 1 => self.write_apart(&requests).await,
            outcome => spread(outcome, requests.len()),
        };
        for (waiting, verdict) in waiting.into_iter().zip(verdicts) {
            // Whoever asked may have gone; what was appended stays appended.
            drop(waiting.answer.send(verdict));
            self.observer.answered(waiting.since.elapsed());
            failpoint("append.answered");
        }
    }

    /// Writes one after another, so that a value which the database does not take fails alone.
    async fn write_apart(&self, requests: &[&Prepared]) -> Vec<Verdict> {
        let mut verdicts = Vec::with_capacity(requests.len());
        for request in requests {
            let outcome = self.write(&[*request]).await;
            verdicts.extend(spread(outcome, 1));
        }
        verdicts
    }

    async fn write(&self, requests: &[&Prepared]) -> Result<Vec<Verdict>, Failure> {
        let questions = Questions::of(requests);
        let mut tries = Tries::for_at_most(self.patience);
        loop {
            let (began, mut end, mut written) = (Instant::now(), 0, Vec::new());
            let mut judge = |answers: Answers| {
                let (verdicts, changes) = batch::judge(requests, &questions, answers, (self.clock)());
                tries.verdicts = verdicts;
                end = changes.after.position;
                written.clone_from(&changes.events);
                changes
            };
            let span = tracing::debug_span!("append", requests = requests.len(), events = Empty, log.position = Empty);
            match self.backend.transact(&questions, &mut judge).instrument(span.clone()).await {
                Ok(()) => {
                    span.record("events", written.len()).record("log.position", end);
                    let (requests, events) = (requests.len(), written.len());
                    self.observer.batch_written(&BatchWritten { requests, events, took: began.elapsed() });
                    if questions.empties {
                        // What is remembered still says what was taken out.
                        self.recent.forget();
                        self.redacted.forget();
                    }
                    self.recent.appended(written.iter().map(|placed| (placed.recorded(), placed.event.bytes())));
                    tail::announce(&self.newest, end);
                    failpoint("append.announced");
                    return Ok(tries.verdicts());
                }
                Err(unwritten) => {
                    // It may have been written all the same, or the database be another one by now.
                    self.recent.forget();
                    tries.failed(unwritten).await?;
                }
            }
        }
    }
}

/// Why a whole batch came to nothing.
#[derive(Debug)]
enum Failure {
    /// The database does not take a value of some request in it.
    Content(Fault),
    /// The world broke.
    World(Fault),
}

/// The tries to write one batch.
struct Tries {
    deadline: Instant,
    pause: Duration,
    /// What the latest try came to, if it is written.
    verdicts: Vec<Verdict>,
    /// For each request, whether a try whose answer was lost may have written it. None: no such try.
    perhaps_ours: Option<Vec<bool>>,
}

impl Tries {
    fn for_at_most(patience: Duration) -> Self {
        Self { deadline: Instant::now() + patience, pause: PAUSE_MIN, verdicts: Vec::new(), perhaps_ours: None }
    }

    /// The verdicts of the try that was written. What a try of ours wrote without being able to say
    /// so is no repetition of somebody's earlier call.
    fn verdicts(self) -> Vec<Verdict> {
        let mut verdicts = self.verdicts;
        for (verdict, ours) in verdicts.iter_mut().zip(self.perhaps_ours.into_iter().flatten()) {
            if let (Ok(appended), true) = (verdict, ours) {
                appended.repeated = false;
            }
        }
        verdicts
    }

    /// Waits before the next try, or gives up.
    async fn failed(&mut self, unwritten: Unwritten) -> Result<(), Failure> {
        let Unwritten { error, outcome_open } = unwritten;
        if outcome_open {
            self.remember_what_may_be_ours();
        }
        let trouble = Trouble::of(&error);
        let may_help = match trouble {
            Trouble::Connection | Trouble::Race => true,
            Trouble::Content | Trouble::DiskFull | Trouble::Occupied | Trouble::Other => false,
        };
        if may_help && Instant::now() + self.pause < self.deadline {
            tracing::warn!(error = %error, "appending failed, trying again");
            tokio::time::sleep(self.pause).await;
            self.pause = (self.pause * 2).min(PAUSE_MAX);
            return Ok(());
        }
        if self.perhaps_ours.is_some() {
            return Err(Failure::World(Fault::OutcomeUnknown { source: Arc::new(error) }));
        }
        let fault = Fault::of("appending events", error);
        Err(if trouble == Trouble::Content { Failure::Content(fault) } else { Failure::World(fault) })
    }

    fn remember_what_may_be_ours(&mut self) {
        let ours = self.perhaps_ours.get_or_insert_with(|| vec![false; self.verdicts.len()]);
        for (ours, verdict) in ours.iter_mut().zip(&self.verdicts) {
            *ours |= matches!(verdict, Ok(Appended { repeated: false, .. }));
        }
    }
}

/// The next request; none when all that was let in before closing is done.
async fn wait(queue: &mut mpsc::Receiver<Queued>, closing: &mut watch::Receiver<bool>) -> Option<Queued> {
    tokio::select! {
        request = queue.recv() => return request,
        _ = closing.wait_for(|closing| *closing) => {}
    }
    queue.close();
    queue.recv().await
}

/// Lets those run who were answered a moment ago and want more. Without it the first of them would get a
/// transaction for itself, and all the others wait for it. Whoever was answered alone has come back already, or is
/// not held up for those who never asked: stepping back wakes threads that find nothing to do.
async fn let_the_answered_come_back(queue: &mpsc::Receiver<Queued>) {
    let mut waiting = queue.len();
    for _ in 0..YIELDS_MAX {
        tokio::task::yield_now().await;
        let more = queue.len();
        if more == std::mem::replace(&mut waiting, more) {
            return;
        }
    }
}

/// Everything that waits, within the bounds of a batch; what no longer fits is left over.
fn gather(first: Pending, queue: &mut mpsc::Receiver<Queued>, left_over: &mut Option<Queued>) -> Vec<Pending> {
    let mut events = first.request.events.len();
    let mut bytes = first.request.bytes;
    let mut batch = vec![first];
    while batch.len() < BATCH_REQUESTS_MAX {
        let pending = match queue.try_recv() {
            Ok(Queued::Request(pending)) => pending,
            Ok(turn @ Queued::Turn(_)) => {
                *left_over = Some(turn);
                break;
            }
            Err(_) => break,
        };
        events += pending.request.events.len();
        bytes += pending.request.bytes;
        if events > BATCH_EVENTS_MAX || bytes > BATCH_BYTES_MAX {
            *left_over = Some(Queued::Request(pending));
            break;
        }
        batch.push(pending);
    }
    batch
}

fn spread(outcome: Result<Vec<Verdict>, Failure>, requests: usize) -> Vec<Verdict> {
    match outcome {
        Ok(verdicts) => verdicts,
        Err(Failure::Content(fault) | Failure::World(fault)) => vec![Err(AppendError::Fault(fault)); requests],
    }
}
