//! *Ours.* What the administration socket answers. It is no part of the API, and of no document of it.

use serde::{Deserialize, Serialize};

use crate::instant::Instant;

/// Name of the administration socket in the state directory.
pub const ADMIN_SOCKET_FILE: &str = "admin.sock";
/// Bytes of a path to a socket: what the kernel's address of one has room for, without the zero at its end.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Content type of an answer that is told line by line, each a JSON value.
pub const JSON_LINES: &str = "application/x-ndjson";

/// One projection of the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProjectionState {
    /// Its name.
    pub name: String,
    /// `live`, `behind` while it has yet to fold what the log has, `stopped` at an event that it cannot apply, or
    /// `damaged` where the log is not as it was written.
    pub state: String,
    /// The last event that was folded.
    pub position: u64,
    /// Events that the log has behind it.
    pub lag: u64,
    /// Of its records: a snapshot of another revision is not used.
    pub revision: u32,
    /// Bytes of memory, roughly.
    pub memory_bytes: u64,
    /// The last event in the newest snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<u64>,
    /// Bytes of the newest snapshot, compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_bytes: Option<u64>,
    /// When it was saved, by the clock of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_saved_at: Option<Instant>,
    /// How many snapshots are kept.
    #[serde(default)]
    pub snapshots_kept: u64,
    /// The last event in the instance that was kept when another took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u64>,
    /// How many events it passes over, as it was decided.
    #[serde(default)]
    pub skipped: u64,
    /// Why it has stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// SHA-256 of its content and position, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// A snapshot that was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedSnapshot {
    /// Of which projection.
    pub name: String,
    /// The last event in it.
    pub position: u64,
    /// Bytes, compressed.
    pub bytes: u64,
}

/// How large the log is, and where it grows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogStatistics {
    /// Identity of the log.
    pub log: String,
    /// Position of the last event: how many there are.
    pub events: u64,
    /// When the last one was recorded; none in an empty log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Instant>,
    /// The chain at the last position.
    pub chain: String,
    /// Bytes in the database, indexes and snapshots included.
    pub bytes: u64,
    /// Bytes of snapshots among them.
    pub snapshots_bytes: u64,
    /// The last days of UTC, the newest first.
    pub days: Vec<DayOfEvents>,
    /// The longest streams, the longest first.
    pub longest_streams: Vec<LongStream>,
}

/// How many events were recorded in a day of UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DayOfEvents {
    /// When the day began.
    pub day: Instant,
    /// How many events were recorded in it.
    pub events: u64,
    /// Bytes that they take, taken that all events of the log are of one size.
    pub bytes: u64,
}

/// A stream and its length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LongStream {
    /// `data`, `plan`, `run`, `agent`, `plan-catalog` or `journal`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which one.
    pub id: String,
    /// How many events it has.
    pub events: u64,
}

/// That a projection is to pass over an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkipOrder {
    /// Which event.
    pub position: u64,
    /// Why.
    pub reason: String,
}

/// That a projection passes over an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// Which projection.
    pub projection: String,
    /// Which event.
    pub position: u64,
    /// The event that says so; 0 if that was decided before.
    pub recorded_at: u64,
    /// Up to where the projection has come since.
    pub reached: u64,
    /// Why it has stopped again, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What is wanted of a rebuild.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RebuildOrder {
    /// Compare, and leave the live one where it is.
    pub verify_only: bool,
    /// Keep the instance that is replaced, so that it can be switched back to.
    pub keep_old: bool,
    /// Replace the live one also if it differs.
    pub replace: bool,
    /// Fold every event, also those that a rebuild that was broken off has folded.
    pub from_start: bool,
}

/// What a rebuild tells, line by line; the last line is one of its ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "step")]
pub enum RebuildStep {
    /// It goes on where one that was broken off had come to.
    Resumed {
        /// Up to where the log was folded then.
        position: u64,
    },
    /// The log is folded.
    Folding {
        /// Up to where.
        position: u64,
        /// How long the log is.
        head: u64,
        /// Events folded in each second so far.
        events_per_second: u64,
    },
    /// Both were compared at one position.
    Compared {
        /// At which.
        position: u64,
        /// SHA-256 of the live one.
        live: String,
        /// SHA-256 of the rebuilt one.
        rebuilt: String,
        /// Where they differ, if they do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        difference: Option<RebuildDifference>,
    },
    /// An end: the rebuilt one is live.
    Switched {
        /// At which position.
        position: u64,
        /// For how long nothing was folded meanwhile, in microseconds: so long may a command have waited to be shown.
        held_us: u64,
        /// Whether the one before is kept.
        kept: bool,
        /// What could not be done besides, and what follows from that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        warning: Option<String>,
    },
    /// An end: all was compared, and nothing was changed, as it was wanted.
    Verified {
        /// At which position.
        position: u64,
    },
    /// An end: they differ, and the live one stays where it is.
    Differs {
        /// At which position.
        position: u64,
    },
    /// An end: it was cancelled, and the live one is as it was.
    Cancelled {
        /// Up to where the log had been folded.
        position: u64,
        /// Whether that is kept, so that the next one goes on from there.
        #[serde(default)]
        kept: bool,
    },
    /// An end: the log is not as it was written.
    Flawed {
        /// The first position that is not in order.
        position: u64,
        /// What is wrong there.
        why: String,
    },
    /// An end: it could not be done, and the live one is as it was.
    Failed {
        /// Why.
        why: String,
    },
}

/// The first record that a live projection and its rebuilt one do not share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildDifference {
    /// Its place among the records: 1, 2, ….
    pub record: u64,
    /// What the live one has there; none if it has fewer records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<String>,
    /// What the rebuilt one has there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<String>,
}

/// What a replay tells, line by line; the last line is one of its ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "step")]
pub enum ReplayStep {
    /// The history is folded.
    Folding {
        /// Up to where.
        position: u64,
        /// Up to where it will be.
        head: u64,
        /// Events folded in each second so far.
        events_per_second: u64,
    },
    /// An end: this is what it comes to.
    Replayed {
        /// The last position.
        position: u64,
        /// The chain there, in hexadecimal.
        chain: String,
        /// When the last event was recorded; none if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Instant>,
        /// Events folded in each second.
        events_per_second: u64,
        /// Each projection.
        projections: Vec<ReplayedProjection>,
    },
    /// An end: projections stop at events that the history lets them pass over, which is known only at its end. Sent
    /// again with these, it is folded further.
    SkipsAhead {
        /// What is passed over.
        skips: Vec<SkipAhead>,
    },
    /// An end: what remains of an event is said only behind it. Sent again with the redactions ahead, it is folded.
    RedactedAhead {
        /// The event.
        position: u64,
    },
    /// An end: the history is not whole.
    Flawed {
        /// The first position that is not in order.
        position: u64,
        /// What is wrong there.
        why: String,
    },
    /// An end: it could not be done.
    Failed {
        /// Why.
        why: String,
    },
}

/// What a history comes to in one projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayedProjection {
    /// Its name.
    pub name: String,
    /// The last event that was folded.
    pub position: u64,
    /// Of its records: other revisions have other digests.
    pub revision: u32,
    /// SHA-256 of its content and position, in hexadecimal.
    pub digest: String,
    /// Why it has stopped there, if it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// An event that a projection passes over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkipAhead {
    /// Which projection.
    pub projection: String,
    /// Which event.
    pub position: u64,
}

/// One thing that was looked at, to see whether all is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What to do about it; nothing if it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and should be looked after.
    Warn,
    /// It does not work.
    Bad,
}
