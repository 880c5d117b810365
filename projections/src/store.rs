//! What may be asked: the catalog of Data, Plans and Runs, and the lineage between them.
//!
//! The store folds the log into one memory of everything that ever was: each Plan, Run and Data, what
//! was made from what, and which tags, statuses and attributes held from which position to which. A
//! question is asked of the present or of any earlier position ([`At`]), and both take the same way
//! through the same memory; the past is only a limit up to which history is read.
//!
//! It is compact, because it holds a million things at once: ids, tags and texts are kept once and
//! spoken of by four-byte rows, everything stands in dense columns, and edges are links between rows.
//! Nothing is ever removed; what ends is marked.
//!
//! The store never decides whether something may happen, and answers in the types of the wire
//! ([`knit_schemas::api`]).
//!
//! In `store/`, in reading order: `column` and `chain` hold rows, `intern` ids and texts, `tags` sets
//! of tags; `plans`, `steps`, `runs` and `data` fold events; `find`, `lineage`, `plan_graph`,
//! `attempts`, `matches` and `render` answer; `snapshot` saves it all and brings it back.

mod attempts;
mod chain;
mod column;
mod data;
mod diff;
mod explain;
mod find;
mod intern;
mod lineage;
mod matches;
mod past;
mod plan_graph;
mod plans;
mod render;
mod runs;
mod snapshot;
mod span;
mod steps;
mod tags;
mod verdict;

use knit_domain::event::{Event, Position, Recorded, StreamId};
use knit_domain::id::{KnitId, PlanId, RunId, VolumeRef};
use knit_domain::run::Status;
use knit_domain::time::Timestamp;
use knit_schemas::instant::Instant;
use knit_schemas::proto::store as message;
use uuid::Uuid;

pub use self::attempts::{AttemptView, WorkerView};
pub use self::explain::{FailureStory, InputStory, RunStory, RunTrigger, RunTriggerKind, StepStory, TagStory};
pub use self::find::{DataFilter, IdKind, IdPrefix, PlanFilter, RunFilter};
pub use self::lineage::{Continuation, Lineage, Show, Start, Walk};
pub use self::past::{LOOKED_AT_MAX, PastRuns};
pub use self::render::drawing::LineageDot;
pub use self::render::json::{LineageJson, ListJson};
pub use self::span::Span;
pub use self::verdict::Verdict;
use crate::projection::{Projection, Unapplicable, check_follows};
use crate::snapshot::DamagedSnapshot;
use column::RunRow;

/// Rows kept free of every column, more than any one event can take: an event is one database row,
/// and none can name a million things.
const ROWS_SPARE: usize = 1 << 20;

/// Catalog and lineage, with their whole past.
#[derive(Debug, Clone, Default)]
pub struct Store {
    position: Position,
    tags: tags::Tags,
    /// Texts that are not in tags: messages of exits, identities of Workers, hashes.
    texts: intern::Texts,
    plans: plans::Plans,
    runs: runs::Runs,
    data: data::DataTable,
}

/// The time a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum At {
    /// Everything folded so far.
    #[default]
    Now,
    /// Right after the event at this position; one not yet reached means now.
    Position(Position),
}

impl At {
    /// The position that a question is about, which is answered by what was folded up to `reached`.
    #[must_use]
    pub fn position(self, reached: Position) -> Position {
        match self {
            Self::Now => reached,
            Self::Position(position) => position.min(reached),
        }
    }

    fn limit(self) -> Limit {
        match self {
            Self::Now => Limit::NOW,
            Self::Position(position) => Limit(position.min(Limit::NOW.0)),
        }
    }
}

/// The last position that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Limit(Position);

impl Limit {
    /// Short of [`data::NEVER`], so that what has not ended exists now.
    const NOW: Self = Self(data::NEVER - 1);

    fn covers(self, position: Position) -> bool {
        position <= self.0
    }
}

/// Where and when an event stands in the log.
#[derive(Debug, Clone, Copy)]
struct Moment {
    position: Position,
    recorded_at: Timestamp,
}

impl Moment {
    fn new(position: Position, recorded_at: Timestamp) -> Result<Self, Contradiction> {
        match Instant::from_unix_ms(recorded_at.0) {
            Some(_) => Ok(Self { position, recorded_at }),
            None => Err(Contradiction::NoInstant { recorded_at }),
        }
    }
}

/// How an event can contradict what the log has said before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Contradiction {
    #[error("`{stream}` is not the stream of a Plan, Run or Data")]
    StrangeStream { stream: String },
    #[error("it speaks of {id} in the stream of {stream}")]
    OtherStream { stream: Uuid, id: Uuid },
    #[error("there is no Plan {id}")]
    UnknownPlan { id: PlanId },
    #[error("there is no Run {id}, or it was erased")]
    UnknownRun { id: RunId },
    #[error("there is no Data {id}, or it was discarded")]
    UnknownData { id: KnitId },
    #[error("there is a Plan {id} already")]
    PlanExists { id: PlanId },
    #[error("there was a Run {id} before")]
    RunExists { id: RunId },
    #[error("there was another Data {id} before")]
    DataExists { id: KnitId },
    #[error("the Plan has no input at `{path}`")]
    NoSuchInput { path: String },
    #[error("the Plan has no such output at `{path}`")]
    NoSuchOutput { path: String },
    #[error("it is of attempt {given}, but {expected} is due")]
    OtherAttempt { given: u32, expected: u32 },
    #[error("`{text}` is not a quantity")]
    NoQuantity { text: String },
    #[error("it is recorded at {recorded_at}, which is beyond the calendar")]
    NoInstant { recorded_at: Timestamp },
    #[error("the store is full: it cannot count more things")]
    Full,
}

