-- Who made it: how many one user may make is limited. NULL: the server, or before this was kept.
ALTER TABLE teams ADD COLUMN made_by TEXT;
CREATE INDEX teams_by_maker ON teams (made_by) WHERE made_by IS NOT NULL;
