//! Snapshots of projections, as the log keeps them: bytes in chunks, under a name, a revision and the
//! place of the log that they were taken at.
//!
//! A snapshot is a shortcut, never a truth: whoever loads one checks that the log still has the same
//! chain at its position, and otherwise folds from the beginning.
//!
//! A projection that was wrong is replaced by another *generation*. Another server may still have the wrong one, and
//! goes on to save it, at later positions; so of two snapshots the one of the later generation is the newer.
//! Generations outlast their snapshots: when those are removed because of a redaction, the newest is written beside them.

use knit_domain::event::Position;
use knit_domain::time::Timestamp;
use uuid::Uuid;

use crate::chain::Hash;

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// Name of the projection.
    pub name: String,
    /// Revision of its format; another revision is not read.
    pub revision: u32,
    /// The last event in it.
    pub position: Position,
    /// The chain at that position.
    pub chain: Hash,
    /// How often the projection was replaced, in this log, by one that says something else.
    pub generation: u64,
}

/// A snapshot that is there, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSnapshot {
    /// The last event in it.
    pub position: Position,
    /// Of which generation it is.
    pub generation: u64,
    /// When it was saved, by the clock of the database; none if nobody knows.
    pub saved_at: Option<Timestamp>,
    /// How many bytes it has, compressed.
    pub bytes: u64,
}

/// A snapshot that is there as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// What it is of.
    pub meta: SnapshotMeta,
    /// Its bytes, as they were saved.
    pub chunks: Vec<Vec<u8>>,
}

/// One row of a snapshot.
#[derive(Debug)]
pub(crate) struct Chunk<'a> {
    /// Drawn for each save, so that two savers of one position never mix their chunks.
    pub(crate) id: Uuid,
    pub(crate) meta: &'a SnapshotMeta,
    pub(crate) chunk: i32,
    pub(crate) chunks: i32,
    pub(crate) bytes: &'a [u8],
}

/// A snapshot as the table lists it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) id: Uuid,
    pub(crate) position: i64,
    pub(crate) chain: Vec<u8>,
    pub(crate) generation: i64,
    /// Milliseconds since 1970; 0 if nobody knows.
    pub(crate) saved_at: i64,
    pub(crate) bytes: i64,
}
