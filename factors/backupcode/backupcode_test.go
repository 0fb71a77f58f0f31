package backupcode_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/backupcode"
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

type fixture struct {
	*testing.T
	*backupcode.Factor
	store *kept
	ring  *keys.Ring
	file  string
	codes []string
	scope factors.Scope
}

func newFixture(t *testing.T) *fixture {
	file := filepath.Join(t.TempDir(), "stepgate.key")
	ring, err := keys.Create(file, noon)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, store: new(kept), ring: ring, file: file, scope: factors.Scope{Account: account.Account{ID: "jo"}, Now: noon}}
	f.Factor = &backupcode.Factor{Store: f.store, Keys: ring}
	f.renew()
	return f
}

func (f *fixture) renew() {
	c, codes, err := f.NewList(f.scope)
	if err != nil {
		f.Fatal(err)
	}
	c.ID, c.Account = account.NewCredentialID(), f.scope.Account.ID
	f.store.c, f.codes = c, codes
}

func (f *fixture) answer(code string, held ...account.Credential) (factors.Verified, error) {
	if held == nil {
		held = []account.Credential{f.store.c}
	}
	return f.Verify(f.Context(), f.scope, held, nil, factors.Answer{Fields: map[string]string{"code": code}})
}

func (f *fixture) refuses(code string, want error, held ...account.Credential) {
	f.Helper()
	if _, err := f.answer(code, held...); !errors.Is(err, want) {
		f.Errorf("%q: %v, want %v", code, err, want)
	}
}

func TestEachCodeWorksOnceAndTellsThePerson(t *testing.T) {
	f := newFixture(t)
	if len(f.codes) != 10 || !f.ReadList(f.codes) {
		t.Fatalf("codes: %q", f.codes)
	}
	stale := f.store.c
	for i, code := range f.codes {
		v, err := f.answer(strings.ToLower(strings.ReplaceAll(code, "-", " ")))
		if err != nil {
			t.Fatal(err)
		}
		if v.Notice != backupcode.NoticeUsed || v.Credential.ID != stale.ID || !v.Credential.LastUsedAt.Equal(noon) {
			t.Errorf("verified: %+v", v)
		}
		if left := backupcode.Left(f.store.c); left != 9-i || f.Usable(f.scope, f.store.c) != (left > 0) {
			t.Errorf("%d left after %d uses", left, i+1)
		}
		f.refuses(code, factors.ErrReplayed)
		f.refuses(code, factors.ErrReplayed, stale)
	}
}

func TestOneOfManyUsesOfACodeWins(t *testing.T) {
	f := newFixture(t)
	held := f.store.c
	var wins, all = make(chan struct{}, 50), sync.WaitGroup{}
	for range 50 {
		all.Go(func() {
			if _, err := f.answer(f.codes[3], held); err == nil {
				wins <- struct{}{}
			}
		})
	}
	all.Wait()
	if len(wins) != 1 || backupcode.Left(f.store.c) != 9 {
		t.Errorf("%d won, %d left", len(wins), backupcode.Left(f.store.c))
	}
}

func TestNewCodesVoidTheOldAndCodesAreOneAccounts(t *testing.T) {
	f := newFixture(t)
	old, oldHeld := f.codes[0], f.store.c
	f.renew()
	f.refuses(old, factors.ErrWrongAnswer)
	f.refuses(old, factors.ErrWrongAnswer, oldHeld)
	stolen := f.store.c
	stolen.Account = "somebody else"
	f.refuses(f.codes[0], factors.ErrWrongAnswer, stolen)
	for _, typed := range []string{"", "123456", f.codes[0] + "0", "0000-0000-0000-0000"} {
		f.refuses(typed, factors.ErrWrongAnswer)
	}
	if f.ReadList([]string{f.codes[0], "<script>"}) || f.ReadList(nil) || f.ReadList(append(f.codes, f.codes[0])) {
		t.Error("a list that was never made is taken for one")
	}
}

func TestNoCodeIsKeptAndCodesOutliveARotation(t *testing.T) {
	f := newFixture(t)
	for _, code := range f.codes {
		if strings.Contains(string(f.store.c.Secret.Reveal()), code) {
			t.Error("a code is kept")
		}
	}
	if _, err := f.ring.Rotate(f.file, noon); err != nil {
		t.Fatal(err)
	}
	if _, err := f.answer(f.codes[0]); err != nil {
		t.Error(err)
	}
}
