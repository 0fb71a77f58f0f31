-- Events of one kind in one organisation: each may be common, and both together rare.
CREATE INDEX audit_event_organisation_name ON audit_event (organisation, name, seq) WHERE organisation <> '';
