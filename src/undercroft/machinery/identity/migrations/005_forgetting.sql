-- What is forgotten every minute is found by these, not by looking at every row.
CREATE INDEX known_places_by_age ON known_places (seen_at);
CREATE INDEX resets_by_end ON resets (expires_at);
