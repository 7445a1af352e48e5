-- Rules: when this happens to a subscription of `messageset`, or to an identity, subscribe it to `target` or unsubscribe
-- it from there. `value` and `conditions` are JSON.
CREATE TABLE messaging_rules (
    id {identity},
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    event TEXT NOT NULL,
    messageset BIGINT,
    number BIGINT,
    address_type TEXT,
    field TEXT,
    value TEXT,
    lang TEXT,
    conditions TEXT NOT NULL,
    action TEXT NOT NULL,
    target BIGINT NOT NULL,
    schedule BIGINT,
    first_number BIGINT NOT NULL,
    default_lang TEXT,
    active BIGINT NOT NULL,
    fired BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX messaging_rules_by_place ON messaging_rules (namespace, id);

CREATE INDEX messaging_rules_by_event ON messaging_rules (namespace, event);

CREATE INDEX messaging_rules_by_target ON messaging_rules (target);

-- What a rule did, once for each cause: whatever is settled or replayed again finds its cause here.
CREATE TABLE messaging_firings (
    id {identity},
    namespace TEXT NOT NULL,
    rule BIGINT NOT NULL,
    cause TEXT NOT NULL,
    identity TEXT NOT NULL,
    outcome TEXT NOT NULL,
    subscription TEXT,
    created_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX messaging_firings_once ON messaging_firings (rule, cause);

CREATE INDEX messaging_firings_by_rule ON messaging_firings (namespace, rule, id);

-- So many rules, one after the other, led to this subscription.
ALTER TABLE messaging_subscriptions ADD COLUMN rule_depth BIGINT NOT NULL DEFAULT 0;
