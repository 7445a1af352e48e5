-- What has expired is forgotten every half a minute: found by this, not by looking at every token.
CREATE INDEX tokens_by_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;
