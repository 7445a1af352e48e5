-- The mark of a claim that its request has not made good yet; nobody else has written there since.
ALTER TABLE namespace_names ADD COLUMN claim TEXT;
