//! *Ours.* What the administration socket takes and answers about copies of the history: archiving and importing.

use serde::{Deserialize, Serialize};

/// Where the log is to be archived.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ArchiveOrder {
    /// An absolute path on the server's machine; where the server archives by itself, if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What archiving tells, line by line; the last line is one of its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "step")]
pub enum ArchiveStep {
    /// It is under way.
    Archiving {
        /// Up to where.
        position: u64,
        /// Up to where it will go.
        until: u64,
    },
    /// Something was done about a segment.
    Segment(ArchivedSegment),
    /// An end: all segments are there.
    Archived {
        /// Where.
        directory: String,
        /// The last event in them; 0 if there is none yet.
        position: u64,
        /// The last event of the log.
        head: u64,
    },
    /// An end: the log is not as it was written.
    Flawed {
        /// The first position that is not in order.
        position: u64,
        /// What is wrong there.
        why: String,
    },
    /// An end: it could not be done, or not all of it. What was told before is done.
    Failed {
        /// Why.
        why: String,
    },
}

/// A segment of the archive, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchivedSegment {
    /// Name of its file.
    pub file: String,
    /// Its first event.
    pub first: u64,
    /// Its last event.
    pub last: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// What was done.
    pub done: SegmentDone,
    /// What is wrong with it, if something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What was done about a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SegmentDone {
    /// It was not there, and is.
    Written,
    /// It was there, and is what the log says.
    Checked,
    /// It was there with content that was redacted since, and is without it.
    Rewritten,
    /// It was there, is damaged, and was left as it is.
    Damaged,
    /// It was there and damaged, and was written again, since it may have held what was redacted.
    Replaced,
}

/// What came of a history that was sent to be imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "end")]
pub enum ImportEnd {
    /// The log is that history now.
    Imported {
        /// How many events it has.
        events: u64,
        /// The last position.
        position: u64,
        /// The chain there, in hexadecimal.
        chain: String,
        /// Events whose content was taken out, each admitted by another event.
        redacted: u64,
        /// Events imported in each second.
        events_per_second: u64,
        /// Runs that are not over: a server with roles goes on with them. Not told where counting takes too long.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unfinished_runs: Option<u64>,
    },
    /// The history is not whole, and the log is empty as before.
    Flawed {
        /// The first position that is not in order.
        position: u64,
        /// What is wrong there.
        why: String,
    },
    /// It cannot be imported, and the log is empty as before.
    Failed {
        /// Why.
        why: String,
    },
}
