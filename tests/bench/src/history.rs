//! The history of a graph: the events that a server would have recorded while it came about.
//!
//! Runs happen in waves: all that can run next are projected in one append, and in the next append come
//! to their end while those after them are projected. So every event stands behind those it follows
//! from, every stream has the versions it should, and the appends are few enough to make a million
//! events in a minute. The matcher agrees with it: see [`crate::graph`].

use std::collections::BTreeSet;
use std::ops::Range;

use knit_domain::decision::Decision;
use knit_domain::event::agent::{AgentClosure, AgentEvent};
use knit_domain::event::catalog::CatalogEvent;
use knit_domain::event::data::DataEvent;
use knit_domain::event::plan::{Image, LogPoint, Mountpoint, PlanDefinition, PlanEvent};
use knit_domain::event::run::{Assignment, Exit, OutputData, RunEvent, SuccessCause, WorkerOrder};
use knit_domain::event::{Event, Metadata, Position, Recorded, StreamId};
use knit_domain::id::{AgentMode, AgentName, EventId, KnitId, PlanId, RunId, VolumeRef, WorkerName};
use knit_domain::plan::{Builtin, DEFAULT_RESOURCES, LOG_PATH, hash};
use knit_domain::tag::{Tag, TagSet};
use knit_domain::time::Timestamp;
use uuid::Uuid;

use crate::graph::{DataRow, Graph, PlanRow, PlanShape, Point, RunRow};

/// Runs of one append: with what ends of the wave before about 5,000 events, half of what one request
/// may hold.
const RUNS_PER_APPEND: usize = 500;
/// When a history that is in no log begins.
const BEGINNING: Timestamp = Timestamp(1_700_000_000_000);

/// The decisions by which a graph comes about, in order.
pub(crate) struct History<'g> {
    graph: &'g Graph,
    ids: Ids,
    /// The Runs by wave.
    order: Vec<RunRow>,
    waves: Vec<u32>,
    /// Whether the Plans are defined.
    begun: bool,
    /// Runs in `order` that were born last, and have not ended.
    born: Range<usize>,
}

/// The ids of a graph's Plans, Runs and Data.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    runs: Vec<RunId>,
}

impl Ids {
    pub(crate) fn of(graph: &Graph) -> Self {
        let id_of = |run: RunRow| match graph.plan_of(run) {
            None => RunId(scattered(1, run)),
            Some(plan) => RunId::of_combination(Self::plan(plan), &assignments(graph, run, plan)),
        };
        Self { runs: graph.runs().map(id_of).collect() }
    }

    pub(crate) fn plan(plan: PlanRow) -> PlanId {
        PlanId(scattered(2, plan))
    }

    pub(crate) fn data(data: DataRow) -> KnitId {
        KnitId(scattered(3, data))
    }

    pub(crate) fn run(&self, run: RunRow) -> RunId {
        self.runs[run as usize]
    }
}

/// An id as random ones are: neighbours lie nowhere near each other.
fn scattered(kind: u128, row: u32) -> Uuid {
    let number = (kind << 64) + u128::from(row) + 1;
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Uuid::from_u128(mixed ^ (mixed >> 67))
}

impl<'g> History<'g> {
    pub(crate) fn of(graph: &'g Graph) -> Self {
        let mut waves = Vec::with_capacity(graph.runs().len());
        for run in graph.runs() {
            let after = graph.taken(run).iter().map(|data| waves[graph.maker(*data) as usize] + 1);
            let wave = after.max().unwrap_or(0);
            waves.push(wave);
        }
        let mut order: Vec<RunRow> = graph.runs().collect();
        order.sort_by_key(|run| waves[*run as usize]);
        Self { graph, ids: Ids::of(graph), order, waves, begun: false, born: 0..0 }
    }

    /// The events as a log would hand them out, for projections that are folded without one.
    pub(crate) fn recorded(self) -> impl Iterator<Item = Recorded> {
        let writes = self.flat_map(|decision| decision.writes);
        let events = writes.flat_map(|write| {
            let sequences = write.expected + 1..;
            write
                .events
                .into_iter()
                .zip(sequences)
                .map(move |(event, sequence)| (write.stream.clone(), sequence, event))
        });
        events.zip(1..).map(|((stream, sequence, event), position): (_, Position)| Recorded {
            position,
            event_id: EventId(Uuid::nil()),
            stream,
            sequence,
            recorded_at: BEGINNING.plus_ms(i64::try_from(position / 10).unwrap_or(i64::MAX)),
            event,
            metadata: Metadata::default(),
            leaf: [0; 32],
            chain: [0; 32],
        })
    }