impl Projection for Store {
    const NAME: &'static str = "store";
    const REVISION: u32 = 3;
    type Record = message::Record;

    fn apply(&mut self, event: &Recorded) -> Result<(), Unapplicable> {
        check_follows(self.position, event.position)?;
        self.fold(event).map_err(|why| Unapplicable::contradiction(event, why.to_string()))?;
        self.position = event.position;
        Ok(())
    }

    fn skip(&mut self, position: Position) -> Result<(), Unapplicable> {
        check_follows(self.position, position)?;
        self.position = position;
        Ok(())
    }

    fn position(&self) -> Position {
        self.position
    }

    /// Definitions of Plans count by their number only.
    fn heap_bytes(&self) -> usize {
        let graph = self.plans.heap_bytes() + self.runs.heap_bytes() + self.data.heap_bytes();
        graph + self.tags.heap_bytes() + self.texts.heap_bytes()
    }

    fn records(&self, put: &mut dyn FnMut(Self::Record)) {
        snapshot::write(self, put);
    }

    fn from_records(
        position: Position,
        records: &mut dyn Iterator<Item = Result<Self::Record, DamagedSnapshot>>,
    ) -> Result<Self, DamagedSnapshot> {
        snapshot::read(position, records)
    }
}

impl Store {
    /// Checks first and changes afterwards, so that a refused event has changed nothing.
    fn fold(&mut self, recorded: &Recorded) -> Result<(), Contradiction> {
        let used = self.tags.rows_used().max(self.texts.len()).max(self.runs.rows_used()).max(self.data.rows_used());
        if used > column::ROWS_MAX - ROWS_SPARE {
            return Err(Contradiction::Full);
        }
        let moment = Moment::new(recorded.position, recorded.recorded_at)?;
        match &recorded.event {
            Event::Plan(event) => {
                self.plans.apply(PlanId(id_of(&recorded.stream)?), event, moment.position, &mut self.tags)
            }
            Event::Run(event) => self.apply_run(RunId(id_of(&recorded.stream)?), event, moment),
            Event::Data(event) => self.apply_data(KnitId(id_of(&recorded.stream)?), event, moment),
            // The Plan's own event says all that is asked for; agents and the journal are not asked for here.
            Event::Catalog(_) | Event::Agent(_) | Event::Journal(_) => Ok(()),
        }
    }

    /// The status of a Run now, as people see it; tombstones are `invalidated`.
    #[must_use]
    pub fn run_status(&self, id: RunId) -> Option<Status> {
        let row = self.runs.row(id, Limit::NOW)?;
        self.seen_status(row, Limit::NOW)
    }

    /// The present attempt of a Run: 1, 2, ….
    #[must_use]
    pub fn run_attempt(&self, id: RunId) -> Option<u32> {
        self.runs.row(id, Limit::NOW).map(|row| self.runs.records[row].attempt)
    }

    /// The Data that keeps the log of a Run's present attempt, if its Plan keeps one and it exists.
    #[must_use]
    pub fn log_of(&self, id: RunId) -> Option<KnitId> {
        let row = self.runs.row(id, Limit::NOW)?;
        let plan = self.plans.record(self.runs.records[row].plan);
        let is_log = |data: &column::DataRow| plan.point(self.data.records[*data].point).is_some_and(|point| point.log);
        let log = self.outputs(row, Limit::NOW).into_iter().find(is_log)?;
        self.data.exists(log, Limit::NOW, &self.runs.steps).then(|| self.data.id(log))
    }

    /// The Data that a Run's present attempt makes and that exist, the log among them.
    #[must_use]
    pub fn outputs_of(&self, id: RunId) -> Vec<KnitId> {
        let Some(row) = self.runs.row(id, Limit::NOW) else { return Vec::new() };
        let outputs = self.outputs(row, Limit::NOW).into_iter();
        outputs
            .filter(|data| self.data.exists(*data, Limit::NOW, &self.runs.steps))
            .map(|data| self.data.id(data))
            .collect()
    }

    /// The Run that makes a Data.
    #[must_use]
    pub fn producer_of(&self, id: KnitId) -> Option<RunId> {
        let row = self.data.row(id, Limit::NOW, &self.runs.steps)?;
        Some(self.runs.id(self.data.records[row].run))
    }

    /// The volume of a Data.
    #[must_use]
    pub fn volume_of(&self, id: KnitId) -> Option<VolumeRef> {
        self.data.row(id, Limit::NOW, &self.runs.steps).map(|row| self.data.volume(row))
    }

    /// Whether there is such a Plan.
    #[must_use]
    pub fn has_plan(&self, id: PlanId) -> bool {
        self.plans.row(id, Limit::NOW).is_some()
    }

    /// Number of Plans, Runs and Data there ever were.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.plans.len() + self.runs.ids.len() + self.data.ids.len()
    }

    /// The status as people see it: a waiting Run of an inactive Plan is `deactivated`.
    fn seen_status(&self, run: RunRow, limit: Limit) -> Option<Status> {
        let status = self.runs.status(run, limit)?;
        Some(status.under(self.plans.record(self.runs.records[run].plan).at(limit).active))
    }

    /// Whether a Run existed then and was not deleted.
    fn is_live(&self, run: RunRow, limit: Limit) -> bool {
        self.runs.status(run, limit).is_some_and(|status| status != Status::Invalidated)
    }
}

fn id_of(stream: &StreamId) -> Result<Uuid, Contradiction> {
    // The strict form of ids is the same for all three kinds.
    let id: Result<RunId, _> = stream.id.parse();
    id.map(|id| id.0).map_err(|_| Contradiction::StrangeStream { stream: stream.to_string() })
}
