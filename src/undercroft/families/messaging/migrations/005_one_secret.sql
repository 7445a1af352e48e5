-- Two nodes may have made one each at the same moment; the smallest was the one that everybody read.
DELETE FROM messaging_secret WHERE secret > (SELECT MIN(s.secret) FROM messaging_secret s);

ALTER TABLE messaging_secret ADD COLUMN only_one BIGINT NOT NULL DEFAULT 1;

CREATE UNIQUE INDEX messaging_secret_once ON messaging_secret (only_one);
