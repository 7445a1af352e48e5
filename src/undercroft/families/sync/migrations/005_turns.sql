-- Whoever changes the index holds this row: what is read of it must not be written over by another.
INSERT INTO sync_rules (id, stored, applied) VALUES (1, '[]', '[]') ON CONFLICT DO NOTHING
