//! The process, under the names that every program has for Prometheus.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rustix::time::{ClockId, clock_gettime};

/// What the kernel knows of this process.
#[derive(Debug)]
pub(super) struct Process {
    cpu_seconds: Counter<f64, AtomicU64>,
    resident_bytes: Gauge,
    open_files: Gauge,
}

impl Process {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let process =
            Self { cpu_seconds: Counter::default(), resident_bytes: Gauge::default(), open_files: Gauge::default() };
        let started = Gauge::<f64, AtomicU64>::default();
        started.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        registry.register("process_start_time_seconds", "When this process started, since 1970", started);
        registry.register("process_cpu_seconds", "Processor time spent", process.cpu_seconds.clone());
        registry.register("process_resident_memory_bytes", "Memory in use", process.resident_bytes.clone());
        registry.register("process_open_fds", "Open file descriptors", process.open_files.clone());
        process
    }

    /// Asks the kernel. What it does not answer stays as it was.
    pub(super) fn look(&self) {
        let spent = clock_gettime(ClockId::ProcessCPUTime);
        let nanoseconds = u32::try_from(spent.tv_nsec).unwrap_or_default();
        let seconds = u32::try_from(spent.tv_sec).map_or(f64::from(u32::MAX), f64::from) + f64::from(nanoseconds) / 1e9;
        // The counter only adds, and two who ask at once would add twice.
        self.cpu_seconds.inner().store(seconds.to_bits(), Ordering::Relaxed);
        if let Some(bytes) = resident_bytes() {
            self.resident_bytes.set(bytes);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            self.open_files.set(i64::try_from(files.count()).unwrap_or(i64::MAX));
        }
    }
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}
