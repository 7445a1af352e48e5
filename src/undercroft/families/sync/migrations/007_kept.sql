-- Kept versions are found by their file's id, whether anything else is known of the file or not. What no file tells
-- is filled in when the entries start.
ALTER TABLE sync_versions ADD COLUMN fid TEXT NOT NULL DEFAULT '';
UPDATE sync_versions SET fid = (SELECT f.fid FROM sync_files f WHERE f.path = sync_versions.path)
    WHERE EXISTS (SELECT 1 FROM sync_files f WHERE f.path = sync_versions.path);
CREATE INDEX sync_versions_of_file ON sync_versions (fid, replaced_at);
DROP INDEX sync_versions_of_path;
-- One row for each place.
CREATE INDEX sync_versions_places ON sync_versions (entry, place);
DELETE FROM sync_versions WHERE EXISTS
    (SELECT 1 FROM sync_versions v WHERE v.entry = sync_versions.entry AND v.place = sync_versions.place
     AND v.id < sync_versions.id);
CREATE UNIQUE INDEX sync_versions_of_place ON sync_versions (entry, place);
DROP INDEX sync_versions_places
