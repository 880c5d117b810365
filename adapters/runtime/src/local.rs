//! The local runtime: Workers as sandboxed processes of this machine, Data as directories.
//!
//! Everything lives under one state directory, and the file system is the truth: what a volume or a
//! Worker is can be read from it after any crash.
//!
//! ```text
//! <state>/lock            held while a server uses the directory; a second one is refused
//! <state>/volumes/<name>  sealed volumes: durable and read-only
//! <state>/open/<name>     volumes that a Worker writes to
//! <state>/incoming/…      uploads in flight, and what is being destroyed; emptied at every start
//! <state>/workers/<name>  one directory per Worker, see the module `workers`
//! ```

pub mod shim;

use std::path::PathBuf;

use async_trait::async_trait;
use knit_domain::id::{KnitId, VolumeRef, WorkerName};
use tokio::sync::broadcast;

use crate::archive::Limits;
use crate::port::{
    ArchiveBody, ArchiveStream, CreateError, Created, Fault, Incoming, LogStream, LogTail, Observation, ReadError,
    ReceiveError, Runtime, WorkerSpec,
};

/// How a [`LocalRuntime`] is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where everything is kept; made (mode 0700) if missing. Absolute, and owned by the user who runs this.
    pub state_dir: PathBuf,
    /// The program whose `main` begins with [`shim::dispatch`]. By default this very program.
    pub shim: PathBuf,
    /// What is accepted as an upload.
    pub archive_limits: Limits,
    /// What Workers may have together; by default what the machine has.
    pub capacity: Option<Capacity>,
}

/// What Workers may have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

impl Options {
    /// The usual set-up under `state_dir`.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            shim: PathBuf::from("/proc/self/exe"),
            archive_limits: Limits::default(),
            capacity: None,
        }
    }
}

/// The runtime cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server uses the directory.
    #[error("the state directory `{}` is in use by another server: stop that one first, or give this one another directory", state_dir.display())]
    InUse {
        /// The directory.
        state_dir: PathBuf,
    },
    /// It belongs to somebody else.
    #[error("the state directory `{}` belongs to another user (uid {owner}): run the server as that user, or give it another directory", state_dir.display())]
    NotOurs {
        /// The directory.
        state_dir: PathBuf,
        /// Who owns it.
        owner: u32,
    },
    /// Workers cannot be confined on this machine.
    #[error("this machine cannot confine Workers: {reason}\n{advice}")]
    NoSandbox {
        /// What failed.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// The world broke.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The local runtime.
pub struct LocalRuntime {}

impl LocalRuntime {
    /// Opens the state directory, takes up the Workers that live on from an earlier server, and proves
    /// that Workers can be confined by confining one.
    ///
    /// # Errors
    /// The directory is in use or not ours, the machine cannot confine Workers, or a fault.
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let _ = options;
        unimplemented!()
    }
}

#[async_trait]
impl Runtime for LocalRuntime {
    async fn prepare_volume(&self, _volume: &VolumeRef, _data: KnitId) -> Result<(), Fault> {
        unimplemented!()
    }
    async fn seal_volume(&self, _volume: &VolumeRef) -> Result<(), ReadError> {
        unimplemented!()
    }
    async fn destroy_volume(&self, _volume: &VolumeRef) -> Result<(), Fault> {
        unimplemented!()
    }
    async fn receive(&self, _volume: &VolumeRef, _archive: ArchiveBody) -> Result<Box<dyn Incoming>, ReceiveError> {
        unimplemented!()
    }
    async fn send(&self, _volume: &VolumeRef) -> Result<ArchiveStream, ReadError> {
        unimplemented!()
    }
    async fn create_worker(&self, _spec: &WorkerSpec) -> Result<Created, CreateError> {
        unimplemented!()
    }
    async fn observe_worker(&self, _name: &WorkerName) -> Result<Option<Observation>, Fault> {
        unimplemented!()
    }
    async fn list_workers(&self) -> Result<Vec<Observation>, Fault> {
        unimplemented!()
    }
    async fn remove_worker(&self, _name: &WorkerName) -> Result<(), Fault> {
        unimplemented!()
    }
    fn changes(&self) -> broadcast::Receiver<WorkerName> {
        unimplemented!()
    }
    async fn read_log(&self, _volume: &VolumeRef) -> Result<LogStream, ReadError> {
        unimplemented!()
    }
    async fn follow_log(&self, _worker: &WorkerName, _volume: &VolumeRef) -> Result<LogStream, ReadError> {
        unimplemented!()
    }
    async fn log_tail(&self, _volume: &VolumeRef, _bytes_max: usize) -> Result<LogTail, ReadError> {
        unimplemented!()
    }
    async fn log_sha256(&self, _volume: &VolumeRef) -> Result<String, ReadError> {
        unimplemented!()
    }
    fn describe(&self) -> Vec<String> {
        Vec::new()
    }
}
