package caddymodule

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

// opened is a store that is opened for one thing, as commands do it.
func opened(t *testing.T, dir string, do func(s store.Store, p *people.People)) {
	t.Helper()
	app := &App{Store: &StoreConfig{Driver: "sqlite", Path: filepath.Join(dir, "stepgate.db")}}
	app.setDefaults()
	s, err := newShared(t.Context(), app, true)
	if err != nil {
		t.Fatal(err)
	}
	place, closeStore, err := app.openPlace(t.Context(), true)
	if err == nil {
		do(s.store, place.People)
		err = closeStore()
	}
	if err := errors.Join(err, s.Destruct()); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestARestoredStoreVoidsWhatMayHaveBeenSpent brings a store back to before a
// backup code was used.
func TestARestoredStoreVoidsWhatMayHaveBeenSpent(t *testing.T) {
	dir := t.TempDir()
	file, backup := filepath.Join(dir, "stepgate.db"), filepath.Join(t.TempDir(), "backup.db")
	var joe account.Account
	held := func(s store.Store) string {
		all, err := s.Credentials(t.Context(), joe.ID)
		if err != nil {
			t.Fatal(err)
		}
		var kinds []string
		for _, c := range all {
			kinds = append(kinds, c.Factor)
		}
		return strings.Join(kinds, " ")
	}
	opened(t, dir, func(s store.Store, p *people.People) {
		added, err := p.AddAccount(t.Context(), people.Operator(), people.NewAccount{Username: "joe"})
		if err != nil {
			t.Fatal(err)
		}
		joe = added.Account
		for _, factor := range []policy.Factor{policy.TOTP, policy.BackupCode} {
			c := account.Credential{
				ID: account.NewCredentialID(), Account: joe.ID, Factor: string(factor), Label: "x", Secret: account.Secret("x"), CreatedAt: time.Now().UTC(),
			}
			if err := s.Update(t.Context(), func(tx store.Tx) error { return tx.InsertCredential(t.Context(), c) }); err != nil {
				t.Fatal(err)
			}
		}
	})
	copyFile(t, file, backup)
	spend := func(s store.Store, _ *people.People) {
		if held(s) != "totp backup_code" {
			t.Errorf("before a restore: %s", held(s))
		}
		if _, err := s.AppendEvent(t.Context(), audit.Event{Name: audit.ChallengePassed, Account: string(joe.ID)}); err != nil {
			t.Fatal(err)
		}
	}
	opened(t, dir, spend)
	opened(t, dir, spend) // a restart is no restore

	restore := func(t *testing.T) {
		for _, beside := range []string{"-wal", "-shm"} {
			if err := os.Remove(file + beside); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
		}
		copyFile(t, backup, file)
	}
	restored := func(s store.Store, _ *people.People) {
		if held(s) != "totp" {
			t.Errorf("after a restore: %s", held(s))
		}
		c, err := s.Credentials(t.Context(), joe.ID)
		if err != nil || c[0].Counter < time.Now().Unix()/30 {
			t.Errorf("the step %d may have been used, %v", c[0].Counter, err)
		}
		events, err := s.Events(t.Context(), audit.Query{Names: []audit.Name{audit.StoreRestored}})
		if err != nil || len(events) != 1 {
			t.Errorf("%d events, %v", len(events), err)
		}
	}
	t.Run("with fewer records", func(t *testing.T) {
		restore(t)
		opened(t, dir, restored)
		opened(t, dir, restored)
	})
	t.Run("and other records since", func(t *testing.T) {
		away := t.TempDir() // another node went on with it
		copyFile(t, backup, filepath.Join(away, "stepgate.db"))
		copyFile(t, filepath.Join(dir, "stepgate.key"), filepath.Join(away, "stepgate.key"))
		opened(t, away, func(s store.Store, _ *people.People) {
			for range 10 {
				if _, err := s.AppendEvent(context.Background(), audit.Event{Name: audit.ConfigLoaded}); err != nil {
					t.Fatal(err)
				}
			}
		})
		copyFile(t, filepath.Join(away, "stepgate.db"), file)
		opened(t, dir, restored)
	})
}
