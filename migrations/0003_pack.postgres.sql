-- Packs, where they and the heads of their instances lie, and the instances themselves.
-- Written by index/batch, read by index/catalog.rs and index/search. No rows exist.

CREATE TABLE pack (
    pack_id UUID PRIMARY KEY,
    study_id UUID NOT NULL REFERENCES study (study_id),
    owner_facility_id UUID NOT NULL REFERENCES facility (facility_id),
    base_url TEXT COLLATE "C" NOT NULL,
    instance_count INTEGER NOT NULL,
    byte_count BIGINT NOT NULL,
    live_bytes BIGINT NOT NULL,
    metadata_bytes BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    sealed_at BIGINT NOT NULL,
    replaced_at BIGINT
);
CREATE INDEX pack_by_study ON pack (study_id);

CREATE TABLE pack_copy (
    pack_id UUID NOT NULL REFERENCES pack (pack_id),
    tier TEXT COLLATE "C" NOT NULL CHECK (tier IN ('EDGE', 'CLOUD', 'COLD', 'ARCHIVE')),
    object TEXT COLLATE "C" NOT NULL,
    metadata_object TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('copying', 'present', 'stale', 'purging')),
    verified_at BIGINT,
    PRIMARY KEY (pack_id, tier)
);

-- The heads of one series in one pack: a range of the metadata object that can be sent as it is.
CREATE TABLE metadata_piece (
    pack_id UUID NOT NULL REFERENCES pack (pack_id),
    series_id UUID NOT NULL REFERENCES series (series_id),
    piece_offset BIGINT NOT NULL,
    piece_length BIGINT NOT NULL,
    inflated_length BIGINT NOT NULL,
    crc32 BIGINT NOT NULL,
    instance_count INTEGER NOT NULL,
    PRIMARY KEY (pack_id, series_id)
);
CREATE INDEX metadata_piece_by_series ON metadata_piece (series_id, pack_id);

CREATE TABLE instance (
    study_id UUID NOT NULL REFERENCES study (study_id),
    instance_id UUID NOT NULL,
    series_id UUID NOT NULL REFERENCES series (series_id),
    owner_facility_id UUID NOT NULL REFERENCES facility (facility_id),
    sop_instance_uid TEXT COLLATE "C" NOT NULL,
    sop_class_uid TEXT COLLATE "C" NOT NULL,
    transfer_syntax_uid TEXT COLLATE "C" NOT NULL,
    class INTEGER NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('live', 'rejected', 'binned', 'quarantined')),
    image_type TEXT COLLATE "C",
    content_date TEXT COLLATE "C",
    content_time TEXT COLLATE "C",
    content_time_key TEXT COLLATE "C",
    instance_number BIGINT NOT NULL,
    number_of_frames BIGINT,
    rows BIGINT,
    columns BIGINT,
    bits_allocated BIGINT,
    completion_flag TEXT COLLATE "C",
    verification_flag TEXT COLLATE "C",
    digest BYTEA NOT NULL,
    pack_id UUID NOT NULL REFERENCES pack (pack_id),
    pack_offset BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    meta_offset BIGINT NOT NULL,
    meta_length BIGINT NOT NULL,
    meta_json_start BIGINT NOT NULL,
    meta_json_length BIGINT NOT NULL,
    frame_table BYTEA,
    first_item INTEGER,
    study_version INTEGER NOT NULL,
    instance_version INTEGER NOT NULL,
    stored_at BIGINT NOT NULL,
    PRIMARY KEY (study_id, instance_id)
);
CREATE UNIQUE INDEX instance_by_uid ON instance (study_id, sop_instance_uid);
CREATE INDEX instance_by_series ON instance (study_id, series_id, instance_number, sop_instance_uid);
CREATE INDEX instance_by_pack ON instance (study_id, pack_id);

-- The key of SH-1.2: one SOP Instance UID once an owner.
CREATE TABLE instance_uid (
    owner_facility_id UUID NOT NULL REFERENCES facility (facility_id),
    sop_instance_uid TEXT COLLATE "C" NOT NULL,
    study_id UUID NOT NULL,
    instance_id UUID NOT NULL,
    PRIMARY KEY (owner_facility_id, sop_instance_uid),
    FOREIGN KEY (study_id, instance_id) REFERENCES instance (study_id, instance_id)
);
CREATE INDEX instance_uid_any ON instance_uid (sop_instance_uid);
