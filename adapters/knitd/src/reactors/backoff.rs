//! Waiting longer after each failure, per item, with jitter so that failures do not march in step.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use rand::Rng as _;
use tokio::time::Instant;

/// Wait after the first failure: most are over by then.
const FIRST: Duration = Duration::from_millis(100);
/// Longest wait: somebody who mends the cause should not have to wait for more than a minute.
const LONGEST: Duration = Duration::from_secs(60);

/// Who has failed how often, and may be tried again when.
#[derive(Debug)]
pub(super) struct Backoff<I> {
    failed: HashMap<I, Failures>,
}

/// The failures of one item since it last succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failures {
    /// How many.
    pub(super) count: u32,
    /// How many of the latest had the same reason.
    pub(super) alike: u32,
    /// Whether anybody was told.
    pub(super) reported: bool,
    /// That reason.
    reason: String,
    /// None while the item is being tried again.
    not_before: Option<Instant>,
}

impl<I> Default for Backoff<I> {
    fn default() -> Self {
        Self { failed: HashMap::new() }
    }
}

impl<I: Clone + Eq + Hash> Backoff<I> {
    /// Forgets the failures of `item` and tells them, if there were any.
    pub(super) fn succeeded(&mut self, item: &I) -> Option<Failures> {
        self.failed.remove(item)
    }

    /// Notes a failure at `now`.
    pub(super) fn failed(&mut self, item: I, reason: &str, now: Instant) -> &mut Failures {
        let failures = self.failed.entry(item).or_insert_with(|| Failures {
            count: 0,
            alike: 0,
            reported: false,
            reason: String::new(),
            not_before: None,
        });
        failures.count = failures.count.saturating_add(1);
        failures.alike = if failures.reason == reason { failures.alike.saturating_add(1) } else { 1 };
        reason.clone_into(&mut failures.reason);
        let wait = wait_after(failures.count).mul_f64(rand::rng().random_range(0.5..1.0));
        failures.not_before = Some(now + wait);
        failures
    }

    /// Whether `item` has to wait before it is tried again.
    pub(super) fn waits(&self, item: &I) -> bool {
        self.failed.get(item).is_some_and(|failures| failures.not_before.is_some())
    }

    /// When the next item may be tried again; none when none waits.
    pub(super) fn next(&self) -> Option<Instant> {
        self.failed.values().filter_map(|failures| failures.not_before).min()
    }

    /// The items that have waited long enough at `now`. Their failures stay counted until they succeed.
    pub(super) fn over(&mut self, now: Instant) -> Vec<I> {
        let mut over = Vec::new();
        for (item, failures) in &mut self.failed {
            if failures.not_before.is_some_and(|at| at <= now) {
                failures.not_before = None;
                over.push(item.clone());
            }
        }
        over
    }
}

/// Waits until `at`; for ever when there is nothing to wait for.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn wait_after(failures: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_waits_longer_up_to_a_minute() {
        assert_eq!(wait_after(1), FIRST);
        assert_eq!(wait_after(2), FIRST * 2);
        assert_eq!(wait_after(40), LONGEST);
    }

    #[test]
    fn a_failed_item_is_offered_again_once_its_wait_is_over() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        backoff.failed("item", "reason", now);
        assert!(backoff.next().is_some_and(|at| at > now && at < now + FIRST));
        assert!(backoff.over(now).is_empty());
        assert!(backoff.waits(&"item") && !backoff.waits(&"another"));
        assert_eq!(backoff.over(now + FIRST), ["item"]);
        assert_eq!((backoff.next(), backoff.over(now + FIRST)), (None, Vec::new()));
        assert!(!backoff.waits(&"item"));
    }

    #[test]
    fn failures_are_counted_and_those_for_the_same_reason_too() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        let counts: Vec<(u32, u32)> = ["disk", "disk", "network"]
            .iter()
            .map(|reason| {
                let failures = backoff.failed("item", reason, now);
                (failures.count, failures.alike)
            })
            .collect();
        assert_eq!(counts, [(1, 1), (2, 2), (3, 1)]);
    }

    #[test]
    fn a_success_tells_and_forgets_the_failures() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        backoff.failed("item", "reason", now);
        assert_eq!(backoff.succeeded(&"item").map(|failures| failures.count), Some(1));
        assert_eq!((backoff.next(), backoff.succeeded(&"item")), (None, None));
    }
}
