-- What an entry holds that is to go or to be replaced, by content: a file that is to come may be there already. Small.
CREATE INDEX sync_copies_leaving ON sync_copies (entry, hash) WHERE behind = 1 AND hash IS NOT NULL
