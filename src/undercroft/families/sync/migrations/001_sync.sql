CREATE TABLE sync_entries (
    name TEXT PRIMARY KEY,
    driver TEXT NOT NULL,
    options TEXT NOT NULL,
    up BIGINT NOT NULL,
    made_at BIGINT NOT NULL,
    reason TEXT
);
CREATE TABLE sync_rules (
    id BIGINT PRIMARY KEY,
    stored TEXT NOT NULL,
    applied TEXT NOT NULL
);
CREATE TABLE sync_files (
    path TEXT PRIMARY KEY,
    fid TEXT NOT NULL,
    version BIGINT NOT NULL,
    hash TEXT,
    size BIGINT NOT NULL,
    mtime BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    owners TEXT NOT NULL,
    origin TEXT NOT NULL
);
-- Lists show what is not deleted, in the order of the ids.
CREATE UNIQUE INDEX sync_files_listed ON sync_files (fid);
CREATE TABLE sync_copies (
    entry TEXT NOT NULL,
    path TEXT NOT NULL,
    version BIGINT NOT NULL,
    hash TEXT,
    size BIGINT NOT NULL,
    mtime BIGINT NOT NULL,
    mode BIGINT NOT NULL,
    revision TEXT NOT NULL,
    keep_as TEXT NOT NULL,
    held BIGINT NOT NULL,
    behind BIGINT NOT NULL,
    PRIMARY KEY (entry, path)
);
CREATE INDEX sync_copies_of_path ON sync_copies (path);
-- What an entry has to do. Small: a row leaves it when it is done.
CREATE INDEX sync_copies_behind ON sync_copies (entry, path) WHERE behind = 1;
CREATE INDEX sync_copies_held ON sync_copies (entry, path) WHERE held = 1;
CREATE TABLE sync_versions (
    id TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    entry TEXT NOT NULL,
    place TEXT NOT NULL,
    hash TEXT NOT NULL,
    size BIGINT NOT NULL,
    mtime BIGINT NOT NULL,
    replaced_at BIGINT NOT NULL
);
CREATE INDEX sync_versions_of_path ON sync_versions (path, replaced_at);
CREATE INDEX sync_versions_of_entry ON sync_versions (entry, replaced_at);
CREATE TABLE sync_conflicts (
    id {identity},
    at BIGINT NOT NULL,
    path TEXT NOT NULL,
    kept_as TEXT NOT NULL,
    entry TEXT NOT NULL
);
CREATE TABLE sync_skipped (
    entry TEXT NOT NULL,
    path TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (entry, path)
)
