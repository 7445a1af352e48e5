-- Where deliveries go: a webhook today. Kept when removed, so that what still waits for it can be told why it died.
CREATE TABLE targets (
    id {identity},
    family TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    transport TEXT NOT NULL,
    settings TEXT NOT NULL,
    concurrency BIGINT NOT NULL,
    rate BIGINT,
    paused_at BIGINT,
    pause_reason TEXT,
    removed_at BIGINT,
    version BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX targets_by_name ON targets (family, namespace, name);

-- Named lines of deliveries, which can be paused whole.
CREATE TABLE queues (
    id {identity},
    family TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    paused_at BIGINT,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX queues_by_name ON queues (family, namespace, name);

-- Everything that happens later. due_at: the next moment at which the row needs attention (to fire, to be filed
-- precisely, to be given back by a courier that died). planned_at: the moment that was asked for. day: its day, so
-- that neighbours in a list are neighbours on disk. claims: counts claims up, the fencing number. attempts: tries in
-- the row's present life; a replay begins a new one.
CREATE TABLE deliveries (
    id {identity},
    queue BIGINT NOT NULL,
    name TEXT NOT NULL,
    target BIGINT NOT NULL,
    state BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    planned_at BIGINT NOT NULL,
    day BIGINT NOT NULL,
    claims BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL DEFAULT 0,
    revision BIGINT NOT NULL DEFAULT 1,
    created_at BIGINT NOT NULL,
    body TEXT NOT NULL,
    options TEXT,
    idempotency_key TEXT,
    parent BIGINT,
    claimed_by TEXT,
    reason TEXT
);

CREATE UNIQUE INDEX deliveries_by_name ON deliveries (queue, name);

CREATE INDEX deliveries_by_due ON deliveries (state, due_at, id);

CREATE INDEX deliveries_by_day ON deliveries (queue, state, day, id);

CREATE UNIQUE INDEX deliveries_by_key ON deliveries (queue, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE INDEX deliveries_by_parent ON deliveries (parent, id) WHERE parent IS NOT NULL;

-- It begins with the state so that planners prefer it to deliveries_by_due even where they have no statistics.
CREATE INDEX deliveries_held ON deliveries (state, target, queue, due_at) WHERE state = 3;

CREATE INDEX deliveries_waiting_by_target ON deliveries (target) WHERE state < 4;

CREATE TABLE attempts (
    delivery BIGINT NOT NULL,
    number BIGINT NOT NULL,
    node TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    took_ms BIGINT NOT NULL,
    status BIGINT,
    error TEXT,
    reply TEXT,
    PRIMARY KEY (delivery, number)
);

-- The nodes that share this database; each counts its beats up while it lives.
CREATE TABLE nodes (
    name TEXT PRIMARY KEY,
    beats BIGINT NOT NULL
);

-- What a receiver tells this installation's messages from another's by.
CREATE TABLE installation (
    mark TEXT PRIMARY KEY
);
