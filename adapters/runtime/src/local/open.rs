//! Opening the local runtime: whose directory it is, and whether Workers can be confined.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use knit_failpoint::failpoint;
use rustix::fs::{FlockOperation, Mode, flock};
use rustix::process::geteuid;
use uuid::Uuid;

use super::cgroup::Confinement;
use super::volumes::Volumes;
use super::workers::{Surroundings, Workers};
use super::{LocalRuntime, blocking, place, shim};
use crate::archive::Limits;
use crate::port::Fault;

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
    /// Bounds memory by sampling even where control groups can be written.
    pub without_control_groups: bool,
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
            without_control_groups: false,
        }
    }
}

/// The runtime cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server uses the directory.
    #[error(
        "the state directory `{}` is in use by another server: stop that one first, or give this one another directory",
        state_dir.display()
    )]
    InUse {
        /// The directory.
        state_dir: PathBuf,
    },
    /// It belongs to somebody else.
    #[error(
        "the state directory `{}` belongs to another user (uid {owner}): run the server as that user, or give it \
         another directory",
        state_dir.display()
    )]
    NotOurs {
        /// The directory.
        state_dir: PathBuf,
        /// Who owns it.
        owner: u32,
    },
    /// It is open to others and holds things that are not ours.
    #[error(
        "`{}` is open to other users (mode {mode:o}) and holds other things: give the server a directory of its own, \
         or close this one (`chmod 700`)",
        state_dir.display()
    )]
    OpenToOthers {
        /// The directory.
        state_dir: PathBuf,
        /// Its permission bits.
        mode: u32,
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

pub(super) async fn open(options: Options) -> Result<LocalRuntime, OpenError> {
    let Options { state_dir, shim, archive_limits, capacity, without_control_groups } = options;
    let machine = move || -> Result<_, OpenError> {
        let (state_dir, lock) = claim(&state_dir)?;
        let place = place::name_of(&state_dir).map_err(|e| Fault::new("learn the name of the state directory", e))?;
        let volumes = Volumes::take_up(&state_dir)?;
        probe(&state_dir, &shim)?;
        let confinement = if without_control_groups { Confinement::default() } else { Confinement::find() };
        let capacity = match capacity {
            Some(capacity) => capacity,
            None => of_machine().map_err(|e| Fault::new("learn the machine's capacity", e))?,
        };
        let covered = covered(&state_dir);
        let trial = (state_dir.clone(), shim.clone());
        Ok((volumes, lock, place, trial, Surroundings { state_dir, shim, capacity, confinement, covered }))
    };
    let (volumes, lock, place, trial, surroundings) = blocking("open the state directory", machine).await?;
    let description = describe(&surroundings);
    let workers = Workers::take_up(surroundings).await?;
    let (volumes, _lock) = (Arc::new(volumes), Arc::new(lock));
    Ok(LocalRuntime { volumes, workers, archive_limits, description, place, trial, _lock })
}

/// Makes the directory ours alone, and locks it. Returns its real path, links resolved.
fn claim(state_dir: &Path) -> Result<(PathBuf, File), OpenError> {
    let broken = |e| Fault::new(format!("open the state directory `{}`", state_dir.display()), e);
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(broken)?;
    let found = fs::metadata(state_dir).map_err(broken)?;
    if found.uid() != geteuid().as_raw() {
        return Err(OpenError::NotOurs { state_dir: state_dir.to_owned(), owner: found.uid() });
    }
    let real = state_dir.canonicalize().map_err(broken)?;
    let lock = real.join("runtime.lock");
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        // Somebody may have named a directory that others need; closing that would do harm.
        if !lock.exists() && fs::read_dir(&real).map_err(broken)?.next().is_some() {
            return Err(OpenError::OpenToOthers { state_dir: state_dir.to_owned(), mode });
        }
        rustix::fs::chmod(&real, Mode::RWXU).map_err(|e| broken(e.into()))?;
    }
    let lock = File::options().create(true).truncate(false).write(true).open(lock);
    let lock = lock.map_err(broken)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok((real, lock)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse { state_dir: state_dir.to_owned() }),
        Err(error) => Err(broken(error.into()).into()),
    }
}

