//! The HTTP API from outside: a real server on SQLite in a scratch directory, asked byte by byte.
//!
//! Only the runtime is a stand-in ([`shelf::Shelf`]), so that a disk can be full and a download can break
//! when a test says so. Nothing here starts Workers: Runs are moved by the domain's own decisions.

#![expect(clippy::unwrap_used, reason = "a test proves its unwraps by running, and so does the kit it uses")]

mod client;
mod ids;
mod kit;
mod shelf;
mod tags;

mod as_of;
mod audit;
mod data;
mod following;
mod freshness;
mod metrics;
mod plans;
mod redacting;
mod routes;
mod runs;
mod transfers;
mod watching;
