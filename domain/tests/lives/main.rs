//! Lives of Runs, Data and Data Agents, told through decisions that are really appended: to a log in
//! memory which keeps the promises of the real one.
//!
//! The subjects follow the tables of the semantics: how Runs come to be, how they proceed and end, how
//! they are retried and deleted, how Data come and go. [`races`] holds what must stay true when two
//! decisions cross; [`histories`] tries what nobody thought of.

#![expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]

mod deletion;
mod histories;
mod log_redaction;
mod projection;
mod races;
mod retry;
mod statuses;
mod transfers;

use knit_histories::{memory_log, world};
