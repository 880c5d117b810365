//! Every statement that is sent to PostgreSQL, but for the migrations.

use std::sync::LazyLock;

use knit_domain::event::Position;

/// Serialises programs that start at once on one database; the number only has to be ours.
pub(super) const LOCK_SCHEMA: &str = "SELECT pg_advisory_xact_lock(7598452218341)";
/// That the table below is there already is the rule and no news; without this every start would log it.
pub(super) const NO_NOTICES: &str = "SET LOCAL client_min_messages = warning";
pub(super) const CREATE_SCHEMA_VERSION: &str = "CREATE TABLE IF NOT EXISTS schema_version \
     (version bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())";
pub(super) const SCHEMA_VERSION: &str = "SELECT coalesce(max(version), 0) FROM schema_version";
pub(super) const RECORD_SCHEMA_VERSION: &str = "INSERT INTO schema_version (version, name) VALUES ($1, $2)";

pub(super) const LOCK_HEAD: &str = "SELECT position FROM head FOR UPDATE";
/// The head, and the last event beside it.
pub(super) const ENDS: &str = "
SELECT head.position, head.chain, head.recorded_at, head.log, last.position, last.chain, last.recorded_at
  FROM head LEFT JOIN (SELECT position, chain, recorded_at FROM events ORDER BY position DESC LIMIT 1) AS last ON true";

/// Everything that a batch must know, in one row and so at one instant. `versions` and `taken` are in
/// the order of the questions; the members of scopes and the known events are parallel arrays.
pub(super) const ASK: &str = "
SELECT head.position, head.chain, head.recorded_at, head.log, last.position, last.chain, last.recorded_at,
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
FROM head
    LEFT JOIN (SELECT position, chain, recorded_at FROM events ORDER BY position DESC LIMIT 1) AS last ON true,
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
///
/// Lists are unnested side by side in what is selected; as a table the server would first make a store of each.
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
        SELECT FROM (SELECT unnest($27::text[]) AS kind, unnest($28::text[]) AS id, unnest($29::bigint[]) AS version) AS s
         WHERE (SELECT max(e.sequence) FROM events e WHERE e.aggregate_type = s.kind AND e.aggregate_id = s.id)
               IS DISTINCT FROM nullif(s.version, 0))";
/// Every place is taken or free as the batch expects it, and nobody is in the scopes that must be empty.
const AS_HELD: &str = "
       AND NOT EXISTS (
        SELECT FROM (SELECT unnest($30::text[]) AS scope, unnest($31::text[]) AS holder, unnest($32::boolean[]) AS held) AS p
         WHERE p.held <> EXISTS (SELECT FROM reservations r WHERE r.scope = p.scope AND r.holder = p.holder))
       AND NOT EXISTS (SELECT FROM reservations WHERE scope = ANY($33::text[]))";
const APPEND: &str = "
    RETURNING position
), appended AS (
    INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
                        position, event_id, recorded_at, salt, leaf, chain)
    SELECT unnest($6::text[]), unnest($7::text[]), unnest($8::bigint[]), unnest($9::text[]), unnest($10::text[]),
           unnest($11::text[])::json, unnest($12::text[])::json, unnest($13::bigint[]), unnest($14::uuid[]), $5,
           unnest($15::bytea[]), unnest($16::bytea[]), unnest($17::bytea[])
      FROM moved
), indexed AS (
    INSERT INTO entity_events (kind, id, position)
    SELECT unnest($18::text[]), unnest($19::uuid[]), unnest($20::bigint[]) FROM moved";
const RESERVE: &str = "
), released AS (
    DELETE FROM reservations r
     USING (SELECT unnest($21::text[]) AS scope, unnest($22::text[]) AS holder FROM moved) AS p
     WHERE r.scope = p.scope AND r.holder = p.holder
), taken AS (
    INSERT INTO reservations (scope, holder)
    SELECT unnest($23::text[]), unnest($24::text[]) FROM moved";
const ATTACH: &str = "
), attached AS (
    INSERT INTO attachments (sha256, bytes)
    SELECT unnest($25::text[]), unnest($26::bytea[]) FROM moved
        ON CONFLICT (sha256) DO NOTHING";
/// A notification costs as much as a fifth of a commit, so it is sent only when somebody is there to hear it: unless
/// the lock of [`BE_PRESENT`] can be had alone. It is kept until the commit, so that whoever comes meanwhile is
/// present only after it, and sees the batch when it then looks.
const NOTIFY: &str = "
)
SELECT CASE WHEN NOT pg_try_advisory_xact_lock(7598452218342)
            THEN pg_notify('knit_log', moved.position::text) END FROM moved";

