//! A runtime of tables: Workers fare and calls break as a test says.

mod port;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use knit_domain::event::plan::Image;
use knit_domain::event::run::{Exit, WorkerOrder};
use knit_domain::id::{RunId, VolumeRef, WorkerName};
use knit_runtime::port::{WorkerSpec, WorkerState};
use tokio::sync::{broadcast, watch};

use crate::world::in_time;

/// The operations of the port that a test can break or hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Op {
    Prepare,
    Seal,
    Destroy,
    Receive,
    /// Every piece of a download after the first.
    Send,
    Create,
    Observe,
    List,
    Remove,
    ReadLog,
    LogSha256,
}

/// At which end of a call it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Held {
    /// Nothing has happened yet.
    Before,
    /// It has happened, but nobody was told.
    After,
}

/// A handle on the runtime; clones are the same one.
#[derive(Clone)]
pub(crate) struct Scripted {
    tables: Arc<Mutex<Tables>>,
    /// Whether only one server at a time can reach what is kept here.
    place: Option<&'static str>,
    changes: broadcast::Sender<WorkerName>,
    /// Counts changes of the script, for those who are held.
    script: watch::Sender<u64>,
}

#[derive(Default)]
struct Tables {
    volumes: BTreeMap<VolumeRef, Volume>,
    workers: BTreeMap<WorkerName, Worker>,
    calls: Vec<Call>,
    /// Operations that fail, upon everything or upon one thing.
    broken: BTreeSet<(Op, Option<String>)>,
    held: BTreeSet<(Op, Held)>,
    /// How many calls are held now.
    waiting: BTreeMap<(Op, Held), usize>,
    /// Calls that have begun and not ended, by what they are upon.
    under_way: BTreeMap<String, usize>,
    /// The most calls that ever were under way upon one thing.
    at_once_max: usize,
    workers_made: usize,
    /// How Workers are as soon as they are made.
    fate: Option<WorkerState>,
    impossible: Option<String>,
    notes: Vec<String>,
}

/// One call: the operation, and the volume or Worker it was upon.
type Call = (Op, String);

#[derive(Debug, Clone, Default)]
struct Volume {
    sealed: bool,
    content: Bytes,
}

#[derive(Debug, Clone)]
struct Worker {
    spec: WorkerSpec,
    uid: String,
    state: WorkerState,
}

impl Scripted {
    pub(crate) fn at(place: Option<&'static str>) -> Self {
        Self { tables: Arc::default(), place, changes: broadcast::Sender::new(64), script: watch::Sender::new(0) }
    }
}

