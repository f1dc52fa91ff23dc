-- Deleting with a bin: what was taken out of sight and may come back, what was erased for good, what was replaced.
-- Written by index/remove and index/batch, read by index/catalog. Existing rows: no instance is in the bin.

-- What was asked for, by whom, and how far it has come. The row stays for good; the study it names may not, so that
-- nothing refers to it. study_id: the study's row at that time.
CREATE TABLE deletion (
    deletion_id UUID PRIMARY KEY,
    owner_facility_id UUID NOT NULL REFERENCES facility (facility_id),
    study_id UUID NOT NULL,
    study_instance_uid TEXT COLLATE "C" NOT NULL,
    series_instance_uid TEXT COLLATE "C",
    sop_instance_uid TEXT COLLATE "C",
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('delete', 'reject')),
    code TEXT COLLATE "C",
    reason TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('binned', 'approved', 'restored', 'erased')),
    instance_count INTEGER NOT NULL,
    byte_count BIGINT NOT NULL,
    requested_by TEXT COLLATE "C" NOT NULL,
    requested_at BIGINT NOT NULL,
    approved_by TEXT COLLATE "C",
    approved_at BIGINT,
    restored_by TEXT COLLATE "C",
    restored_at BIGINT,
    purge_at BIGINT NOT NULL,
    erased_at BIGINT,
    version INTEGER NOT NULL
);
CREATE INDEX deletion_newest ON deletion (owner_facility_id, deletion_id);
CREATE INDEX deletion_due ON deletion (purge_at) WHERE state = 'approved';

-- Which deletion took an instance: NULL for one that lives.
ALTER TABLE instance ADD COLUMN deletion_id UUID REFERENCES deletion (deletion_id);
CREATE INDEX instance_by_deletion ON instance (study_id, deletion_id) WHERE deletion_id IS NOT NULL;

-- What is left of an instance that was erased (SH-11.4). persons: JSON, who asked and who approved.
CREATE TABLE tombstone (
    owner_facility_id UUID NOT NULL REFERENCES facility (facility_id),
    sop_instance_uid TEXT COLLATE "C" NOT NULL,
    study_instance_uid TEXT COLLATE "C" NOT NULL,
    series_instance_uid TEXT COLLATE "C" NOT NULL,
    study_id UUID NOT NULL,
    deletion_id UUID NOT NULL REFERENCES deletion (deletion_id),
    digest BYTEA NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    persons TEXT COLLATE "C" NOT NULL,
    erased_at BIGINT NOT NULL,
    PRIMARY KEY (owner_facility_id, sop_instance_uid)
);
CREATE INDEX tombstone_by_study ON tombstone (owner_facility_id, study_instance_uid, series_instance_uid, sop_instance_uid);

-- The versions of an instance that another object replaced (T22, SH-11.5). They hold their pack as an instance does.
CREATE TABLE instance_history (
    study_id UUID NOT NULL,
    instance_id UUID NOT NULL,
    instance_version INTEGER NOT NULL,
    sop_class_uid TEXT COLLATE "C" NOT NULL,
    transfer_syntax_uid TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    pack_id UUID NOT NULL REFERENCES pack (pack_id),
    pack_offset BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    author TEXT COLLATE "C" NOT NULL,
    stored_at BIGINT NOT NULL,
    replaced_at BIGINT NOT NULL,
    PRIMARY KEY (study_id, instance_id, instance_version),
    FOREIGN KEY (study_id, instance_id) REFERENCES instance (study_id, instance_id)
);
CREATE INDEX instance_history_by_pack ON instance_history (study_id, pack_id);
