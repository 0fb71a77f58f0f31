package operation

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
)

// fileKeys is a ring in a file, as the gateway has it.
type fileKeys struct {
	ring *keys.Ring
	path string
	db   *sqldb.DB
	// dies is set for a node that is killed between store and file.
	dies bool
}

func (k *fileKeys) List() []keys.Info       { return k.ring.List() }
func (k *fileKeys) Browsers() time.Duration { return 90 * 24 * time.Hour }

func (k *fileKeys) Prepare(_ context.Context, now time.Time) error {
	_, err := k.ring.Prepare(k.path, now)
	return err
}

func (k *fileKeys) Rotate(_ context.Context, now time.Time) error {
	_, err := k.ring.Rotate(k.path, now)
	return err
}

func (k *fileKeys) Retire(ctx context.Context, ids []string, unusedSince, now time.Time, event audit.Event) error {
	var checks []string
	for _, id := range ids {
		checks = append(checks, k.ring.CheckOf(id))
	}
	if err := k.db.RetireKeys(ctx, checks, unusedSince, now, event); err != nil || k.dies {
		return err
	}
	return k.Drop(ctx, ids)
}

func (k *fileKeys) Drop(_ context.Context, ids []string) error { return k.ring.Retire(k.path, ids) }

// keysPlace is a place over a new store, whose first key wrote a record an hour
// for ten hours, and whose second one as many after.
func keysPlace(t *testing.T) (Place, *fileKeys, time.Time) {
	t.Helper()
	dir := t.TempDir()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	path := filepath.Join(dir, "stepgate.key")
	ring, err := keys.Create(path, start)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.OpenSQLite(t.Context(), filepath.Join(dir, "stepgate.db"), sqldb.Options{Ring: ring, Chain: audit.NewChain(ring)})
	if err != nil {
		t.Fatal(err)
	}
	recorder := audit.NewRecorder(audit.Options{Store: db})
	t.Cleanup(func() {
		recorder.Close(t.Context())
		db.Close()
	})
	k := &fileKeys{ring: ring, path: path, db: db}
	for hour := range 20 {
		if hour == 10 {
			if err := k.Rotate(t.Context(), start); err != nil {
				t.Fatal(err)
			}
		}
		_, err := db.AppendEvent(t.Context(), audit.Event{At: start.Add(time.Duration(hour) * time.Hour), Name: audit.LoginSuccess, Account: "a"})
		if err == nil {
			err = db.SaveKeys(t.Context(), ring.Checks(), ring.Primary(), start.Add(time.Duration(hour)*time.Hour))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return Place{
		Actor: people.Operator(), People: &people.People{Now: time.Now, Store: store.ForPeople(db)}, Store: db, Recorder: recorder, Ring: ring, Keys: k,
	}, k, start
}

// needs is what the oldest key is needed for.
func needs(t *testing.T, p Place, now time.Time) string {
	t.Helper()
	views, err := p.viewKeys(t.Context(), now)
	if err != nil || len(views) < 2 {
		t.Fatal(views, err)
	}
	return NeedsText(views[0].NeededFor)
}

// refuses fails the test unless retiring is refused for a reason.
func refuses(t *testing.T, p Place, now time.Time, reason string) {
	t.Helper()
	if err := p.retireKeys(t.Context(), KeysRetireInput{}, now); err == nil || !strings.Contains(err.Error(), reason) {
		t.Errorf("error %v, want one that says %q", err, reason)
	}
}

// TestAKeyIsRetiredOnceNothingNeedsIt takes away one reason after the other.
func TestAKeyIsRetiredOnceNothingNeedsIt(t *testing.T) {
	p, k, start := keysPlace(t)
	old := p.Ring.List()[0].ID
	pin := account.Credential{ID: account.NewCredentialID(), Account: "jo", Factor: "pin", Label: "PIN", Secret: account.Secret("x"), MACKey: old, CreatedAt: start}
	err := p.Store.(*sqldb.DB).Update(t.Context(), func(tx store.Tx) error {
		jo := account.Account{ID: "jo", Source: account.LocalSource, Subject: "jo", Username: "jo", Role: account.RoleUser}
		if err := tx.InsertAccount(t.Context(), jo); err != nil {
			return err
		}
		return tx.InsertCredential(t.Context(), pin)
	})
	if err != nil {
		t.Fatal(err)
	}
	later := start.AddDate(0, 0, 100)
	if got := needs(t, p, start.AddDate(0, 0, 1)); got != "1 PINs and answers, audit trail before 2026-01-01T10:00:00Z, browsers until 2026-04-01" {
		t.Errorf("needed for %q", got)
	}
	if got := needs(t, p, later); got != "1 PINs and answers, audit trail before 2026-01-01T10:00:00Z" {
		t.Errorf("later needed for %q", got)
	}
	refuses(t, p, later, "1 PINs and answers")

	_, err = p.Store.(*sqldb.DB).UseCredential(t.Context(), pin.ID, later, func(c *account.Credential) error {
		c.MACKey = p.Ring.List()[1].ID // the person has given it again
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, p, later, "audit trail")
	_, shown, _ := strings.Cut(needs(t, p, later), "audit trail before ")
	before, err := time.Parse(time.RFC3339, shown)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, p, AuditPrune, AuditPruneInput{Before: before}); err != nil {
		t.Fatal(err)
	}
	refuses(t, p, start.AddDate(0, 0, 2), "browsers until")
	if got := needs(t, p, later); got != "" {
		t.Errorf("at last needed for %q", got)
	}
	if err := p.retireKeys(t.Context(), KeysRetireInput{ID: p.Ring.List()[1].ID}, later); err == nil {
		t.Error("the primary was retired")
	}

	kept, err := keys.Load(k.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.retireKeys(t.Context(), KeysRetireInput{ID: old, Reason: "OPS-9"}, later); err != nil {
		t.Fatal(err)
	}
	holds(t, p, k, 1)
	known, err := p.Store.Keys(t.Context())
	if err != nil || kept.Knows(known) != nil {
		t.Errorf("a node with the file of before does not start: %v", errors.Join(err, kept.Knows(known)))
	}
	if err := p.retireKeys(t.Context(), KeysRetireInput{}, later); err != nil {
		t.Errorf("with no older key: %v", err)
	}
}

// holds fails the test unless the ring and its file have so many keys, the
// store accepts them, and the trail verifies.
func holds(t *testing.T, p Place, k *fileKeys, n int) {
	t.Helper()
	again, err := keys.Load(k.path)
	if err != nil || len(again.List()) != n || len(p.Ring.List()) != n {
		t.Fatalf("%v here, %v", p.Ring.List(), err)
	}
	known, err := p.Store.Keys(t.Context())
	if err == nil {
		err = again.Knows(known)
	}
	if err != nil {
		t.Error(err)
	}
	if held, err := call(t, p, AuditVerify, AuditVerifyInput{}); err != nil || !held.Holds {
		t.Errorf("the trail: %+v, %v", held, err)
	}
}

// TestARetirementThatWasInterruptedIsBroughtToItsEnd kills the node when the
// store has forgotten the key and the file has not.
func TestARetirementThatWasInterruptedIsBroughtToItsEnd(t *testing.T) {
	p, k, start := keysPlace(t)
	later := start.AddDate(0, 0, 100)
	_, shown, _ := strings.Cut(needs(t, p, later), "audit trail before ")
	before, err := time.Parse(time.RFC3339, shown)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call(t, p, AuditPrune, AuditPruneInput{Before: before}); err != nil {
		t.Fatal(err)
	}
	k.dies = true
	if err := p.retireKeys(t.Context(), KeysRetireInput{}, later); err != nil {
		t.Fatal(err)
	}
	holds(t, p, k, 2)
	k.dies = false
	if err := p.retireKeys(t.Context(), KeysRetireInput{}, later); err != nil {
		t.Error(err)
	}
	holds(t, p, k, 1)
}

// TestATrailThatWouldNotHoldKeepsItsKey has a record of an older key stand among
// those of the new one, as of a node that was late to reload.
func TestATrailThatWouldNotHoldKeepsItsKey(t *testing.T) {
	p, k, start := keysPlace(t)
	late, err := p.Ring.Without(nil) // does not hear of the rotation
	if err == nil {
		err = k.Rotate(t.Context(), start)
	}
	if err != nil {
		t.Fatal(err)
	}
	other, err := sqldb.OpenSQLite(t.Context(), filepath.Join(filepath.Dir(k.path), "stepgate.db"), sqldb.Options{Ring: late, Chain: audit.NewChain(late)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for i, node := range []audit.Store{p.Store, p.Store, other, p.Store} {
		if _, err := node.AppendEvent(t.Context(), audit.Event{At: start.AddDate(0, 0, 1+i), Name: audit.LoginSuccess}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := call(t, p, AuditPrune, AuditPruneInput{Before: start.AddDate(0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	if got := needs(t, p, start.AddDate(0, 0, 100)); got != "" {
		t.Errorf("needed for %q, which is right and makes the test pointless", got)
	}
	refuses(t, p, start.AddDate(0, 0, 100), "the audit trail would not hold")
	holds(t, p, k, 3)
}
