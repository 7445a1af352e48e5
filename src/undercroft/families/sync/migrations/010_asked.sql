-- Under which name somebody has asked for a kept version; NULL: nobody has, or it was done. A process that is ended in
-- the middle of it is asked again.
ALTER TABLE sync_versions ADD COLUMN asked_as TEXT;
CREATE INDEX sync_versions_asked ON sync_versions (entry) WHERE asked_as IS NOT NULL
