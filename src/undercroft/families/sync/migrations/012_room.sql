-- Which kept versions go first where they take more room than they may: those that were the first of their file to be
-- replaced in a minute, an hour or a day are worth 1, 2, 3, others nothing; a file's newest goes last.
ALTER TABLE sync_versions ADD COLUMN worth BIGINT NOT NULL DEFAULT 3;
ALTER TABLE sync_versions ADD COLUMN is_newest BIGINT NOT NULL DEFAULT 1;
-- The entry's process is asked to drop it: it is listed no more. One that is killed meanwhile is asked again.
ALTER TABLE sync_versions ADD COLUMN going BIGINT NOT NULL DEFAULT 0;
UPDATE sync_versions SET is_newest = CASE WHEN s.after IS NULL THEN 1 ELSE 0 END, worth = CASE
    WHEN s.before IS NULL OR s.before / 86400000 < s.at / 86400000 THEN 3
    WHEN s.before / 3600000 < s.at / 3600000 THEN 2
    WHEN s.before / 60000 < s.at / 60000 THEN 1 ELSE 0 END
    FROM (SELECT id, replaced_at AS at,
              lag(replaced_at) OVER (PARTITION BY entry, fid ORDER BY replaced_at, id) AS before,
              lead(replaced_at) OVER (PARTITION BY entry, fid ORDER BY replaced_at, id) AS after
          FROM sync_versions WHERE fid <> '') s
    WHERE s.id = sync_versions.id AND (s.before IS NOT NULL OR s.after IS NOT NULL);
CREATE INDEX sync_versions_older ON sync_versions (entry, worth, replaced_at, id) WHERE is_newest = 0;
CREATE INDEX sync_versions_newest ON sync_versions (fid, entry) WHERE is_newest = 1;
CREATE INDEX sync_versions_going ON sync_versions (entry) WHERE going = 1;
-- How many bytes they take together, 16 TiB of one at the most: a size may be told wrongly.
CREATE TABLE sync_kept (
    entry TEXT PRIMARY KEY,
    bytes BIGINT NOT NULL
);
INSERT INTO sync_kept (entry, bytes) SELECT entry, sum(CASE WHEN size < 17592186044416 THEN size ELSE 17592186044416 END)
    FROM sync_versions GROUP BY entry;
-- Of how many shelves files are counted: a database from before they were is counted step by step at the next start.
ALTER TABLE sync_rules ADD COLUMN counted BIGINT NOT NULL DEFAULT 0;
UPDATE sync_rules SET counted = 256
    WHERE EXISTS (SELECT 1 FROM sync_tallies) OR NOT EXISTS (SELECT 1 FROM sync_files)
