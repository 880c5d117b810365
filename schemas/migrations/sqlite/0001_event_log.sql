-- The event log on SQLite. Only `events` and `attachments` are truth; everything else is a function
-- of them (`head`, `reservations`, `entity_events`), can be made again (`log_snapshots`), or may be
-- lost without losing a fact (`leases`).

-- Every event. The first seven columns have the names and types of sqlite-es, whose repository reads
-- this table. `payload` and `metadata` are the JSON text that was hashed. `position` is the row id,
-- so that reading in order reads the file in order.
CREATE TABLE events (
    aggregate_type TEXT    NOT NULL,
    aggregate_id   TEXT    NOT NULL,
    sequence       INTEGER NOT NULL CHECK (sequence >= 1),
    event_type     TEXT    NOT NULL,
    event_version  TEXT    NOT NULL,
    payload        TEXT    NOT NULL,
    metadata       TEXT    NOT NULL,
    -- Place in the one total order: 1, 2, 3 … without gaps, in commit order.
    position       INTEGER PRIMARY KEY CHECK (position >= 1),
    -- Chosen by whoever appends; appending the same ids again answers the old positions.
    event_id       BLOB    NOT NULL UNIQUE,
    -- Milliseconds since 1970; never goes back along positions.
    recorded_at    INTEGER NOT NULL,
    salt           BLOB    NOT NULL,
    leaf           BLOB    NOT NULL CHECK (length(leaf) = 32),
    chain          BLOB    NOT NULL CHECK (length(chain) = 32),
    UNIQUE (aggregate_type, aggregate_id, sequence)
) STRICT;

-- The end of the log, in one row. `log` is drawn once and tells this log from every other.
CREATE TABLE head (
    one         INTEGER PRIMARY KEY DEFAULT 1 CHECK (one = 1),
    log         BLOB    NOT NULL DEFAULT (randomblob(16)),
    position    INTEGER NOT NULL,
    chain       BLOB    NOT NULL,
    recorded_at INTEGER NOT NULL
) STRICT;
INSERT INTO head (position, chain, recorded_at) VALUES (0, zeroblob(32), 0);

-- Places taken in scopes, such as a Data that a Run uses.
CREATE TABLE reservations (
    scope  TEXT NOT NULL,
    holder TEXT NOT NULL,
    PRIMARY KEY (scope, holder)
) STRICT, WITHOUT ROWID;

-- From a Plan, a Run or a Data to every event that says something about it.
CREATE TABLE entity_events (
    kind     TEXT    NOT NULL,
    id       BLOB    NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (kind, id, position)
) STRICT, WITHOUT ROWID;

-- Bytes that events refer to by hash, such as the kept tail of a log.
CREATE TABLE attachments (
    sha256 TEXT PRIMARY KEY,
    bytes  BLOB NOT NULL
) STRICT;

-- Snapshots of projections, in chunks. One is whole when it has `chunks` rows.
CREATE TABLE log_snapshots (
    id       BLOB    NOT NULL,
    chunk    INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    revision INTEGER NOT NULL,
    position INTEGER NOT NULL,
    chain    BLOB    NOT NULL,
    chunks   INTEGER NOT NULL,
    bytes    BLOB    NOT NULL,
    PRIMARY KEY (id, chunk)
) STRICT;
CREATE INDEX log_snapshots_by_name ON log_snapshots (name, revision, position);

-- Who is active in a role, until when (milliseconds since 1970), and under which fencing number,
-- which only grows.
CREATE TABLE leases (
    role       TEXT    PRIMARY KEY,
    holder     TEXT    NOT NULL,
    fence      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
