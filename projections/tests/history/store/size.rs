//! What a big store costs. The events are written down directly: deciding them would take longer than
//! folding them.

use knit_domain::event::data::DataEvent;
use knit_domain::event::plan::{Image, LogPoint, Mountpoint, PlanDefinition, PlanEvent};
use knit_domain::event::run::{Assignment, Exit, OutputData, RunEvent, SuccessCause, WorkerOrder};
use knit_domain::event::{Event, Metadata, Recorded, StreamId};
use knit_domain::id::{EventId, VolumeRef, WorkerName};
use knit_domain::plan::Builtin;
use knit_domain::time::Timestamp;
use knit_projections::projection::Projection as _;
use knit_projections::store::{At, DataFilter, Store, Walk};
use uuid::Uuid;

use super::{KnitId, PlanId, RunId};
use crate::world::tags;

/// Runs in the graph. With the shares below it is a tenth of the graph of design §6.
const RUNS: u128 = 5_600;
/// Uploads before the first Run.
const UPLOADS: u128 = 400;
/// Data in the inputs of each Run.
const INPUTS: u128 = 3;
/// Design §6: the most that a Data or Run may cost, history included, beside the text of tags.
const BYTES_PER_NODE_MAX: usize = 300;

/// A store to which events are given one by one.
#[derive(Default)]
struct Folding {
    store: Store,
}

impl Folding {
    fn append(&mut self, stream: StreamId, event: impl Into<Event>) {
        let position = self.store.position() + 1;
        let recorded = Recorded {
            position,
            event_id: EventId(Uuid::nil()),
            stream,
            sequence: 1,
            recorded_at: Timestamp(1_700_000_000_000 + i64::try_from(position).unwrap()),
            event: event.into(),
            metadata: Metadata::default(),
            leaf: [0; 32],
            chain: [0; 32],
        };
        self.store.apply(&recorded).unwrap();
    }

    fn install(&mut self, plan: PlanId) {
        let name = Builtin::Uploaded.name().to_owned();
        let output_path = Builtin::Uploaded.output_path().to_owned();
        self.append(StreamId::plan(Builtin::Uploaded.id()), PlanEvent::BuiltinPlanDefined { name, output_path });
        let inputs = (0..INPUTS).map(|at| Mountpoint { path: format!("/in/{at}"), tags: tags(["type:part"]) });
        let definition = PlanDefinition {
            image: image(),
            entrypoint: vec![],
            args: vec![],
            inputs: inputs.collect(),
            outputs: vec![Mountpoint { path: "/out".to_owned(), tags: tags(["type:part", "stage:made"]) }],
            log: Some(LogPoint { tags: tags(["type:log"]) }),
            on_node: vec![],
        };
        let registered = PlanEvent::PlanRegistered {
            definition,
            hash: String::new(),
            resources: [].into(),
            service_account: None,
            annotations: [].into(),
            active: true,
        };
        self.append(StreamId::plan(plan), registered);
    }

    fn upload(&mut self, number: u128) -> KnitId {
        let (run_id, output) = (RunId(id(number)), output("/upload", number, &[]));
        let (run, knit_id, plan_id) = (StreamId::run(run_id), output.knit_id, Builtin::Uploaded.id());
        self.append(run.clone(), RunEvent::UploadStarted { run_id, plan_id, output: output.clone() });
        self.reserve(run_id, plan_id, &output);
        let cause = SuccessCause::UploadStored;
        self.append(run.clone(), RunEvent::RunSuccessDecided { attempt: 1, exit: None, cause });
        self.append(run, RunEvent::RunSucceeded { attempt: 1, log_sha256: None });
        let (added, removed) = (tags(["type:part", &format!("name:{number}")]), [].into());
        self.append(StreamId::data(knit_id), DataEvent::DataTagsChanged { added, removed });
        knit_id
    }

    fn reserve(&mut self, run_id: RunId, plan_id: PlanId, output: &OutputData) {
        let OutputData { path, log, knit_id, volume_ref, tags } = output.clone();
        let reserved = DataEvent::DataReserved { knit_id, volume_ref, run_id, attempt: 1, plan_id, path, log, tags };
        self.append(StreamId::data(knit_id), reserved);
    }

