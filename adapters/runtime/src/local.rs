//! The local runtime: Workers as sandboxed processes of this machine, Data as directories.
//!
//! Everything lives under one state directory, and the file system is the truth: what a volume or a
//! Worker is can be read from it after any crash.
//!
//! ```text
//! <state>/runtime.lock    locked while a server uses the directory; a second one is refused
//! <state>/place           a random name, made once: what this directory is called among others
//! <state>/volumes/<name>  sealed volumes: durable and read-only
//! <state>/open/<name>     volumes that a Worker writes to, and notes of those that are being sealed
//! <state>/incoming/…      uploads in flight, and what is being destroyed; emptied at every start
//! <state>/workers/<name>  one directory for each Worker, see the module `record`
//! ```

mod cgroup;
mod logs;
mod name;
mod open;
mod order;
mod place;
mod process;
mod quantity;
mod queue;
mod readable;
mod record;
mod sandbox;
pub mod shim;
mod volumes;
mod workers;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use knit_domain::event::plan::Image;
use knit_domain::id::{KnitId, VolumeRef, WorkerName};
use tokio::sync::broadcast;

use crate::archive::{self, Limits};
use crate::port::{
    ArchiveBody, ArchiveStream, CreateError, Created, Fault, Incoming, LogStream, LogTail, Observation, ReadError,
    ReceiveError, Room, Runtime, Unfit, WorkerSpec, WorkerState,
};
use logs::Log;
pub use open::{Capacity, OpenError, Options};
use volumes::{Found, LocalIncoming, Volumes, open_dir};
use workers::Workers;

/// The local runtime.
pub struct LocalRuntime {
    volumes: Arc<Volumes>,
    workers: Arc<Workers>,
    archive_limits: Limits,
    description: Vec<String>,
    place: String,
    /// The state directory and the program that confines Workers: what it takes to try that out.
    trial: (PathBuf, PathBuf),
    /// Held for as long as anything here may touch the directory.
    _lock: Arc<File>,
}

impl LocalRuntime {
    /// Opens the state directory, takes up the Workers that live on from an earlier server, and proves
    /// that Workers can be confined by confining one.
    ///
    /// # Errors
    /// The directory is in use or not ours, the machine cannot confine Workers, or a fault.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        open::open(options).await
    }

    async fn found(&self, volume: &VolumeRef) -> Result<Found, ReadError> {
        let (volumes, volume) = (Arc::clone(&self.volumes), volume.clone());
        blocking("look for a volume", move || {
            volumes.find(&volume)?.ok_or_else(|| ReadError::Missing { volume: volume.clone() })
        })
        .await
    }

    async fn log(&self, volume: &VolumeRef) -> Result<Log, ReadError> {
        Ok(Log::of(&self.found(volume).await?.path)?)
    }

    /// Whether what the Worker is made from is there. A Worker that exists already is not asked again.
    fn check_volumes(volumes: &Volumes, spec: &WorkerSpec) -> Result<(), CreateError> {
        for input in &spec.inputs {
            if !volumes.find(&input.volume)?.is_some_and(|found| found.sealed) {
                return Err(CreateError::Impossible {
                    reason: format!(
                        "the Data for the input `{}` is not on this machine: its volume `{}` is missing",
                        input.path, input.volume
                    ),
                });
            }
        }
        for volume in spec.outputs.iter().map(|output| &output.volume).chain(&spec.log) {
            if volumes.find(volume)?.is_none_or(|found| found.sealed) {
                return Err(Fault::new("create a Worker", format!("its volume `{volume}` is not prepared")).into());
            }
        }
        Ok(())
    }
}

/// Runs something that waits for the disk on a thread that may wait.
async fn blocking<T, E>(action: &'static str, work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Fault> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Fault::new(action, io::Error::from(error)).into()),
    }
}

#[async_trait]
impl Runtime for LocalRuntime {
    async fn try_out(&self) -> Result<(), Unfit> {
        let (state_dir, shim) = self.trial.clone();
        let tried = blocking("try to confine a Worker", move || open::probe(&state_dir, &shim)).await;
        tried.map_err(|error| match error {
            OpenError::NoSandbox { reason, advice } => Unfit { reason, advice },
            error @ (OpenError::InUse { .. }
            | OpenError::NotOurs { .. }
            | OpenError::OpenToOthers { .. }
            | OpenError::Fault(_)) => {
                Unfit { reason: error.to_string(), advice: "the log of the server says more".to_owned() }
            }
        })
    }