    fn definitions(&self) -> Decision {
        let define = |decision: Decision, builtin: Builtin| {
            let (name, output_path) = (builtin.name().to_owned(), builtin.output_path().to_owned());
            decision.and_write(StreamId::plan(builtin.id()), 0, [PlanEvent::BuiltinPlanDefined { name, output_path }])
        };
        let plans = || self.graph.plans().iter().zip(0..).map(|(shape, row)| (Ids::plan(row), definition(shape)));
        let admitted = plans().map(|(plan_id, definition)| CatalogEvent::PlanAdmitted { plan_id, definition });
        let decision = Builtin::ALL.into_iter().fold(Decision::nothing(), define);
        let decision = decision.and_write(StreamId::catalog(), 0, admitted);
        plans().fold(decision, |decision, (plan_id, definition)| {
            decision.and_write(StreamId::plan(plan_id), 0, [registered(definition)])
        })
    }

    /// The Runs that come into being next: of one wave, and not too many.
    fn next_born(&self) -> Range<usize> {
        let from = self.born.end;
        let Some(first) = self.order.get(from) else { return from..from };
        let wave = self.waves[*first as usize];
        let together = self.order[from..].iter().take(RUNS_PER_APPEND);
        from..from + together.take_while(|run| self.waves[**run as usize] == wave).count()
    }

    fn birth(&self, decision: Decision, run: RunRow) -> Decision {
        let (run_id, outputs) = (self.ids.run(run), self.outputs(run));
        let plan = self.graph.plan_of(run);
        let plan_id = plan.map_or(Builtin::Uploaded.id(), Ids::plan);
        let decision = match plan {
            None => {
                let output = outputs[0].clone();
                let (name, knit_id) = (agent(&output), output.knit_id);
                let opened = AgentEvent::AgentOpened { name, knit_id, mode: AgentMode::Write, server: server() };
                let started = RunEvent::UploadStarted { run_id, plan_id, output: output.clone() };
                let decision = decision.and_write(StreamId::run(run_id), 0, [started]);
                decision.and_write(StreamId::agent(&agent(&output)), 0, [opened])
            }
            Some(plan) => {
                let inputs = assignments(self.graph, run, plan);
                let (worker_name, trigger) = (WorkerName::of(run_id, 1), inputs[inputs.len() - 1].clone());
                let outputs = outputs.clone();
                let projected = RunEvent::RunProjected { run_id, plan_id, inputs, outputs, worker_name, trigger };
                decision.and_write(StreamId::run(run_id), 0, [projected])
            }
        };
        outputs.into_iter().fold(decision, |decision, output| {
            let OutputData { path, log, knit_id, volume_ref, tags } = output;
            let reserved =
                DataEvent::DataReserved { knit_id, volume_ref, run_id, attempt: 1, plan_id, path, log, tags };
            decision.and_write(StreamId::data(knit_id), 0, [reserved])
        })
    }

    fn end(&self, decision: Decision, run: RunRow) -> Decision {
        let (run_id, outputs) = (self.ids.run(run), self.outputs(run));
        let decision = match self.graph.plan_of(run) {
            None => {
                let (name, knit_id) = (agent(&outputs[0]), outputs[0].knit_id);
                let (stream, cause) = (StreamId::agent(&name), AgentClosure::Finished);
                let closed = AgentEvent::AgentClosed { name, knit_id, mode: AgentMode::Write, cause };
                let decision = decision.and_write(stream, 1, [closed]);
                decision.and_write(StreamId::run(run_id), 1, end_of_upload())
            }
            Some(_) => decision.and_write(StreamId::run(run_id), 1, life(run_id, &outputs)),
        };
        self.graph.made(run).fold(decision, |decision, data| {
            let added: BTreeSet<Tag> = self.graph.tags(data).iter().map(|text| tag(text)).collect();
            let tagged = (!added.is_empty()).then(|| DataEvent::DataTagsChanged { added, removed: BTreeSet::new() });
            decision.and_write(StreamId::data(Ids::data(data)), 1, tagged)
        })
    }

    fn outputs(&self, run: RunRow) -> Vec<OutputData> {
        let output = |data: DataRow| {
            let knit_id = Ids::data(data);
            let (path, log, tags) = match self.graph.plan_of(run) {
                None => (Builtin::Uploaded.output_path().to_owned(), false, TagSet::default()),
                Some(plan) => {
                    let (shape, at) = (&self.graph.plans()[plan as usize], self.graph.place(data));
                    let point = shape.outputs.get(at);
                    let path = point.map_or(LOG_PATH, |point| &point.path).to_owned();
                    (path, point.is_none(), shape.tags_at_birth(at).iter().map(|text| tag(text)).collect())
                }
            };
            OutputData { path, log, knit_id, volume_ref: VolumeRef::of(knit_id), tags }
        };
        self.graph.made(run).map(output).collect()
    }
}

