-- Hashes of what a file held before, with blanks between them.
ALTER TABLE sync_files ADD COLUMN past TEXT NOT NULL DEFAULT ''
