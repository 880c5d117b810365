//! A server without a socket and without Workers: log, projections, the matcher's reactor and the API.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use knit_domain::event::Position;
use knit_domain::id::{KnitId, VolumeRef, WorkerName};
use knit_log::{Database, Log, Options};
use knit_projections::store::{At, DataFilter, PlanFilter, RunFilter};
use knit_runtime::archive::BadArchive;
use knit_runtime::port::{
    ArchiveBody, ArchivePart, ArchiveStream, CreateError, Created, Fault, Incoming, LogStream, LogTail, Observation,
    ReadError, ReceiveError, Received, Runtime, WorkerSpec,
};
use knitd::app::App;
use knitd::follower::Follower;
use knitd::http::{Front, Hosts};
use knitd::views::Views;
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// After so many events a world is thrown away: questions would only get slower.
const EVENTS_MAX: Position = 2_000;
/// How long the end of a log may be waited for.
const CLOSING: Duration = Duration::from_secs(10);

/// Lets `future` come to its end, on threads that all worlds share.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    static THREADS: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let threads = THREADS
        .get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap());
    threads.block_on(future)
}

/// A server.
pub(crate) struct World {
    pub(crate) front: Front,
    app: App,
    tasks: Vec<JoinHandle<()>>,
    _dir: TempDir,
}

/// Lets `act` happen in the world of this process, which is now and then a new one.
pub(crate) fn with_world<T>(act: impl FnOnce(&World) -> T) -> T {
    static WORLD: Mutex<Option<World>> = Mutex::new(None);
    let mut place = WORLD.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if place.as_ref().is_some_and(|world| world.app.views().position() > EVENTS_MAX) {
        place.take().into_iter().for_each(World::end);
    }
    act(place.get_or_insert_with(|| block_on(World::begin())))
}

impl World {
    async fn begin() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::Sqlite(dir.path().join("log.db"));
        let log = Log::open(&database, Options::default()).await.unwrap();
        let views = Arc::new(Views::default());
        let app = App::new(log.clone(), Arc::clone(&views), Arc::new(Nowhere), "fuzz".to_owned(), true);
        app.define_builtin_plans().await.unwrap();
        let follower = Follower::new(log, views);
        let front = Front::new(app.clone(), Hosts::new(([127, 0, 0, 1], 80).into(), &[]), true);
        let following = tokio::spawn(async { drop(follower.run().await) });
        let matching = tokio::spawn(knitd::reactors::projection::run(app.clone()));
        Self { front, app, tasks: vec![following, matching], _dir: dir }
    }

    fn end(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        block_on(async { drop(tokio::time::timeout(CLOSING, self.app.log().close()).await) });
    }

    /// Puts ids of what there is in the place of `@D`, `@P` and `@R`: nobody guesses them.
    pub(crate) fn with_ids(&self, text: &str) -> String {
        let store = self.app.views().store.read();
        let last = |ids: Vec<String>| ids.last().cloned().unwrap_or_default();
        let data = || store.find_data(&DataFilter::default(), At::Now).iter().map(ToString::to_string).collect();
        let plans = || store.find_plans(&PlanFilter::default(), At::Now).iter().map(ToString::to_string).collect();
        let runs = || store.find_runs(&RunFilter::default(), At::Now).iter().map(ToString::to_string).collect();
        let mut text = text.to_owned();
        for (mark, ids) in [("@D", &data as &dyn Fn() -> Vec<String>), ("@P", &plans), ("@R", &runs)] {
            if text.contains(mark) {
                text = text.replace(mark, &last(ids()));
            }
        }
        text
    }

    /// Panics when a projection could not fold what was written.
    pub(crate) fn check(&self) {
        assert_eq!(self.app.views().stopped(), None, "every event that is written can be folded");
    }
}

/// A runtime in which every upload is taken and forgotten, and nothing runs.
struct Nowhere;

/// An upload that arrived.
struct Arrived(Received);

#[async_trait::async_trait]
impl Incoming for Arrived {
    fn received(&self) -> &Received {
        &self.0
    }
    async fn commit(self: Box<Self>) -> Result<(), ReceiveError> {
        Ok(())
    }
    async fn discard(self: Box<Self>) -> Result<(), Fault> {
        Ok(())
    }
}

#[async_trait::async_trait]
impl Runtime for Nowhere {
    async fn prepare_volume(&self, _: &VolumeRef, _: KnitId) -> Result<(), Fault> {
        Ok(())
    }
    async fn seal_volume(&self, _: &VolumeRef) -> Result<(), ReadError> {
        Ok(())
    }
    async fn destroy_volume(&self, _: &VolumeRef) -> Result<(), Fault> {
        Ok(())
    }
    async fn receive(&self, _: &VolumeRef, mut archive: ArchiveBody) -> Result<Box<dyn Incoming>, ReceiveError> {
        let mut content_bytes = 0;
        while let Some(bytes) = archive.next().await {
            content_bytes += bytes.map_err(ReceiveError::BrokenOff)?.len() as u64;
        }
        if content_bytes == 0 {
            return Err(BadArchive::NotGzip.into());
        }
        Ok(Box::new(Arrived(Received { md5: String::new(), entries: 1, content_bytes })))
    }
    async fn send(&self, _: &VolumeRef) -> Result<ArchiveStream, ReadError> {
        Ok(Box::pin(stream::iter([Ok(ArchivePart::End { md5: String::new() })])))
    }
    async fn create_worker(&self, _: &WorkerSpec) -> Result<Created, CreateError> {
        Err(CreateError::Impossible { reason: "nothing runs here".to_owned() })
    }
    async fn observe_worker(&self, _: &WorkerName) -> Result<Option<Observation>, Fault> {
        Ok(None)
    }
    async fn list_workers(&self) -> Result<Vec<Observation>, Fault> {
        Ok(Vec::new())
    }
    async fn remove_worker(&self, _: &WorkerName) -> Result<(), Fault> {
        Ok(())
    }
    fn changes(&self) -> broadcast::Receiver<WorkerName> {
        broadcast::Sender::new(1).subscribe()
    }
    async fn read_log(&self, volume: &VolumeRef) -> Result<LogStream, ReadError> {
        Err(ReadError::Missing { volume: volume.clone() })
    }
    async fn follow_log(&self, _: &WorkerName, volume: &VolumeRef) -> Result<LogStream, ReadError> {
        Err(ReadError::Missing { volume: volume.clone() })
    }
    async fn log_tail(&self, _: &VolumeRef, _: usize) -> Result<LogTail, ReadError> {
        Err(Fault::new("read a log", io::Error::from(io::ErrorKind::NotFound)).into())
    }
    async fn log_sha256(&self, volume: &VolumeRef) -> Result<String, ReadError> {
        Err(ReadError::Missing { volume: volume.clone() })
    }
    fn describe(&self) -> Vec<String> {
        Vec::new()
    }
}
