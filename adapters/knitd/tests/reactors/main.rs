//! The reactors on a real log, with the real follower, in a world that does as it is told.
//!
//! Only the runtime ([`scripted::Scripted`]) and the gate ([`gate::ScriptedGate`]) are stand-ins: volumes
//! and Workers are entries of a table, and a test says how each Worker fares, which call breaks, and at which
//! call the server dies. Everything is told by its outcome: what the Run became, what is left in the world,
//! how often it was called, and what the server's own log says.

#![expect(clippy::unwrap_used, reason = "a test proves its unwraps by running, and so does the kit it uses")]

mod browser;
mod gate;
mod lines;
mod scripted;
mod world;

mod causes;
mod crashes;
mod finishing;
mod garbage;
mod housekeeping;
mod initialize;
mod logs;
mod projection;
mod transfers;
mod turns;
mod workers;
