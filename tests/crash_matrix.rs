//! The crash matrix: the server is killed between any two steps, and started again.
//!
//! A case names a place in the sources (a failpoint) and a story that passes it. The server is started with
//! the order to die at that place; the story is told until it does; the server is started again without orders,
//! the story comes to its end, and everything is looked at from outside. A place that the story never passes
//! fails the case, and a place that no case names fails the test: a matrix with holes proves nothing.
//!
//! On SQLite the matrix is a part of `make test`. On PostgreSQL, where another server's leases have to end before
//! the next takes over, it is a part of `make test-long`. `KNIT_CRASH_CASES` plays only the cases whose name, as
//! messages have it, contains its value: one that failed can be tried again and again.

mod administration;
mod aftermath;
mod archiving;
mod cases;
mod importing;
mod interventions;
mod left_overs;
mod past;
mod places;
mod plans;
mod redacting;
mod rivals;
mod runs;
mod stories;
mod tale;
mod transfers;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;

use knit_tests::postgres::TestDatabase;
use knit_tests::server::Setup;

use cases::{CASES, Case, On};
use stories::{Story, meanwhile, tell};
use tale::Tale;

/// What a server says of its life, but not of each request: a case asks some hundred times.
const LOG_FILTER: &str = "info,knitd=debug,knit_runtime=debug,knitd::http=info";

/// The environment variable with a part of the names of the cases to be played; all are without it.
const CHOSEN: &str = "KNIT_CRASH_CASES";

/// Plays every case that concerns the database, `at_once` of them at once. Each has a database of its own on
/// PostgreSQL if there is a way to make one, and else the embedded default.
///
/// # Panics
/// When one does not hold; each has said why by then.
pub(crate) fn hold(postgresql: Option<fn() -> TestDatabase>, at_once: usize) {
    let chosen = std::env::var(CHOSEN).unwrap_or_default();
    let cases = CASES.iter().filter(|case| case.on == On::Both || postgresql.is_some());
    let cases = cases.filter(|case| case.name().contains(&chosen));
    assert!(cases.clone().next().is_some(), "no case has `{chosen}` in its name, as {CHOSEN} wants it");
    let queue = Mutex::new(cases);
    let broken = Mutex::new(Vec::new());
    let next = || queue.lock().expect("nobody panics while taking the next").next();
    thread::scope(|players| {
        for _ in 0..at_once {
            players.spawn(|| {
                while let Some(case) = next() {
                    if let Err(why) = catch_unwind(AssertUnwindSafe(|| play(case, postgresql))) {
                        let why = format!("{}: {}", case.name(), words_of(why.as_ref()));
                        broken.lock().expect("nobody panics while noting it").push(why);
                    }
                }
            });
        }
    });
    let broken = broken.into_inner().expect("every player has ended");
    // Whoever sees only the end of a long output must find there what did not hold.
    assert!(broken.is_empty(), "{} cases do not hold:\n{}", broken.len(), broken.join("\n"));
}

/// What a panic says, as far as somebody at the end of a long output wants to read it.
fn words_of(panic: &(dyn Any + Send)) -> String {
    /// Letters of a message: the complaint and the beginning of what was seen, without a whole server's log.
    const READABLE: usize = 2_000;
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").chars().take(READABLE).collect()
}

fn play(case: &Case, postgresql: Option<fn() -> TestDatabase>) {
    let own = postgresql.map(|make| make());
    let setup = own.iter().fold(Setup::new().logging(LOG_FILTER), |setup, own| setup.database(own.url()));
    let setup = case.options().iter().fold(setup, |setup, (name, value)| setup.option(name, value));
    let setup = if case.looks_only() { setup.flag("--look-only") } else { setup };
    let mut tale = Tale::new(setup.placed(), own.as_ref());
    for (life, orders) in case.lives.iter().enumerate() {
        let ready = match (case.story, life) {
            (Story::Moved, 1) => tale.server.start_doomed_after_another(orders),
            // A projection of it has stopped, so it does not become ready by itself.
            (Story::Skip, 1) => tale.server.start_doomed_listening(orders),
            _ => tale.server.start_doomed(orders),
        };
        if ready && (life == 0 || case.story == Story::Skip) {
            // A story that is told to its end is as good: what it set in motion passes the place.
            let _ = tell(case.story, &mut tale);
        }
        tale.server.wait_for_death();
        let place = place_of(orders);
        let died_at = tale.server.died_at();
        let (name, log) = (case.name(), tale.server.log());
        assert!(died_at.iter().any(|died| died == place), "it died at {died_at:?}, not at {place}: {name}\n{log}");
        if life == 0 {
            meanwhile(case.story, &mut tale);
        }
    }
    if case.story == Story::Skip {
        tale.server.start_listening();
    } else {
        tale.server.start();
    }
    let seen = aftermath::look(case, &mut tale);
    println!("| `{}` | {} | {} | {seen} |", case.place(), case.story.words(), case.holds);
}

/// The place at which the server dies, or a process of a Worker before it.
fn place_of(orders: &str) -> &str {
    let death = orders.split(',').find(|order| !order.contains('>')).expect("an order to die");
    death.split(':').next().unwrap_or(death)
}
