//! When the projections are saved.

use std::time::{Duration, Instant};

use knit_domain::event::Position;

/// A part of the log, at least so large that as much of it is folded again at a start before it is saved once more. Saving
/// writes as much as the projections have come to, so with every 20,000 events a log of ten million would write more
/// snapshots than events; with a twentieth of it, all that is ever saved is some twenty times one snapshot, and a start
/// folds a twentieth of what it would without.
const PART_OF_THE_LOG: u64 = 20;

/// After how much, and after how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Events that are folded again at a start without anybody minding.
    pub(crate) events: u64,
    /// Time after which also less is saved, if anything is new.
    pub(crate) time: Duration,
}

/// The last time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Last {
    /// The last event in it.
    pub(crate) position: Position,
    /// When it was, or when this process began.
    pub(crate) at: Instant,
}

impl Schedule {
    /// Whether it is time again when the log was folded up to `position`.
    pub(crate) fn is_due(self, position: Position, last: Last) -> bool {
        let new = position.saturating_sub(last.position);
        new > 0 && (new >= self.events_between(last.position) || last.at.elapsed() >= self.time)
    }

    /// How many events there are between one and the next, if time is no reason.
    pub(crate) fn events_between(self, last: Position) -> u64 {
        self.events.max(last / PART_OF_THE_LOG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: Schedule = Schedule { events: 100, time: Duration::from_secs(3_600) };

    fn is_due(position: Position, last: Position, ago: Duration) -> bool {
        SCHEDULE.is_due(position, Last { position: last, at: Instant::now().checked_sub(ago).unwrap() })
    }

    #[test]
    fn it_is_time_after_some_events_and_of_a_long_log_after_a_part_of_it() {
        assert!(!is_due(99, 0, Duration::ZERO) && is_due(100, 0, Duration::ZERO));
        assert!(!is_due(1_000_100, 1_000_000, Duration::ZERO) && is_due(1_050_000, 1_000_000, Duration::ZERO));
    }

    #[test]
    fn it_is_time_after_some_time_if_anything_is_new() {
        let hours = Duration::from_secs(7_200);
        assert!(is_due(8, 7, hours) && !is_due(7, 7, hours) && !is_due(8, 7, hours / 4));
        assert!(!is_due(3, 7, hours), "a log that was restored to an older state is folded anew first");
    }
}
