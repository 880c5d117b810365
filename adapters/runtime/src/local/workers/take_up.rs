//! Taking up the Workers of an earlier server.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use knit_domain::id::WorkerName;
use tokio::sync::broadcast;

use super::{Capacity, NOTICES_MAX, Queue, Record, Spec, Surroundings, Table, Workers, boot_id, broken, workers_dir};
use crate::local::process;
use crate::local::volumes::{make_dir, remove_tree};
use crate::port::Fault;

/// A shim that holds its lock writes itself down as its first act. If a server was killed just then, the
/// next one looks this often, with this pause, before it says that the machine is not to be understood.
const CLAIM_LOOKS_MAX: u32 = 100;
const CLAIM_PAUSE: Duration = Duration::from_millis(20);

/// What an earlier server left of a Worker.
enum Left {
    /// Nothing was started.
    Waiting,
    /// Its shim lives.
    Alive(OwnedFd),
    /// It ended, or was lost.
    Over,
}

impl Workers {
    /// Reads every directory. Workers that wait get into the queue in the order they came, those that live
    /// are watched.
    pub(in crate::local) async fn take_up(surroundings: Surroundings) -> Result<Arc<Self>, Fault> {
        let dir = workers_dir(&surroundings.state_dir);
        make_dir(&dir)?;
        sweep(&dir)?;
        let boot_id = boot_id().map_err(|e| Fault::new("learn the boot's id", e))?;
        let table = Table {
            queue: Queue::new(surroundings.capacity),
            next_sequence: 0,
            live: HashMap::new(),
            broken: HashMap::new(),
        };
        let workers = Arc::new_cyclic(|this| Self {
            surroundings,
            boot_id,
            table: Mutex::new(table),
            changes: broadcast::Sender::new(NOTICES_MAX),
            this: this.clone(),
        });
        let mut found = Vec::new();
        for name in names(&workers.surroundings.state_dir)? {
            let record = workers.record(&name)?;
            match record.spec() {
                Ok(Some(spec)) => found.push((spec.sequence, name, record, spec)),
                Ok(None) => {}
                Err(error) => {
                    // Only a machine that lost its power leaves one; nothing of it can live.
                    tracing::warn!(worker = %name, %error, "a Worker's record is not readable and is removed");
                    remove_tree(record.dir())?;
                }
            }
        }
        found.sort_by_key(|(sequence, ..)| *sequence);
        for (sequence, name, record, spec) in found {
            workers.take_up_one(sequence, name, &record, &spec).await?;
        }
        workers.start_due(&mut workers.table());
        Ok(workers)
    }

    async fn take_up_one(&self, sequence: u64, name: WorkerName, record: &Record, spec: &Spec) -> Result<(), Fault> {
        let left = self.what_is_left(record, spec).await.map_err(|e| broken("take up", &name, e))?;
        let request = Capacity {
            cpu_millis: spec.cpu_millis.unwrap_or_default(),
            memory_bytes: spec.memory_bytes.unwrap_or_default(),
        };
        let mut table = self.table();
        table.next_sequence = table.next_sequence.max(sequence + 1);
        match left {
            Left::Waiting => table.queue.wait(name, request),
            Left::Alive(shim) => {
                let shim = Arc::new(shim);
                table.queue.hold(name.clone(), request);
                table.live.insert(name.clone(), Arc::clone(&shim));
                let watched = shim.try_clone().map_err(|e| Fault::new("watch a Worker", e))?;
                let this = self.this.clone();
                tokio::spawn(async move {
                    if let Err(error) = process::ended(watched).await {
                        tracing::warn!(worker = %name, %error, "the end of a shim could not be awaited");
                    }
                    if let Some(workers) = this.upgrade() {
                        workers.shim_ended(&name, &shim);
                    }
                });
            }
            Left::Over => {}
        }
        Ok(())
    }

    async fn what_is_left(&self, record: &Record, spec: &Spec) -> io::Result<Left> {
        if spec.boot_id != self.boot_id {
            // Whether it was started before the machine stopped is not known for sure; so it is lost.
            return Ok(Left::Over);
        }
        for _look in 0..CLAIM_LOOKS_MAX {
            // The order matters: a shim that is found without the lock has ended, so its claim is there.
            let locked = record.lock()?.is_none();
            match record.started()? {
                None if !locked => return Ok(Left::Waiting),
                Some(shim) => {
                    let shim = shim.open()?.filter(|_| locked);
                    return Ok(shim.map_or(Left::Over, Left::Alive));
                }
                None => tokio::time::sleep(CLAIM_PAUSE).await,
            }
        }
        Err(io::Error::other("a process holds its lock and does not say which"))
    }
}

/// Names of all Workers of the directory.
pub(super) fn names(state_dir: &Path) -> Result<Vec<WorkerName>, Fault> {
    let broken = |e| Fault::new("list the Workers", e);
    let entries = fs::read_dir(workers_dir(state_dir)).map_err(broken)?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(broken)?.file_name();
        names.extend(name.to_str().filter(|name| !name.starts_with('.')).map(|name| WorkerName(name.to_owned())));
    }
    names.sort();
    Ok(names)
}

/// Removes what a crash left of Workers that were being created or removed.
fn sweep(dir: &Path) -> Result<(), Fault> {
    let broken = |e| Fault::new("list the Workers", e);
    for entry in fs::read_dir(dir).map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            remove_tree(&entry.path())?;
        }
    }
    Ok(())
}
