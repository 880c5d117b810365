//! Workers from the server's side: created, admitted, watched, removed.
//!
//! The truth about a Worker is in its directory (see `record`). What is held in memory is who waits for
//! room and who lives; it is read back from the directories at every start.

mod remove;
mod take_up;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use knit_domain::event::run::Exit;
use knit_domain::id::WorkerName;
use knit_failpoint::failpoint;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::cgroup::Confinement;
use super::name::file_name;
use super::order::{self, Accepted};
use super::process::boot_id;
use super::queue::Queue;
use super::record::{End, Place, Record, Spec};
use super::{Capacity, shim};
use crate::port::{CreateError, Created, Fault, Mount, Observation, Room, WorkerSpec, WorkerState};

/// Notices kept for a receiver that is slow; one that misses some lists all Workers.
const NOTICES_MAX: usize = 1_024;

/// The exit code of a Worker that could not be set up.
const STUCK_CODE: u8 = 255;

/// Messages of exits are cut here (Q13).
const MESSAGE_CHARS_MAX: usize = 1_024;

/// What Workers need of their surroundings.
pub(super) struct Surroundings {
    pub(super) state_dir: PathBuf,
    pub(super) shim: PathBuf,
    pub(super) capacity: Capacity,
    pub(super) confinement: Confinement,
    pub(super) covered: Vec<PathBuf>,
}

pub(super) struct Workers {
    surroundings: Surroundings,
    boot_id: String,
    table: Mutex<Table>,
    changes: broadcast::Sender<WorkerName>,
    this: Weak<Self>,
}

struct Table {
    queue: Queue,
    next_sequence: u64,
    /// Shims that live.
    live: HashMap<WorkerName, Arc<OwnedFd>>,
    /// Workers whose shim could not even begin, and why.
    broken: HashMap<WorkerName, String>,
}

impl Workers {
    pub(super) fn changes(&self) -> broadcast::Receiver<WorkerName> {
        self.changes.subscribe()
    }

    fn record(&self, name: &WorkerName) -> Result<Record, Fault> {
        Ok(Record::at(self.surroundings.state_dir.join("workers").join(file_name(&name.0)?)))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing panics while it holds the table")
    }

    /// Creates the Worker; it waits in the queue until there is room. `check` is asked only if it is new.
    pub(super) fn create(
        &self,
        spec: &WorkerSpec,
        check: impl FnOnce() -> Result<(), CreateError>,
    ) -> Result<Created, CreateError> {
        let name = &spec.order.name;
        let record = self.record(name)?;
        if let Some(existing) = record.spec().map_err(|e| broken("read", name, e))? {
            return Ok(adopt(name, spec, existing)?);
        }
        let accepted =
            order::accept(spec, self.surroundings.capacity).map_err(|reason| CreateError::Impossible { reason })?;
        check()?;
        let request = accepted.request();
        let mut table = self.table();
        let written = self.spec_of(spec, accepted, table.next_sequence);
        // Its control groups are named by its uid, and nothing else tells after it is gone.
        tracing::debug!(worker = %name, uid = written.uid, "a Worker is created");
        if !record.create(&written).map_err(|e| broken("create", name, e))? {
            let existing = record.spec().map_err(|e| broken("read", name, e))?;
            return Ok(existing.map_or_else(
                || Err(broken("create", name, io::Error::other("it was removed meanwhile"))),
                |existing| adopt(name, spec, existing),
            )?);
        }
        failpoint("worker.written-down");
        table.next_sequence += 1;
        table.queue.wait(name.clone(), request);
        self.start_due(&mut table);
        Ok(Created { uid: written.uid, image_digest: None, notes: written.notes })
    }

    fn spec_of(&self, spec: &WorkerSpec, accepted: Accepted, sequence: u64) -> Spec {
        Spec {
            uid: Uuid::new_v4().to_string(),
            sequence,
            boot_id: self.boot_id.clone(),
            run: spec.run,
            attempt: spec.attempt,
            command: accepted.command,
            env: spec.order.env.clone(),
            inputs: places(&spec.inputs),
            outputs: places(&spec.outputs),
            log: spec.log.as_ref().map(|volume| volume.0.clone()),
            cpu_millis: accepted.cpu_millis,
            memory_bytes: accepted.memory_bytes,
            confinement: self.surroundings.confinement.clone(),
            covered: self.surroundings.covered.clone(),
            notes: accepted.notes,
        }
    }

    /// Starts everybody for whom there is room. The table stays locked while a shim is started, which takes
    /// a millisecond, so that each Worker is at any time either waiting or has a shim that can be killed.
    fn start_due(&self, table: &mut Table) {
        while let Some(name) = table.queue.admit() {
            match self.start(&name) {
                Ok((child, handle)) => {
                    table.live.insert(name.clone(), Arc::clone(&handle));
                    tokio::spawn(watch_started(self.this.clone(), name, child, handle));
                }
                Err(error) => {
                    tracing::warn!(worker = %name, %error, "a Worker could not be started");
                    table.queue.leave(&name);
                    table.broken.insert(name.clone(), format!("cannot start its shim: {error}"));
                    self.announce(&name);
                }
            }
        }
    }

