-- How many files there are by the first letters of their ids: what a page far into the list is found by.
CREATE TABLE sync_tallies (
    entry TEXT NOT NULL,
    behind BIGINT NOT NULL,
    shelf TEXT NOT NULL,
    files BIGINT NOT NULL,
    PRIMARY KEY (entry, behind, shelf)
)
