-- What is settled finds the rules of its own set, and what an identity gets those of the field, however many there are.
CREATE INDEX messaging_rules_by_set ON messaging_rules (namespace, event, messageset);

CREATE INDEX messaging_rules_by_field ON messaging_rules (namespace, event, field);

DROP INDEX messaging_rules_by_event;
