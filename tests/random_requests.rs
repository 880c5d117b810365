//! Random requests to a running server, and a simple model that knows every answer.
//!
//! An episode is a fresh server and some dozens of requests, such as users send in any order: uploads, tags,
//! Plans, stopping, retrying, deleting, now and then the end of the server itself. After each the model says what
//! there must be when everything has come to rest, and everything that can be asked is compared with it. The
//! model is naive on purpose: it holds no index, tries every combination, and repeats nothing of the server's
//! code. Its Workers end at once, well (`true`, `cp`) or badly (`false`), or not at all until they are stopped.
//!
//! The seed of an episode is printed; [`episode`] with that seed repeats its requests.

mod chance;
mod compare;
mod lineage;
mod model;
mod moments;
mod plan_graph;
mod plans;
mod render;
mod requests;
mod times;
mod user;

use knit_tests::server::Setup;

use chance::Chance;
use user::User;

/// Plays one episode of so many requests, on a server that is set up so.
///
/// # Panics
/// When the server answers anything else than the model.
pub(crate) fn episode(seed: u64, requests: usize, setup: Setup) {
    println!("episode of {requests} requests, seed {seed}");
    let mut user = User::new(Chance::new(seed), setup);
    for _ in 0..requests {
        user.request();
    }
    user.leave();
}

/// Few enough for every test run, and with a seed that meets each kind of request.
#[test]
fn forty_random_requests_are_answered_as_a_simple_model_says() {
    episode(1, 40, Setup::new());
}
