package sqldb

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// eachDialect runs a test on a store of each dialect; dump returns all that
// the store keeps, as bytes.
func eachDialect(t *testing.T, test func(t *testing.T, db *DB, ring *keys.Ring, dump func() []byte)) {
	t.Run("sqlite", func(t *testing.T) {
		ring, path := storetest.NewRing(t), filepath.Join(t.TempDir(), "stepgate.db")
		test(t, openFile(t, path, ring), ring, func() (all []byte) {
			for _, suffix := range []string{"", "-wal"} {
				content, err := os.ReadFile(path + suffix)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, content...)
			}
			return all
		})
	})
	t.Run("postgres", func(t *testing.T) {
		dsn, ring := freshSchema(t), storetest.NewRing(t)
		db := openSchema(t, dsn, ring)
		test(t, db, ring, func() (all []byte) {
			for _, table := range []string{"account", "credential", "session", "challenge_transaction", "audit_event", "throttle_counter"} {
				rows, err := list(t.Context(), db.q, value[string], `SELECT t::text FROM `+table+` t`)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, strings.Join(rows, "\n")...)
			}
			return all
		})
	})
}

const (
	seedText    = "JBSWY3DPEHPK3PXPJBSWY3DP"
	addressText = "+447700900609"
	stateText   = "expected code 123456"
)

// sealedRows keeps two accounts with a credential and a transaction each.
func sealedRows(t *testing.T, db *DB) (credentials []account.Credential, transactions []ceremony.Transaction, identifiers []session.Identifier) {
	t.Helper()
	for _, name := range []string{"one", "two"} {
		a := account.Account{ID: account.NewID(), Source: account.LocalSource, Subject: name, Username: name, Role: account.RoleUser, CreatedAt: storetest.Noon}
		c := account.Credential{
			ID: account.NewCredentialID(), Account: a.ID, Factor: "totp", Label: "Phone",
			Address: addressText + name, Secret: account.Secret(seedText + name), CreatedAt: storetest.Noon,
		}
		err := db.Update(t.Context(), func(tx store.Tx) error {
			return errors.Join(tx.InsertAccount(t.Context(), a), tx.InsertCredential(t.Context(), c))
		})
		id := session.NewIdentifier()
		s := session.Session{ID: session.ID(name), Hash: id.Hash(), Account: a.ID, CreatedAt: storetest.Noon, EndsAt: storetest.Noon.Add(3600e9)}
		if err == nil {
			err = db.InsertSession(t.Context(), s)
		}
		open := ceremony.Transaction{
			ID: "transaction " + name, Session: s.ID, Key: "k", Subject: a.ID, Factor: "sms", State: factors.State(stateText + name), ExpiresAt: s.EndsAt,
		}
		if err == nil {
			_, err = db.OpenTransaction(t.Context(), open, storetest.Noon)
		}
		if err == nil {
			err = db.SaveTransaction(t.Context(), open, storetest.Noon)
		}
		if err != nil {
			t.Fatal(err)
		}
		credentials, transactions, identifiers = append(credentials, c), append(transactions, open), append(identifiers, id)
	}
	return credentials, transactions, identifiers
}

func TestNoSecretIsKeptInTheClear(t *testing.T) {
	eachDialect(t, func(t *testing.T, db *DB, _ *keys.Ring, dump func() []byte) {
		_, _, identifiers := sealedRows(t, db)
		kept := dump()
		if !bytes.Contains(kept, []byte("transaction one")) {
			t.Fatal("what is kept does not even hold the transaction's ID")
		}
		for _, secret := range []string{seedText, addressText, stateText, string(identifiers[0][:])} {
			if bytes.Contains(kept, []byte(secret)) || bytes.Contains(kept, []byte(hex.EncodeToString([]byte(secret)))) {
				t.Errorf("%q is kept in the clear", secret)
			}
		}
	})
}

