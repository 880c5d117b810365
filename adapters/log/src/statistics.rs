//! What whoever administers the log wants to know of it: how large it is, which streams are long, what time
//! its database has, and up to where snapshots reach.

use knit_domain::event::Position;
use knit_domain::time::Timestamp;

use crate::columns::unsigned;
use crate::error::Fault;
use crate::log::Log;
use crate::reader::patiently;
use crate::snapshot::{KeptSnapshot, Listed};

/// What the log takes in its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Bytes of all its tables and their indexes. SQLite's file is counted whole, with what is free in it.
    pub total_bytes: u64,
    /// Bytes of the snapshots among them, which can be made again.
    pub snapshots_bytes: u64,
}

/// How long one stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamLength {
    /// Stored name of the kind of stream.
    pub stream_type: String,
    /// Which stream.
    pub stream_id: String,
    /// Number of its events.
    pub events: u64,
}

impl Log {
    /// What the log takes in its database.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn size(&self) -> Result<Size, Fault> {
        let doing = "measuring the log";
        let (total, snapshots) = patiently(doing, || self.backend().size()).await?;
        let bytes = |bytes| unsigned(bytes).map_err(|error| Fault::of(doing, error));
        Ok(Size { total_bytes: bytes(total)?, snapshots_bytes: bytes(snapshots)? })
    }

    /// The `limit` longest streams, the longest first. It walks the whole index of streams: a second for some
    /// million events.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn longest_streams(&self, limit: usize) -> Result<Vec<StreamLength>, Fault> {
        let doing = "counting the events of streams";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = patiently(doing, || self.backend().longest_streams(limit)).await?;
        let length = |(stream_type, stream_id, events)| {
            let events = unsigned(events).map_err(|error| Fault::of(doing, error))?;
            Ok(StreamLength { stream_type, stream_id, events })
        };
        rows.into_iter().map(length).collect()
    }

    /// What time the database has.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn database_time(&self) -> Result<Timestamp, Fault> {
        Ok(Timestamp(patiently("asking for the time", || self.backend().now_ms()).await?))
    }

    /// The whole snapshots of this name and revision, without their bytes, the newest first; at most `limit` of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn kept_snapshots(&self, name: &str, revision: u32, limit: usize) -> Result<Vec<KeptSnapshot>, Fault> {
        let doing = "listing snapshots";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let listed = patiently(doing, || self.backend().snapshots(name, revision, limit)).await?;
        let number = |number| unsigned(number).map_err(|error| Fault::of(doing, error));
        let kept = |listed: Listed| {
            let saved_at = (listed.saved_at > 0).then_some(Timestamp(listed.saved_at));
            let (position, generation) = (number(listed.position)?, number(listed.generation)?);
            Ok(KeptSnapshot { position, generation, saved_at, bytes: number(listed.bytes)? })
        };
        listed.into_iter().map(kept).collect()
    }

    /// The position of the newest whole snapshot of this name and revision, without reading it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn newest_snapshot_position(&self, name: &str, revision: u32) -> Result<Option<Position>, Fault> {
        let doing = "listing snapshots";
        let listed = patiently(doing, || self.backend().snapshots(name, revision, 1)).await?;
        let position = |position| unsigned(position).map_err(|error| Fault::of(doing, error));
        listed.first().map(|listed| position(listed.position)).transpose()
    }
}
