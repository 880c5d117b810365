//! Snapshots of projections, as the log keeps them: bytes in chunks, under a name, a revision and the
//! place of the log that they were taken at.
//!
//! A snapshot is a shortcut, never a truth: whoever loads one checks that the log still has the same
//! chain at its position, and otherwise folds from the beginning.

use knit_domain::event::Position;
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
}