// TestMovedCiphertextDoesNotOpen swaps what is sealed between rows, between
// columns, and changes what it is bound to.
func TestMovedCiphertextDoesNotOpen(t *testing.T) {
	for name, swap := range map[string]string{
		"secrets of two rows":   `UPDATE credential SET sealed_secret = (SELECT o.sealed_secret FROM credential o WHERE o.id <> credential.id)`,
		"addresses of two rows": `UPDATE credential SET sealed_address = (SELECT o.sealed_address FROM credential o WHERE o.id <> credential.id)`,
		"secret and address":    `UPDATE credential SET sealed_secret = sealed_address, sealed_address = sealed_secret`,
		"owners":                `UPDATE credential SET account = (SELECT o.account FROM credential o WHERE o.id <> credential.id)`,
		"factor":                `UPDATE credential SET factor = 'sms'`,
		"empty secret":          `UPDATE credential SET sealed_secret = ''`,
		"empty address":         `UPDATE credential SET sealed_address = ''`,
		"states of two rows": `UPDATE challenge_transaction SET sealed_state = (
			SELECT o.sealed_state FROM challenge_transaction o WHERE o.id <> challenge_transaction.id)`,
		"subject of state": `UPDATE challenge_transaction SET subject = 'other'`,
		"empty state":      `UPDATE challenge_transaction SET sealed_state = ''`,
	} {
		t.Run(name, func(t *testing.T) {
			eachDialect(t, func(t *testing.T, db *DB, ring *keys.Ring, _ func() []byte) {
				credentials, transactions, _ := sealedRows(t, db)
				read := func() error {
					_, err := db.Credential(t.Context(), credentials[0].ID)
					_, all := db.Credentials(t.Context(), credentials[0].Account)
					_, state := db.Transaction(t.Context(), transactions[0].ID, storetest.Noon)
					return errors.Join(err, all, state)
				}
				if err := read(); err != nil {
					t.Fatalf("before the swap: %v", err)
				}
				if err := db.write(t.Context(), func(tx *tx) error {
					_, err := tx.q.exec(context.Background(), strings.ReplaceAll(swap, "''", emptyBlob(db)))
					return err
				}); err != nil {
					t.Fatal(err)
				}
				if err := read(); !errors.Is(err, ErrUnsealed) {
					t.Errorf("after the swap: %v", err)
				}
			})
		})
	}
}

func emptyBlob(db *DB) string {
	if _, ok := db.engine.(*sqlite); ok {
		return "x''"
	}
	return "''"
}

func TestOtherKeyOpensNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stepgate.db")
	db := openFile(t, path, storetest.NewRing(t))
	credentials, _, _ := sealedRows(t, db)
	db.Close()
	other := openFile(t, path, storetest.NewRing(t))
	if c, err := other.Credential(t.Context(), credentials[0].ID); !errors.Is(err, ErrUnsealed) || c.ID != "" {
		t.Errorf("under another key: %v, %v", c.ID, err)
	}
}

func TestKeysThatWroteAreKept(t *testing.T) {
	eachDialect(t, func(t *testing.T, db *DB, ring *keys.Ring, _ func() []byte) {
		if known, err := db.Keys(t.Context()); err != nil || len(known) != 0 {
			t.Fatalf("a new store knows %v, %v", known, err)
		}
		for range 2 {
			if err := db.SaveKeys(t.Context(), ring.Checks(), ring.Primary(), storetest.Noon); err != nil {
				t.Fatal(err)
			}
		}
		known, err := db.Keys(t.Context())
		if err != nil || ring.Knows(known) != nil || len(known) != 1 || !known[0].UsedAt.Equal(storetest.Noon) {
			t.Errorf("known %v, %v", known, err)
		}
		if err := storetest.NewRing(t).Knows(known); !errors.Is(err, keys.ErrWrongKey) {
			t.Errorf("another ring says %v", err)
		}
	})
}
