use std::sync::Mutex;

use knit_domain::run::{RunRefused, Status};

use super::*;
use crate::reactors::gate::Closed;

/// A worklist of numbers, each at its position; acting on some of them goes wrong.
#[derive(Default)]
struct Numbers {
    list: Mutex<Vec<(Position, u32)>>,
    acted: Mutex<Vec<u32>>,
}

const PANICS: u32 = 13;
const IS_GATED: u32 = 14;
const IS_REFUSED: u32 = 15;

impl Reactor for Numbers {
    type Item = u32;

    fn name(&self) -> &'static str {
        "numbers"
    }

    fn due(&self, after: Position) -> Due<u32> {
        let list = self.list.lock().unwrap();
        let seen = list.iter().map(|(position, _)| *position).max().unwrap_or_default();
        Due { items: list.iter().filter(|(position, _)| *position > after).map(|(_, item)| *item).collect(), seen }
    }

    async fn act(&self, item: u32) -> Result<(), NotDone> {
        self.acted.lock().unwrap().push(item);
        assert_ne!(item, PANICS, "as the test wants it");
        match item {
            IS_GATED => Err(Closed::Refused { to: Status::Ready, reason: "no".to_owned() }.into()),
            IS_REFUSED => Err(CommandError::from(RunRefused::Missing).into()),
            _ => Ok(()),
        }
    }
}

fn work(list: &[(Position, u32)]) -> (Arc<Numbers>, Work<Numbers>) {
    let numbers = Arc::new(Numbers { list: Mutex::new(list.to_vec()), ..Numbers::default() });
    (Arc::clone(&numbers), Work::new(numbers, Arc::default()))
}

/// Takes up everything that is queued and waits for its end; answers what was acted on.
async fn act(numbers: &Numbers, work: &mut Work<Numbers>) -> Vec<u32> {
    numbers.acted.lock().unwrap().clear();
    work.take_up();
    while let Some(ended) = work.tasks.join_next_with_id().await {
        work.ended(ended);
    }
    let mut acted = numbers.acted.lock().unwrap().clone();
    acted.sort_unstable();
    acted
}

#[tokio::test]
async fn what_was_seen_is_not_looked_at_again_unless_the_worklists_are_others() {
    let (numbers, mut work) = work(&[(1, 1), (5, 5)]);
    work.look(0);
    assert_eq!(act(&numbers, &mut work).await, [1, 5]);
    numbers.list.lock().unwrap().push((6, 6));
    work.look(0);
    assert_eq!(act(&numbers, &mut work).await, [6]);

    // The log was restored to an older state, and has gone on in another way.
    *numbers.list.lock().unwrap() = vec![(2, 2), (6, 6), (7, 7)];
    work.look(1);
    assert_eq!(act(&numbers, &mut work).await, [2, 6, 7]);
}

#[tokio::test]
async fn what_failed_waits_even_when_everything_is_looked_at_but_not_when_it_has_changed() {
    let (numbers, mut work) = work(&[(1, 1), (2, IS_GATED)]);
    work.look(0);
    assert_eq!(act(&numbers, &mut work).await, [1, IS_GATED]);
    work.look_at_everything();
    assert_eq!(act(&numbers, &mut work).await, [1]);
    numbers.list.lock().unwrap().push((3, IS_GATED));
    work.look(0);
    assert_eq!(act(&numbers, &mut work).await, [IS_GATED]);
}

#[tokio::test]
async fn what_panics_is_a_failure_of_its_own() {
    let (numbers, mut work) = work(&[(1, PANICS), (2, 2)]);
    work.look(0);
    assert_eq!(act(&numbers, &mut work).await, [2, PANICS]);
    assert!(work.backoff.waits(&PANICS) && !work.backoff.waits(&2));
    assert!(work.busy.is_empty());
}

#[tokio::test]
async fn what_becomes_due_while_it_is_looked_at_is_looked_at_once_more() {
    let (numbers, mut work) = work(&[(1, 1)]);
    work.look(0);
    work.take_up();
    work.enqueue([1, 1]);
    assert!(work.queue.is_empty(), "never twice at once");
    assert_eq!(act(&numbers, &mut work).await, [1]);
    assert_eq!(act(&numbers, &mut work).await, [1]);
    assert_eq!(act(&numbers, &mut work).await, Vec::<u32>::new());
}

#[tokio::test]
async fn a_failure_is_told_at_once_and_a_refusal_when_it_comes_again() {
    let (numbers, mut work) = work(&[(1, IS_GATED), (2, IS_REFUSED)]);
    work.look(0);
    act(&numbers, &mut work).await;
    let told = |work: &mut Work<Numbers>, item| work.backoff.succeeded(&item).map(|failures| failures.reported);
    assert_eq!([IS_GATED, IS_REFUSED].map(|item| told(&mut work, item)), [Some(true), Some(false)]);
    for _ in 0..2 {
        work.enqueue([IS_REFUSED]);
        act(&numbers, &mut work).await;
    }
    assert_eq!(told(&mut work, IS_REFUSED), Some(true));
}
