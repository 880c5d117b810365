//! Every statement that is sent to SQLite, but for the migrations.
//!
//! Lists that are asked about go in as one JSON text each, so that every statement is prepared once whatever
//! the length; byte strings in them are hexadecimal. What is inserted goes in as values, for taking JSON apart
//! costs several times as much as the insertion: [`Inserts`] has a statement for each of a few numbers of rows.

use std::sync::LazyLock;

/// Numbers of rows that one statement inserts, the largest first. Any number is made of a few of them.
pub(super) const ROWS_AT_ONCE: [usize; 4] = [64, 16, 4, 1];

/// One insertion, for each of [`ROWS_AT_ONCE`].
pub(super) struct Inserts([String; ROWS_AT_ONCE.len()]);

impl Inserts {
    fn new(into: &str, row: &str) -> Self {
        Self(ROWS_AT_ONCE.map(|rows| format!("INSERT INTO {into} VALUES {}", vec![row; rows].join(", "))))
    }

    /// `rows` in the largest pieces for which there is a statement, each with it.
    pub(super) fn pieces<'r, R>(&self, mut rows: &'r [R]) -> impl Iterator<Item = (&str, &'r [R])> {
        std::iter::from_fn(move || {
            let at = ROWS_AT_ONCE.iter().position(|size| *size <= rows.len())?;
            let (piece, left) = rows.split_at(ROWS_AT_ONCE[at]);
            rows = left;
            Some((self.0[at].as_str(), piece))
        })
    }
}

pub(super) const CREATE_SCHEMA_VERSION: &str = "CREATE TABLE IF NOT EXISTS schema_version \
     (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL DEFAULT current_timestamp) STRICT";
pub(super) const SCHEMA_VERSION: &str = "SELECT coalesce(max(version), 0) FROM schema_version";
pub(super) const RECORD_SCHEMA_VERSION: &str = "INSERT INTO schema_version (version, name) VALUES (?1, ?2)";

/// Takes the write lock at once, so that nothing can come between the look and the write.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";
/// The head, and the last event beside it.
pub(super) const ENDS: &str = "
SELECT head.position, head.chain, head.recorded_at, head.log, last.position, last.chain, last.recorded_at
  FROM head LEFT JOIN (SELECT position, chain, recorded_at FROM events ORDER BY position DESC LIMIT 1) AS last ON true";

/// How long the log is, by its head or by its events.
pub(super) const LENGTH: &str = "SELECT max(position, (SELECT coalesce(max(position), 0) FROM events)) FROM head";

macro_rules! move_as_expected {
    () => {
        "
UPDATE head SET position = ?1, chain = ?2, recorded_at = ?3
 WHERE position = ?4 AND chain = ?5
   AND NOT EXISTS (
    SELECT 1 FROM json_each(?6) AS s
     WHERE (s.value ->> 2) <> coalesce((SELECT max(e.sequence) FROM events e
                                         WHERE e.aggregate_type = s.value ->> 0 AND e.aggregate_id = s.value ->> 1), 0))"
    };
}

/// The version of each stream asked for, in order.
pub(super) const ASK_VERSIONS: &str = "
SELECT coalesce((SELECT max(e.sequence) FROM events e
                  WHERE e.aggregate_type = s.value ->> 0 AND e.aggregate_id = s.value ->> 1), 0)
  FROM json_each(?1) AS s ORDER BY s.key";
/// Whether each place asked for is taken, in order.
pub(super) const ASK_TAKEN: &str = "
SELECT EXISTS (SELECT 1 FROM reservations r WHERE r.scope = p.value ->> 0 AND r.holder = p.value ->> 1)
  FROM json_each(?1) AS p ORDER BY p.key";
/// Every place in the scopes asked for, with the place of the scope among those asked for.
pub(super) const ASK_MEMBERS: &str = "
SELECT s.key, r.holder FROM json_each(?1) AS s JOIN reservations r ON r.scope = s.value";
/// The events asked for that exist.
pub(super) const ASK_KNOWN: &str = "
SELECT e.event_id, e.position, e.recorded_at FROM json_each(?1) AS i JOIN events e ON e.event_id = unhex(i.value)";

