//! What may be asked, and what is due.
//!
//! A projection folds the log, event after event, into an answer that is kept in memory. It is pure:
//! no clock, no chance, no file, no network, so the same log always gives the same projection, and
//! any of them can be thrown away and folded again. A snapshot only saves the time to do so.
//!
//! This crate never decides whether something may happen (that is `knit-domain`) and never makes it
//! happen (that is `knitd`).
//!
//! The modules, in reading order.

mod blocks;
pub mod comparison;
mod heap;
pub mod projection;
pub mod snapshot;
mod sorted;
mod strung;
mod table;

pub mod matcher;
pub mod store;
pub mod worklists;