impl Iterator for History<'_> {
    type Item = Decision;

    fn next(&mut self) -> Option<Decision> {
        if !self.begun {
            self.begun = true;
            return Some(self.definitions());
        }
        let ending = self.born.clone();
        self.born = self.next_born();
        let ended = self.order[ending].iter().fold(Decision::nothing(), |decision, run| self.end(decision, *run));
        let born = self.order[self.born.clone()].iter().fold(ended, |decision, run| self.birth(decision, *run));
        (!born.is_nothing()).then_some(born)
    }
}

fn assignments(graph: &Graph, run: RunRow, plan: PlanRow) -> Vec<Assignment> {
    let paths = graph.plans()[plan as usize].inputs.iter().map(|input| input.path.clone());
    let taken = graph.taken(run).iter().map(|data| Ids::data(*data));
    paths.zip(taken).map(|(path, knit_id)| Assignment { path, knit_id }).collect()
}

fn definition(shape: &PlanShape) -> PlanDefinition {
    let point = |point: &Point, tags: Vec<String>| Mountpoint {
        path: point.path.clone(),
        tags: tags.iter().map(|text| tag(text)).collect(),
    };
    let outputs = shape.outputs.iter().enumerate();
    let log = shape.log.then(|| shape.tags_at_birth(shape.outputs.len()));
    PlanDefinition {
        image: image(),
        entrypoint: vec!["sh".to_owned(), "-c".to_owned()],
        args: vec![Graph::program_of(shape)],
        inputs: shape.inputs.iter().map(|input| point(input, vec![input.tag.clone()])).collect(),
        outputs: outputs.map(|(at, output)| point(output, shape.tags_at_birth(at))).collect(),
        log: log.map(|tags| LogPoint { tags: tags.iter().map(|text| tag(text)).collect() }),
        on_node: Vec::new(),
    }
}

fn registered(definition: PlanDefinition) -> PlanEvent {
    PlanEvent::PlanRegistered {
        hash: hash(&definition),
        definition,
        resources: resources().collect(),
        service_account: None,
        annotations: BTreeSet::new(),
        active: true,
    }
}

fn resources() -> impl Iterator<Item = (String, String)> {
    DEFAULT_RESOURCES.into_iter().map(|(name, quantity)| (name.to_owned(), quantity.to_owned()))
}

fn image() -> Image {
    Image { repository: "host".to_owned(), tag: "latest".to_owned() }
}

fn life(run_id: RunId, outputs: &[OutputData]) -> Vec<RunEvent> {
    let worker_name = WorkerName::of(run_id, 1);
    let worker = WorkerOrder {
        name: worker_name.clone(),
        image: image(),
        entrypoint: vec!["sh".to_owned(), "-c".to_owned()],
        args: vec!["true".to_owned()],
        env: [].into(),
        resources: resources().collect(),
        on_node: Vec::new(),
        service_account: None,
    };
    let (uid, attempt) = (Uuid::new_v5(&run_id.0, b"uid").to_string(), 1);
    let exit = Some(Exit { code: 0, message: String::new() });
    let volumes = outputs.iter().map(|output| output.volume_ref.clone()).collect();
    vec![
        RunEvent::RunVolumesPrepared { attempt, volumes },
        RunEvent::WorkerRequested { attempt, worker },
        RunEvent::WorkerSpawned { attempt, worker_name, uid, image_digest: None, notes: Vec::new() },
        RunEvent::RunStarted { attempt },
        RunEvent::RunSuccessDecided { attempt, exit, cause: SuccessCause::WorkerSucceeded },
        RunEvent::RunSucceeded { attempt, log_sha256: Some("0".repeat(64)) },
    ]
}

fn end_of_upload() -> [RunEvent; 2] {
    [
        RunEvent::RunSuccessDecided { attempt: 1, exit: None, cause: SuccessCause::UploadStored },
        RunEvent::RunSucceeded { attempt: 1, log_sha256: None },
    ]
}

fn agent(output: &OutputData) -> AgentName {
    AgentName::of(output.knit_id, AgentMode::Write, 0)
}

fn server() -> String {
    "bench-1-00000000000000000000000000000000".to_owned()
}

/// # Panics
/// When the text has no colon: the tags of graphs are written in this program.
pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).expect("tags of graphs are KEY:VALUE")
}

/// Any events as one says them of a decision, for sizes and anchors.
pub(crate) fn encoded(event: impl Into<Event>) -> String {
    event.into().encode()
}

#[cfg(test)]
mod tests;