pub(super) const MOVE_HEAD: &str = "UPDATE head SET position = ?1, chain = ?2, recorded_at = ?3";
/// Moves the head from a remembered end, if every stream is at the version at which the batch expects it.
/// Changes no row when something is otherwise.
pub(super) const MOVE_HEAD_AS_EXPECTED: &str = concat!(move_as_expected!());
/// The same, if besides every place is taken or free as the batch expects it, and nobody is in the scopes that
/// must be empty.
pub(super) const MOVE_HEAD_AS_HELD: &str = concat!(
    move_as_expected!(),
    "
   AND NOT EXISTS (
    SELECT 1 FROM json_each(?7) AS p
     WHERE (p.value ->> 2) <> EXISTS (SELECT 1 FROM reservations r
                                       WHERE r.scope = p.value ->> 0 AND r.holder = p.value ->> 1))
   AND NOT EXISTS (SELECT 1 FROM json_each(?8) AS s JOIN reservations r ON r.scope = s.value)"
);
pub(super) static WRITE_EVENTS: LazyLock<Inserts> = LazyLock::new(|| {
    let columns = "aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, position, \
                   event_id, recorded_at, salt, leaf, chain";
    Inserts::new(&format!("events ({columns})"), "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
});
pub(super) static WRITE_INDEX: LazyLock<Inserts> =
    LazyLock::new(|| Inserts::new("entity_events (kind, id, position)", "(?, ?, ?)"));
pub(super) const RELEASE: &str = "
DELETE FROM reservations WHERE (scope, holder) IN (SELECT p.value ->> 0, p.value ->> 1 FROM json_each(?1) AS p)";
pub(super) const TAKE: &str = "
INSERT INTO reservations (scope, holder) SELECT p.value ->> 0, p.value ->> 1 FROM json_each(?1) AS p";
pub(super) const ATTACH: &str = "INSERT INTO attachments (sha256, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING";

/// The events from a position on, as [`super::pages`] takes them apart. The aggregate takes them in the order of the
/// rows below it; to ask it for an order would have it sort them once more, which costs more than all the rest,
/// and whoever reads checks that each position follows the one before.
pub(super) const PAGE: &str = "
SELECT group_concat(concat(
       position, ' ', sequence, ' ', recorded_at, ' ',
       hex(event_id), hex(leaf), hex(chain), hex(salt), ' ',
       octet_length(aggregate_type), ' ', aggregate_type, octet_length(aggregate_id), ' ', aggregate_id,
       octet_length(event_type), ' ', event_type, octet_length(event_version), ' ', event_version,
       octet_length(payload), ' ', payload, octet_length(metadata), ' ', metadata), '')
  FROM (SELECT * FROM events WHERE position >= ?1 ORDER BY position LIMIT ?2)";
pub(super) const STREAM: &str = "
SELECT position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
       payload, metadata, recorded_at, salt, leaf, chain
  FROM events WHERE aggregate_type = ?1 AND aggregate_id = ?2 ORDER BY sequence";

/// Events that are to be emptied.
pub(super) const AT: &str = "
SELECT position, event_id, aggregate_type, aggregate_id, sequence, event_type, event_version,
       payload, metadata, recorded_at, salt, leaf, chain
  FROM events WHERE position = ?1";
pub(super) const EMPTY: &str = "UPDATE events SET payload = ?1, salt = x'' WHERE position = ?2 AND leaf = ?3";
pub(super) const DETACH: &str = "DELETE FROM attachments WHERE sha256 = ?1";
/// Remembers of which generations the whole snapshots before a position are, which are removed next.
pub(super) const REMEMBER_GENERATIONS: &str = "
INSERT INTO generations (name, generation)
SELECT name, max(generation) FROM (
    SELECT name, generation FROM log_snapshots WHERE position < ?1
     GROUP BY id, name, generation, chunks HAVING count(*) = chunks) AS whole
 GROUP BY name HAVING max(generation) > 0
    ON CONFLICT (name) DO UPDATE SET generation = max(generation, excluded.generation)";
pub(super) const FORGET_SNAPSHOTS_BEFORE: &str = "DELETE FROM log_snapshots WHERE position < ?1";
pub(super) const FORGET_SNAPSHOTS_OF: &str = "DELETE FROM log_snapshots WHERE name = ?1";
/// Copies the write-ahead log into the file, and cuts it to nothing; answers 1 first if somebody still reads in it.
pub(super) const CUT_WAL: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
pub(super) const CHAIN_AT: &str = "SELECT chain FROM events WHERE position = ?1";
pub(super) const POSITION_OF: &str = "SELECT position FROM events WHERE event_id = ?1";
/// Between which positions the log passes each of some times. Stamps never go back along positions, so halves can be
/// left out: in a million events twenty are looked at. An index would answer too, and cost every append. A cross join
/// is never turned round, so that each event is looked up by its position.
pub(super) const HALVED: &str = "
WITH RECURSIVE half (number, time, before, behind) AS (
    SELECT t.key, t.value, 0, head.position + 1 FROM head CROSS JOIN json_each(?1) AS t
  UNION ALL
    SELECT h.number, h.time,
           CASE WHEN e.recorded_at <= h.time THEN e.position ELSE h.before END,
           CASE WHEN e.recorded_at <= h.time THEN h.behind ELSE e.position END
      FROM half h CROSS JOIN events e ON e.position = h.before + (h.behind - h.before) / 2
     WHERE h.behind - h.before > 1
)
SELECT max(before), min(behind) FROM half GROUP BY number ORDER BY number";
pub(super) const HOLDERS: &str = "SELECT holder FROM reservations WHERE scope = ?1 ORDER BY holder";
pub(super) const POSITIONS: &str = "
SELECT position FROM entity_events WHERE kind = ?1 AND id = ?2 AND position > ?3 ORDER BY position LIMIT ?4";
pub(super) const ATTACHMENT: &str = "SELECT bytes FROM attachments WHERE sha256 = ?1";

/// The clock of the database, in milliseconds since 1970.
macro_rules! now_ms {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS INTEGER)"
    };
}

