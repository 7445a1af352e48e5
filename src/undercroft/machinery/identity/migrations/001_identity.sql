CREATE TABLE users (
    email TEXT PRIMARY KEY,
    created_at BIGINT NOT NULL
);

CREATE TABLE team_members (
    team TEXT NOT NULL,
    email TEXT NOT NULL,
    PRIMARY KEY (team, email)
);

-- digest: SHA-256 of the token in hex; the token itself is shown once and kept nowhere.
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    email TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    scopes TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    made_by TEXT
);

CREATE UNIQUE INDEX tokens_by_digest ON tokens (digest);

-- A token that is revoked takes those with it that it made.
CREATE INDEX tokens_by_maker ON tokens (made_by) WHERE made_by IS NOT NULL;

CREATE INDEX tokens_by_email ON tokens (email, id);
