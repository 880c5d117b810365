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
pub struct Backoff<I> {
    failed: HashMap<I, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    /// None while the item is being tried again.
    not_before: Option<Instant>,
}

impl<I> Default for Backoff<I> {
    fn default() -> Self {
        Self { failed: HashMap::new() }
    }
}

impl<I: Clone + Eq + Hash> Backoff<I> {
    /// Forgets the failures of `item`.
    pub fn succeeded(&mut self, item: &I) {
        self.failed.remove(item);
    }

    /// Notes a failure at `now`.
    pub fn failed(&mut self, item: I, now: Instant) {
        let count = self.failed.get(&item).map_or(0, |failures| failures.count).saturating_add(1);
        let wait = wait_after(count).mul_f64(rand::rng().random_range(0.5..1.0));
        self.failed.insert(item, Failures { count, not_before: Some(now + wait) });
    }

    /// When the next item may be tried again; none when none waits.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.failed.values().filter_map(|failures| failures.not_before).min()
    }

    /// The items that have waited long enough at `now`. Their failures stay counted until they succeed.
    pub fn over(&mut self, now: Instant) -> Vec<I> {
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
        backoff.failed("item", now);
        assert!(backoff.next().is_some_and(|at| at > now && at < now + FIRST));
        assert!(backoff.over(now).is_empty());
        assert_eq!(backoff.over(now + FIRST), ["item"]);
        assert_eq!((backoff.next(), backoff.over(now + FIRST)), (None, Vec::new()));
    }

    #[test]
    fn a_success_forgets_the_failures() {
        let (mut backoff, now) = (Backoff::default(), Instant::now());
        backoff.failed("item", now);
        backoff.succeeded(&"item");
        assert_eq!(backoff.next(), None);
    }
}
