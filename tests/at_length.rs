//! Faults whose effects show only after minutes, or only in numbers.

mod away;
mod many_runs;
mod stalled;

use std::time::{Duration, Instant};

/// Pause between two looks at something that takes minutes.
const PAUSE: Duration = Duration::from_millis(250);

/// Looks until `holds`, for as long as `limit`.
#[track_caller]
fn wait_at_length(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < limit, "waited {} s in vain for {what}", limit.as_secs());
        std::thread::sleep(PAUSE);
    }
}
