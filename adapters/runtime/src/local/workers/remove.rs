//! Killing and forgetting a Worker.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use knit_domain::id::WorkerName;
use knit_failpoint::failpoint;
use uuid::Uuid;

use super::{Record, Workers, broken};
use crate::local::cgroup;
use crate::local::process::{ended, kill};
use crate::local::volumes::remove_tree;
use crate::port::Fault;

/// How long killed processes may take to be gone. The kernel frees their memory and closes their files,
/// which takes seconds for very large ones on a busy disk; more means that something hangs in the kernel.
const DEATH_MAX: Duration = Duration::from_secs(30);

/// How long the shim may take to write down the end after init was killed, before it is killed as well.
const LAST_WORDS_MAX: Duration = Duration::from_secs(5);

impl Workers {
    /// Kills whatever lives of the Worker and removes its directory. Nothing of it writes anywhere when this
    /// returns.
    pub(in crate::local) async fn remove(&self, name: &WorkerName) -> Result<(), Fault> {
        let record = self.record(name)?;
        let shim = {
            let mut table = self.table();
            let shim = table.live.get(name).cloned();
            if shim.is_none() {
                table.queue.leave(name);
            }
            shim
        };
        self.end(&record, shim).await.map_err(|e| broken("end", name, e))?;
        failpoint("remove.all-ended");
        self.forget(name, &record)
    }

    /// Init goes first: with it the kernel ends everything inside, and the shim has only to write the end
    /// down. Then the shim, if it hangs. Then init again, for a shim that was killed while it started it.
    async fn end(&self, record: &Record, shim: Option<Arc<OwnedFd>>) -> io::Result<()> {
        let killed_init = kill_init(record)?.is_some();
        failpoint("remove.init-killed");
        if let Some(shim) = shim {
            let patience = if killed_init { LAST_WORDS_MAX } else { Duration::ZERO };
            if tokio::time::timeout(patience, ended(shim.try_clone()?)).await.is_err() {
                kill(&shim)?;
            }
            wait(shim.try_clone()?).await?;
        }
        match kill_init(record)? {
            Some(init) => wait(init).await,
            None => Ok(()),
        }
    }

    fn forget(&self, name: &WorkerName, record: &Record) -> Result<(), Fault> {
        if let Ok(Some(spec)) = record.spec() {
            cgroup::remove_left_over(&spec.confinement, &spec.uid);
        }
        failpoint("remove.groups-removed");
        let gone = record.dir().with_file_name(format!(".gone-{}", Uuid::new_v4()));
        match fs::rename(record.dir(), &gone) {
            Ok(()) => {
                failpoint("remove.moved-aside");
                remove_tree(&gone)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(broken("remove", name, error)),
        }
        let mut table = self.table();
        table.broken.remove(name);
        table.live.remove(name);
        table.queue.leave(name);
        self.start_due(&mut table);
        drop(table);
        self.announce(name);
        Ok(())
    }
}

/// Kills init if it lives, and returns its handle.
fn kill_init(record: &Record) -> io::Result<Option<OwnedFd>> {
    let Some(init) = record.init()? else { return Ok(None) };
    let handle = init.open()?;
    if let Some(handle) = &handle {
        kill(handle)?;
    }
    Ok(handle)
}

async fn wait(process: OwnedFd) -> io::Result<()> {
    tokio::time::timeout(DEATH_MAX, ended(process))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "it was killed and does not end"))?
}
