//! What is to happen at which place.

use std::collections::HashMap;
use std::io::Write as _;
use std::str::FromStr;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::process::{Signal, getpid, kill_process};
use tokio::runtime::{Handle, RuntimeFlavor};

/// Everything that was ordered, and who came where so far.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    deaths: Vec<Death>,
    holds: Vec<Hold>,
    visits: Mutex<HashMap<String, u32>>,
    visited: Condvar,
}

/// The process dies when somebody comes to `place` for the `visit`th time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Death {
    place: String,
    visit: u32,
}

/// Whoever comes to `place` waits until somebody came to `until`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hold {
    place: String,
    until: String,
}

/// A list of orders that says nothing that can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{order}` is no order to a failpoint: write `place`, `place:visit` or `place>other-place`")]
pub struct BadOrders {
    /// The part that is not understood.
    pub order: String,
}

impl FromStr for Orders {
    type Err = BadOrders;

    fn from_str(text: &str) -> Result<Self, BadOrders> {
        let mut orders = Self::default();
        for order in text.split(',') {
            let bad = || BadOrders { order: order.to_owned() };
            if let Some((place, until)) = order.split_once('>') {
                orders.holds.push(Hold { place: name(place).ok_or_else(bad)?, until: name(until).ok_or_else(bad)? });
                continue;
            }
            let (place, visit) = order.split_once(':').unwrap_or((order, "1"));
            let visit = visit.parse().ok().filter(|visit| *visit > 0).ok_or_else(bad)?;
            orders.deaths.push(Death { place: name(place).ok_or_else(bad)?, visit });
        }
        Ok(orders)
    }
}

fn name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
}

impl Orders {
    /// Notes that somebody came to `place`, and does what was ordered for that.
    pub(crate) fn obey(&self, place: &str) {
        let visit = self.note(place);
        for hold in self.holds.iter().filter(|hold| hold.place == place) {
            // A test that means to act during the wait must know that it has begun: what it does earlier may
            // keep everybody from ever coming here.
            say(place, "held");
            without_holding_up_tasks(|| self.wait_for(&hold.until));
        }
        if self.deaths.iter().any(|death| death.place == place && death.visit == visit) {
            die(place);
        }
    }

    fn note(&self, place: &str) -> u32 {
        let mut visits = self.visits();
        let visit = visits.entry(place.to_owned()).or_default();
        *visit += 1;
        let visit = *visit;
        drop(visits);
        self.visited.notify_all();
        visit
    }

    fn wait_for(&self, place: &str) {
        let visits = self.visits();
        let waited = self.visited.wait_while(visits, |visits| !visits.contains_key(place));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn visits(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.visits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The other place may be reached by a task that would be run on this very thread.
fn without_holding_up_tasks(wait: impl FnOnce()) {
    let shares = Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if shares { tokio::task::block_in_place(wait) } else { wait() }
}

/// Unbuffered, in one call; whoever cannot read it any more has no use for it.
fn say(place: &str, what: &str) {
    let _ = std::io::stderr().write_all(format!("failpoint {place}: {what}\n").as_bytes());
}

fn die(place: &str) {
    say(place, "killed");
    // The signal is delivered before the call returns to this thread, and to all others at once.
    let _ = kill_process(getpid(), Signal::KILL);
    // The first process of a PID namespace is deaf to its own signals, but not to this.
    std::process::abort();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn orders(text: &str) -> Result<Orders, BadOrders> {
        text.parse()
    }

    #[test]
    fn an_order_names_a_place_and_which_visit_of_it() {
        let read = orders("upload.stored,worker.observed:2").unwrap();
        let death = |place: &str, visit| Death { place: place.to_owned(), visit };
        assert_eq!(read.deaths, [death("upload.stored", 1), death("worker.observed", 2)]);
        assert_eq!(read.holds, []);
    }

    #[test]
    fn an_order_to_wait_names_two_places() {
        let read = orders("a.b>committed.RunFailed").unwrap();
        assert_eq!(read.holds, [Hold { place: "a.b".to_owned(), until: "committed.RunFailed".to_owned() }]);
    }

    #[test]
    fn what_is_no_order_is_refused_by_its_words() {
        for bad in ["", "a,", "a:0", "a:b", "a>", ">a", "a b"] {
            let refused = orders(bad).unwrap_err().to_string();
            assert!(refused.contains("is no order"), "{bad}: {refused}");
        }
    }

    #[test]
    fn who_is_to_wait_goes_on_when_somebody_came_to_the_other_place() {
        let orders = Arc::new(orders("first>second").unwrap());
        let waiting = std::thread::spawn({
            let orders = Arc::clone(&orders);
            move || orders.obey("first")
        });
        orders.obey("second");
        waiting.join().unwrap();
        orders.obey("first");
        assert_eq!(orders.visits().get("first"), Some(&2));
    }
}
