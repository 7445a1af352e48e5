-- How many files there are by the first letters of their ids: what a page far into the list is found by.
CREATE TABLE sync_tallies (
    entry TEXT NOT NULL,
    behind BIGINT NOT NULL,
    shelf TEXT NOT NULL,
    files BIGINT NOT NULL,
    PRIMARY KEY (entry, behind, shelf)
);
-- A page passes over ids and names without looking at the rows.
DROP INDEX sync_files_listed;
CREATE INDEX sync_files_here ON sync_files (fid, path) WHERE hash IS NOT NULL;
CREATE INDEX sync_files_gone ON sync_files (fid) WHERE hash IS NULL;
-- Few: what an entry neither holds nor should have. All other copies are told apart by their key alone.
CREATE INDEX sync_copies_gone ON sync_copies (entry, path) WHERE hash IS NULL AND behind = 0
