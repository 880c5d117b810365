//! Random histories of commands, and what they are compared with.
//!
//! The tests of the domain, of the projections and of the log ask the same thing in three places: whatever
//! people and reactors want, in whatever order and however late, what must hold holds, and what is kept
//! compactly says the same as the plainest reckoning. So what they share is here. [`play`] makes the histories,
//! in a [`world`] whose [`memory_log`] keeps the promises of the real one and is the model of it;
//! [`invariants`] is what must hold after every step; [`states`] folds recorded events into the states of all
//! streams, and [`reckoning`] computes from those, without any index, what the projections must answer. [`chance`] draws
//! the seed, and says it.
//!
//! It decides nothing by itself and touches nothing of the outside. Its own tests let the same histories happen
//! to the real log, on both databases.

#![expect(clippy::unwrap_used, reason = "a scene that cannot be set is a failed test")]

pub mod chance;
pub mod invariants;
pub mod memory_log;
pub mod play;
pub mod reckoning;
pub mod states;
pub mod world;
