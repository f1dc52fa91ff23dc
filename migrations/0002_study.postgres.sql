-- Studies and series with the attributes that are searched: one column an attribute of dicom/dictionary.rs.
-- Beside an attribute that is matched otherwise than as stored lies its key: `_key` (upper case, or a time in full
-- precision), `_alphabetic`, `_ideographic`, `_phonetic` (the folded groups of a name; `fold_…` for the patient's).
-- Written by index/batch, read by index/catalog.rs and index/search. No rows exist.

CREATE TABLE study (
    study_id UUID PRIMARY KEY,
    owner_facility_id UUID NOT NULL REFERENCES facility (facility_id),
    registration_id UUID REFERENCES registration (registration_id),
    study_instance_uid TEXT COLLATE "C" NOT NULL,
    study_date TEXT COLLATE "C" NOT NULL,
    study_time TEXT COLLATE "C" NOT NULL,
    study_time_key TEXT COLLATE "C" NOT NULL,
    accession_number TEXT COLLATE "C",
    accession_number_key TEXT COLLATE "C",
    institution_name TEXT COLLATE "C",
    institution_name_key TEXT COLLATE "C",
    referring_physician_name TEXT COLLATE "C",
    referring_physician_name_alphabetic TEXT COLLATE "C",
    referring_physician_name_ideographic TEXT COLLATE "C",
    referring_physician_name_phonetic TEXT COLLATE "C",
    timezone_offset_from_utc TEXT COLLATE "C",
    study_description TEXT COLLATE "C",
    study_description_key TEXT COLLATE "C",
    patient_name TEXT COLLATE "C",
    fold_alphabetic TEXT COLLATE "C",
    fold_ideographic TEXT COLLATE "C",
    fold_phonetic TEXT COLLATE "C",
    patient_id TEXT COLLATE "C",
    patient_id_key TEXT COLLATE "C",
    issuer_of_patient_id TEXT COLLATE "C",
    issuer_of_patient_id_key TEXT COLLATE "C",
    patient_birth_date TEXT COLLATE "C",
    patient_sex TEXT COLLATE "C",
    patient_sex_key TEXT COLLATE "C",
    dicom_study_id TEXT COLLATE "C",
    dicom_study_id_key TEXT COLLATE "C",
    series_count INTEGER NOT NULL,
    instance_count INTEGER NOT NULL,
    byte_count BIGINT NOT NULL,
    modalities TEXT COLLATE "C" NOT NULL,
    sop_classes TEXT COLLATE "C" NOT NULL,
    class_mask INTEGER NOT NULL,
    sealed_count INTEGER NOT NULL,
    study_version INTEGER NOT NULL,
    next_item INTEGER NOT NULL,
    first_stored_at BIGINT NOT NULL,
    last_stored_at BIGINT NOT NULL,
    last_access_at BIGINT,
    retain_until BIGINT,
    UNIQUE (owner_facility_id, study_instance_uid)
);
-- Unique, which follows from the UID: so SQLite knows that the order is total and does not sort (Q90).
CREATE UNIQUE INDEX study_newest ON study (owner_facility_id, study_date DESC, study_time_key DESC, study_instance_uid);
CREATE INDEX study_by_uid ON study (study_instance_uid);
CREATE INDEX study_by_registration ON study (registration_id, study_date DESC);
CREATE INDEX study_by_patient ON study (owner_facility_id, patient_id_key);
CREATE INDEX study_by_accession ON study (owner_facility_id, accession_number_key);
CREATE INDEX study_by_name ON study (owner_facility_id, fold_alphabetic);
CREATE INDEX study_by_ideographic_name ON study (owner_facility_id, fold_ideographic);
CREATE INDEX study_by_phonetic_name ON study (owner_facility_id, fold_phonetic);

CREATE TABLE series (
    series_id UUID PRIMARY KEY,
    study_id UUID NOT NULL REFERENCES study (study_id),
    owner_facility_id UUID NOT NULL REFERENCES facility (facility_id),
    series_instance_uid TEXT COLLATE "C" NOT NULL,
    series_date TEXT COLLATE "C",
    series_time TEXT COLLATE "C",
    series_time_key TEXT COLLATE "C",
    modality TEXT COLLATE "C",
    modality_key TEXT COLLATE "C",
    manufacturer TEXT COLLATE "C",
    manufacturer_key TEXT COLLATE "C",
    station_name TEXT COLLATE "C",
    station_name_key TEXT COLLATE "C",
    series_description TEXT COLLATE "C",
    series_description_key TEXT COLLATE "C",
    performing_physician_name TEXT COLLATE "C",
    performing_physician_name_alphabetic TEXT COLLATE "C",
    performing_physician_name_ideographic TEXT COLLATE "C",
    performing_physician_name_phonetic TEXT COLLATE "C",
    manufacturer_model_name TEXT COLLATE "C",
    manufacturer_model_name_key TEXT COLLATE "C",
    body_part_examined TEXT COLLATE "C",
    body_part_examined_key TEXT COLLATE "C",
    protocol_name TEXT COLLATE "C",
    protocol_name_key TEXT COLLATE "C",
    series_number BIGINT NOT NULL,
    laterality TEXT COLLATE "C",
    laterality_key TEXT COLLATE "C",
    performed_procedure_step_start_date TEXT COLLATE "C",
    performed_procedure_step_start_time TEXT COLLATE "C",
    performed_procedure_step_start_time_key TEXT COLLATE "C",
    study_date TEXT COLLATE "C" NOT NULL,
    class_mask INTEGER NOT NULL,
    instance_count INTEGER NOT NULL,
    byte_count BIGINT NOT NULL,
    sop_classes TEXT COLLATE "C" NOT NULL,
    is_sealed BOOLEAN NOT NULL,
    first_stored_at BIGINT NOT NULL,
    UNIQUE (study_id, series_instance_uid)
);
CREATE UNIQUE INDEX series_in_order ON series (study_id, series_number, series_instance_uid);
CREATE INDEX series_by_modality ON series (owner_facility_id, modality_key, study_date DESC, study_id);
CREATE INDEX series_by_uid ON series (series_instance_uid);
