-- One code at most for an account, session, purpose and factor: the newest.
CREATE TABLE one_time_code (
	account     TEXT NOT NULL,
	session     TEXT NOT NULL,
	purpose     TEXT NOT NULL,
	factor      TEXT NOT NULL,
	ceremony    TEXT NOT NULL,
	credential  TEXT NOT NULL,
	mac         BYTEA NOT NULL,
	sent_to     BYTEA NOT NULL,
	sent_at     BIGINT NOT NULL,
	expires_at  BIGINT NOT NULL,
	sends       BIGINT NOT NULL,
	tries       BIGINT NOT NULL,
	spent       BIGINT NOT NULL,
	PRIMARY KEY (account, session, purpose, factor)
);
CREATE INDEX one_time_code_expires ON one_time_code (expires_at);

CREATE TABLE outbox (
	id             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
	channel        TEXT NOT NULL,
	account        TEXT NOT NULL,
	sealed_message BYTEA NOT NULL,
	tries          BIGINT NOT NULL,
	due_at         BIGINT NOT NULL,
	expires_at     BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (due_at);
CREATE INDEX outbox_expires ON outbox (expires_at);
