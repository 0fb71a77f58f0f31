package local_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/local"
)

// store has the accounts of a test by folded name, and their hashes.
type store struct {
	accounts map[string]account.Account
	hashes   map[account.ID]string
	asked    []string
	down     error
	// meanwhile runs before a hash is replaced.
	meanwhile func()
}

func (s *store) AccountByUsername(_ context.Context, source, folded string) (account.Account, error) {
	s.asked = append(s.asked, "account")
	if s.down != nil {
		return account.Account{}, s.down
	}
	a, ok := s.accounts[folded]
	if !ok || a.Source != source {
		return account.Account{}, account.ErrNotFound
	}
	return a, nil
}

func (s *store) PasswordHash(_ context.Context, id account.ID) (string, error) {
	s.asked = append(s.asked, "hash")
	phc, ok := s.hashes[id]
	if !ok {
		return "", account.ErrNotFound
	}
	return phc, nil
}

func (s *store) ReplacePasswordHash(_ context.Context, id account.ID, was, next string) error {
	s.asked = append(s.asked, "replace")
	if s.meanwhile != nil {
		s.meanwhile()
	}
	if s.hashes[id] == was {
		s.hashes[id] = next
	}
	return nil
}

const right = "kettle-lantern-91"

func hasher(t testing.TB, cost password.Cost) *password.Hasher {
	t.Helper()
	h, err := password.NewHasher(password.Options{Cost: cost})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var cheap = password.Cost{MemoryKiB: 16, Passes: 1, Lanes: 1}

func newSource(t testing.TB, cost password.Cost) (*local.Source, *store) {
	t.Helper()
	h := hasher(t, cost)
	phc, err := h.Hash(t.Context(), account.Secret(right))
	if err != nil {
		t.Fatal(err)
	}
	person := func(id account.ID, name string) account.Account {
		return account.Account{ID: id, Source: account.LocalSource, Subject: string(id), Username: name, Name: "Joe Bloggs", Email: "joe@example.com", Mobile: "+447700900123", Groups: []string{"clerks"}}
	}
	suspended := person("id-sue", "sue")
	suspended.SuspendedAt = time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
	elsewhere := person("id-lee", "lee")
	elsewhere.Source = "ldap"
	s := &store{
		accounts: map[string]account.Account{"joe": person("id-joe", "Joe"), "ann": person("id-ann", "ann"), "eve": person("id-eve", "eve"), "sue": suspended, "lee": elsewhere},
		hashes:   map[account.ID]string{"id-joe": phc, "id-sue": phc, "id-lee": phc, "id-eve": ""},
	}
	return &local.Source{Store: s, Hasher: h}, s
}

func TestTheRightPasswordGivesTheIdentity(t *testing.T) {
	source, s := newSource(t, cheap)
	want := signin.Identity{Source: "local", Subject: "id-joe", Username: "Joe", Name: "Joe Bloggs", Email: "joe@example.com", Mobile: "+447700900123", Groups: []string{"clerks"}}
	want.Password = account.MarkPassword(s.hashes["id-joe"])
	for _, name := range []string{"joe", " JOE ", "\uff2aoe"} {
		got, err := source.CheckPassword(t.Context(), name, account.Secret(right))
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", name, diff)
		}
	}
}

