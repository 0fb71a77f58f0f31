-- What an account is found by as somebody types: the words of its username,
-- name and e-mail address, folded. word_username gives the order in which
-- accounts are shown. word_before is the account's word before this one, ''
-- for its first, and word_all has all of them, a blank before each.
CREATE TABLE account_word (
	word              TEXT COLLATE "C" NOT NULL,
	word_username     TEXT COLLATE "C" NOT NULL,
	word_account      TEXT COLLATE "C" NOT NULL REFERENCES account (id),
	word_organisation TEXT COLLATE "C" NOT NULL,
	word_before       TEXT COLLATE "C" NOT NULL,
	word_all          TEXT NOT NULL,
	PRIMARY KEY (word, word_username, word_account)
);
CREATE INDEX account_word_organisation ON account_word (word_organisation, word, word_username, word_account);
CREATE INDEX account_word_account ON account_word (word_account, word);

DROP INDEX account_organisation;
CREATE INDEX account_organisation ON account (organisation, username_folded, id);
CREATE INDEX account_role ON account (role, username_folded, id);
