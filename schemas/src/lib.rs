//! Contracts that outlive a process.
//!
//! What two programs, or a program and its own past, must agree on is written here once: the JSON of
//! the HTTP API ([`api`], which is the original's wire, so an unmodified client understands it), the
//! drawings of its graphs ([`lineage`], [`plan_graph`]), the notations inside it ([`image`], [`quantity`],
//! [`duration`], [`instant`]), the stored messages ([`proto`]), and the log as it is carried elsewhere and verified
//! ([`chain`], [`export`], [`checkpoint`]). Beside the Rust code, `migrations/`
//! holds the tables of the log and `events/` one golden example of every event and version.
//!
//! Everything is pure: text in, values out. Nothing here opens a file or a socket, and no rule of
//! the domain is decided here.
//!
//! The modules, in reading order.

pub mod api;

pub mod lineage;
pub mod plan_graph;
mod svg;

pub mod duration;
pub mod image;
pub mod instant;
pub mod quantity;
pub mod slip;

pub mod proto;

pub mod chain;
pub mod checkpoint;
pub mod export;

pub mod migrations;