    fn start(&self, name: &WorkerName) -> io::Result<(Child, Arc<OwnedFd>)> {
        let record = self.record(name).map_err(io::Error::other)?;
        let lock = record.lock()?.ok_or_else(|| io::Error::other("somebody holds its lock"))?;
        failpoint("worker.locked");
        let child = Command::new(&self.surroundings.shim)
            .args(shim::stage_args("shim", &name.0))
            .current_dir(&self.surroundings.state_dir)
            // The server's environment may hold secrets.
            .env_clear()
            .envs(knit_failpoint::inherited())
            .stdin(Stdio::from(lock))
            .stdout(Stdio::piped())
            // Not the server's: whoever reads that to its end would wait for the Worker.
            .stderr(Stdio::from(File::create(record.dir().join("shim.err"))?))
            .spawn()?;
        failpoint("worker.shim-started");
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the kernel gave no process number"))?;
        let handle = Arc::new(pidfd_open(pid, PidfdFlags::NONBLOCK)?);
        Ok((child, handle))
    }

    /// Nobody may listen.
    fn announce(&self, name: &WorkerName) {
        let _ = self.changes.send(name.clone());
    }

    /// The shim has ended: there is room for somebody else, and something to see. If the Worker was removed
    /// and made again meanwhile, the new shim is another one.
    fn shim_ended(&self, name: &WorkerName, shim: &Arc<OwnedFd>) {
        let mut table = self.table();
        if !table.live.get(name).is_some_and(|live| Arc::ptr_eq(live, shim)) {
            return;
        }
        failpoint("worker.shim-ended");
        table.live.remove(name);
        table.queue.leave(name);
        if let Ok(record) = self.record(name)
            && record.dir().exists()
            && !record.dir().join("started").exists()
        {
            let said = std::fs::read_to_string(record.dir().join("shim.err")).unwrap_or_default();
            table.broken.insert(name.clone(), format!("its shim could not begin: {}", said.trim()));
        }
        self.start_due(&mut table);
        drop(table);
        self.announce(name);
    }

    pub(super) fn observe(&self, name: &WorkerName) -> Result<Option<Observation>, Fault> {
        let record = self.record(name)?;
        let Some(spec) = record.spec().map_err(|e| broken("read", name, e))? else { return Ok(None) };
        let state = self.state(name, &record).map_err(|e| broken("look at", name, e))?;
        Ok(Some(Observation { name: name.clone(), uid: spec.uid, run: spec.run, attempt: spec.attempt, state }))
    }

    fn state(&self, name: &WorkerName, record: &Record) -> io::Result<WorkerState> {
        let lives = {
            let table = self.table();
            if table.queue.is_waiting(name) {
                return Ok(WorkerState::Pending { reason: Some("it waits for free cpu and memory".to_owned()) });
            }
            if let Some(reason) = table.broken.get(name) {
                return Ok(WorkerState::Stuck(exit(STUCK_CODE, reason)));
            }
            table.live.contains_key(name)
        };
        // A shim writes the end before it ends, so the end is looked for after its life was.
        Ok(match record.end()? {
            Some(End::Succeeded) => WorkerState::Succeeded,
            Some(End::Failed { code, message }) => WorkerState::Failed(exit(code, &message)),
            Some(End::Stuck { message }) => WorkerState::Stuck(exit(STUCK_CODE, &message)),
            None if lives && record.is_running() => WorkerState::Running,
            None if lives => WorkerState::Pending { reason: None },
            None => WorkerState::Lost,
        })
    }

    /// What a Worker waits for, if it waits in the queue.
    pub(super) fn room_for(&self, name: &WorkerName) -> Option<Room> {
        self.table().queue.room_for(name)
    }

    pub(super) fn list(&self) -> Result<Vec<Observation>, Fault> {
        let names = take_up::names(&self.surroundings.state_dir)?;
        names.iter().filter_map(|name| self.observe(name).transpose()).collect()
    }
}

/// Watches a shim that this server started.
async fn watch_started(workers: Weak<Workers>, name: WorkerName, mut child: Child, handle: Arc<OwnedFd>) {
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(_running)) = lines.next_line().await {
            if let Some(workers) = workers.upgrade() {
                workers.announce(&name);
            }
        }
    }
    if let Err(error) = child.wait().await {
        tracing::warn!(worker = %name, %error, "the end of a shim could not be awaited");
    }
    if let Some(workers) = workers.upgrade() {
        workers.shim_ended(&name, &handle);
    }
}

/// A Worker of that name exists: ours if the labels say so.
fn adopt(name: &WorkerName, wanted: &WorkerSpec, existing: Spec) -> Result<Created, Fault> {
    if (existing.run, existing.attempt) == (wanted.run, wanted.attempt) {
        return Ok(Created { uid: existing.uid, image_digest: None, notes: existing.notes });
    }
    let other = format!("one of that name belongs to attempt {} of Run {}", existing.attempt, existing.run);
    Err(broken("create", name, io::Error::other(other)))
}

fn places(mounts: &[Mount]) -> Vec<Place> {
    mounts.iter().map(|mount| Place { path: mount.path.clone(), volume: mount.volume.0.clone() }).collect()
}

fn exit(code: u8, message: &str) -> Exit {
    Exit { code, message: message.chars().take(MESSAGE_CHARS_MAX).collect() }
}

fn broken(action: &str, name: &WorkerName, error: io::Error) -> Fault {
    Fault::new(format!("{action} the Worker `{name}`"), error)
}

/// The directory of all Workers.
fn workers_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("workers")
}
