-- When a member joined. Requests that name no namespace go to the team that their user has been in longest, so that
-- nobody else's invitation changes where they go.
ALTER TABLE team_members ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
