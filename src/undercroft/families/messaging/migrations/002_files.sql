-- Every name under which bytes are kept. A file that is replaced keeps its name, for its URL was sent, until its row in
-- messaging_binaries goes. `remove_at`: from then on the bytes may be removed, and the name serves nothing any more;
-- NULL while it is in use. It is set before bytes are put there, so that none are left by an upload that broke off.
CREATE TABLE messaging_files (
    name TEXT PRIMARY KEY,
    binary_content BIGINT,
    type TEXT NOT NULL,
    size BIGINT NOT NULL,
    remove_at BIGINT
);

INSERT INTO messaging_files (name, binary_content, type, size) SELECT name, id, type, size FROM messaging_binaries;

CREATE INDEX messaging_files_by_binary ON messaging_files (binary_content);

CREATE INDEX messaging_files_to_remove ON messaging_files (remove_at) WHERE remove_at IS NOT NULL;
