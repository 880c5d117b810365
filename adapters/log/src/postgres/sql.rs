//! Every statement that is sent to PostgreSQL, but for the migrations.

use std::sync::LazyLock;

/// Serialises programs that start at once on one database; the number only has to be ours.
pub(super) const LOCK_SCHEMA: &str = "SELECT pg_advisory_xact_lock(7598452218341)";
pub(super) const CREATE_SCHEMA_VERSION: &str = "CREATE TABLE IF NOT EXISTS schema_version \
     (version bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())";
pub(super) const SCHEMA_VERSION: &str = "SELECT coalesce(max(version), 0) FROM schema_version";
pub(super) const RECORD_SCHEMA_VERSION: &str = "INSERT INTO schema_version (version, name) VALUES ($1, $2)";

pub(super) const LOCK_HEAD: &str = "SELECT position FROM head FOR UPDATE";
pub(super) const HEAD: &str = "SELECT position, chain, recorded_at, log FROM head";

/// Everything that a batch must know, in one row and so at one instant. `versions` and `taken` are in
/// the order of the questions; the members of scopes and the known events are parallel arrays.
pub(super) const ASK: &str = "
SELECT head.position, head.chain, head.recorded_at,
    ARRAY(
        SELECT coalesce((SELECT max(e.sequence) FROM events e
                          WHERE e.aggregate_type = s.kind AND e.aggregate_id = s.id), 0)
          FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS s (kind, id, place)
         ORDER BY s.place),
    ARRAY(
        SELECT EXISTS (SELECT FROM reservations r WHERE r.scope = p.scope AND r.holder = p.holder)
          FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS p (scope, holder, place)
         ORDER BY p.place),
    members.scopes, members.holders,
    known.ids, known.positions, known.times
FROM head,
    LATERAL (SELECT coalesce(array_agg(scope), '{}') AS scopes, coalesce(array_agg(holder), '{}') AS holders
               FROM reservations WHERE scope = ANY($5::text[])) AS members,
    LATERAL (SELECT coalesce(array_agg(event_id), '{}') AS ids, coalesce(array_agg(position), '{}') AS positions,
                    coalesce(array_agg(recorded_at), '{}') AS times
               FROM events WHERE event_id = ANY($6::uuid[])) AS known";

/// What a [`write`] does besides moving the head and appending events. A part that is left out costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    /// The batch was judged on answers that it took for granted; they are checked.
    pub(super) presumed: bool,
    /// It asks for reservations, takes or releases some.
    pub(super) reservations: bool,
    /// It brings attachments.
    pub(super) attachments: bool,
}

/// Moves the head from the end that was judged to the new one, and writes the batch if and only if
/// the head was still there, and what was taken for granted is so. One statement is one transaction, one
/// round trip, and holds the lock of the head only while the server itself works. Answers no row when
/// another process was faster, or something is not as it was taken for granted.
pub(super) fn write(parts: Parts) -> &'static str {
    &WRITES[usize::from(parts.presumed) + 2 * usize::from(parts.reservations) + 4 * usize::from(parts.attachments)]
}

/// One statement for each selection of [`Parts`], so that the server plans each once.
static WRITES: LazyLock<[String; 8]> = LazyLock::new(|| {
    std::array::from_fn(|at| {
        let (presumed, reservations, attachments) = (at & 1 != 0, at & 2 != 0, at & 4 != 0);
        let select = |wanted: bool, part| if wanted { part } else { "" };
        [
            MOVE,
            select(presumed, AS_EXPECTED),
            select(presumed && reservations, AS_HELD),
            APPEND,
            select(reservations, RESERVE),
            select(attachments, ATTACH),
            NOTIFY,
        ]
        .concat()
    })
});

