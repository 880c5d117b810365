//! The world breaks, and what was promised holds all the same.
//!
//! docs/reliability.md has a table of these, in its section “Faults”.

mod clock;
mod database;
mod disks;
mod readers;
mod restored;
