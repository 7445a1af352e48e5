-- password: an Argon2id hash; NULL for who comes in by tokens alone. password_until: the end of one that was mailed.
ALTER TABLE users ADD COLUMN password TEXT;
ALTER TABLE users ADD COLUMN password_until BIGINT;

-- How many apps it may have (NULL: as many as settings say), and how many it has.
ALTER TABLE users ADD COLUMN quota BIGINT;
ALTER TABLE users ADD COLUMN apps BIGINT NOT NULL DEFAULT 0;

-- A row to lock, so that two who leave at once don't both find the other one in there.
CREATE TABLE teams (
    name TEXT PRIMARY KEY,
    created_at BIGINT NOT NULL
);

INSERT INTO teams (name, created_at) SELECT DISTINCT team, 0 FROM team_members;

CREATE INDEX team_members_by_email ON team_members (email, team);

-- fingerprint: SHA-256 of the key itself; one key is one user's.
CREATE TABLE user_keys (
    email TEXT NOT NULL,
    number BIGINT NOT NULL,
    content TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (email, number)
);

CREATE UNIQUE INDEX user_keys_by_fingerprint ON user_keys (fingerprint);

-- digest: SHA-256 of a token that was mailed; used once, so a used one is not here.
CREATE TABLE resets (
    digest TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX resets_by_email ON resets (email, expires_at);

-- Tries of one kind, from one place or at one account: see limits.py.
CREATE TABLE tries (
    key TEXT PRIMARY KEY,
    free_at BIGINT NOT NULL,
    noted_at BIGINT NOT NULL
);

CREATE INDEX tries_by_end ON tries (free_at);

-- From where a user came in with the password.
CREATE TABLE known_places (
    email TEXT NOT NULL,
    place TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (email, place)
);
