-- What is known of a session after it has ended: whose it was.
CREATE TABLE session_remains (
	hash    BLOB NOT NULL PRIMARY KEY,
	account TEXT NOT NULL,
	site    TEXT NOT NULL,
	seen_at INTEGER NOT NULL,
	ends_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_remains_account ON session_remains (account);
CREATE INDEX session_remains_ends ON session_remains (ends_at);

-- Interrupted requests. Stage is writing, kept or continued; size is what the
-- chunks may come to, and do once stage is kept.
CREATE TABLE kept_request (
	id          TEXT NOT NULL PRIMARY KEY,
	account     TEXT NOT NULL REFERENCES account (id),
	browser     BLOB NOT NULL,
	site        TEXT NOT NULL,
	stage       TEXT NOT NULL,
	sealed_head BLOB NOT NULL,
	size        INTEGER NOT NULL,
	chunks      INTEGER NOT NULL,
	kept_at     INTEGER NOT NULL,
	expires_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX kept_request_account ON kept_request (account);
CREATE INDEX kept_request_expires ON kept_request (expires_at);

CREATE TABLE kept_chunk (
	request      TEXT NOT NULL REFERENCES kept_request (id) ON DELETE CASCADE,
	seq          INTEGER NOT NULL,
	sealed_bytes BLOB NOT NULL,
	PRIMARY KEY (request, seq)
) STRICT;
