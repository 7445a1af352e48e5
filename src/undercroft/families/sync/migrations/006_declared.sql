-- What the settings declared when that was last carried out: hashes of it, and the names of the entries (JSON).
CREATE TABLE sync_declared (
    id BIGINT PRIMARY KEY,
    entries TEXT NOT NULL,
    rules TEXT NOT NULL,
    names TEXT NOT NULL
)
