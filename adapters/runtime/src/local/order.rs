//! Whether this machine can do what a Worker asks for, and what it does differently.

use knit_domain::event::plan::{Image, NodeMode};
use knit_domain::event::run::WorkerOrder;

use super::Capacity;
use super::quantity;
use crate::port::{Mount, WorkerSpec};

/// What can run here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) command: Vec<String>,
    /// The limit of processor time; absent = none.
    pub(super) cpu_millis: Option<u64>,
    /// The limit of memory; absent = none.
    pub(super) memory_bytes: Option<u64>,
    pub(super) notes: Vec<String>,
}

impl Accepted {
    /// The part of the machine that it holds while it runs. Without a limit it is taken in for nothing,
    /// as on a cluster.
    pub(super) fn request(&self) -> Capacity {
        Capacity {
            cpu_millis: self.cpu_millis.unwrap_or_default(),
            memory_bytes: self.memory_bytes.unwrap_or_default(),
        }
    }
}

/// Directories of the kernel, in which nothing can be mounted.
const KERNEL_DIRECTORIES: [&str; 2] = ["/proc", "/sys"];

/// Checks a Worker against the machine. The error is the reason for the user.
pub(super) fn accept(spec: &WorkerSpec, capacity: Capacity) -> Result<Accepted, String> {
    let order = &spec.order;
    check_image(&order.image)?;
    check_account(order)?;
    let command: Vec<String> = order.entrypoint.iter().chain(&order.args).cloned().collect();
    if command.first().is_none_or(String::is_empty) {
        return Err(format!(
            "the image `{}` has no command of its own: register a Plan with an `entrypoint`",
            order.image
        ));
    }
    if command.iter().chain(order.env.iter().flat_map(|(key, value)| [key, value])).any(|text| text.contains('\0')) {
        return Err("a NUL character is in the entrypoint, the args or a variable: no command can be given one".into());
    }
    for mount in spec.inputs.iter().chain(&spec.outputs) {
        check_path(mount)?;
    }
    let (cpu_millis, memory_bytes) = limits(order, capacity)?;
    Ok(Accepted { command, cpu_millis, memory_bytes, notes: placement(order)? })
}

pub(super) fn check_image(image: &Image) -> Result<(), String> {
    if image.repository == "host" && image.tag == "latest" {
        return Ok(());
    }
    Err(format!(
        "the image `{image}` is not on this machine: the local runtime runs `host:latest`, which is this machine's \
         own system; register a Plan with `host:latest`"
    ))
}

fn check_account(order: &WorkerOrder) -> Result<(), String> {
    order.service_account.as_ref().map_or(Ok(()), |account| {
        Err(format!(
            "the service account `{account}` is asked for, and the local runtime has none: \
             `knit plan serviceaccount --unset PLAN_ID`, or run the server on a cluster"
        ))
    })
}

fn check_path(mount: &Mount) -> Result<(), String> {
    let path = &mount.path;
    let clean = path.starts_with('/') && path[1..].split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !clean || path.contains('\0') {
        return Err(format!("`{path}` is no absolute, clean path: nothing can be mounted there"));
    }
    let beneath = |dir: &str| path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match KERNEL_DIRECTORIES.into_iter().find(|dir| beneath(dir)) {
        Some(dir) => {
            Err(format!("nothing can be mounted at `{path}`: `{dir}` belongs to the kernel; choose another path"))
        }
        None => Ok(()),
    }
}

/// The limits of processor time and memory.
fn limits(order: &WorkerOrder, capacity: Capacity) -> Result<(Option<u64>, Option<u64>), String> {
    let (mut cpu_millis, mut memory_bytes) = (None, None);
    for (resource, quantity) in &order.resources {
        let malformed = || format!("`{quantity}` is no quantity for `{resource}`: write for example `500m` or `1Gi`");
        match resource.as_str() {
            "cpu" => cpu_millis = Some(quantity::millis(quantity).ok_or_else(malformed)?),
            "memory" => memory_bytes = Some(quantity::units(quantity).ok_or_else(malformed)?),
            _ if quantity::millis(quantity) == Some(0) => {}
            _ => {
                let named = pasted(resource);
                return Err(format!(
                    "the resource `{resource}` is asked for, and this machine has none: \
                     `knit plan resource --unset {named} PLAN_ID`, or run the server on a cluster that has it"
                ));
            }
        }
    }
    check_fits("cpu", cpu_millis, capacity.cpu_millis, |millis| format!("{millis}m"))?;
    check_fits("memory", memory_bytes, capacity.memory_bytes, |bytes| format!("{}Mi", bytes >> 20))?;
    Ok((cpu_millis, memory_bytes))
}

/// A name that its user chose, as one word of a command that is to be pasted into a shell.
fn pasted(name: &str) -> String {
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "/_-.".contains(c)) {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', r"'\''"))
}

fn check_fits(resource: &str, wanted: Option<u64>, there: u64, show: impl Fn(u64) -> String) -> Result<(), String> {
    let Some(wanted) = wanted.filter(|wanted| *wanted > there) else { return Ok(()) };
    let (wanted, there) = (show(wanted), show(there));
    Err(format!(
        "{wanted} of {resource} are asked for, and Workers of this machine have {there} together: \
         `knit plan resource --set {resource}={there} PLAN_ID`, or less"
    ))
}

