-- Which account a name of a legacy app has led to, byte for byte. Kind is
-- submitted, identity or confirmed; account is empty for confirmed.
CREATE TABLE name_pin (
	source  TEXT NOT NULL,
	kind    TEXT NOT NULL,
	name    TEXT NOT NULL,
	account TEXT NOT NULL,
	at      INTEGER NOT NULL,
	PRIMARY KEY (source, kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX name_pin_account ON name_pin (account);
