-- Which generation of a projection a snapshot is of. Whoever replaces a projection that was wrong begins the next one,
-- and snapshots of earlier generations are not used any more, whoever has saved them and when.
ALTER TABLE log_snapshots ADD COLUMN generation bigint NOT NULL DEFAULT 0;
-- When it was saved, in milliseconds since 1970 on the database's clock; 0 if nobody knows.
ALTER TABLE log_snapshots ADD COLUMN saved_at bigint NOT NULL DEFAULT 0;
