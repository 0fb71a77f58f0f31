-- Where an account has been, for what is unusual: networks and places, sealed.
CREATE TABLE account_visits (
	account       TEXT NOT NULL PRIMARY KEY,
	sealed_visits BYTEA NOT NULL
);
