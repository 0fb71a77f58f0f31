-- Times are nanoseconds since 1970 in UTC, 0 for none. Lists are JSON arrays.
-- Columns named sealed_… hold what the key ring sealed for their row.

CREATE TABLE key_check (
	value TEXT NOT NULL PRIMARY KEY
) STRICT;

CREATE TABLE organisation (
	name       TEXT NOT NULL PRIMARY KEY,
	requires   TEXT NOT NULL,
	created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE account (
	id              TEXT NOT NULL PRIMARY KEY,
	source          TEXT NOT NULL,
	subject         TEXT NOT NULL,
	username        TEXT NOT NULL,
	username_folded TEXT NOT NULL,
	full_name       TEXT NOT NULL,
	name_folded     TEXT NOT NULL,
	email           TEXT NOT NULL,
	email_folded    TEXT NOT NULL,
	mobile          TEXT NOT NULL,
	member_of       TEXT NOT NULL,
	organisation    TEXT NOT NULL REFERENCES organisation (name),
	role            TEXT NOT NULL,
	two_factor      INTEGER NOT NULL,
	suspended_at    INTEGER NOT NULL,
	created_at      INTEGER NOT NULL,
	version         INTEGER NOT NULL,
	password_hash   TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX account_subject ON account (source, subject);
CREATE UNIQUE INDEX account_username ON account (source, username_folded);
CREATE INDEX account_listing ON account (username_folded, id);
CREATE INDEX account_organisation ON account (organisation);

CREATE TABLE credential (
	id             TEXT NOT NULL PRIMARY KEY,
	account        TEXT NOT NULL REFERENCES account (id),
	factor         TEXT NOT NULL,
	label          TEXT NOT NULL,
	sealed_address BLOB NOT NULL,
	sealed_secret  BLOB NOT NULL,
	counter        INTEGER NOT NULL,
	is_default     INTEGER NOT NULL,
	created_at     INTEGER NOT NULL,
	last_used_at   INTEGER NOT NULL,
	bound_by       TEXT NOT NULL,
	counts_from    INTEGER NOT NULL
) STRICT;
CREATE INDEX credential_account ON credential (account);
CREATE UNIQUE INDEX credential_default ON credential (account) WHERE is_default <> 0;

CREATE TABLE session (
	hash          BLOB NOT NULL PRIMARY KEY,
	id            TEXT NOT NULL,
	account       TEXT NOT NULL REFERENCES account (id),
	site          TEXT NOT NULL,
	source        TEXT NOT NULL,
	proofs        TEXT NOT NULL,
	device        TEXT NOT NULL,
	device_id     TEXT NOT NULL,
	risk          TEXT NOT NULL,
	created_at    INTEGER NOT NULL,
	seen_at       INTEGER NOT NULL,
	ends_at       INTEGER NOT NULL,
	superseded_at INTEGER NOT NULL,
	address       TEXT NOT NULL,
	user_agent    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_id ON session (id);
CREATE UNIQUE INDEX session_current ON session (id) WHERE superseded_at = 0;
CREATE INDEX session_account ON session (account);
CREATE INDEX session_ends ON session (ends_at);

CREATE TABLE challenge_transaction (
	id           TEXT NOT NULL PRIMARY KEY,
	session      TEXT NOT NULL,
	step         TEXT NOT NULL,
	actor        TEXT NOT NULL,
	subject      TEXT NOT NULL,
	site         TEXT NOT NULL,
	purpose      TEXT NOT NULL,
	factor       TEXT NOT NULL,
	sealed_state BLOB NOT NULL,
	created_at   INTEGER NOT NULL,
	expires_at   INTEGER NOT NULL,
	version      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX challenge_transaction_step ON challenge_transaction (session, step);
CREATE INDEX challenge_transaction_actor ON challenge_transaction (actor);
CREATE INDEX challenge_transaction_subject ON challenge_transaction (subject);
CREATE INDEX challenge_transaction_expires ON challenge_transaction (expires_at);

CREATE TABLE throttle_counter (
	name     BLOB NOT NULL PRIMARY KEY,
	hits     INTEGER NOT NULL,
	at       INTEGER NOT NULL,
	until_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX throttle_counter_at ON throttle_counter (at);

-- feed_head has one row: the newest seq that was given out. Seqs have no gaps
-- and appear in their order.
CREATE TABLE feed_head (
	seq INTEGER NOT NULL
) STRICT;
INSERT INTO feed_head (seq) VALUES (0);

CREATE TABLE feed_change (
	seq   INTEGER NOT NULL PRIMARY KEY,
	kind  TEXT NOT NULL,
	name  TEXT NOT NULL,
	at    INTEGER NOT NULL
) STRICT;

INSERT INTO organisation (name, requires, created_at)
VALUES ('default', '', unixepoch() * 1000000000);

-- Rows are only added. The columns between at and body serve queries; what
-- counts is seq, body and hash.
CREATE TABLE audit_event (
	seq          INTEGER NOT NULL PRIMARY KEY,
	at           INTEGER NOT NULL,
	name         TEXT NOT NULL,
	reference    TEXT NOT NULL,
	account      TEXT NOT NULL,
	actor        TEXT NOT NULL,
	organisation TEXT NOT NULL,
	body         BLOB NOT NULL,
	hash         BLOB NOT NULL
) STRICT;
CREATE INDEX audit_event_reference ON audit_event (reference) WHERE reference <> '';
CREATE INDEX audit_event_account ON audit_event (account, seq) WHERE account <> '';
CREATE INDEX audit_event_actor ON audit_event (actor, seq) WHERE actor <> '';
