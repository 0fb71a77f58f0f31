package storetest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

// Noon is the time at which the tests happen. A store under test may use any
// clock for its own notes.
var Noon = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// callers is how many goroutines call a verb at once.
const callers = 50

// Run tests the stores that open makes: an empty one each time, whose seals
// and whose audit chain use ring. open closes what it opened with t.Cleanup.
func Run(t *testing.T, open func(t *testing.T, ring *keys.Ring) store.Store) {
	for _, group := range []struct {
		name string
		test func(*testing.T, *fixture)
	}{
		{"Accounts", testAccounts},
		{"Organisations", testOrganisations},
		{"Credentials", testCredentials},
		{"Sessions", testSessions},
		{"Ties", testTies},
		{"Devices", testDevices},
		{"Visits", testVisits},
		{"Transactions", testTransactions},
		{"Counters", testCounters},
		{"Bonds", testBonds},
		{"Pins", testPins},
		{"Kept", testKept},
		{"Codes", testCodes},
		{"Approvals", testApprovals},
		{"Messages", testMessages},
		{"Events", testEvents},
		{"Receivers", testReceivers},
		{"Feed", testFeed},
		{"Update", testUpdate},
		{"Purge", testPurge},
	} {
		t.Run(group.name, func(t *testing.T) { group.test(t, &fixture{open: open}) })
	}
}

// NewRing makes a key ring for a test.
func NewRing(t testing.TB) *keys.Ring {
	t.Helper()
	ring, err := keys.Create(filepath.Join(t.TempDir(), "stepgate.key"), Noon)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// fixture opens stores.
type fixture struct {
	open func(t *testing.T, ring *keys.Ring) store.Store
}

// run gives every test a store of its own.
func (f *fixture) run(t *testing.T, name string, test func(*testing.T, *bench)) {
	t.Run(name, func(t *testing.T) {
		ring := NewRing(t)
		test(t, &bench{T: t, Store: f.open(t, ring), chain: audit.NewChain(ring)})
	})
}

// bench is one store with what tests do to it.
type bench struct {
	*testing.T
	store.Store
	chain *audit.Chain
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// is fails the test unless err is want.
func (b *bench) is(err, want error) {
	b.Helper()
	if !errors.Is(err, want) {
		b.Errorf("error is %v, want %v", err, want)
	}
}

func (b *bench) same(got, want any) {
	b.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(sameSecret)); diff != "" {
		b.Errorf("-want +got\n%s", diff)
	}
}

func sameSecret(a, b account.Secret) bool { return string(a.Reveal()) == string(b.Reveal()) }

func (b *bench) update(change func(ctx context.Context, tx store.Tx) error) {
	b.Helper()
	b.must(b.Update(b.Context(), func(tx store.Tx) error { return change(b.Context(), tx) }))
}

// newAccount gives an account with every field set, not yet kept.
func newAccount(username string) account.Account {
	id := account.NewID()
	return account.Account{
		ID: id, Source: account.LocalSource, Subject: string(id), Username: username,
		Name: "Jo " + username, Email: username + "@Example.gov", Mobile: "+447700900123",
		Groups: []string{"admins", "Zürich"}, Organisation: account.DefaultOrganisation, Role: account.RoleHelpdesk,
		TwoFactor: true, CreatedAt: Noon,
	}
}

// person keeps a new account.
func (b *bench) person(username string) account.Account {
	b.Helper()
	a := newAccount(username)
	b.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertAccount(ctx, a) })
	return a
}

func newCredential(owner account.ID, factor policy.Factor) account.Credential {
	id := account.NewCredentialID()
	return account.Credential{
		ID: id, Account: owner, Factor: string(factor), Label: "Phone ending 609", Address: "+447700900609",
		Secret: account.Secret("seed of " + id), CreatedAt: Noon, BoundBy: []string{"password", "sms"}, CountsFrom: Noon.Add(time.Hour),
	}
}

// credential keeps a new credential.
func (b *bench) credential(owner account.ID, factor policy.Factor) account.Credential {
	b.Helper()
	c := newCredential(owner, factor)
	b.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertCredential(ctx, c) })
	return c
}

func newSession(owner account.ID) (session.Session, session.Identifier) {
	id := session.NewIdentifier()
	return session.Session{
		ID: session.ID(account.NewID()), Hash: id.Hash(), Account: owner, Site: "https://portal.example.gov", Source: account.LocalSource,
		Proofs: []policy.Proof{{Factor: policy.Password, At: Noon}}, Device: "private", DeviceID: "D1", Risk: "low",
		CreatedAt: Noon, SeenAt: Noon, EndsAt: Noon.Add(12 * time.Hour), Address: "192.0.2.7", UserAgent: "Browser/1",
	}, id
}

// session keeps a new session.
func (b *bench) session(owner account.ID) session.Session {
	b.Helper()
	s, _ := newSession(owner)
	b.must(b.InsertSession(b.Context(), s))
	return s
}

func newTransaction(s session.Session, key string) ceremony.Transaction {
	return ceremony.Transaction{
		ID: string(account.NewID()), Session: s.ID, Key: key, Actor: s.Account, Subject: s.Account, Site: s.Site,
		Purpose: "enrol", Factor: policy.TOTP, State: []byte("state of " + key),
		CreatedAt: Noon, ExpiresAt: Noon.Add(ceremony.TransactionTTL),
	}
}

// race calls do from many goroutines at once and returns their errors.
func race(n int, do func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = do(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}

// oneWinner fails the test unless one error is nil and all others are lost.
func (b *bench) oneWinner(errs []error, lost error) {
	b.Helper()
	winners := 0
	for _, err := range errs {
		switch {
		case err == nil:
			winners++
		case !errors.Is(err, lost):
			b.Errorf("error is %v, want %v", err, lost)
		}
	}
	if winners != 1 {
		b.Errorf("%d of %d callers won, want 1", winners, len(errs))
	}
}

// all fails the test for every error.
func (b *bench) all(errs []error) {
	b.Helper()
	for i, err := range errs {
		if err != nil {
			b.Errorf("caller %d: %v", i, err)
		}
	}
}

func numbered(word string, i int) string { return fmt.Sprintf("%s-%03d", word, i) }
