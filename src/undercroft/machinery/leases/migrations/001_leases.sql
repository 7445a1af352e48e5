-- The one row that everything about leases passes through: whoever changes it holds it until its commit, so that
-- nodes decide one after the other. fence: the highest number that was ever handed out; it outlives every lease, so
-- that a name which comes back goes on from there. at: lease time as of the last decision. shift: what turns the
-- database's clock into lease time. steps: how often a step of that clock was taken out of it.
CREATE TABLE lease_state (
    id BIGINT PRIMARY KEY,
    fence BIGINT NOT NULL,
    at BIGINT NOT NULL,
    shift BIGINT NOT NULL,
    steps BIGINT NOT NULL
);

INSERT INTO lease_state (id, fence, at, shift, steps) VALUES (1, 0, 0, 0, 0);

-- What is held: family, namespace and name are the place. Moments are lease time; expires_at NULL: no end. delay:
-- for so long (ms) after an expiry nobody gets it. guarded: it is released with its token only. awaited: somebody
-- may stand in line for it.
CREATE TABLE leases (
    family TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    fence BIGINT NOT NULL,
    token TEXT NOT NULL,
    owner TEXT,
    granted_at BIGINT NOT NULL,
    expires_at BIGINT,
    delay BIGINT NOT NULL,
    guarded BIGINT NOT NULL,
    awaited BIGINT NOT NULL,
    PRIMARY KEY (family, namespace, name)
);

CREATE INDEX leases_by_expiry ON leases (expires_at) WHERE expires_at IS NOT NULL;

-- Who stands in line; number: the order in which they came. waiter: the request that waits, on which node and which
-- run of it. until: it leaves then. alive_until: counted up while its node lives. granted: the fencing number that
-- another node has put down for it, to be fetched soon.
CREATE TABLE lease_tickets (
    number BIGINT PRIMARY KEY,
    family TEXT NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    waiter TEXT NOT NULL,
    node TEXT NOT NULL,
    token TEXT NOT NULL,
    owner TEXT,
    ttl BIGINT,
    ends_at BIGINT,
    delay BIGINT NOT NULL,
    guarded BIGINT NOT NULL,
    until BIGINT NOT NULL,
    alive_until BIGINT NOT NULL,
    key TEXT,
    granted BIGINT
);

CREATE INDEX lease_tickets_in_line ON lease_tickets (family, namespace, name, number);

CREATE UNIQUE INDEX lease_tickets_by_waiter ON lease_tickets (waiter);

CREATE INDEX lease_tickets_by_node ON lease_tickets (node);

-- What was answered to a request that brought an idempotency key. obtained: 1, 0, or NULL while it waits.
CREATE TABLE lease_keys (
    family TEXT NOT NULL,
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    content TEXT NOT NULL,
    waiter TEXT NOT NULL,
    obtained BIGINT,
    fence BIGINT NOT NULL,
    kept_until BIGINT NOT NULL,
    PRIMARY KEY (family, namespace, key)
);

CREATE INDEX lease_keys_by_age ON lease_keys (kept_until);