    /// A whole Run; gives the Data of its output.
    fn run(&mut self, plan_id: PlanId, number: u128, inputs: Vec<Assignment>) -> KnitId {
        let run_id = RunId(id(number));
        let (run, worker_name) = (StreamId::run(run_id), WorkerName::of(run_id, 1));
        let outputs = vec![
            output("/out", number, &["type:part", "stage:made"]),
            OutputData { log: true, ..output("/log", number + (1 << 64), &["type:log"]) },
        ];
        let trigger = inputs[0].clone();
        let projected =
            RunEvent::RunProjected { run_id, plan_id, inputs, outputs: outputs.clone(), worker_name, trigger };
        self.append(run.clone(), projected);
        outputs.iter().for_each(|output| self.reserve(run_id, plan_id, output));
        for event in life(run_id) {
            self.append(run.clone(), event);
        }
        outputs[0].knit_id
    }
}

fn life(run_id: RunId) -> [RunEvent; 6] {
    let worker_name = WorkerName::of(run_id, 1);
    let worker = WorkerOrder {
        name: worker_name.clone(),
        image: image(),
        entrypoint: vec![],
        args: vec![],
        env: [].into(),
        resources: [].into(),
        on_node: vec![],
        service_account: None,
    };
    let uid = Uuid::new_v5(&run_id.0, b"uid").to_string();
    let exit = Some(Exit { code: 0, message: String::new() });
    [
        RunEvent::RunVolumesPrepared { attempt: 1, volumes: vec![] },
        RunEvent::WorkerRequested { attempt: 1, worker },
        RunEvent::WorkerSpawned { attempt: 1, worker_name, uid, image_digest: None, notes: vec![] },
        RunEvent::RunStarted { attempt: 1 },
        RunEvent::RunSuccessDecided { attempt: 1, exit, cause: SuccessCause::WorkerSucceeded },
        RunEvent::RunSucceeded { attempt: 1, log_sha256: None },
    ]
}

fn image() -> Image {
    Image { repository: "repo.invalid/image".to_owned(), tag: "v1".to_owned() }
}

/// Scattered, as real ids are.
fn id(number: u128) -> Uuid {
    Uuid::from_u128(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

fn output(path: &str, number: u128, texts: &[&str]) -> OutputData {
    let knit_id = KnitId(id(number + (1 << 96)));
    let (path, volume_ref) = (path.to_owned(), VolumeRef::of(knit_id));
    OutputData { path, log: false, knit_id, volume_ref, tags: tags(texts.iter().copied()) }
}

/// Uploads, and Runs that each take some of the Data made shortly before.
fn graph() -> (Store, Vec<KnitId>) {
    let mut folding = Folding::default();
    let plan = PlanId(id(u128::MAX / 2));
    folding.install(plan);
    let mut made: Vec<KnitId> = (0..UPLOADS).map(|number| folding.upload(number)).collect();
    for number in UPLOADS..UPLOADS + RUNS {
        let assign = |at: u128| {
            let scattered = (number * INPUTS + at).wrapping_mul(2_654_435_761) >> 7;
            let back = usize::try_from(1 + scattered % UPLOADS).unwrap();
            Assignment { path: format!("/in/{at}"), knit_id: made[made.len() - back] }
        };
        made.push(folding.run(plan, number, (0..INPUTS).map(assign).collect()));
    }
    (folding.store, made)
}

#[test]
fn a_node_with_its_history_costs_at_most_three_hundred_bytes() {
    let (store, _) = graph();
    let per_node = store.heap_bytes() / store.nodes();
    assert!(per_node <= BYTES_PER_NODE_MAX, "{per_node} bytes for each of {} nodes", store.nodes());
}

#[test]
fn a_big_store_answers_as_a_small_one_and_comes_back_from_its_snapshot() {
    let (store, made) = graph();
    let parts = store.find_data(&DataFilter { tags: tags(["stage:made"]), ..DataFilter::default() }, At::Now);
    assert_eq!(parts.len(), usize::try_from(RUNS).unwrap());
    let named = store.find_data(&DataFilter { tags: tags(["name:7"]), ..DataFilter::default() }, At::Now);
    assert_eq!(named, [made[7]]);
    let last = *made.last().unwrap();
    let walk = Walk { upstream: true, ..Walk::default() };
    let whole = store.lineage(last, &walk, At::Now).unwrap();
    assert!(whole.data.len() > made.len() / 2 && whole.cut.is_empty());
    let near = store.lineage(last, &Walk { depth: Some(3), ..walk }, At::Now).unwrap();
    assert!(!near.cut.is_empty() && near.data.len() < whole.data.len());
    let restored = Store::restore(&store.snapshot()).unwrap();
    assert_eq!(restored.digest(), store.digest());
    assert_eq!(restored.lineage(last, &walk, At::Now), Some(whole));
}
