-- The parts of a name as an administrator entered them, JSON; empty where only
-- the whole name is known.
ALTER TABLE account ADD COLUMN name_parts TEXT NOT NULL DEFAULT '{}';

-- Who of an organisation may enrol a first second factor: self, contact or
-- invited; empty for what the site says.
ALTER TABLE organisation ADD COLUMN enrolment TEXT NOT NULL DEFAULT '';

-- How far a receiver outside has got the audit trail, and which node sends.
CREATE TABLE audit_receiver (
	name     TEXT NOT NULL PRIMARY KEY,
	seq      BIGINT NOT NULL,
	holder   TEXT NOT NULL,
	until_at BIGINT NOT NULL
);

CREATE INDEX audit_event_name ON audit_event (name, seq);
CREATE INDEX audit_event_organisation ON audit_event (organisation, seq) WHERE organisation <> '';
CREATE INDEX audit_event_at ON audit_event (at);
