-- Sixteen shelves a row, their counts with blanks between them: a thousand files change fifty rows, not a thousand.
-- They are counted anew at the next start.
DROP TABLE sync_tallies;
CREATE TABLE sync_tallies (
    entry TEXT NOT NULL,
    behind BIGINT NOT NULL,
    letter TEXT NOT NULL,
    files TEXT NOT NULL,
    PRIMARY KEY (entry, behind, letter)
)
