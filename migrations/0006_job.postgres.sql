-- Due work: what must happen after an answer is a row here, written in the same transaction as the change that causes it.
-- Read and written by index/jobs (worker, /api/v1/jobs). Also what repacking and sweeping ask of packs. No rows exist.

-- payload: JSON of model/job.rs. dedup: what asks for the same work. result: what came of it, or why it failed last.
CREATE TABLE job (
    job_id UUID PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    facility_id UUID REFERENCES facility (facility_id),
    subject TEXT COLLATE "C",
    payload TEXT COLLATE "C" NOT NULL,
    dedup TEXT COLLATE "C",
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('due', 'running', 'done', 'dead')),
    due_at BIGINT NOT NULL,
    lease_until BIGINT,
    attempts INTEGER NOT NULL,
    result TEXT COLLATE "C",
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);
-- What is next, and what was left by a worker that is no more?
CREATE INDEX job_due ON job (due_at) WHERE state = 'due';
CREATE INDEX job_leased ON job (lease_until) WHERE state = 'running';
-- Asked twice is done once.
CREATE UNIQUE INDEX job_dedup ON job (dedup) WHERE state = 'due';
-- What has been done long ago?
CREATE INDEX job_done ON job (finished_at) WHERE state = 'done';

-- Packs whose objects were found without a row and dropped: such a pack can never be recorded (decision 0008).
CREATE TABLE swept_pack (
    pack_id UUID PRIMARY KEY,
    swept_at BIGINT NOT NULL
);

-- What was replaced, and since when?
CREATE INDEX pack_replaced ON pack (replaced_at) WHERE replaced_at IS NOT NULL;
