//! The same as `on_both_logs.rs` for minutes. `make test-long` runs it; `cargo test` alone does not.

// Says to the lints what the whole of this is: here an unwrap is a proof by running.
#![cfg(test)]

mod rehearsal;

use rehearsal::{Place, hold};

/// Enough for minutes.
const CASES: u32 = 100;

#[test]
fn many_histories_on_sqlite_are_as_the_model_says() {
    hold(CASES, &Place::sqlite());
}

#[test]
fn many_histories_on_postgresql_are_as_the_model_says() {
    hold(CASES, &Place::postgresql());
}