    async fn prepare_volume(&self, volume: &VolumeRef, _data: KnitId) -> Result<(), Fault> {
        let (volumes, volume) = (Arc::clone(&self.volumes), volume.clone());
        blocking("prepare a volume", move || volumes.prepare(&volume)).await
    }

    async fn seal_volume(&self, volume: &VolumeRef) -> Result<(), ReadError> {
        let (volumes, volume) = (Arc::clone(&self.volumes), volume.clone());
        blocking("seal a volume", move || volumes.seal(&volume)).await
    }

    async fn destroy_volume(&self, volume: &VolumeRef) -> Result<(), Fault> {
        let (volumes, volume) = (Arc::clone(&self.volumes), volume.clone());
        blocking("destroy a volume", move || volumes.destroy(&volume)).await
    }

    async fn receive(&self, volume: &VolumeRef, archive: ArchiveBody) -> Result<Box<dyn Incoming>, ReceiveError> {
        let (volumes, volume) = (Arc::clone(&self.volumes), volume.clone());
        let make = move || volumes.begin_incoming(&volume);
        let (unpacking, received) = archive::receive_into(archive, self.archive_limits, make).await?;
        Ok(Box::new(LocalIncoming::new(unpacking, received)))
    }

    async fn send(&self, volume: &VolumeRef) -> Result<ArchiveStream, ReadError> {
        let (volumes, volume) = (Arc::clone(&self.volumes), volume.clone());
        blocking("open a volume", move || {
            let missing = || ReadError::Missing { volume: volume.clone() };
            let found = volumes.find(&volume)?.ok_or_else(missing)?;
            let root = open_dir(&found.path)?;
            let read = root.try_clone().map_err(|e| Fault::new("open a volume", e))?;
            Ok(archive::pack_stream(root, move || volumes.still_holds(&volume, &read)))
        })
        .await
    }

    async fn create_worker(&self, spec: &WorkerSpec) -> Result<Created, CreateError> {
        let (volumes, workers, spec) = (Arc::clone(&self.volumes), Arc::clone(&self.workers), spec.clone());
        blocking("create a Worker", move || workers.create(&spec, || Self::check_volumes(&volumes, &spec))).await
    }

    async fn observe_worker(&self, name: &WorkerName) -> Result<Option<Observation>, Fault> {
        let (workers, name) = (Arc::clone(&self.workers), name.clone());
        blocking("look at a Worker", move || workers.observe(&name)).await
    }

    fn lacks_image(&self, image: &Image) -> Option<String> {
        order::check_image(image).err()
    }

    async fn room_for(&self, worker: &WorkerName) -> Option<Room> {
        self.workers.room_for(worker)
    }

    async fn list_workers(&self) -> Result<Vec<Observation>, Fault> {
        let workers = Arc::clone(&self.workers);
        blocking("list the Workers", move || workers.list()).await
    }

    async fn remove_worker(&self, name: &WorkerName) -> Result<(), Fault> {
        self.workers.remove(name).await
    }

    fn changes(&self) -> broadcast::Receiver<WorkerName> {
        self.workers.changes()
    }

    async fn read_log(&self, volume: &VolumeRef) -> Result<LogStream, ReadError> {
        Ok(self.log(volume).await?.read()?)
    }

    async fn follow_log(&self, worker: &WorkerName, volume: &VolumeRef) -> Result<LogStream, ReadError> {
        let log = self.log(volume).await?;
        let (workers, name) = (Arc::clone(&self.workers), worker.clone());
        let ended = move || {
            let (workers, name) = (Arc::clone(&workers), name.clone());
            blocking("look at a Worker", move || {
                let state = workers.observe(&name)?.map(|seen| seen.state);
                Ok(!matches!(state, Some(WorkerState::Pending { .. } | WorkerState::Running)))
            })
        };
        Ok(log.follow(self.workers.changes(), ended)?)
    }

    async fn log_tail(&self, volume: &VolumeRef, bytes_max: usize) -> Result<LogTail, ReadError> {
        let log = self.log(volume).await?;
        Ok(blocking("read a log", move || log.tail(bytes_max)).await?)
    }

    async fn log_sha256(&self, volume: &VolumeRef) -> Result<String, ReadError> {
        let log = self.log(volume).await?;
        Ok(blocking("read a log", move || log.sha256()).await?)
    }

    fn place(&self) -> Option<&str> {
        Some(&self.place)
    }

    fn describe(&self) -> Vec<String> {
        self.description.clone()
    }
}