func TestEveryRefusalIsOneError(t *testing.T) {
	source, s := newSource(t, cheap)
	for _, c := range []struct{ name, username, password string }{
		{"wrong password", "joe", "kettle-lantern-92"},
		{"empty password", "joe", ""},
		{"unknown", "nobody", right},
		{"suspended, right", "sue", right},
		{"suspended, wrong", "sue", "wrong"},
		{"without a hash", "ann", right},
		{"with an empty hash", "eve", ""},
		{"another source's", "lee", right},
	} {
		s.asked = nil
		who, err := source.CheckPassword(t.Context(), c.username, account.Secret(c.password))
		if err != signin.ErrRefused {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(signin.Identity{}, who); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		if diff := cmp.Diff([]string{"account", "hash"}, s.asked); diff != "" {
			t.Errorf("%s asks the store otherwise: %s", c.name, diff)
		}
	}
	for _, username := range []string{"", "\x00", "joe\u202e", "\xff"} {
		if _, err := source.CheckPassword(t.Context(), username, account.Secret(right)); err != signin.ErrRefused {
			t.Errorf("%q: %v", username, err)
		}
	}
}

func TestEveryRefusalTakesTheTimeOfOneHash(t *testing.T) {
	source, _ := newSource(t, password.Cost{MemoryKiB: 4 * 1024, Passes: 2, Lanes: 1})
	// The fastest of interleaved rounds: other work on the machine slows, it
	// never hurries, so that there are as many as it takes to tell. A hash left
	// out would be a thousand times faster in each.
	fastest := make(map[string]time.Duration)
	unlike := func() (username string) {
		for username, took := range fastest {
			if took < fastest["joe"]/3 || took > 3*fastest["joe"] {
				return username
			}
		}
		return ""
	}
	for n := 0; n < 10 || n < 200 && unlike() != ""; n++ {
		for _, username := range []string{"joe", "nobody", "sue", "ann", "eve", "\xff"} {
			begin := time.Now()
			if _, err := source.CheckPassword(t.Context(), username, account.Secret("wrong")); err != signin.ErrRefused {
				t.Fatal(err)
			}
			took := time.Since(begin)
			if best, seen := fastest[username]; !seen || took < best {
				fastest[username] = took
			}
		}
	}
	if username := unlike(); username != "" {
		t.Errorf("%q takes %s, a known name %s", username, fastest[username], fastest["joe"])
	}
}

func TestTechnicalErrorsAreNoRefusals(t *testing.T) {
	down := errors.New("down")
	source, s := newSource(t, cheap)
	s.down = down
	for _, username := range []string{"joe", "nobody"} {
		if _, err := source.CheckPassword(t.Context(), username, account.Secret(right)); !errors.Is(err, down) || errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s: %v", username, err)
		}
	}
	source, s = newSource(t, cheap)
	s.hashes["id-joe"] = "$1$damaged"
	if _, err := source.CheckPassword(t.Context(), "joe", account.Secret(right)); !errors.Is(err, password.ErrMalformed) {
		t.Errorf("damaged hash: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, username := range []string{"joe", "nobody", "sue", "ann", "eve", "\xff"} {
		if _, err := source.CheckPassword(ctx, username, account.Secret(right)); err == nil || errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s, cancelled: %v", username, err)
		}
	}
}

func TestSignInHashesAnewWhenTheCostRose(t *testing.T) {
	source, s := newSource(t, cheap)
	old := s.hashes["id-joe"]
	if _, err := source.CheckPassword(t.Context(), "joe", account.Secret(right)); err != nil || s.hashes["id-joe"] != old {
		t.Fatalf("at the same cost: %v, %s", err, s.hashes["id-joe"])
	}
	source.Hasher = hasher(t, password.Cost{MemoryKiB: 32, Passes: 2, Lanes: 1})
	if _, err := source.CheckPassword(t.Context(), "joe", account.Secret("wrong")); err != signin.ErrRefused || s.hashes["id-joe"] != old {
		t.Fatalf("a wrong password: %v, %s", err, s.hashes["id-joe"])
	}
	who, err := source.CheckPassword(t.Context(), "joe", account.Secret(right))
	if err != nil {
		t.Fatal(err)
	}
	fresh := s.hashes["id-joe"]
	if who.Password != account.MarkPassword(fresh) {
		t.Error("the mark is not that of the new hash")
	}
	if fresh == old || source.Hasher.NeedsRehash(fresh) {
		t.Errorf("still %s", fresh)
	}
	if _, err := source.CheckPassword(t.Context(), "joe", account.Secret(right)); err != nil {
		t.Errorf("with the new hash: %v", err)
	}
}

func TestHashingAnewNeverUndoesAReset(t *testing.T) {
	source, s := newSource(t, cheap)
	source.Hasher = hasher(t, password.Cost{MemoryKiB: 32, Passes: 1, Lanes: 1})
	s.meanwhile = func() { s.hashes["id-joe"] = "the reset's" }
	who, err := source.CheckPassword(t.Context(), "joe", account.Secret(right))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.hashes["id-joe"]; got != "the reset's" {
		t.Errorf("overwritten with %s", got)
	}
	if who.Password == account.MarkPassword("the reset's") {
		t.Error("a session could begin with the password from before the reset")
	}
}
