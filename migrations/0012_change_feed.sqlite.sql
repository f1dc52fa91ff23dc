-- The change feed (MINT 16.9): changes of a facility get numbers 1, 2, 3, … without gaps, a moment after they are committed.
-- Written and read by index/mint/feed.rs, docs/decisions/0034. Existing changes get their numbers when somebody reads the feed.

ALTER TABLE change ADD COLUMN seq BIGINT;
-- What follows a cursor?
CREATE UNIQUE INDEX change_by_seq ON change (owner_facility_id, seq) WHERE seq IS NOT NULL;
-- What has no number yet, oldest first?
CREATE INDEX change_unnumbered ON change (owner_facility_id, changed_at, study_id, study_version) WHERE seq IS NULL;

-- The last number given for a facility. Whoever gives numbers holds its row; what stores never touches it.
CREATE TABLE change_feed (
    owner_facility_id UUID PRIMARY KEY REFERENCES facility (facility_id),
    last_seq BIGINT NOT NULL
);

-- What SQLite may assume (0004).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('change', 'change_by_seq', '2000000 200000 1'),
    ('change', 'change_unnumbered', '1000 100 2 1 1'),
    ('change_feed', 'sqlite_autoindex_change_feed_1', '10 1');
ANALYZE sqlite_schema;
