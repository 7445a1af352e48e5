-- What should run and what runs. A row's pid and created (the kernel's start time of the process, in 1/100 s) name a
-- process unmistakably, so that a server that starts again knows its children.
CREATE TABLE processes (
    name TEXT PRIMARY KEY,
    node TEXT NOT NULL,
    spec TEXT NOT NULL,
    up BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    pid BIGINT,
    created BIGINT,
    runs BIGINT NOT NULL,
    started_at BIGINT,
    asked_at BIGINT,
    killed_at BIGINT,
    ended_at BIGINT,
    ended_how TEXT,
    failures BIGINT NOT NULL
);
CREATE INDEX processes_of_node ON processes (node);
