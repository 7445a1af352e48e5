-- Which engine writes the index: the one that began last. One that stood still for longer than its lease, and goes on
-- with what it was told before, is refused.
ALTER TABLE sync_rules ADD COLUMN term BIGINT NOT NULL DEFAULT 0
