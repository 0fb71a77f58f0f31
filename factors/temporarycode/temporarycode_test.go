package temporarycode_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/temporarycode"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/keys"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// kept is a store of one credential.
type kept struct {
	mu sync.Mutex
	c  account.Credential
}

func (k *kept) UseCredential(_ context.Context, id account.CredentialID, now time.Time, use func(*account.Credential) error) (account.Credential, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if id != k.c.ID {
		return account.Credential{}, account.ErrNotFound
	}
	c := k.c
	if err := use(&c); err != nil {
		return account.Credential{}, err
	}
	c.LastUsedAt = now
	k.c = c
	return c, nil
}

func issue(t *testing.T) (*temporarycode.Factor, *kept, string) {
	t.Helper()
	ring, err := keys.Create(filepath.Join(t.TempDir(), "stepgate.key"), noon)
	if err != nil {
		t.Fatal(err)
	}
	store := new(kept)
	f := &temporarycode.Factor{Store: store, Keys: ring}
	c, code, err := f.New("jo", noon, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	store.c = c
	return f, store, code
}

func TestCodeWorksOnceWithinItsLife(t *testing.T) {
	f, store, code := issue(t)
	fresh := store.c
	try := func(typed string, at time.Time, held account.Credential, want error) {
		t.Helper()
		_, err := f.Verify(t.Context(), factors.Scope{Now: at}, []account.Credential{held}, nil, factors.Answer{Fields: map[string]string{"code": typed}})
		if !errors.Is(err, want) {
			t.Errorf("%q at %s: %v, want %v", typed, at.Format(time.TimeOnly), err, want)
		}
	}
	if strings.Contains(string(store.c.Secret.Reveal()), code) {
		t.Error("the code is kept")
	}
	last := noon.Add(time.Hour - time.Nanosecond)
	for at, want := range map[time.Time]bool{noon: true, last: true, noon.Add(time.Hour): false} {
		if got := f.Usable(factors.Scope{Now: at}, fresh); got != want {
			t.Errorf("usable at %s: %v", at, got)
		}
	}
	other := fresh
	other.Account = "somebody else"
	try(code, noon, other, factors.ErrWrongAnswer)
	try("0000-0000-0000", noon, fresh, factors.ErrWrongAnswer)
	try(code, noon.Add(time.Hour), fresh, factors.ErrExpired)
	try(strings.ToLower(code), last, fresh, nil)
	try(code, noon, store.c, factors.ErrReplayed)
	try(code, noon, fresh, factors.ErrReplayed)
	if f.Usable(factors.Scope{Now: noon}, store.c) {
		t.Error("a used code is offered")
	}
	store.c = account.Credential{ID: "a newer one"}
	try(code, noon, fresh, factors.ErrWrongAnswer)
	try(code, noon, account.Credential{Factor: "totp"}, factors.ErrUnavailable)
}