/// What a test says and sees.
impl Scripted {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap()
    }

    fn rewrite<T>(&self, rewrite: impl FnOnce(&mut Tables) -> T) {
        rewrite(&mut self.tables());
        self.script.send_modify(|version| *version += 1);
    }

    /// Every call of `op` fails until it is mended.
    pub(crate) fn breaks(&self, op: Op) {
        self.rewrite(|tables| tables.broken.insert((op, None)));
    }

    /// Every call of `op` upon this volume or Worker fails until `op` is mended.
    pub(crate) fn breaks_for(&self, op: Op, thing: &impl ToString) {
        self.rewrite(|tables| tables.broken.insert((op, Some(thing.to_string()))));
    }

    pub(crate) fn mend(&self, op: Op) {
        self.rewrite(|tables| tables.broken.retain(|(broken, _)| *broken != op));
    }

    /// Every call of `op` waits until it is let go.
    pub(crate) fn hold(&self, op: Op, held: Held) {
        self.rewrite(|tables| tables.held.insert((op, held)));
    }

    pub(crate) fn let_go(&self, op: Op) {
        self.rewrite(|tables| tables.held.retain(|(held, _)| *held != op));
    }

    /// Waits until a call of `op` is held.
    pub(crate) async fn holds(&self, op: Op, held: Held) {
        self.holds_many(op, held, 1).await;
    }

    /// Waits until so many calls of `op` are held.
    pub(crate) async fn holds_many(&self, op: Op, held: Held, calls: usize) {
        let are_held = || self.tables().waiting.get(&(op, held)).is_some_and(|waiting| *waiting >= calls);
        in_time(&format!("{calls} of {op:?} are held"), are_held).await;
    }

    /// No Worker can be created any more, for this reason.
    pub(crate) fn is_impossible(&self, reason: &str) {
        self.tables().impossible = Some(reason.to_owned());
    }

    /// What Workers are said to be made differently from what was asked.
    pub(crate) fn notes(&self, note: &str) {
        self.tables().notes.push(note.to_owned());
    }

    /// How often `op` was called.
    pub(crate) fn calls(&self, op: Op) -> usize {
        self.tables().calls.iter().filter(|(called, _)| *called == op).count()
    }

    /// How often `op` was called upon this volume or Worker.
    pub(crate) fn calls_upon(&self, op: Op, thing: &impl ToString) -> usize {
        let call = (op, thing.to_string());
        self.tables().calls.iter().filter(|called| **called == call).count()
    }

    /// What was called upon this volume or Worker, in order.
    pub(crate) fn called_upon(&self, thing: &impl ToString) -> Vec<Op> {
        let thing = thing.to_string();
        self.tables().calls.iter().filter(|(_, upon)| *upon == thing).map(|(op, _)| *op).collect()
    }

    /// The most calls that ever were under way at once upon one thing.
    pub(crate) fn at_once_max(&self) -> usize {
        self.tables().at_once_max
    }

    /// The Worker's state changes, and whoever listens is told.
    pub(crate) fn worker_becomes(&self, name: &WorkerName, state: WorkerState) {
        self.tables().workers.get_mut(name).expect("the Worker exists").state = state;
        let _ = self.changes.send(name.clone());
    }

    /// Whoever listens is told of the Worker, though nothing has changed.
    pub(crate) fn announce(&self, name: &WorkerName) {
        let _ = self.changes.send(name.clone());
    }

    /// The Worker is gone without a trace, and whoever listens is told.
    pub(crate) fn worker_vanishes(&self, name: &WorkerName) {
        self.tables().workers.remove(name).expect("the Worker exists");
        let _ = self.changes.send(name.clone());
    }

    /// A Worker that nobody asked for.
    pub(crate) fn add_worker(&self, spec: WorkerSpec) {
        let name = spec.order.name.clone();
        let worker = Worker { spec, uid: "stray".to_owned(), state: WorkerState::Running };
        self.tables().workers.insert(name, worker);
    }

    pub(crate) fn has_worker(&self, name: &WorkerName) -> bool {
        self.tables().workers.contains_key(name)
    }

    pub(crate) fn workers(&self) -> Vec<WorkerName> {
        self.tables().workers.keys().cloned().collect()
    }

    /// How many Workers were made, not counting those that were there already.
    pub(crate) fn workers_made(&self) -> usize {
        self.tables().workers_made
    }

    /// Workers succeed as soon as they are made.
    pub(crate) fn workers_succeed(&self) {
        self.tables().fate = Some(WorkerState::Succeeded);
    }

    /// What the Worker was made from.
    pub(crate) fn spec_of(&self, name: &WorkerName) -> WorkerSpec {
        self.tables().workers.get(name).expect("the Worker exists").spec.clone()
    }

    /// What a Worker writes.
    pub(crate) fn fill(&self, volume: &VolumeRef, content: impl Into<Bytes>) {
        let mut tables = self.tables();
        let volume = tables.volumes.get_mut(volume).expect("the volume exists");
        assert!(!volume.sealed, "nobody writes to a sealed volume");
        volume.content = content.into();
    }

    /// Puts something else into a volume that is sealed already.
    pub(crate) fn replace(&self, volume: &VolumeRef, content: impl Into<Bytes>) {
        self.tables().volumes.get_mut(volume).expect("the volume exists").content = content.into();
    }

    pub(crate) fn lose(&self, volume: &VolumeRef) {
        self.tables().volumes.remove(volume).expect("the volume exists");
    }

    pub(crate) fn volumes(&self) -> Vec<VolumeRef> {
        self.tables().volumes.keys().cloned().collect()
    }

    pub(crate) fn is_sealed(&self, volume: &VolumeRef) -> bool {
        self.tables().volumes.get(volume).is_some_and(|volume| volume.sealed)
    }
}

/// The end of a Worker that failed.
pub(crate) fn exit(code: u8, message: &str) -> Exit {
    Exit { code, message: message.to_owned() }
}

/// A Worker of `run`, made from nothing in particular.
pub(crate) fn stray(run: RunId, attempt: u32) -> WorkerSpec {
    let order = WorkerOrder {
        name: WorkerName::of(run, attempt),
        image: Image { repository: "host".to_owned(), tag: "latest".to_owned() },
        entrypoint: Vec::new(),
        args: Vec::new(),
        env: BTreeMap::new(),
        resources: BTreeMap::new(),
        on_node: Vec::new(),
        service_account: None,
    };
    WorkerSpec { order, run, attempt, inputs: Vec::new(), outputs: Vec::new(), log: None }
}