/// A chunk whose answer was lost is sent again, and is there already.
pub(super) const SAVE_CHUNK: &str = concat!(
    "INSERT INTO log_snapshots (id, chunk, name, revision, position, chain, chunks, bytes, generation, saved_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ",
    now_ms!(),
    ") ON CONFLICT (id, chunk) DO NOTHING"
);
/// Of two generations the later one is the newer, wherever in the log it was saved.
pub(super) const WHOLE_SNAPSHOTS: &str = "
SELECT id, position, chain, generation, max(saved_at), coalesce(sum(octet_length(bytes)), 0) FROM log_snapshots
 WHERE name = ?1 AND revision = ?2
 GROUP BY id, position, chain, chunks, generation HAVING count(*) = chunks
 ORDER BY generation DESC, position DESC, id LIMIT ?3";
/// Also of other revisions, and of what was removed because of a redaction. What is not whole does not count: whoever
/// began it may have died over it.
pub(super) const NEWEST_GENERATION: &str = "
SELECT coalesce(max(generation), 0) FROM (
    SELECT generation FROM log_snapshots WHERE name = ?1
     GROUP BY id, generation, chunks HAVING count(*) = chunks
    UNION ALL SELECT generation FROM generations WHERE name = ?1) AS known";
pub(super) const CHUNKS: &str = "SELECT bytes FROM log_snapshots WHERE id = ?1 ORDER BY chunk";
/// What was begun earlier at the same position was saved of something else, or is the same. What is of a later generation
/// stays, and so does what was begun later, by another server: of two that are at it at once, neither would be left.
pub(super) const SUPERSEDE_SNAPSHOTS: &str = "
DELETE FROM log_snapshots
 WHERE name = ?1 AND revision = ?2 AND position = ?3 AND (generation < ?4 OR generation = ?4 AND id < ?5)";
/// Other revisions go too: they belong to programs that have been replaced, which fold again if they
/// come back.
pub(super) const PRUNE_SNAPSHOTS: &str = "
DELETE FROM log_snapshots WHERE name = ?1 AND (generation < ?2 OR generation = ?2 AND position <= ?3)
   AND id NOT IN (SELECT unhex(value) FROM json_each(?4))";

/// Bytes of the file, and of the snapshots in it.
pub(super) const SIZE: &str = "
SELECT (SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size()),
       (SELECT coalesce(sum(octet_length(bytes)), 0) FROM log_snapshots)";
/// A walk along the index of streams.
pub(super) const LONGEST_STREAMS: &str = "
SELECT aggregate_type, aggregate_id, max(sequence) FROM events
 GROUP BY aggregate_type, aggregate_id ORDER BY 3 DESC, 1, 2 LIMIT ?1";

pub(super) const NOW_MS: &str = concat!("SELECT ", now_ms!());
/// An end that lies further ahead than any renewal puts it was written before the clock went back.
pub(super) const ACQUIRE_LEASE: &str = concat!(
    "INSERT INTO leases AS l (role, holder, fence, expires_at) VALUES (?1, ?2, 1, ",
    now_ms!(),
    " + ?3) ON CONFLICT (role) DO UPDATE SET holder = ?2, fence = l.fence + 1, expires_at = ",
    now_ms!(),
    " + ?3 WHERE l.holder = ?2 OR NOT l.expires_at BETWEEN ",
    now_ms!(),
    " + 1 AND ",
    now_ms!(),
    " + 2 * ?3 RETURNING fence"
);
pub(super) const RENEW_LEASE: &str =
    concat!("UPDATE leases SET expires_at = ", now_ms!(), " + ?4 WHERE role = ?1 AND holder = ?2 AND fence = ?3");
pub(super) const RELEASE_LEASE: &str = "
UPDATE leases SET expires_at = 0 WHERE role = ?1 AND holder = ?2 AND fence = ?3";
