//! What is written down about a Worker, in its directory `workers/<name>/`.
//!
//! ```text
//! spec.json    what it is made from; the directory appears together with it
//! lock         locked from before the shim exists until it has ended
//! started      the shim; made once, so that a Worker is never started twice
//! init         the first process inside
//! running      empty: the command was started
//! end.json     how it ended; durable
//! root/        where its file system is mounted, in its own mount namespace only
//! ```
//!
//! Servers come and go; a shim of an older server may live beside a newer one. Fields are therefore only
//! added, with defaults.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use knit_domain::id::RunId;
use knit_failpoint::failpoint;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::cgroup::Confinement;
use super::process::ProcessId;

/// Room kept for the end, so that a disk which fills up while a Worker runs does not hide how it ended.
const END_BYTES: usize = 4_096;

/// Everything the shim needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Spec {
    pub(super) uid: String,
    /// The order in which Workers came.
    pub(super) sequence: u64,
    /// The boot in which it was made.
    pub(super) boot_id: String,
    pub(super) run: RunId,
    pub(super) attempt: u32,
    pub(super) command: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    pub(super) inputs: Vec<Place>,
    pub(super) outputs: Vec<Place>,
    /// The volume that keeps the log.
    pub(super) log: Option<String>,
    pub(super) cpu_millis: Option<u64>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) confinement: Confinement,
    /// Directories that it must not see, wherever they lie.
    pub(super) covered: Vec<PathBuf>,
    pub(super) notes: Vec<String>,
}

/// A volume at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) path: String,
    pub(super) volume: String,
}

/// How a Worker ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum End {
    /// The command ended with 0.
    Succeeded,
    /// The command ended otherwise.
    Failed {
        /// 128 + the number if by a signal.
        code: u8,
        message: String,
    },
    /// The command never ran.
    Stuck { message: String },
}

/// The directory of a Worker.
pub(super) struct Record {
    dir: PathBuf,
}

impl Record {
    pub(super) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the Worker's file system is mounted.
    pub(super) fn root(&self) -> PathBuf {
        self.dir.join("root")
    }

    /// Makes the record of a new Worker, whole or not at all. `false` = there is one of that name.
    pub(super) fn create(&self, spec: &Spec) -> io::Result<bool> {
        let parent = self.dir.parent().expect("it lies in the directory of Workers");
        let new = parent.join(format!(".new-{}", spec.uid));
        let created = self.create_by_way_of(&new, spec);
        if !matches!(created, Ok(true)) {
            // Each try makes another, and a full disk is tried again and again. What stays all the same goes
            // at the next start.
            let _ = fs::remove_dir_all(&new);
        }
        created
    }

    fn create_by_way_of(&self, new: &Path, spec: &Spec) -> io::Result<bool> {
        fs::create_dir(new)?;
        fs::create_dir(new.join("root"))?;
        fs::write(new.join("spec.json"), serde_json::to_vec(spec)?)?;
        failpoint("worker.record-begun");
        match renameat_with(CWD, new, CWD, &self.dir, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// `None` = no such Worker.
    pub(super) fn spec(&self) -> io::Result<Option<Spec>> {
        self.read("spec.json")
    }

    /// Takes the lock for a shim; `None` = a shim has it.
    pub(super) fn lock(&self) -> io::Result<Option<File>> {
        let file = File::options().create(true).truncate(false).write(true).open(self.dir.join("lock"))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes down the shim, unless one was here before: then `false`.
    pub(super) fn claim_start(&self, shim: ProcessId) -> io::Result<bool> {
        let claim = self.dir.join(format!("started.{}", shim.pid));
        fs::write(&claim, serde_json::to_vec(&shim)?)?;
        failpoint("shim.claim-begun");
        match renameat_with(CWD, &claim, CWD, self.dir.join("started"), RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::EXIST) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn started(&self) -> io::Result<Option<ProcessId>> {
        self.read("started")
    }

    pub(super) fn write_init(&self, init: ProcessId) -> io::Result<()> {
        let new = self.dir.join("init.new");
        fs::write(&new, serde_json::to_vec(&init)?)?;
        failpoint("shim.init-record-begun");
        fs::rename(new, self.dir.join("init"))
    }

    pub(super) fn init(&self) -> io::Result<Option<ProcessId>> {
        self.read("init")
    }

    pub(super) fn mark_running(&self) -> io::Result<()> {
        File::create(self.dir.join("running")).map(drop)
    }

    pub(super) fn is_running(&self) -> bool {
        self.dir.join("running").exists()
    }

    /// Takes the room for [`Self::write_end`] beforehand.
    pub(super) fn reserve_end(&self) -> io::Result<()> {
        fs::write(self.dir.join("end.new"), [b' '; END_BYTES])
    }

    /// Writes the end durably. Blanks behind it are JSON as well.
    pub(super) fn write_end(&self, end: &End) -> io::Result<()> {
        let new = self.dir.join("end.new");
        let mut text = serde_json::to_vec(end)?;
        text.resize(text.len().max(END_BYTES), b' ');
        let mut file = File::options().write(true).create(true).truncate(false).open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        failpoint("shim.end-durable");
        fs::rename(new, self.dir.join("end.json"))?;
        File::open(&self.dir)?.sync_all()
    }

    pub(super) fn end(&self) -> io::Result<Option<End>> {
        self.read("end.json")
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        match fs::read(self.dir.join(name)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
