-- Who may not sign in any more, and who is signed in at the portal: what index/identity.rs reads with every request.
-- No rows of patients. Nothing existed before.

-- One row for a subject that was ever signed out or suspended. Tokens of it from before session_epoch are refused.
CREATE TABLE subject (
    subject_id UUID PRIMARY KEY,
    token_issuer TEXT COLLATE "C" NOT NULL,
    sub TEXT COLLATE "C" NOT NULL,
    session_epoch BIGINT NOT NULL,
    suspended_at BIGINT,
    UNIQUE (token_issuer, sub)
);

-- Rows go when the token would have expired.
CREATE TABLE denied_token (
    jti TEXT COLLATE "C" PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

-- session_digest: SHA-256 of what the cookie holds, so that who reads this table cannot sign in with it.
-- claims: those of the access token the session was made from, in JSON.
CREATE TABLE portal_session (
    session_digest BYTEA PRIMARY KEY,
    token_issuer TEXT COLLATE "C" NOT NULL,
    sub TEXT COLLATE "C" NOT NULL,
    claims TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX portal_session_by_subject ON portal_session (token_issuer, sub, created_at);
