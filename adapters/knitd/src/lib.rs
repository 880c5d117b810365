//! The server of Knitfab: it lets the network in, and joins log, projections, reactors and runtime.
//!
//! What happens is decided in `knit-domain` and remembered in the log. This crate loads what a decision
//! needs, appends what was decided, folds it into the projections, and acts on what is due. It holds no
//! truth of its own: killed at any instruction, it looks again and goes on.
//!
//! The modules, in reading order.

pub mod args;
pub mod server;
mod telling;

pub mod app;
mod archive;
mod background;
mod clock;
pub mod command;
pub mod doctor;
pub mod follower;
mod import;
mod listener;
pub mod metrics;
mod rebuild;
mod replay;
mod sent;
pub mod servers;
mod snapshots;
pub mod streams;
pub mod views;

pub mod http;
pub mod reactors;
