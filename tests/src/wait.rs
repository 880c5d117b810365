//! Waiting for something to become true: never for a time that is hoped to be long enough.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up. The machine may be building something else with both
/// of its processors; nothing waits this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks: short beside everything that is waited for, long beside the cost of a look.
const PAUSE: Duration = Duration::from_millis(15);

/// Looks until `look` answers something, and answers that.
///
/// # Panics
/// When nothing came within [`PATIENCE`]; the message says what was waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {} s in vain for {what}", PATIENCE.as_secs());
        std::thread::sleep(PAUSE);
    }
}

/// Looks until `holds` is true.
///
/// # Panics
/// When it never was within [`PATIENCE`]; the message says what was waited for.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}