const MOVE: &str = "
WITH moved AS (
    UPDATE head SET position = $3, chain = $4, recorded_at = $5
     WHERE position = $1 AND chain = $2";
/// Every stream is at the version at which the batch expects it.
const AS_EXPECTED: &str = "
       AND NOT EXISTS (
        SELECT FROM unnest($26::text[], $27::text[], $28::bigint[]) AS s (kind, id, version)
         WHERE (SELECT max(e.sequence) FROM events e WHERE e.aggregate_type = s.kind AND e.aggregate_id = s.id)
               IS DISTINCT FROM nullif(s.version, 0))";
/// Every place is taken or free as the batch expects it, and nobody is in the scopes that must be empty.
const AS_HELD: &str = "
       AND NOT EXISTS (
        SELECT FROM unnest($29::text[], $30::text[], $31::boolean[]) AS p (scope, holder, held)
         WHERE p.held <> EXISTS (SELECT FROM reservations r WHERE r.scope = p.scope AND r.holder = p.holder))
       AND NOT EXISTS (SELECT FROM reservations WHERE scope = ANY($32::text[]))";
const APPEND: &str = "
    RETURNING position
), appended AS (
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                        position, event_id, recorded_at, salt, leaf, chain)
    SELECT e.kind, e.id, e.sequence, e.type, e.version, e.payload::json, e.metadata::json,
           $1 + e.place, e.event_id, $5, e.salt, e.leaf, e.chain
      FROM moved, unnest($6::text[], $7::text[], $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[],
                         $13::uuid[], $14::bytea[], $15::bytea[], $16::bytea[]) WITH ORDINALITY
           AS e (kind, id, sequence, type, version, payload, metadata, event_id, salt, leaf, chain, place)
), indexed AS (
    INSERT INTO entity_events (kind, id, position)
    SELECT i.kind, i.id, i.position FROM moved, unnest($17::text[], $18::uuid[], $19::bigint[])
           AS i (kind, id, position)";
const RESERVE: &str = "
), released AS (
    DELETE FROM reservations r USING moved, unnest($20::text[], $21::text[]) AS p (scope, holder)
     WHERE r.scope = p.scope AND r.holder = p.holder
), taken AS (
    INSERT INTO reservations (scope, holder)
    SELECT p.scope, p.holder FROM moved, unnest($22::text[], $23::text[]) AS p (scope, holder)";
const ATTACH: &str = "
), attached AS (
    INSERT INTO attachments (sha256, bytes)
    SELECT a.sha256, a.bytes FROM moved, unnest($24::text[], $25::bytea[]) AS a (sha256, bytes)
        ON CONFLICT (sha256) DO NOTHING";
const NOTIFY: &str = "
)
SELECT pg_notify('knit_log', moved.position::text) FROM moved";

/// Asks for nothing but an answer.
pub(super) const NOTHING: &str = "SELECT";

/// The channel on which every batch is announced, with the position of its last event.
pub(super) const CHANNEL: &str = "knit_log";

pub(super) const EVENTS: &str = "
SELECT position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
       payload, metadata, recorded_at, salt, leaf, chain
  FROM events WHERE position >= $1 ORDER BY position LIMIT $2";
pub(super) const STREAM: &str = "
SELECT position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
       payload, metadata, recorded_at, salt, leaf, chain
  FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY sequence";

pub(super) const CHAIN_AT: &str = "SELECT chain FROM events WHERE position = $1";
pub(super) const HOLDERS: &str = "SELECT holder FROM reservations WHERE scope = $1 ORDER BY holder";
pub(super) const POSITIONS: &str = "
SELECT position FROM entity_events WHERE kind = $1 AND id = $2 AND position > $3 ORDER BY position LIMIT $4";
pub(super) const ATTACHMENT: &str = "SELECT bytes FROM attachments WHERE sha256 = $1";

/// A chunk whose answer was lost is sent again, and is there already.
pub(super) const SAVE_CHUNK: &str = "
INSERT INTO log_snapshots (id, chunk, name, revision, position, chain, chunks, bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id, chunk) DO NOTHING";
pub(super) const WHOLE_SNAPSHOTS: &str = "
SELECT id, position, chain FROM log_snapshots WHERE name = $1 AND revision = $2
 GROUP BY id, position, chain, chunks HAVING count(*) = chunks ORDER BY position DESC, id LIMIT $3";
pub(super) const CHUNKS: &str = "SELECT bytes FROM log_snapshots WHERE id = $1 ORDER BY chunk";
/// Other revisions go too: they belong to programs that have been replaced, which fold again if they
/// come back.
pub(super) const PRUNE_SNAPSHOTS: &str = "
DELETE FROM log_snapshots WHERE name = $1 AND position <= $2 AND NOT id = ANY($3)";

/// The clock of the database, in milliseconds since 1970.
macro_rules! now_ms {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}
/// An end that lies further ahead than any renewal puts it was written before the clock went back.
pub(super) const ACQUIRE_LEASE: &str = concat!(
    "INSERT INTO leases AS l (role, holder, fence, expires_at) VALUES ($1, $2, 1, ",
    now_ms!(),
    " + $3) ON CONFLICT (role) DO UPDATE SET holder = $2, fence = l.fence + 1, expires_at = ",
    now_ms!(),
    " + $3 WHERE l.holder = $2 OR NOT l.expires_at BETWEEN ",
    now_ms!(),
    " + 1 AND ",
    now_ms!(),
    " + 2 * $3 RETURNING fence"
);
pub(super) const RENEW_LEASE: &str =
    concat!("UPDATE leases SET expires_at = ", now_ms!(), " + $4 WHERE role = $1 AND holder = $2 AND fence = $3");
pub(super) const RELEASE_LEASE: &str = "
UPDATE leases SET expires_at = 0 WHERE role = $1 AND holder = $2 AND fence = $3";
