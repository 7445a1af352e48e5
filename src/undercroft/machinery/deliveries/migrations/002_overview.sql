-- For people who look at everything at once: what failed and is tried again, and what is paused, are found without
-- walking past the rest. Each holds few rows, and costs nothing where nothing fails.
CREATE INDEX deliveries_retrying ON deliveries (state, due_at, id) WHERE state = 1 AND attempts > 0;

CREATE INDEX targets_paused ON targets (paused_at) WHERE paused_at IS NOT NULL;

CREATE INDEX queues_paused ON queues (paused_at) WHERE paused_at IS NOT NULL;
