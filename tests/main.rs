//! Promises that are kept by running both programs from outside, one module for each kind of promise.

// Says to the lints what the whole of this is: here an unwrap is a proof by running.
#![cfg(test)]

mod main_job;

mod causes;
mod endings;
mod explanations;
mod finding;
mod following;
mod lineage;
mod past;
mod planning;
mod retrying;
mod stopping;
mod watching;

mod checkpoints;
mod importing;
mod replaying;
mod verifying;

mod completing;

mod wire;

mod administering;
mod observing;
mod telling;

mod demonstration;
mod guide;

mod bad_archives;
mod bad_plans;
mod bad_requests;
mod closed_by_default;

mod crash_matrix;
mod crashes;
mod crashes_on_sqlite;
mod faults;
mod full_disk;

mod replicas;

mod random_requests;

mod acceptance;
mod architecture;
