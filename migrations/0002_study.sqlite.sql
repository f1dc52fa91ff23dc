-- Studies and series with the attributes that are searched: one column an attribute of dicom/dictionary.rs.
-- Beside an attribute that is matched otherwise than as stored lies its key: `_key` (upper case, or a time in full
-- precision), `_alphabetic`, `_ideographic`, `_phonetic` (the folded groups of a name; `fold_…` for the patient's).
-- Written by index/batch, read by index/catalog.rs and index/search. No rows exist.

CREATE TABLE study (
    study_id UUID PRIMARY KEY,
    owner_facility_id UUID NOT NULL REFERENCES facility (facility_id),
    registration_id UUID REFERENCES registration (registration_id),
    study_instance_uid TEXT NOT NULL,
    study_date TEXT NOT NULL,
    study_time TEXT NOT NULL,
    study_time_key TEXT NOT NULL,
    accession_number TEXT,
    accession_number_key TEXT,
    institution_name TEXT,
    institution_name_key TEXT,
    referring_physician_name TEXT,
    referring_physician_name_alphabetic TEXT,
    referring_physician_name_ideographic TEXT,
    referring_physician_name_phonetic TEXT,
    timezone_offset_from_utc TEXT,
    study_description TEXT,
    study_description_key TEXT,
    patient_name TEXT,
    fold_alphabetic TEXT,
    fold_ideographic TEXT,
    fold_phonetic TEXT,
    patient_id TEXT,
    patient_id_key TEXT,
    issuer_of_patient_id TEXT,
    issuer_of_patient_id_key TEXT,
    patient_birth_date TEXT,
    patient_sex TEXT,
    patient_sex_key TEXT,
    dicom_study_id TEXT,
    dicom_study_id_key TEXT,
    series_count INTEGER NOT NULL,
    instance_count INTEGER NOT NULL,
    byte_count BIGINT NOT NULL,
    modalities TEXT NOT NULL,
    sop_classes TEXT NOT NULL,
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
    series_instance_uid TEXT NOT NULL,
    series_date TEXT,
    series_time TEXT,
    series_time_key TEXT,
    modality TEXT,
    modality_key TEXT,
    manufacturer TEXT,
    manufacturer_key TEXT,
    station_name TEXT,
    station_name_key TEXT,
    series_description TEXT,
    series_description_key TEXT,
    performing_physician_name TEXT,
    performing_physician_name_alphabetic TEXT,
    performing_physician_name_ideographic TEXT,
    performing_physician_name_phonetic TEXT,
    manufacturer_model_name TEXT,
    manufacturer_model_name_key TEXT,
    body_part_examined TEXT,
    body_part_examined_key TEXT,
    protocol_name TEXT,
    protocol_name_key TEXT,
    series_number BIGINT NOT NULL,
    laterality TEXT,
    laterality_key TEXT,
    performed_procedure_step_start_date TEXT,
    performed_procedure_step_start_time TEXT,
    performed_procedure_step_start_time_key TEXT,
    study_date TEXT NOT NULL,
    class_mask INTEGER NOT NULL,
    instance_count INTEGER NOT NULL,
    byte_count BIGINT NOT NULL,
    sop_classes TEXT NOT NULL,
    is_sealed BOOLEAN NOT NULL,
    first_stored_at BIGINT NOT NULL,
    UNIQUE (study_id, series_instance_uid)
);
CREATE UNIQUE INDEX series_in_order ON series (study_id, series_number, series_instance_uid);
CREATE INDEX series_by_modality ON series (owner_facility_id, modality_key, study_date DESC, study_id);
CREATE INDEX series_by_uid ON series (series_instance_uid);
