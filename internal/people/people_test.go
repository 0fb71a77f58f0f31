package people_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
	"github.com/stepgate/stepgate/policy"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// plainPasswords refuses "weak" and hashes nothing.
type plainPasswords struct{}

func (plainPasswords) Check(p account.Secret, _ account.Account) error {
	if string(p.Reveal()) == "weak" {
		return errors.New("it is weak")
	}
	return nil
}

func (plainPasswords) Hash(_ context.Context, p account.Secret) (string, error) {
	return "hash of " + string(p.Reveal()), nil
}

// fixture is a gateway's people over a new SQLite store, with the
// organisations `default` and `north`.
type fixture struct {
	*people.People
	db *sqldb.DB
}

func newFixture(t *testing.T) fixture {
	t.Helper()
	dir := t.TempDir()
	ring, err := keys.Create(filepath.Join(dir, "stepgate.key"), noon)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.OpenSQLite(t.Context(), filepath.Join(dir, "stepgate.db"), sqldb.Options{Ring: ring, Chain: audit.NewChain(ring)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	f := fixture{&people.People{Store: store.ForPeople(db), Passwords: plainPasswords{}, Region: "GB", Now: func() time.Time { return noon }}, db}
	f.Callers = &people.Callers{MAC: ring.LastingMAC}
	if _, err := f.AddOrganisation(t.Context(), people.Operator(), "north", people.OrganisationRules{}, ""); err != nil {
		t.Fatal(err)
	}
	return f
}

// add makes an account as the operator.
func (f fixture) add(t *testing.T, n people.NewAccount) account.Account {
	t.Helper()
	added, err := f.AddAccount(t.Context(), people.Operator(), n)
	if err != nil {
		t.Fatal(err)
	}
	return added.Account
}

// keep gives somebody a credential.
func (f fixture) keep(t *testing.T, c account.Credential) {
	t.Helper()
	if err := f.db.Update(t.Context(), func(tx store.Tx) error { return tx.InsertCredential(t.Context(), c) }); err != nil {
		t.Fatal(err)
	}
}

// called lets an actor check that somebody is calling, if they may.
func (f fixture) called(t *testing.T, actor people.Actor, owner account.ID) {
	t.Helper()
	code, _ := f.CallerCode(owner)
	if err := f.CheckCaller(t.Context(), actor, people.Who{ID: owner}, code, "T-1"); err != nil && !errors.Is(err, people.ErrForbidden) && !errors.Is(err, account.ErrNotFound) {
		t.Fatal(err)
	}
}

// open gives an account a session, a challenge and a credential of each of
// the factors.
func (f fixture) open(t *testing.T, owner account.ID, factors ...string) session.Session {
	t.Helper()
	s := session.Session{
		ID: session.ID("session of " + owner), Hash: session.NewIdentifier().Hash(), Account: owner, Site: "https://portal.example.gov",
		Source: account.LocalSource, CreatedAt: noon, SeenAt: noon, EndsAt: noon.Add(time.Hour),
		Proofs: []policy.Proof{{Factor: policy.Password, At: noon}},
	}
	if err := f.db.InsertSession(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	_, err := f.db.OpenTransaction(t.Context(), ceremony.Transaction{
		ID: "challenge of " + string(owner), Session: s.ID, Key: "step", Actor: owner, Subject: owner, Site: s.Site,
		Purpose: "step-up", Factor: policy.TOTP, CreatedAt: noon, ExpiresAt: noon.Add(time.Hour),
	}, noon)
	if err != nil {
		t.Fatal(err)
	}
	err = f.db.Update(t.Context(), func(tx store.Tx) error {
		for _, factor := range factors {
			c := account.Credential{ID: account.NewCredentialID(), Account: owner, Factor: factor, Label: factor, CreatedAt: noon}
			if err := tx.InsertCredential(t.Context(), c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// wantOver checks that nothing of what open began goes on, and which
// credentials are left.
func (f fixture) wantOver(t *testing.T, s session.Session, left ...string) {
	t.Helper()
	if _, _, err := f.db.SessionByHash(t.Context(), s.Hash, noon); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("session goes on: %v", err)
	}
	if _, err := f.db.Transaction(t.Context(), "challenge of "+string(s.Account), noon); !errors.Is(err, ceremony.ErrTransactionGone) {
		t.Errorf("challenge goes on: %v", err)
	}
	held, err := f.db.Credentials(t.Context(), s.Account)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range held {
		got = append(got, c.Factor)
	}
	if diff := cmp.Diff(left, got); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
}

// lastEvent is the newest of the audit trail.
func (f fixture) lastEvent(t *testing.T) audit.Event {
	t.Helper()
	records, err := f.db.Events(t.Context(), audit.Query{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	return records[0].Event
}

// wantError checks the sentinel of an error and that its text has a word.
func wantError(t *testing.T, err, sentinel error, words ...string) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Errorf("error %v, want %v", err, sentinel)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not say %q", err, w)
		}
	}
}

func who(name string) people.Who { return people.Who{Username: name} }

func ptr[T any](v T) *T { return &v }
