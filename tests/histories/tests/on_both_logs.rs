//! Random histories of commands on the real log, on both databases.

// Says to the lints what the whole of this is: here an unwrap is a proof by running.
#![cfg(test)]

mod redactions;
mod rehearsal;

use rehearsal::{Place, hold};

/// Few enough for every test run; `at_length.rs` tries more.
const CASES: u32 = 16;

#[test]
fn every_history_on_sqlite_is_as_the_model_says() {
    hold(CASES, &Place::sqlite());
}

#[test]
fn every_history_on_postgresql_is_as_the_model_says() {
    hold(CASES, &Place::postgresql());
}

#[test]
fn d15_what_is_redacted_in_a_history_on_sqlite_is_folded_as_if_it_had_never_been_said() {
    redactions::hold(CASES, &Place::sqlite(), &Place::postgresql());
}

#[test]
fn d15_what_is_redacted_in_a_history_on_postgresql_is_folded_as_if_it_had_never_been_said() {
    redactions::hold(CASES, &Place::postgresql(), &Place::sqlite());
}
