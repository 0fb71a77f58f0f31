-- One code at most for an account, session, purpose and factor: the newest.
CREATE TABLE one_time_code (
	account     TEXT NOT NULL,
	session     TEXT NOT NULL,
	purpose     TEXT NOT NULL,
	factor      TEXT NOT NULL,
	ceremony    TEXT NOT NULL,
	credential  TEXT NOT NULL,
	mac         BLOB NOT NULL,
	sent_to     BLOB NOT NULL,
	sent_at     INTEGER NOT NULL,
	expires_at  INTEGER NOT NULL,
	sends       INTEGER NOT NULL,
	tries       INTEGER NOT NULL,
	spent       INTEGER NOT NULL,
	PRIMARY KEY (account, session, purpose, factor)
) STRICT, WITHOUT ROWID;
CREATE INDEX one_time_code_expires ON one_time_code (expires_at);

CREATE TABLE outbox (
	id             TEXT NOT NULL PRIMARY KEY,
	channel        TEXT NOT NULL,
	account        TEXT NOT NULL,
	sealed_message BLOB NOT NULL,
	tries          INTEGER NOT NULL,
	due_at         INTEGER NOT NULL,
	expires_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_due ON outbox (due_at);
CREATE INDEX outbox_expires ON outbox (expires_at);
