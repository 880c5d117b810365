//! Whole conversations with `knit`: what is typed, what is printed, and what goes over the wire.
//!
//! The program is started as a user would, with an empty environment, against a scripted server in
//! the test. Answers are kept as snapshots; see [`kit`].

#![expect(clippy::unwrap_used, reason = "a test proves its unwraps by running")]

mod auditing;
mod completion;
mod data;
mod extension;
mod failures;
mod forms;
mod help;
mod ids;
mod kit;
mod lineage;
mod listing;
mod original;
mod plan;
mod plan_graph;
mod profile;
mod run;
mod server;
mod showing;
mod transfer;
mod waiting;
mod watching;
