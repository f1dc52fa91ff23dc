-- What an upload of the exact form was answered with (MINT Z42): an edge that has it may free its space.
-- Written and read by index/receipts.rs. study_id: the study's row at that time; the study may be erased while the receipt
-- stays, so that nothing refers to it. objects: JSON, the SOP Instance UID and the SHA-256 of each. Nothing existed before.

CREATE TABLE upload_receipt (
    upload_receipt_id UUID PRIMARY KEY,
    facility_id UUID NOT NULL REFERENCES facility (facility_id),
    study_id UUID NOT NULL,
    study_instance_uid TEXT NOT NULL,
    study_version INTEGER NOT NULL,
    objects TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- What SQLite may assume (0004).
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('upload_receipt', 'sqlite_autoindex_upload_receipt_1', '100000 1');
ANALYZE sqlite_schema;
