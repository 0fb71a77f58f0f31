package sqldb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// rotatingRing is a ring in a file.
func rotatingRing(t *testing.T) (*keys.Ring, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stepgate.key")
	ring, err := keys.Create(path, storetest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	return ring, path
}

// eachRotating runs a test on two nodes over one store of each dialect.
func eachRotating(t *testing.T, test func(t *testing.T, here, there *DB, ring *keys.Ring, keyFile string)) {
	t.Run("sqlite", func(t *testing.T) {
		ring, keyFile := rotatingRing(t)
		path := filepath.Join(t.TempDir(), "stepgate.db")
		test(t, openFile(t, path, ring), openFile(t, path, ring), ring, keyFile)
	})
	t.Run("postgres", func(t *testing.T) {
		dsn := freshSchema(t)
		ring, keyFile := rotatingRing(t)
		test(t, openSchema(t, dsn, ring), openSchema(t, dsn, ring), ring, keyFile)
	})
}

// peopleWithApps keeps people, each with an app and with a place they have been.
func peopleWithApps(t *testing.T, db *DB, n int) []account.CredentialID {
	t.Helper()
	ids := make([]account.CredentialID, n)
	err := db.Update(t.Context(), func(tx store.Tx) error {
		for i := range ids {
			a := named(fmt.Sprintf("jo%04d", i))
			c := account.Credential{ID: account.NewCredentialID(), Account: a.ID, Factor: "totp", Label: "App", Secret: account.Secret(fmt.Sprint("seed ", i)), CreatedAt: storetest.Noon}
			err := errors.Join(tx.InsertAccount(t.Context(), a), tx.InsertCredential(t.Context(), c),
				tx.KeepVisits(t.Context(), a.ID, func(account.Secret) (account.Secret, error) { return account.Secret("home"), nil }))
			if err != nil {
				return err
			}
			ids[i] = c.ID
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// onlyUnder fails the test unless every sealed row is under one key, and each
// credential opens without the others.
func onlyUnder(t *testing.T, db *DB, ring *keys.Ring, ids []account.CredentialID, suffix string) {
	t.Helper()
	needs, err := db.KeyNeeds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var older []string
	for _, k := range ring.List() {
		if !k.Primary {
			older = append(older, k.ID)
		}
	}
	for _, need := range needs {
		for _, id := range older {
			if need.What == keys.NeedRows && need.Key == id {
				t.Errorf("%d rows are under key %s still", need.Count, id)
			}
		}
	}
	alone, err := ring.Without(older)
	if err != nil {
		t.Fatal(err)
	}
	db.ring = alone
	defer func() { db.ring = ring }()
	for i, id := range ids {
		c, err := db.Credential(t.Context(), id)
		if err == nil && string(c.Secret.Reveal()) != fmt.Sprint("seed ", i, suffix) {
			err = fmt.Errorf("its secret is %d bytes long", len(c.Secret.Reveal()))
		}
		if err == nil {
			_, err = db.Visits(t.Context(), c.Account)
		}
		if err != nil {
			t.Fatalf("credential %d: %v", i, err)
		}
	}
}

// TestRowsAreSealedAgainWhilePeopleUseThem has two nodes go over all rows at
// once while a key is rotated and every credential is used: no use is lost, and
// nothing is left under an older key.
func TestRowsAreSealedAgainWhilePeopleUseThem(t *testing.T) {
	eachRotating(t, func(t *testing.T, here, there *DB, ring *keys.Ring, keyFile string) {
		ids := peopleWithApps(t, here, 2*resealRows+50)
		var used atomic.Int64
		var all sync.WaitGroup
		for w := range 4 {
			all.Go(func() {
				for i := w; i < len(ids); i += 4 {
					_, err := here.UseCredential(t.Context(), ids[i], storetest.Noon, func(c *account.Credential) error {
						c.Secret = account.Secret(string(c.Secret.Reveal()) + " used")
						return nil
					})
					if err != nil {
						t.Error(err)
					}
					used.Add(1)
				}
			})
		}
		for used.Load() < 50 {
			time.Sleep(time.Millisecond)
		}
		if _, err := ring.Rotate(keyFile, storetest.Noon); err != nil {
			t.Fatal(err)
		}
		for _, node := range []*DB{here, there} {
			all.Go(func() {
				if err := node.Reseal(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := here.Reseal(t.Context()); err != nil { // what was written before the rotation, and behind the first pass
			t.Fatal(err)
		}
		onlyUnder(t, here, ring, ids, " used")
	})
}

// TestARowThatDoesNotOpenKeepsNoOtherFromBeingSealedAgain alters one.
func TestARowThatDoesNotOpenKeepsNoOtherFromBeingSealedAgain(t *testing.T) {
	eachRotating(t, func(t *testing.T, db, _ *DB, ring *keys.Ring, keyFile string) {
		ids := peopleWithApps(t, db, 5)
		err := db.write(t.Context(), func(tx *tx) error {
			_, err := tx.q.exec(t.Context(), `UPDATE credential SET factor = 'sms' WHERE id = $1`, string(ids[2]))
			return err
		})
		if err == nil {
			_, err = ring.Rotate(keyFile, storetest.Noon)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Reseal(t.Context()); !errors.Is(err, ErrUnsealed) {
			t.Errorf("error %v", err)
		}
		needs, err := db.KeyNeeds(t.Context())
		left := map[string]int64{}
		for _, need := range needs {
			left[need.Key] += need.Count
		}
		if err != nil || left[ring.List()[0].ID] != 2 || left[ring.List()[1].ID] != 4*2+5 {
			t.Errorf("%v, %v", needs, err)
		}
	})
}

func TestAKeyIsRetiredOnlyWhenItWasLongUnused(t *testing.T) {
	eachRotating(t, func(t *testing.T, db, _ *DB, ring *keys.Ring, keyFile string) {
		old := ring.Primary()
		err := db.SaveKeys(t.Context(), ring.Checks(), old, storetest.Noon)
		if err == nil {
			_, err = ring.Rotate(keyFile, storetest.Noon)
		}
		if err == nil {
			err = db.SaveKeys(t.Context(), ring.Checks(), ring.Primary(), storetest.Noon.Add(time.Hour))
		}
		if err != nil {
			t.Fatal(err)
		}
		retire := func(check string, unusedSince time.Time) error {
			return db.RetireKeys(t.Context(), []string{check}, unusedSince, storetest.Noon.Add(time.Hour), audit.Event{Name: audit.KeyRetired})
		}
		if err := retire(old, storetest.Noon.Add(-time.Second)); !errors.Is(err, keys.ErrInUse) {
			t.Errorf("used a second later: %v", err)
		}
		if err := retire("unknown", storetest.Noon.Add(time.Hour)); !errors.Is(err, keys.ErrInUse) {
			t.Errorf("unknown: %v", err)
		}
		if err := retire(old, storetest.Noon); err != nil {
			t.Fatal(err)
		}
		if err := retire(old, storetest.Noon); !errors.Is(err, keys.ErrInUse) {
			t.Errorf("twice: %v", err)
		}
		// A node that holds it still says so, and that does not bring it back.
		if err := db.SaveKeys(t.Context(), ring.Checks(), ring.Primary(), storetest.Noon); err != nil {
			t.Fatal(err)
		}
		if err := ring.Retire(keyFile, []string{ring.List()[0].ID}); err != nil {
			t.Fatal(err)
		}
		known, err := db.Keys(t.Context())
		if err != nil || len(known) != 2 || ring.Knows(known) != nil {
			t.Errorf("%v, %v", known, err)
		}
	})
}

const resealDirectory = "STEPGATE_TEST_RESEALER"

// TestSealingAgainSurvivesKill starts this test binary as a node that seals all
// rows again, and kills it on its way, several times.
func TestSealingAgainSurvivesKill(t *testing.T) {
	if dir := os.Getenv(resealDirectory); dir != "" {
		resealUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	keyFile := filepath.Join(dir, "stepgate.key")
	ring, err := keys.Create(keyFile, storetest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	db := openFile(t, filepath.Join(dir, "stepgate.db"), ring)
	ids := peopleWithApps(t, db, 3*resealRows)
	for range 3 {
		if _, err := ring.Rotate(keyFile, storetest.Noon); err != nil {
			t.Fatal(err)
		}
		node := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSealingAgainSurvivesKill$")
		node.Env = append(os.Environ(), resealDirectory+"="+dir)
		node.Stderr = os.Stderr
		out, err := node.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := node.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil { // it begins
			t.Fatal(err)
		}
		time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond)
		if err := node.Process.Kill(); err != nil {
			t.Error(err)
		}
		if err := node.Wait(); err == nil {
			t.Error("the node was not killed")
		}
		for _, id := range ids {
			if _, err := db.Credential(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Reseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	onlyUnder(t, db, ring, ids, "")
}

func resealUntilKilled(t *testing.T, dir string) {
	ring, err := keys.Load(filepath.Join(dir, "stepgate.key"))
	if err != nil {
		t.Fatal(err)
	}
	db := openFile(t, filepath.Join(dir, "stepgate.db"), ring)
	fmt.Println("begins")
	for {
		if err := db.Reseal(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}
