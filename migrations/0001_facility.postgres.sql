-- Facilities, the namespaces of their patient numbers, and the epoch of rights: what everything else refers to.
-- Read by index/facilities.rs, index/visible.rs and index/batch. The first of all tables: no rows exist.

CREATE TABLE facility (
    facility_id UUID PRIMARY KEY,
    code TEXT COLLATE "C" NOT NULL UNIQUE,
    name TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL CHECK (kind IN ('member', 'external')),
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('active', 'suspended', 'closed')),
    time_zone TEXT COLLATE "C" NOT NULL,
    settings TEXT COLLATE "C" NOT NULL,
    study_count BIGINT NOT NULL,
    version INTEGER NOT NULL
);

-- position: the order in which a facility's own issuers were given; the lowest is its default (SH-1.1).
CREATE TABLE issuer (
    issuer_id UUID PRIMARY KEY,
    facility_id UUID NOT NULL REFERENCES facility (facility_id),
    value TEXT COLLATE "C" NOT NULL,
    universal_id TEXT COLLATE "C",
    is_foreign BOOLEAN NOT NULL,
    position INTEGER NOT NULL,
    UNIQUE (facility_id, value)
);
CREATE UNIQUE INDEX issuer_by_value ON issuer (value) WHERE NOT is_foreign;

CREATE TABLE registration (
    registration_id UUID PRIMARY KEY,
    issuer_id UUID NOT NULL REFERENCES issuer (issuer_id),
    facility_id UUID NOT NULL REFERENCES facility (facility_id),
    patient_id TEXT COLLATE "C" NOT NULL CHECK (patient_id <> ''),
    patient_name TEXT COLLATE "C",
    patient_birth_date TEXT COLLATE "C",
    patient_sex TEXT COLLATE "C",
    postal TEXT COLLATE "C",
    phone TEXT COLLATE "C",
    is_placeholder BOOLEAN NOT NULL,
    twin_risk BOOLEAN NOT NULL,
    needs_reconcile BOOLEAN NOT NULL,
    replaced_by UUID REFERENCES registration (registration_id),
    version INTEGER NOT NULL,
    UNIQUE (issuer_id, patient_id)
);

CREATE TABLE acl_epoch (
    acl_epoch_id INTEGER PRIMARY KEY CHECK (acl_epoch_id = 1),
    epoch BIGINT NOT NULL
);
INSERT INTO acl_epoch (acl_epoch_id, epoch) VALUES (1, 1);
