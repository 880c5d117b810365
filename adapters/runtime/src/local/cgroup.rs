//! Limits of processor time and memory by control groups, of either version, where they can be written.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use knit_failpoint::failpoint;
use serde::{Deserialize, Serialize};

/// The group under which every Worker gets one of its own.
const PARENT: &str = "knitfab";

/// The kernel's usual period of processor quotas; a quota is given per period.
const CPU_PERIOD_US: u64 = 100_000;

/// The kernel refuses smaller quotas.
const CPU_QUOTA_US_MIN: u64 = 1_000;

/// How Workers of this machine are bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Confinement {
    /// The group of Workers in the hierarchy that bounds memory; absent = resident memory is sampled.
    pub(super) memory: Option<Hierarchy>,
    /// The group of Workers in the hierarchy that bounds processor time; absent = it is not bounded.
    pub(super) cpu: Option<Hierarchy>,
}

/// A group in a hierarchy of control groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Hierarchy {
    /// Version 1: one hierarchy for each controller.
    V1(PathBuf),
    /// Version 2: one for all.
    V2(PathBuf),
}

impl Hierarchy {
    fn path(&self) -> &Path {
        match self {
            Self::V1(path) | Self::V2(path) => path,
        }
    }
}

impl Confinement {
    /// Looks for hierarchies that this process may use, by using them.
    pub(super) fn find() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self { memory: find_controller("memory", &mounts, &own), cpu: find_controller("cpu", &mounts, &own) }
    }

    /// For the administrator.
    pub(super) fn describe(&self) -> Vec<String> {
        let how = |hierarchy: &Option<Hierarchy>, otherwise: &str| match hierarchy {
            Some(Hierarchy::V1(path)) => format!("control group v1 {}", path.display()),
            Some(Hierarchy::V2(path)) => format!("control group v2 {}", path.display()),
            None => otherwise.to_owned(),
        };
        vec![
            format!("memory of Workers is bounded by: {}", how(&self.memory, "sampling what is resident")),
            format!("processor time of Workers is bounded by: {}", how(&self.cpu, "nothing")),
        ]
    }
}

fn find_controller(controller: &str, mounts: &str, own: &str) -> Option<Hierarchy> {
    let v1 = mount_of(mounts, |kind, options| kind == "cgroup" && options.split(',').any(|o| o == controller));
    if let Some(mount) = v1 {
        let ours = own.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            fields.next()?.split(',').any(|name| name == controller).then(|| fields.next())?
        });
        // Below our own group, so that a limit above it holds for Workers too; in a container that path
        // may not be visible.
        let nested = ours.map(|path| mount.join(path.trim_start_matches('/')));
        let parents = nested.into_iter().chain([mount]).map(|parent| parent.join(PARENT));
        return parents.map(Hierarchy::V1).find(|group| is_usable(group, controller));
    }
    let mount = mount_of(mounts, |kind, _| kind == "cgroup2")?;
    // A group with processes of its own must not have groups below it, except the root; so not below ours.
    enable_v2(&mount, controller).ok()?;
    let group = mount.join(PARENT);
    fs::create_dir_all(&group).ok()?;
    enable_v2(&group, controller).ok()?;
    Some(Hierarchy::V2(group)).filter(|group| is_usable(group, controller))
}

fn enable_v2(group: &Path, controller: &str) -> io::Result<()> {
    write(&group.join("cgroup.subtree_control"), &format!("+{controller}"))
}

/// The mount point of the first mount whose type and options fit.
fn mount_of(mounts: &str, fits: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let (kind, options) = (kind.next()?, kind.nth(1)?);
        fits(kind, options).then(|| place.split(' ').nth(4)).flatten().map(PathBuf::from)
    })
}

/// Tries it with a group that nobody uses.
fn is_usable(group: &Hierarchy, controller: &str) -> bool {
    let trial = group.path().join(format!("trial-{}", std::process::id()));
    let made = fs::create_dir_all(&trial).and_then(|()| match controller {
        "memory" => limit_memory(group, &trial, 1 << 30),
        _ => limit_cpu(group, &trial, 1_000),
    });
    let entered = File::options().write(true).open(trial.join("cgroup.procs")).is_ok();
    let removed = fs::remove_dir(&trial).is_ok();
    made.is_ok() && entered && removed
}

fn limit_memory(hierarchy: &Hierarchy, group: &Path, bytes: u64) -> io::Result<()> {
    let (limit, with_swap) = match hierarchy {
        Hierarchy::V1(_) => ("memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", bytes)),
        Hierarchy::V2(_) => ("memory.max", ("memory.swap.max", 0)),
    };
    write(&group.join(limit), &bytes.to_string())?;
    // Without it a Worker over its limit would drive the machine into its swap; not every kernel counts swap.
    let (swap, bytes) = with_swap;
    let _ = write(&group.join(swap), &bytes.to_string());
    Ok(())
}