/// What becomes of wishes about the node: this machine is the only one, and it has no labels.
fn placement(order: &WorkerOrder) -> Result<Vec<String>, String> {
    let mut notes = Vec::new();
    for wish in &order.on_node {
        let (mode, label) = (wish.mode.as_str(), format!("{}={}", wish.key, wish.value));
        match wish.mode {
            NodeMode::Must => {
                return Err(format!(
                    "`on_node` says it must run where `{label}` holds, and the local runtime has no labelled nodes: \
                     register a Plan without it, or run the server on a cluster"
                ));
            }
            NodeMode::May | NodeMode::Prefer => {
                notes.push(format!("`on_node: {mode}: {label}` was ignored: there is only this machine"));
            }
        }
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use knit_domain::event::plan::OnNode;
    use knit_domain::id::{RunId, VolumeRef, WorkerName};
    use uuid::Uuid;

    use super::*;

    const MACHINE: Capacity = Capacity { cpu_millis: 2_000, memory_bytes: 4 << 30 };

    fn spec(change: impl FnOnce(&mut WorkerSpec)) -> WorkerSpec {
        let run = RunId(Uuid::nil());
        let mut spec = WorkerSpec {
            order: WorkerOrder {
                name: WorkerName::of(run, 1),
                image: Image { repository: "host".into(), tag: "latest".into() },
                entrypoint: vec!["sh".into()],
                args: vec!["-c".into(), "true".into()],
                env: BTreeMap::new(),
                resources: BTreeMap::from([("cpu".into(), "500m".into()), ("memory".into(), "1Gi".into())]),
                on_node: Vec::new(),
                service_account: None,
            },
            run,
            attempt: 1,
            inputs: Vec::new(),
            outputs: Vec::new(),
            log: None,
        };
        change(&mut spec);
        spec
    }

    fn reason(change: impl FnOnce(&mut WorkerSpec)) -> String {
        accept(&spec(change), MACHINE).unwrap_err()
    }

    fn wish(mode: NodeMode) -> OnNode {
        OnNode { mode, key: "zone".into(), value: "a".into() }
    }

    #[test]
    fn a_usual_worker_is_accepted_with_its_limits() {
        let accepted = accept(&spec(|_| {}), MACHINE).unwrap();
        assert_eq!(accepted.command, ["sh", "-c", "true"]);
        assert_eq!((accepted.cpu_millis, accepted.memory_bytes), (Some(500), Some(1 << 30)));
    }

    #[test]
    fn what_the_machine_does_not_have_is_refused_with_a_reason() {
        assert!(reason(|s| s.order.image.repository = "python".into()).contains("`host:latest`"));
        assert!(reason(|s| s.order.image.tag = "v1".into()).contains("`host:v1`"));
        assert!(reason(|s| s.order.service_account = Some("me".into())).contains("service account `me`"));
        let gpu = reason(|s| _ = s.order.resources.insert("nvidia.com/gpu".into(), "1".into()));
        assert!(gpu.contains("`knit plan resource --unset nvidia.com/gpu PLAN_ID`"), "{gpu}");
        assert_eq!(pasted("x'; echo PWNED; '"), r"'x'\''; echo PWNED; '\'''");
        let cpu = reason(|s| _ = s.order.resources.insert("cpu".into(), "3".into()));
        assert!(cpu.contains("`knit plan resource --set cpu=2000m PLAN_ID`"), "{cpu}");
        assert!(
            reason(|s| _ = s.order.resources.insert("nvidia.com/gpu".into(), "1".into())).contains("nvidia.com/gpu")
        );
        assert!(reason(|s| _ = s.order.resources.insert("cpu".into(), "3".into())).contains("2000m together"));
        assert!(reason(|s| _ = s.order.resources.insert("memory".into(), "1Ti".into())).contains("4096Mi together"));
        assert!(reason(|s| _ = s.order.resources.insert("memory".into(), "much".into())).contains("`much`"));
        assert!(reason(|s| s.order.on_node = vec![wish(NodeMode::Must)]).contains("`zone=a`"));
    }

    #[test]
    fn a_command_is_needed() {
        assert!(reason(|s| (s.order.entrypoint, s.order.args) = (Vec::new(), Vec::new())).contains("entrypoint"));
        assert!(reason(|s| s.order.entrypoint = vec![String::new()]).contains("entrypoint"));
    }

    #[test]
    fn preferences_are_ignored_with_a_note() {
        let accepted = accept(&spec(|s| s.order.on_node = vec![wish(NodeMode::May), wish(NodeMode::Prefer)]), MACHINE);
        assert_eq!(accepted.unwrap().notes.len(), 2);
    }

    #[test]
    fn nothing_is_mounted_into_the_kernel_or_out_of_the_root() {
        for bad in ["/proc", "/proc/x", "/sys/fs", "relative", "/a/../b", "/a//b", "/", "/a/"] {
            let mount = Mount { path: bad.into(), volume: VolumeRef("v".into()) };
            assert!(accept(&spec(|s| s.inputs = vec![mount]), MACHINE).is_err(), "{bad}");
        }
        let mount = Mount { path: "/process".into(), volume: VolumeRef("v".into()) };
        assert!(accept(&spec(|s| s.inputs = vec![mount]), MACHINE).is_ok());
    }
}
