-- The event log on PostgreSQL. Only `events` and `attachments` are truth; everything else is a
-- function of them (`head`, `reservations`, `entity_events`), can be made again (`log_snapshots`),
-- or may be lost without losing a fact (`leases`).

-- Every event. The first seven columns have the names and types of postgres-es, whose repository
-- reads this table. `payload` and `metadata` are `json`, not `jsonb`: it keeps the text, and the
-- text is what was hashed.
CREATE TABLE events (
    aggregate_type text   NOT NULL,
    aggregate_id   text   NOT NULL,
    sequence       bigint NOT NULL CHECK (sequence >= 1),
    event_type     text   NOT NULL,
    event_version  text   NOT NULL,
    payload        json   NOT NULL,
    metadata       json   NOT NULL,
    -- Place in the one total order: 1, 2, 3 … without gaps, in commit order.
    position       bigint NOT NULL CHECK (position >= 1),
    -- Chosen by whoever appends; appending the same ids again answers the old positions.
    event_id       uuid   NOT NULL,
    -- Milliseconds since 1970; never goes back along positions.
    recorded_at    bigint NOT NULL,
    salt           bytea  NOT NULL,
    leaf           bytea  NOT NULL CHECK (octet_length(leaf) = 32),
    chain          bytea  NOT NULL CHECK (octet_length(chain) = 32),
    PRIMARY KEY (aggregate_type, aggregate_id, sequence),
    CONSTRAINT events_position UNIQUE (position),
    CONSTRAINT events_event_id UNIQUE (event_id)
);

-- The end of the log, in one row, whose lock orders all appenders. `log` is drawn once and tells
-- this log from every other. Room is left in the page so that updates stay in it.
CREATE TABLE head (
    one         boolean PRIMARY KEY DEFAULT true CHECK (one),
    log         uuid    NOT NULL DEFAULT gen_random_uuid(),
    position    bigint  NOT NULL,
    chain       bytea   NOT NULL,
    recorded_at bigint  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO head (position, chain, recorded_at) VALUES (0, decode(repeat('00', 32), 'hex'), 0);

-- Places taken in scopes, such as a Data that a Run uses.
CREATE TABLE reservations (
    scope  text NOT NULL,
    holder text NOT NULL,
    PRIMARY KEY (scope, holder)
);

-- From a Plan, a Run or a Data to every event that says something about it.
CREATE TABLE entity_events (
    kind     text   NOT NULL,
    id       uuid   NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (kind, id, position)
);

-- Bytes that events refer to by hash, such as the kept tail of a log.
CREATE TABLE attachments (
    sha256 text  PRIMARY KEY,
    bytes  bytea NOT NULL
);

-- Snapshots of projections, in chunks. One is whole when it has `chunks` rows.
CREATE TABLE log_snapshots (
    id       uuid    NOT NULL,
    chunk    integer NOT NULL,
    name     text    NOT NULL,
    revision bigint  NOT NULL,
    position bigint  NOT NULL,
    chain    bytea   NOT NULL,
    chunks   integer NOT NULL,
    bytes    bytea   NOT NULL,
    PRIMARY KEY (id, chunk)
);
CREATE INDEX log_snapshots_by_name ON log_snapshots (name, revision, position);

-- Who is active in a role, until when (milliseconds since 1970 on the database's clock), and under
-- which fencing number, which only grows.
CREATE TABLE leases (
    role       text   PRIMARY KEY,
    holder     text   NOT NULL,
    fence      bigint NOT NULL,
    expires_at bigint NOT NULL
);
