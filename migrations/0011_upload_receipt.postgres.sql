-- What an upload of the exact form was answered with (MINT Z42): an edge that has it may free its space.
-- Written and read by index/receipts.rs. study_id: the study's row at that time; the study may be erased while the receipt
-- stays, so that nothing refers to it. objects: JSON, the SOP Instance UID and the SHA-256 of each. Nothing existed before.

CREATE TABLE upload_receipt (
    upload_receipt_id UUID PRIMARY KEY,
    facility_id UUID NOT NULL REFERENCES facility (facility_id),
    study_id UUID NOT NULL,
    study_instance_uid TEXT COLLATE "C" NOT NULL,
    study_version INTEGER NOT NULL,
    objects TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL
);
