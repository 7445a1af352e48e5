-- Whose a namespace is. One named @TEAM is that team's unless a row here says otherwise.
CREATE TABLE namespaces (
    name TEXT NOT NULL,
    team TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (name, team)
);

CREATE INDEX namespaces_by_team ON namespaces (team, name);

-- One row per claimed namespace: of two teams that come at the same moment, one finds it taken.
CREATE TABLE namespace_names (
    name TEXT PRIMARY KEY
);
