-- What else a session ends with: the issuer's own session, and the sessions of
-- other sites that came of the same sign-in (root is the first one's id, empty
-- for the first itself). The note is what the source keeps to sign out there.
CREATE TABLE session_tie (
	session        TEXT NOT NULL PRIMARY KEY,
	source         TEXT NOT NULL,
	issuer_session TEXT NOT NULL,
	root           TEXT NOT NULL,
	sealed_note    BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_tie_issuer ON session_tie (source, issuer_session);
CREATE INDEX session_tie_root ON session_tie (root);
