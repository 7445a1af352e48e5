-- Of PostgreSQL alone. What was written last by each slot, put in by the very transaction that it tells of: who has
-- lost the answer to a COMMIT finds out here whether it was one.
CREATE TABLE last_commits (
    slot TEXT PRIMARY KEY,
    number BIGINT NOT NULL,
    at TIMESTAMPTZ NOT NULL
);
