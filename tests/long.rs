//! Promises whose proof takes many minutes. `make test-long` runs them; `cargo test` alone does not.

// Says to the lints what the whole of this is: here an unwrap is a proof by running.
#![cfg(test)]

mod at_length;
mod crash_matrix;
mod crashes_on_postgresql;
mod random_minutes;
mod random_requests;