/// Lets other processes know for as long as the connection lasts that there is one more which wants to hear of every
/// batch. The connection that appends says so, not the one that listens, because it is not in its own way in
/// [`NOTIFY`].
pub(super) const BE_PRESENT: &str = "SELECT pg_advisory_lock_shared(7598452218342)";

/// Begins the transaction of an import. Its session may stand still for longer than others while it waits for what is
/// sent, and waits for the head for a bounded time.
pub(super) fn begin_import(pause_ms: u128, wait_ms: u128) -> [String; 3] {
    [
        "BEGIN".to_owned(),
        format!("SET LOCAL idle_in_transaction_session_timeout = {pause_ms}"),
        format!("SET LOCAL lock_timeout = {wait_ms}"),
    ]
}
/// Locks the head, and tells how long the log is, by its head or by its events.
pub(super) const LOCK_EMPTY_HEAD: &str = "
SELECT greatest(position, (SELECT coalesce(max(position), 0) FROM events)) FROM head FOR UPDATE";
pub(super) const COPY_EVENTS: &str = "
COPY events (position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
             payload, metadata, recorded_at, salt, leaf, chain) FROM STDIN (FORMAT binary)";
pub(super) const COPY_INDEX: &str = "COPY entity_events (kind, id, position) FROM STDIN (FORMAT binary)";
pub(super) const RELEASE: &str = "
DELETE FROM reservations r USING (SELECT unnest($1::text[]) AS scope, unnest($2::text[]) AS holder) AS p
 WHERE r.scope = p.scope AND r.holder = p.holder";
pub(super) const COPY_PLACES: &str = "COPY reservations (scope, holder) FROM STDIN (FORMAT binary)";
/// Moves the head, and tells whoever listens.
pub(super) const MOVE_EMPTY_HEAD: &str = "
WITH moved AS (UPDATE head SET position = $1, chain = $2, recorded_at = $3 RETURNING position)
SELECT pg_notify('knit_log', moved.position::text) FROM moved";

/// Asks for nothing but an answer.
pub(super) const NOTHING: &str = "SELECT";

/// The channel on which every batch is announced, with the position of its last event.
pub(super) const CHANNEL: &str = "knit_log";

/// The events from a position on, in order, as [`super::copied`] reads them. `COPY` takes no arguments; these are
/// numbers.
pub(super) fn copy_events(from: Position, limit: i64) -> String {
    format!(
        "COPY (SELECT position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
       payload, metadata, recorded_at, salt, leaf, chain
  FROM events WHERE position >= {from} ORDER BY position LIMIT {limit}) TO STDOUT (FORMAT binary)"
    )
}
pub(super) const STREAM: &str = "
SELECT position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
       payload, metadata, recorded_at, salt, leaf, chain
  FROM events WHERE aggregate_type = $1 AND aggregate_id = $2 ORDER BY sequence";

/// Events that are to be emptied.
pub(super) const AT: &str = "
SELECT position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
       payload, metadata, recorded_at, salt, leaf, chain
  FROM events WHERE position = ANY($1)";
pub(super) const EMPTY: &str = "UPDATE events SET payload = $1::json, salt = '' WHERE position = $2 AND leaf = $3";
pub(super) const DETACH: &str = "DELETE FROM attachments WHERE sha256 = ANY($1)";
pub(super) const FORGET_SNAPSHOTS_OF: &str = "DELETE FROM log_snapshots WHERE name = $1";
/// Removes the snapshots before a position, and remembers of which generations the whole ones were: in one statement, so
/// that none is removed that another server has saved since it was looked at. In the order of names, in which nobody waits
/// for somebody who waits for him.
pub(super) const FORGET_SNAPSHOTS_BEFORE: &str = "
WITH gone AS (
    DELETE FROM log_snapshots WHERE position < $1 RETURNING id, name, generation, chunks
), whole AS (
    SELECT name, generation FROM gone GROUP BY id, name, generation, chunks HAVING count(*) = chunks
)
INSERT INTO generations AS g (name, generation)
SELECT name, max(generation) FROM whole GROUP BY name HAVING max(generation) > 0 ORDER BY name
    ON CONFLICT (name) DO UPDATE SET generation = greatest(g.generation, excluded.generation)";