/// Confines a process that does nothing.
pub(super) fn probe(state_dir: &Path, shim: &Path) -> Result<(), OpenError> {
    let root = PathBuf::from("incoming").join(format!(".probe-{}", Uuid::new_v4()));
    let broken = |e| Fault::new("try to confine a Worker", e);
    fs::create_dir(state_dir.join(&root)).map_err(broken)?;
    failpoint("start.trial-made");
    let tried = Command::new(shim)
        .args(shim::stage_args("probe", &root.to_string_lossy()))
        .current_dir(state_dir)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(broken)?;
    fs::remove_dir(state_dir.join(&root)).map_err(broken)?;
    if tried.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&tried.stderr).trim().to_owned();
    Err(OpenError::NoSandbox { reason, advice: advice() })
}

/// What usually forbids user namespaces, and how it is allowed.
fn advice() -> String {
    let is = |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return "user namespaces are switched off: run `sysctl user.max_user_namespaces=10000` as root".to_owned();
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return "user namespaces are for root only: run `sysctl kernel.unprivileged_userns_clone=1` as root".to_owned();
    }
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return "AppArmor restricts user namespaces: run `sysctl kernel.apparmor_restrict_unprivileged_userns=0` as \
                root, or give this program a profile that allows `userns`"
            .to_owned();
    }
    "it needs user, mount and PID namespaces; in a container, start that one with `--privileged`, or with a seccomp \
     and AppArmor profile that allows them and an unmasked `/proc`"
        .to_owned()
}

/// What no Worker may see although the machine's own system is bound into it: our state, our home if it is
/// not where homes are, and what the user root could read that others cannot.
fn covered(state_dir: &Path) -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from).and_then(|home| home.canonicalize().ok());
    let home = home.filter(|home| home.parent().is_some());
    let mut covered: Vec<PathBuf> = home.into_iter().filter(|home| !home.starts_with(state_dir)).collect();
    // Covering twice would hide the first cover, which then could not be made read-only.
    if !covered.iter().any(|home| state_dir.starts_with(home)) {
        covered.push(state_dir.to_owned());
    }
    if geteuid().is_root() {
        covered.extend(root_secrets().into_iter().filter(|secret| secret.symlink_metadata().is_ok()));
    }
    covered
}

fn root_secrets() -> Vec<PathBuf> {
    let fixed = ["shadow", "shadow-", "gshadow", "gshadow-", "ssl/private", "sudoers", "sudoers.d"];
    let host_keys = fs::read_dir("/etc/ssh").into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let is_private = |path: &PathBuf| path.to_string_lossy().ends_with("_key");
    fixed.iter().map(|name| Path::new("/etc").join(name)).chain(host_keys.filter(is_private)).collect()
}

fn of_machine() -> io::Result<Capacity> {
    let cpus = std::thread::available_parallelism()?.get();
    let text = fs::read_to_string("/proc/meminfo")?;
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    let kib: u64 = kib.ok_or_else(|| io::Error::other("`/proc/meminfo` does not say `MemTotal`"))?;
    Ok(Capacity { cpu_millis: cpus as u64 * 1_000, memory_bytes: kib * 1_024 })
}

fn describe(surroundings: &Surroundings) -> Vec<String> {
    let Capacity { cpu_millis, memory_bytes } = surroundings.capacity;
    let mut lines = vec![
        format!("Data and Workers are kept in {}", surroundings.state_dir.display()),
        format!("Workers have {cpu_millis}m of cpu and {}Mi of memory together", memory_bytes >> 20),
    ];
    lines.extend(surroundings.confinement.describe());
    lines
}
