-- Which cookie values of a legacy app belong to which session: keyed hashes.
-- Rows outlive their session, so there is no reference to it.
CREATE TABLE weld_bond (
	hash       BLOB NOT NULL,
	session    TEXT NOT NULL,
	offered    INTEGER NOT NULL,
	at         INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	PRIMARY KEY (hash, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX weld_bond_session ON weld_bond (session);
CREATE INDEX weld_bond_expires ON weld_bond (expires_at);
