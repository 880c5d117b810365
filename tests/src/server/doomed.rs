//! A server that is going to die: started with orders to its failpoints, watched until it is dead, and searched
//! for its last words.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::Signal;

use super::{Server, Setup};
use crate::wait::{wait_for, wait_until};

/// Where a server looks for orders to its failpoints.
pub(super) const VARIABLE: &str = "KNITD_FAILPOINT";
/// What a process says on standard error when it dies at a failpoint, around the name of the place.
const LAST_WORDS: (&str, &str) = ("failpoint ", ": killed");
/// What it says when somebody is held at a failpoint until somebody else comes to another.
const HELD_WORDS: (&str, &str) = ("failpoint ", ": held");

impl Setup {
    /// A server that is not started yet.
    #[must_use]
    pub fn placed(self) -> Server {
        self.place()
    }

    /// The same, whose failpoints are ordered to hold somebody. Nobody may be ordered to die: see
    /// [`Server::start_doomed`].
    #[must_use]
    pub fn holding(mut self, orders: &str) -> Self {
        self.environment.push((VARIABLE, orders.into()));
        self
    }
}

impl Server {
    /// Starts it with orders to its failpoints, and waits until it is ready or has died; answers whether it is
    /// ready. The orders are for this one life.
    ///
    /// # Panics
    /// When neither happens, or it ends otherwise than by being killed.
    #[track_caller]
    pub fn start_doomed(&mut self, orders: &str) -> bool {
        self.spawn_doomed(orders);
        self.wait_until_ready_or_dead()
    }

    /// The same, but does not wait until it is ready, which it may never be; answers whether it listens.
    ///
    /// # Panics
    /// When it does not, and has not died either.
    #[track_caller]
    pub fn start_doomed_listening(&mut self, orders: &str) -> bool {
        self.spawn_doomed(orders);
        self.wait_until_dead_or("the doomed server to listen or to die", |_| true)
    }

    /// The same for a server that has to wait until the leases of another, which died, have ended: until then it
    /// refuses to run, and is started again.
    ///
    /// # Panics
    /// When it is refused for too long, or for another reason.
    #[track_caller]
    pub fn start_doomed_after_another(&mut self, orders: &str) -> bool {
        wait_for("the leases of a dead server to end", || {
            self.spawn_doomed(orders);
            let refused = wait_for("the server to run or to refuse to", || {
                let ended = self.child().try_wait().expect("a child can be waited for");
                ended.is_some().then_some(true).or_else(|| self.announced().map(|_| false))
            });
            if !refused {
                return Some(self.wait_until_ready_or_dead());
            }
            self.process = None;
            let said = &self.log()[self.log_read_from..];
            assert!(said.contains("another server keeps the volumes"), "{said}");
            None
        })
    }

    #[track_caller]
    fn spawn_doomed(&mut self, orders: &str) {
        assert!(self.process.is_none(), "the server runs already");
        self.orders = Some(orders.to_owned());
        self.spawn();
    }

    #[track_caller]
    fn wait_until_ready_or_dead(&mut self) -> bool {
        self.wait_until_dead_or("the doomed server to be ready or dead", |server| {
            server.http().try_json("GET", "/readyz", None).is_ok_and(|answer| answer.status == 200)
        })
    }

    /// Waits until it listens and `is_there`, or has died; answers whether it lives.
    #[track_caller]
    fn wait_until_dead_or(&mut self, what: &str, is_there: impl Fn(&Self) -> bool) -> bool {
        wait_for(what, || {
            if self.has_died() {
                return Some(false);
            }
            let address = self.announced()?;
            self.process.as_mut().expect("it has not died").address = Some(address);
            is_there(self).then_some(true)
        })
    }

    /// Whether it is dead.
    ///
    /// # Panics
    /// When it ended otherwise than by being killed.
    #[track_caller]
    pub fn has_died(&mut self) -> bool {
        let Some(process) = &mut self.process else { return true };
        let Some(ended) = process.child.try_wait().expect("a child can be waited for") else { return false };
        self.process = None;
        assert_eq!(ended.signal(), Some(Signal::SIGKILL as i32), "it was to be killed, not to end:\n{}", self.log());
        true
    }

    /// Waits until it is dead.
    ///
    /// # Panics
    /// When it lives on, or ended otherwise than by being killed.
    #[track_caller]
    pub fn wait_for_death(&mut self) {
        wait_until("the doomed server to die", || self.has_died());
    }

    /// The places at which its processes, the shims of its Workers among them, died since it was started last. A
    /// shim's words are heard only until its Worker is removed.
    #[must_use]
    pub fn died_at(&self) -> Vec<String> {
        let mut said = self.log()[self.log_read_from..].to_owned();
        for worker in fs::read_dir(self.state_dir.join("workers")).into_iter().flatten().flatten() {
            said += &fs::read_to_string(worker.path().join("shim.err")).unwrap_or_default();
        }
        places(&said, LAST_WORDS)
    }

    /// Whether somebody in it has come to a place where it was ordered to wait, since it was started last.
    #[must_use]
    pub fn was_held(&self) -> bool {
        !places(&self.log()[self.log_read_from..], HELD_WORDS).is_empty()
    }
}

/// The places in what a process said, each in a line of its own between two words.
fn places(said: &str, (before, after): (&str, &str)) -> Vec<String> {
    let place = |line: &str| line.strip_prefix(before)?.strip_suffix(after).map(str::to_owned);
    said.lines().filter_map(place).collect()
}
