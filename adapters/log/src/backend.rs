//! The two databases behind one set of operations.

use knit_domain::event::{Entity, Position, StreamId};
use knit_domain::id::EventId;
use knit_domain::reservation::{Holder, Scope};
use uuid::Uuid;

use crate::appender::{Judge, Unwritten};
use crate::batch::Questions;
use crate::ends::Ends;
use crate::lease::Lease;
use crate::postgres::Postgres;
use crate::reader::{Between, StoredEvent, Visit};
use crate::snapshot::{Chunk, Listed, SnapshotMeta};
use crate::sqlite::Sqlite;

/// Where the log is. Both keep the same contract; the conformance suite runs on both.
#[derive(Debug)]
pub(crate) enum Backend {
    Postgres(Box<Postgres>),
    Sqlite(Sqlite),
}

/// The same call on whichever it is.
macro_rules! on {
    ($self:ident, $database:ident => $call:expr) => {
        match $self {
            Backend::Postgres($database) => $call,
            Backend::Sqlite($database) => $call,
        }
    };
}

type Answer<T> = Result<T, sqlx::Error>;

impl Backend {
    pub(crate) async fn transact(&self, questions: &Questions, judge: &mut Judge<'_, '_>) -> Result<(), Unwritten> {
        on!(self, database => database.writer.transact(questions, judge).await)
    }

    pub(crate) async fn close(&self) {
        on!(self, database => database.close().await);
    }

    pub(crate) async fn ends(&self) -> Answer<Ends> {
        on!(self, database => database.ends().await)
    }

    pub(crate) async fn visit_events(&self, from: Position, limit: i64, visit: &mut Visit<'_>) -> Answer<()> {
        on!(self, database => database.visit_events(from, limit, visit).await)
    }

    pub(crate) async fn stream(&self, stream: &StreamId) -> Answer<Vec<StoredEvent>> {
        on!(self, database => database.stream(stream).await)
    }

    pub(crate) async fn chain_at(&self, position: Position) -> Answer<Option<Vec<u8>>> {
        on!(self, database => database.chain_at(position).await)
    }

    pub(crate) async fn position_of(&self, event: EventId) -> Answer<Option<i64>> {
        on!(self, database => database.position_of(event).await)
    }

    pub(crate) async fn halved(&self, times_ms: &[i64]) -> Answer<Vec<Between>> {
        on!(self, database => database.halved(times_ms).await)
    }

    pub(crate) async fn holders(&self, scope: Scope) -> Answer<Vec<Holder>> {
        on!(self, database => database.holders(scope).await)
    }

    pub(crate) async fn positions_of(&self, of: Entity, after: Position, limit: i64) -> Answer<Vec<Position>> {
        on!(self, database => database.positions_of(of, after, limit).await)
    }

    pub(crate) async fn attachment(&self, sha256: &str) -> Answer<Option<Vec<u8>>> {
        on!(self, database => database.attachment(sha256).await)
    }

    pub(crate) async fn save_chunk(&self, chunk: &Chunk<'_>) -> Answer<()> {
        on!(self, database => database.save_chunk(chunk).await)
    }

    pub(crate) async fn snapshots(&self, name: &str, revision: u32, limit: i64) -> Answer<Vec<Listed>> {
        on!(self, database => database.snapshots(name, revision, limit).await)
    }

    pub(crate) async fn chunks(&self, id: Uuid) -> Answer<Vec<Vec<u8>>> {
        on!(self, database => database.chunks(id).await)
    }

    pub(crate) async fn supersede(&self, id: Uuid, meta: &SnapshotMeta) -> Answer<()> {
        on!(self, database => database.supersede(id, meta).await)
    }

    pub(crate) async fn newest_generation(&self, name: &str) -> Answer<i64> {
        on!(self, database => database.newest_generation(name).await)
    }

    pub(crate) async fn prune(&self, name: &str, newest: &Listed, keep: &[Uuid]) -> Answer<()> {
        on!(self, database => database.prune(name, newest, keep).await)
    }

    pub(crate) async fn size(&self) -> Answer<(i64, i64)> {
        on!(self, database => database.size().await)
    }

    pub(crate) async fn longest_streams(&self, limit: i64) -> Answer<Vec<(String, String, i64)>> {
        on!(self, database => database.longest_streams(limit).await)
    }

    pub(crate) async fn now_ms(&self) -> Answer<i64> {
        on!(self, database => database.now_ms().await)
    }

    pub(crate) async fn forget_snapshots_of(&self, name: &str) -> Answer<()> {
        on!(self, database => database.forget_snapshots_of(name).await)
    }

    pub(crate) async fn forget_snapshots_before(&self, position: Position) -> Answer<()> {
        on!(self, database => database.forget_snapshots_before(position).await)
    }

    pub(crate) async fn wipe(&self) -> Answer<bool> {
        on!(self, database => database.wipe().await)
    }

    pub(crate) async fn acquire_lease(&self, role: &str, holder: &str, ttl_ms: i64) -> Answer<Option<i64>> {
        on!(self, database => database.acquire_lease(role, holder, ttl_ms).await)
    }

    pub(crate) async fn renew_lease(&self, lease: &Lease) -> Answer<bool> {
        on!(self, database => database.renew_lease(lease).await)
    }

    pub(crate) async fn release_lease(&self, lease: &Lease) -> Answer<()> {
        on!(self, database => database.release_lease(lease).await)
    }
}
