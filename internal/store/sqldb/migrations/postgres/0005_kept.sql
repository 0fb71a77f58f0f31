-- What is known of a session after it has ended: whose it was.
CREATE TABLE session_remains (
	hash    BYTEA NOT NULL PRIMARY KEY,
	account TEXT NOT NULL,
	site    TEXT NOT NULL,
	seen_at BIGINT NOT NULL,
	ends_at BIGINT NOT NULL
);
CREATE INDEX session_remains_account ON session_remains (account);
CREATE INDEX session_remains_ends ON session_remains (ends_at);

-- Interrupted requests. Stage is writing, kept or continued; size is what the
-- chunks may come to, and do once stage is kept.
CREATE TABLE kept_request (
	id          TEXT NOT NULL PRIMARY KEY,
	account     TEXT NOT NULL REFERENCES account (id),
	browser     BYTEA NOT NULL,
	site        TEXT NOT NULL,
	stage       TEXT NOT NULL,
	sealed_head BYTEA NOT NULL,
	size        BIGINT NOT NULL,
	chunks      BIGINT NOT NULL,
	kept_at     BIGINT NOT NULL,
	expires_at  BIGINT NOT NULL
);
CREATE INDEX kept_request_account ON kept_request (account);
CREATE INDEX kept_request_expires ON kept_request (expires_at);

CREATE TABLE kept_chunk (
	request      TEXT NOT NULL REFERENCES kept_request (id) ON DELETE CASCADE,
	seq          BIGINT NOT NULL,
	sealed_bytes BYTEA NOT NULL,
	PRIMARY KEY (request, seq)
);
