//! Everything that reads from outside, tried with anything.
//!
//! A target is a plain function of bytes. Whatever the bytes are, it must come to an end without a panic, and
//! what it asserts must hold: refused or understood, and if understood, then the same whichever way round.
//! `make fuzz` lets libFuzzer look for bytes that break one (`tests/fuzz/driver`); what it found once, and what
//! leads it to every corner, is kept in `tests/fuzz/corpus`, and the ordinary tests of this crate feed all of it
//! to the same functions. There, `s…` was written by hand, `h…` comes from a random history of commands, and what
//! was found is named for what was wrong.

#![expect(clippy::unwrap_used, reason = "a target that cannot go on has found something")]

mod archives;
mod bodies;
mod checkpoints;
mod events;
mod exports;
mod files;
mod notations;
mod requests;
mod snapshots;
mod trees;
mod world;

/// Something that reads from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `tests/fuzz/corpus`.
    pub name: &'static str,
    /// Lets it read these bytes.
    ///
    /// # Panics
    /// When something is wrong with what reads them; that is the finding.
    pub read: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "tags", read: notations::tags },
    Target { name: "timestamps", read: notations::timestamps },
    Target { name: "durations", read: notations::durations },
    Target { name: "quantities", read: notations::quantities },
    Target { name: "images", read: notations::images },
    Target { name: "plan_files", read: files::plan_files },
    Target { name: "profiles", read: files::profiles },
    Target { name: "bodies", read: bodies::bodies },
    Target { name: "events", read: events::events },
    Target { name: "exports", read: exports::exports },
    Target { name: "checkpoints", read: checkpoints::checkpoints },
    Target { name: "snapshots", read: snapshots::snapshots },
    Target { name: "uploads", read: archives::uploads },
    Target { name: "pulls", read: archives::pulls },
    Target { name: "queries", read: requests::queries },
    Target { name: "requests", read: requests::requests },
    Target { name: "connections", read: requests::connections },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}