pub(super) const CHAIN_AT: &str = "SELECT chain FROM events WHERE position = $1";
pub(super) const POSITION_OF: &str = "SELECT position FROM events WHERE event_id = $1";
/// Between which positions the log passes each of some times. Stamps never go back along positions, so halves can be
/// left out: in a million events twenty are looked at. An index would answer too, and cost every append. What is behind
/// `LATERAL` has a limit and so is looked up for each row; joined as the planner likes, the whole table is read for each
/// halving of many times.
pub(super) const HALVED: &str = "
WITH RECURSIVE half (number, time, before, behind) AS (
    SELECT t.number, t.time, 0::bigint, (SELECT position + 1 FROM head)
      FROM unnest($1::bigint[]) WITH ORDINALITY AS t (time, number)
  UNION ALL
    SELECT h.number, h.time,
           CASE WHEN e.recorded_at <= h.time THEN e.position ELSE h.before END,
           CASE WHEN e.recorded_at <= h.time THEN h.behind ELSE e.position END
      FROM half h CROSS JOIN LATERAL (
           SELECT position, recorded_at FROM events WHERE position = h.before + (h.behind - h.before) / 2 LIMIT 1) e
     WHERE h.behind - h.before > 1
)
SELECT max(before), min(behind) FROM half GROUP BY number ORDER BY number";
pub(super) const HOLDERS: &str = "SELECT holder FROM reservations WHERE scope = $1 ORDER BY holder";
pub(super) const POSITIONS: &str = "
SELECT position FROM entity_events WHERE kind = $1 AND id = $2 AND position > $3 ORDER BY position LIMIT $4";
pub(super) const ATTACHMENT: &str = "SELECT bytes FROM attachments WHERE sha256 = $1";

/// The clock of the database, in milliseconds since 1970.
macro_rules! now_ms {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
    };
}

/// A chunk whose answer was lost is sent again, and is there already.
pub(super) const SAVE_CHUNK: &str = concat!(
    "INSERT INTO log_snapshots (id, chunk, name, revision, position, chain, chunks, bytes, generation, saved_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, ",
    now_ms!(),
    ") ON CONFLICT (id, chunk) DO NOTHING"
);
/// Of two generations the later one is the newer, wherever in the log it was saved.
pub(super) const WHOLE_SNAPSHOTS: &str = "
SELECT id, position, chain, generation, max(saved_at), coalesce(sum(octet_length(bytes)), 0)::bigint FROM log_snapshots
 WHERE name = $1 AND revision = $2
 GROUP BY id, position, chain, chunks, generation HAVING count(*) = chunks
 ORDER BY generation DESC, position DESC, id LIMIT $3";
/// Also of other revisions, and of what was removed because of a redaction. What is not whole does not count: whoever
/// began it may have died over it.
pub(super) const NEWEST_GENERATION: &str = "
SELECT coalesce(max(generation), 0) FROM (
    SELECT generation FROM log_snapshots WHERE name = $1
     GROUP BY id, generation, chunks HAVING count(*) = chunks
    UNION ALL SELECT generation FROM generations WHERE name = $1) AS known";
pub(super) const CHUNKS: &str = "SELECT bytes FROM log_snapshots WHERE id = $1 ORDER BY chunk";
/// What was begun earlier at the same position was saved of something else, or is the same. What is of a later generation
/// stays, and so does what was begun later, by another server: of two that are at it at once, neither would be left.
pub(super) const SUPERSEDE_SNAPSHOTS: &str = "
DELETE FROM log_snapshots
 WHERE name = $1 AND revision = $2 AND position = $3 AND (generation < $4 OR generation = $4 AND id < $5)";
/// Other revisions go too: they belong to programs that have been replaced, which fold again if they
/// come back.
pub(super) const PRUNE_SNAPSHOTS: &str = "
DELETE FROM log_snapshots WHERE name = $1 AND (generation < $2 OR generation = $2 AND position <= $3)
   AND NOT id = ANY($4)";

/// Bytes of all tables of the log with their indexes, and of the snapshots in them.
pub(super) const SIZE: &str = "
SELECT pg_total_relation_size('events') + pg_total_relation_size('head') + pg_total_relation_size('reservations')
     + pg_total_relation_size('entity_events') + pg_total_relation_size('attachments')
     + pg_total_relation_size('leases') + pg_total_relation_size('generations') + pg_total_relation_size('log_snapshots'),
       pg_total_relation_size('log_snapshots')";
/// A walk along the index of streams.
pub(super) const LONGEST_STREAMS: &str = "
SELECT aggregate_type, aggregate_id, max(sequence) FROM events
 GROUP BY aggregate_type, aggregate_id ORDER BY 3 DESC, 1, 2 LIMIT $1";

pub(super) const NOW_MS: &str = concat!("SELECT ", now_ms!());
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
