CREATE TABLE events (
    id {identity},
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    family TEXT NOT NULL,
    namespace TEXT,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    details TEXT
);

CREATE INDEX events_by_family ON events (family, id);
