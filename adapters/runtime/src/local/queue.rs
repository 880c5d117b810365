//! Who may start: Workers wait for the machine's capacity, first come first served.

use std::collections::{HashMap, VecDeque};

use knit_domain::id::WorkerName;

use super::Capacity;
use crate::port::{Room, Share};

/// Workers that wait and Workers that hold a part of the machine.
pub(super) struct Queue {
    capacity: Capacity,
    waiting: VecDeque<(WorkerName, Capacity)>,
    holding: HashMap<WorkerName, Capacity>,
}

impl Queue {
    pub(super) fn new(capacity: Capacity) -> Self {
        Self { capacity, waiting: VecDeque::new(), holding: HashMap::new() }
    }

    /// Puts a Worker at the end. One larger than the machine must not come here: it would wait for ever,
    /// and everybody behind it.
    pub(super) fn wait(&mut self, name: WorkerName, request: Capacity) {
        self.waiting.push_back((name, request));
    }

    /// A Worker that lives already holds its part, even if that is more than there is now.
    pub(super) fn hold(&mut self, name: WorkerName, request: Capacity) {
        self.holding.insert(name, request);
    }

    /// The first one that waits, if there is room for it; it holds its part from now on. Nobody overtakes:
    /// otherwise a large Worker would never start on a busy machine.
    pub(super) fn admit(&mut self) -> Option<WorkerName> {
        let used = self.used();
        let (_, request) = self.waiting.front()?;
        let fits = used.cpu_millis + request.cpu_millis <= self.capacity.cpu_millis
            && used.memory_bytes + request.memory_bytes <= self.capacity.memory_bytes;
        if !fits && !self.holding.is_empty() {
            return None;
        }
        let (name, request) = self.waiting.pop_front()?;
        self.holding.insert(name.clone(), request);
        Some(name)
    }

    /// Forgets a Worker, whether it waits or holds.
    pub(super) fn leave(&mut self, name: &WorkerName) {
        self.waiting.retain(|(waiting, _)| waiting != name);
        self.holding.remove(name);
    }

    pub(super) fn is_waiting(&self, name: &WorkerName) -> bool {
        self.waiting.iter().any(|(waiting, _)| waiting == name)
    }

    /// What a Worker waits for; `None` if it does not wait.
    pub(super) fn room_for(&self, name: &WorkerName) -> Option<Room> {
        let ahead = self.waiting.iter().position(|(waiting, _)| waiting == name)?;
        let used = self.used();
        let free = Share {
            cpu_millis: self.capacity.cpu_millis.saturating_sub(used.cpu_millis),
            memory_bytes: self.capacity.memory_bytes.saturating_sub(used.memory_bytes),
        };
        let mut holders: Vec<(WorkerName, Share)> =
            self.holding.iter().map(|(holder, part)| (holder.clone(), share(*part))).collect();
        holders.sort_by(|(a, held), (b, other)| {
            let most = |share: &Share| (share.cpu_millis, share.memory_bytes);
            most(other).cmp(&most(held)).then_with(|| a.cmp(b))
        });
        let (_, asked) = self.waiting[ahead];
        Some(Room { asked: share(asked), free, whole: share(self.capacity), ahead, holders })
    }

    fn used(&self) -> Capacity {
        self.holding.values().fold(Capacity { cpu_millis: 0, memory_bytes: 0 }, |sum, part| Capacity {
            cpu_millis: sum.cpu_millis + part.cpu_millis,
            memory_bytes: sum.memory_bytes + part.memory_bytes,
        })
    }
}

fn share(part: Capacity) -> Share {
    Share { cpu_millis: part.cpu_millis, memory_bytes: part.memory_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> WorkerName {
        WorkerName(text.to_owned())
    }

    fn cpus(count: u64) -> Capacity {
        Capacity { cpu_millis: count * 1_000, memory_bytes: count }
    }

    #[test]
    fn workers_start_in_the_order_they_came() {
        let mut queue = Queue::new(cpus(2));
        for (worker, request) in [("a", 1), ("b", 2), ("c", 1)] {
            queue.wait(name(worker), cpus(request));
        }
        assert_eq!(queue.admit(), Some(name("a")));
        assert_eq!(queue.admit(), None, "b does not fit, and c does not overtake it");
        queue.leave(&name("a"));
        assert_eq!(queue.admit(), Some(name("b")));
        queue.leave(&name("b"));
        assert_eq!(queue.admit(), Some(name("c")));
        assert_eq!(queue.admit(), None);
    }

    #[test]
    fn who_waits_is_told_who_holds_what_and_who_is_before() {
        let mut queue = Queue::new(cpus(3));
        for (worker, request) in [("a", 1), ("b", 2), ("c", 2), ("d", 1)] {
            queue.wait(name(worker), cpus(request));
        }
        while queue.admit().is_some() {}
        let room = queue.room_for(&name("d")).unwrap();
        assert_eq!((room.asked, room.free, room.whole), (share(cpus(1)), Share::default(), share(cpus(3))));
        assert_eq!((room.ahead, room.holders), (1, vec![(name("b"), share(cpus(2))), (name("a"), share(cpus(1)))]));
        assert_eq!((queue.room_for(&name("a")), queue.room_for(&name("x"))), (None, None));
    }

    #[test]
    fn memory_is_counted_as_well_as_processors() {
        let mut queue = Queue::new(Capacity { cpu_millis: 9_000, memory_bytes: 10 });
        queue.wait(name("a"), Capacity { cpu_millis: 0, memory_bytes: 6 });
        queue.wait(name("b"), Capacity { cpu_millis: 0, memory_bytes: 5 });
        assert_eq!(queue.admit(), Some(name("a")));
        assert_eq!(queue.admit(), None);
    }

    #[test]
    fn one_that_gives_up_lets_the_next_one_in() {
        let mut queue = Queue::new(cpus(1));
        queue.hold(name("old"), cpus(1));
        queue.wait(name("a"), cpus(1));
        queue.wait(name("b"), cpus(1));
        queue.leave(&name("a"));
        assert!(!queue.is_waiting(&name("a")) && queue.is_waiting(&name("b")));
        queue.leave(&name("old"));
        assert_eq!(queue.admit(), Some(name("b")));
    }

    #[test]
    fn a_machine_that_shrank_runs_what_it_promised_alone() {
        let mut queue = Queue::new(cpus(1));
        queue.wait(name("large"), cpus(4));
        assert_eq!(queue.admit(), Some(name("large")));
    }
}
