-- Requests that wait on somebody's phone. What they are about is sealed: the
-- number, what is shown, and the key that the answer is encrypted to.
CREATE TABLE approval_request (
	id             TEXT NOT NULL PRIMARY KEY,
	account        TEXT NOT NULL REFERENCES account (id),
	session        TEXT NOT NULL,
	ceremony       TEXT NOT NULL,
	site           TEXT NOT NULL,
	purpose        TEXT NOT NULL,
	sealed_content BLOB NOT NULL,
	status         TEXT NOT NULL,
	credential     TEXT NOT NULL,
	created_at     INTEGER NOT NULL,
	expires_at     INTEGER NOT NULL,
	answered_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX approval_request_account ON approval_request (account, created_at);
CREATE INDEX approval_request_expires ON approval_request (expires_at);
