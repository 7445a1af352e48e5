-- A mail, kept once however many it goes to. state: a summary of its recipients'.
CREATE TABLE mails (
    id TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    owner TEXT NOT NULL,
    sender TEXT NOT NULL,
    subject TEXT NOT NULL,
    state BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    send_at BIGINT
);

CREATE INDEX mails_by_state ON mails (namespace, state, id);

-- What is in it, the JSON of model.Mail. Apart, for it may be large, and what changes about a mail is small.
CREATE TABLE mail_contents (
    mail TEXT PRIMARY KEY,
    content TEXT NOT NULL
);

-- Whom it goes to: each by a delivery of its own, whose name is the mail's id and the position.
CREATE TABLE mail_recipients (
    mail TEXT NOT NULL,
    position BIGINT NOT NULL,
    namespace TEXT NOT NULL,
    address TEXT NOT NULL,
    kind TEXT NOT NULL,
    state BIGINT NOT NULL,
    reply TEXT,
    settled_at BIGINT,
    PRIMARY KEY (mail, position)
);

CREATE INDEX mail_recipients_by_address ON mail_recipients (namespace, address, mail);

-- Idempotency keys, for a day; digest: of the content that came with the key.
CREATE TABLE mail_keys (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    digest TEXT NOT NULL,
    mail TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (namespace, key)
);

CREATE INDEX mail_keys_by_age ON mail_keys (created_at);

-- Whom no mail goes to any more. address: in lower case.
CREATE TABLE mail_suppressions (
    namespace TEXT NOT NULL,
    address TEXT NOT NULL,
    reason TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (namespace, address)
);

CREATE TABLE mail_templates (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT,
    html TEXT,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (namespace, name)
);
