-- The newest generation of each projection among the snapshots that were removed because of a redaction. It has nothing
-- of their content, and stays: what was replaced before must not come back after.
CREATE TABLE generations (
    name       text   PRIMARY KEY,
    generation bigint NOT NULL
);
