-- What MINT asks of a study: its versions with the time of each, and the numbers of its binary items.
-- Written by index/batch, index/remove and index/mint, read by index/mint and index/catalog. Existing rows: a study gets the
-- entry of its last version, and that of its first where it is another; items have no numbers before they are read.

-- One row a transaction that changed a study, in it and with it. study_version: the version that it made, from 1. The row
-- outlives the study, so that nothing refers to it.
CREATE TABLE change (
    study_id UUID NOT NULL,
    study_version INTEGER NOT NULL,
    owner_facility_id UUID NOT NULL REFERENCES facility (facility_id),
    operation TEXT NOT NULL CHECK (operation IN ('CREATE', 'UPDATE', 'DELETE')),
    remote TEXT NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (study_id, study_version)
) WITHOUT ROWID;
-- What changed last?
CREATE INDEX change_newest ON change (owner_facility_id, changed_at, study_id);

INSERT INTO change (study_id, study_version, owner_facility_id, operation, remote, changed_at)
    SELECT study_id, 1, owner_facility_id, 'CREATE', '-', first_stored_at FROM study;
INSERT INTO change (study_id, study_version, owner_facility_id, operation, remote, changed_at)
    SELECT study_id, study_version, owner_facility_id, CASE WHEN instance_count > 0 THEN 'UPDATE' ELSE 'DELETE' END, '-', last_stored_at
    FROM study WHERE study_version > 1;

-- Up to which version of the study all instances that live have their numbers.
ALTER TABLE study ADD COLUMN numbered_version INTEGER;
-- How many items an instance has, and where they lie in its file; NULL before anybody asked.
ALTER TABLE instance ADD COLUMN item_count INTEGER;
ALTER TABLE instance ADD COLUMN item_table BYTEA;
-- Which instance has item n? Costs nothing while there are no numbers.
CREATE INDEX instance_by_item ON instance (study_id, first_item) WHERE first_item IS NOT NULL;

-- What SQLite may assume (0004).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('change', 'change', '2000000 2 1'),
    ('change', 'change_newest', '2000000 200000 2 1'),
    ('instance', 'instance_by_item', '100000000 100 1');
ANALYZE sqlite_schema;
