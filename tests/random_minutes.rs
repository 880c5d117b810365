//! Random requests for minutes, on SQLite and PostgreSQL in turn, each episode with a seed of its own.
//!
//! `KNIT_RANDOM_MINUTES` says how long (10 unless given), `KNIT_RANDOM_SEED` with which seed the first episode
//! begins; the following ones count up from it. Without one it is taken from the clock, so that every run of
//! the tests tries something new; the printed seed repeats it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use knit_tests::postgres::TestDatabase;
use knit_tests::server::Setup;

use crate::random_requests::episode;

/// Requests of one episode: the world gets so large that everything is asked about some dozens of Data.
const REQUESTS: usize = 80;
/// How long, unless somebody says otherwise.
const MINUTES: u64 = 10;

#[test]
fn random_requests_are_answered_as_a_simple_model_says_for_minutes() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("it is a number"));
    let limit = Duration::from_secs(60 * number("KNIT_RANDOM_MINUTES").unwrap_or(MINUTES));
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let first = number("KNIT_RANDOM_SEED").unwrap_or_else(clock);
    let begun = Instant::now();
    for seed in first.. {
        if seed % 2 == 0 {
            episode(seed, REQUESTS, Setup::new());
        } else {
            let database = TestDatabase::new();
            episode(seed, REQUESTS, Setup::new().database(database.url()));
        }
        if begun.elapsed() >= limit {
            println!("{} episodes of {REQUESTS} requests", seed - first + 1);
            return;
        }
    }
}
