-- Which cookie values of a legacy app belong to which session: keyed hashes.
-- Rows outlive their session, so there is no reference to it.
CREATE TABLE weld_bond (
	hash       BYTEA NOT NULL,
	session    TEXT NOT NULL,
	offered    BOOLEAN NOT NULL,
	at         BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	PRIMARY KEY (hash, session)
);
CREATE INDEX weld_bond_session ON weld_bond (session);
CREATE INDEX weld_bond_expires ON weld_bond (expires_at);
