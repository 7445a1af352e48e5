CREATE TABLE messaging_schedules (
    id {identity},
    namespace TEXT NOT NULL,
    minute TEXT NOT NULL,
    hour TEXT NOT NULL,
    day_of_week TEXT NOT NULL,
    day_of_month TEXT NOT NULL,
    month_of_year TEXT NOT NULL,
    timezone TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX messaging_schedules_by_place ON messaging_schedules (namespace, id);

-- quiet_from and quiet_until: 21:00, in the time zone of whoever receives it.
CREATE TABLE messaging_sets (
    id {identity},
    namespace TEXT NOT NULL,
    short_name TEXT NOT NULL,
    label TEXT NOT NULL,
    content_type TEXT NOT NULL,
    notes TEXT,
    next_set BIGINT,
    default_schedule BIGINT NOT NULL,
    channel TEXT,
    quiet_from TEXT,
    quiet_until TEXT,
    dry_run BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX messaging_sets_by_name ON messaging_sets (namespace, short_name);

CREATE INDEX messaging_sets_by_place ON messaging_sets (namespace, id);

CREATE INDEX messaging_sets_by_schedule ON messaging_sets (default_schedule);

CREATE INDEX messaging_sets_by_next ON messaging_sets (next_set) WHERE next_set IS NOT NULL;

CREATE TABLE messaging_messages (
    id {identity},
    namespace TEXT NOT NULL,
    messageset BIGINT NOT NULL,
    sequence_number BIGINT NOT NULL,
    lang TEXT NOT NULL,
    metadata TEXT NOT NULL,
    text_content TEXT,
    binary_content BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX messaging_messages_by_number ON messaging_messages (messageset, lang, sequence_number);

CREATE INDEX messaging_messages_by_place ON messaging_messages (namespace, id);

CREATE INDEX messaging_messages_by_binary ON messaging_messages (binary_content) WHERE binary_content IS NOT NULL;

-- `name` is that of a file in the data folder, and of its URL.
CREATE TABLE messaging_binaries (
    id {identity},
    namespace TEXT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    size BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX messaging_binaries_by_place ON messaging_binaries (namespace, id);

-- `number` is ours, and the order; `id` is the callers'. `turns` counts what was sent up; `under_way` is the turn whose
-- delivery has not had its end yet, 0 for none: whoever has one gets no second. `metadata_keys`: each as JSON on a line
-- of its own, for lists of those who have a key; engines don't agree on how to look into JSON.
CREATE TABLE messaging_subscriptions (
    number {identity},
    id TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL,
    version BIGINT NOT NULL,
    identity TEXT NOT NULL,
    messageset BIGINT NOT NULL,
    next_sequence_number BIGINT NOT NULL,
    lang TEXT NOT NULL,
    active BIGINT NOT NULL,
    completed BIGINT NOT NULL,
    schedule BIGINT NOT NULL,
    process_status BIGINT NOT NULL,
    metadata TEXT,
    metadata_keys TEXT NOT NULL DEFAULT '',
    initial_sequence_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    turns BIGINT NOT NULL DEFAULT 0,
    under_way BIGINT NOT NULL DEFAULT 0
);

-- Holds no column that a send changes, unless it is the last one.
CREATE INDEX messaging_subscriptions_by_schedule
    ON messaging_subscriptions (schedule, active, completed, process_status, number);

CREATE INDEX messaging_subscriptions_by_set ON messaging_subscriptions (messageset, number);

CREATE INDEX messaging_subscriptions_by_identity ON messaging_subscriptions (namespace, identity, number);

CREATE INDEX messaging_subscriptions_by_place ON messaging_subscriptions (namespace, number);

-- What a schedule's moment, or a caller, has asked to be done for many subscriptions; `position` is the number of the
-- last one that was looked at, `last` that of the last one that was there in the beginning.
-- purpose: 0 send the next message, 1 find who is behind.
CREATE TABLE messaging_runs (
    id {identity},
    namespace TEXT NOT NULL,
    purpose BIGINT NOT NULL,
    schedule BIGINT,
    planned_at BIGINT,
    started_at BIGINT NOT NULL,
    position BIGINT NOT NULL,
    last BIGINT NOT NULL,
    steps BIGINT NOT NULL DEFAULT 0,
    stepped_at BIGINT NOT NULL DEFAULT 0,
    queued BIGINT NOT NULL DEFAULT 0,
    left_house BIGINT NOT NULL DEFAULT 0,
    skipped BIGINT NOT NULL DEFAULT 0,
    finished_at BIGINT
);

CREATE INDEX messaging_runs_open ON messaging_runs (stepped_at, id) WHERE finished_at IS NULL;

CREATE INDEX messaging_runs_by_place ON messaging_runs (namespace, id);

CREATE TABLE messaging_behind (
    id {identity},
    namespace TEXT NOT NULL,
    subscription TEXT NOT NULL,
    messages_behind BIGINT NOT NULL,
    current_messageset BIGINT NOT NULL,
    current_sequence_number BIGINT NOT NULL,
    expected_messageset BIGINT NOT NULL,
    expected_sequence_number BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX messaging_behind_by_place ON messaging_behind (namespace, id);

CREATE INDEX messaging_behind_by_subscription ON messaging_behind (subscription);

CREATE TABLE messaging_estimates (
    id {identity},
    namespace TEXT NOT NULL,
    send_date TEXT NOT NULL,
    messageset BIGINT NOT NULL,
    subscriptions BIGINT NOT NULL,
    identities BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE INDEX messaging_estimates_by_place ON messaging_estimates (namespace, id);

CREATE TABLE messaging_identities (
    number {identity},
    namespace TEXT NOT NULL,
    id TEXT NOT NULL,
    lang TEXT,
    timezone TEXT,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX messaging_identities_by_id ON messaging_identities (namespace, id);

-- kind: msisdn or email. `timezone` where this address is elsewhere than its identity.
CREATE TABLE messaging_addresses (
    identity BIGINT NOT NULL,
    kind TEXT NOT NULL,
    address TEXT NOT NULL,
    is_default BIGINT NOT NULL,
    timezone TEXT,
    PRIMARY KEY (identity, kind, address)
);

-- What opt-out links are signed with; made once.
CREATE TABLE messaging_secret (
    secret TEXT PRIMARY KEY
);
