-- How far what takes longer than a request has come: files up to this path are done. NULL: there is nothing to do.
-- Of rules, how far they are given out; of an entry that is removed, how far what is known of it is forgotten.
ALTER TABLE sync_rules ADD COLUMN given_to TEXT;
ALTER TABLE sync_entries ADD COLUMN forgotten_to TEXT;
UPDATE sync_entries SET forgotten_to = '', reason = 'it is being removed'
    WHERE up = 0 AND substr(reason, 1, 19) = 'it is being removed';
-- What a removal that was cut short has left wrong is counted anew at the next start.
DELETE FROM sync_tallies;
CREATE INDEX sync_conflicts_at ON sync_conflicts (at)
