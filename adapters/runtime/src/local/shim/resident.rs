//! Bounding memory where control groups cannot be written: by looking at what is resident.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

/// How often it is looked. A Worker can pass its limit for this long; looking costs some hundred
/// microseconds for each look at a few processes.
const INTERVAL: Duration = Duration::from_millis(100);

/// Looks at the processes of this PID namespace, and ends them when they pass the limit.
pub(super) struct Sampler {
    exceeded: Arc<AtomicBool>,
}

impl Sampler {
    pub(super) fn start(limit_bytes: u64) -> Self {
        let exceeded = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&exceeded);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(INTERVAL);
                // Shared pages count for each process in the first, cheap sum, and once in the second.
                if sum("status", "VmRSS:") > limit_bytes && sum("smaps_rollup", "Pss:") > limit_bytes {
                    seen.store(true, Ordering::Release);
                    let _ = kill(nix::unistd::Pid::from_raw(-1), Signal::SIGKILL);
                }
            }
        });
        Self { exceeded }
    }

    pub(super) fn was_exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Acquire)
    }
}

/// The sum of a line of a file in `/proc` over all processes but the first, in bytes.
fn sum(file: &str, line: &str) -> u64 {
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let texts =
        numbers.filter(|pid| *pid != 1).filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/{file}")).ok());
    texts.filter_map(|text| kib_of(&text, line)).sum::<u64>() * 1_024
}

fn kib_of(text: &str, line: &str) -> Option<u64> {
    let value = text.lines().find_map(|found| found.strip_prefix(line))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found_among_the_others() {
        assert_eq!(kib_of("VmPeak:\t 9 kB\nVmRSS:\t  123 kB\n", "VmRSS:"), Some(123));
        assert_eq!(kib_of("VmPeak:\t 9 kB\n", "VmRSS:"), None);
    }
}