fn limit_cpu(hierarchy: &Hierarchy, group: &Path, millis: u64) -> io::Result<()> {
    let quota_us = (millis * CPU_PERIOD_US / 1_000).max(CPU_QUOTA_US_MIN);
    match hierarchy {
        Hierarchy::V1(_) => {
            write(&group.join("cpu.cfs_period_us"), &CPU_PERIOD_US.to_string())?;
            write(&group.join("cpu.cfs_quota_us"), &quota_us.to_string())
        }
        Hierarchy::V2(_) => write(&group.join("cpu.max"), &format!("{quota_us} {CPU_PERIOD_US}")),
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    File::options().write(true).open(path)?.write_all(text.as_bytes())
}

/// The groups of one Worker.
pub(super) struct Groups {
    memory: Option<(Hierarchy, PathBuf)>,
    cpu: Option<(Hierarchy, PathBuf)>,
    /// Opened while we still have every right of the user.
    entrances: Vec<File>,
}

impl Groups {
    /// Makes the groups of the Worker `uid` with its limits.
    pub(super) fn make(
        confinement: &Confinement,
        uid: &str,
        cpu_millis: Option<u64>,
        memory_bytes: Option<u64>,
    ) -> io::Result<Self> {
        let memory = memory_bytes.and(confinement.memory.clone()).map(|h| (h.clone(), h.path().join(uid)));
        let cpu = cpu_millis.and(confinement.cpu.clone()).map(|h| (h.clone(), h.path().join(uid)));
        let mut groups = Self { memory, cpu, entrances: Vec::new() };
        // The places are passed also where there are no control groups, so that every machine can play each case.
        if let Some((_, group)) = &groups.memory {
            fs::create_dir_all(group)?;
        }
        failpoint("shim.memory-group-made");
        if let (Some((hierarchy, group)), Some(bytes)) = (&groups.memory, memory_bytes) {
            limit_memory(hierarchy, group, bytes)?;
        }
        failpoint("shim.memory-limited");
        if let Some((_, group)) = &groups.cpu {
            fs::create_dir_all(group)?;
        }
        failpoint("shim.cpu-group-made");
        if let (Some((hierarchy, group)), Some(millis)) = (&groups.cpu, cpu_millis) {
            limit_cpu(hierarchy, group, millis)?;
        }
        for group in groups.paths() {
            groups.entrances.push(File::options().write(true).open(group.join("cgroup.procs"))?);
        }
        Ok(groups)
    }

    fn paths(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> = [&self.memory, &self.cpu].into_iter().flatten().map(|(_, path)| path.clone()).collect();
        paths.dedup();
        paths
    }

    /// Moves a process, and all it will start, into the groups.
    pub(super) fn enter(&self, pid: i32) -> io::Result<()> {
        self.entrances.iter().try_for_each(|mut entrance| entrance.write_all(pid.to_string().as_bytes()))
    }

    /// Whether the kernel killed something in the group because its memory was used up.
    pub(super) fn memory_ran_out(&self) -> bool {
        let Some((hierarchy, group)) = &self.memory else { return false };
        let counters = match hierarchy {
            Hierarchy::V1(_) => "memory.oom_control",
            Hierarchy::V2(_) => "memory.events",
        };
        let counters = fs::read_to_string(group.join(counters)).unwrap_or_default();
        counters.lines().any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
    }

    /// Removes the groups, which are empty once the Worker has ended.
    pub(super) fn remove(&self) {
        remove(self.memory.as_ref().map(|(_, group)| group));
        failpoint("shim.memory-group-removed");
        remove(self.cpu.as_ref().map(|(_, group)| group));
    }
}

/// Removes what a shim that was killed could not.
pub(super) fn remove_left_over(confinement: &Confinement, uid: &str) {
    let group = |hierarchy: &Option<Hierarchy>| hierarchy.as_ref().map(|hierarchy| hierarchy.path().join(uid));
    remove(group(&confinement.memory).as_ref());
    failpoint("remove.memory-group-removed");
    remove(group(&confinement.cpu).as_ref());
}

/// Removes a group; it may be gone already, and in version 2 both are the same. One that stays behind costs a little
/// kernel memory and nothing else; so this is not worth an error.
fn remove(group: Option<&PathBuf>) {
    if let Some(group) = group
        && let Err(error) = fs::remove_dir(group)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(group = %group.display(), %error, "a control group stays behind");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
30 24 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn a_controller_is_found_by_its_mount() {
        let cpu = mount_of(MOUNTS, |kind, options| kind == "cgroup" && options.split(',').any(|o| o == "cpu"));
        assert_eq!(cpu, Some(PathBuf::from("/sys/fs/cgroup/cpu,cpuacct")));
        assert_eq!(mount_of(MOUNTS, |kind, _| kind == "cgroup2"), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(mount_of(MOUNTS, |kind, _| kind == "ext4"), None);
    }
}
