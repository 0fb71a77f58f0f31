-- What a credential is found by before anyone is known; empty for most.
ALTER TABLE credential ADD COLUMN handle TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX credential_handle ON credential (handle) WHERE handle <> '';
