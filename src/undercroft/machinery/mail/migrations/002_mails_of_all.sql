-- For who sees the mails of all namespaces, and wants those of one state: newest first, and no other looked at.
CREATE INDEX mails_of_all_by_state ON mails (state, id);
