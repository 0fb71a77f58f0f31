package password_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/internal/account"
)

var cheap = password.Cost{MemoryKiB: 16, Passes: 1, Lanes: 1}

func newHasher(t testing.TB, o password.Options) *password.Hasher {
	t.Helper()
	if o.Cost == (password.Cost{}) {
		o.Cost = cheap
	}
	h, err := password.NewHasher(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func hash(t testing.TB, h *password.Hasher, text string) string {
	t.Helper()
	phc, err := h.Hash(t.Context(), account.Secret(text))
	if err != nil {
		t.Fatal(err)
	}
	return phc
}

func TestVerifyAcceptsExactlyThePassword(t *testing.T) {
	h := newHasher(t, password.Options{})
	long := strings.Repeat("x", 74)
	for _, c := range []struct {
		name, set, tried string
		want             bool
	}{
		{"same", "correct horse", "correct horse", true},
		{"other", "correct horse", "correct house", false},
		{"empty", "correct horse", "", false},
		{"blank behind", "correct horse", "correct horse ", false},
		{"letter case", "correct horse", "Correct horse", false},
		{"composed and decomposed", "caf\u00e9 au lait", "cafe\u0301 au lait", true},
		{"compatibility form", "\ufb01ve little ducks", "five little ducks", false},
		{"differs behind 72 bytes", long + "a-----", long + "b-----", false},
	} {
		ok, err := h.Verify(t.Context(), hash(t, h, c.set), account.Secret(c.tried))
		if err != nil || ok != c.want {
			t.Errorf("%s: got %v, %v", c.name, ok, err)
		}
	}
}

func TestHashIsAPHCStringWithItsOwnSalt(t *testing.T) {
	h := newHasher(t, password.Options{Cost: password.DefaultCost})
	one, two := hash(t, h, "correct horse"), hash(t, h, "correct horse")
	form := regexp.MustCompile(`^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`)
	if !form.MatchString(one) {
		t.Errorf("not of the form: %s", one)
	}
	if one == two {
		t.Error("two hashes of one password are the same")
	}
}

func TestVerifyReadsHashesOfOtherCosts(t *testing.T) {
	dear, low := newHasher(t, password.Options{Cost: password.Cost{MemoryKiB: 64, Passes: 3, Lanes: 2}}), newHasher(t, password.Options{})
	phc := hash(t, dear, "correct horse")
	ok, err := low.Verify(t.Context(), phc, account.Secret("correct horse"))
	if err != nil || !ok {
		t.Errorf("got %v, %v", ok, err)
	}
}

func TestNeedsRehashOnlyWhenTheCostRose(t *testing.T) {
	low := newHasher(t, password.Options{})
	more := newHasher(t, password.Options{Cost: password.Cost{MemoryKiB: 32, Passes: 1, Lanes: 1}})
	slower := newHasher(t, password.Options{Cost: password.Cost{MemoryKiB: 16, Passes: 2, Lanes: 1}})
	phc := hash(t, low, "correct horse")
	if low.NeedsRehash(phc) {
		t.Error("at the same cost")
	}
	if !more.NeedsRehash(phc) || !slower.NeedsRehash(phc) {
		t.Error("not at a higher cost")
	}
	if low.NeedsRehash(hash(t, more, "correct horse")) {
		t.Error("at a lower cost")
	}
	if more.NeedsRehash("") {
		t.Error("for no hash")
	}
}

func TestVerifyRefusesWhatHashDoesNotWrite(t *testing.T) {
	h := newHasher(t, password.Options{})
	good := hash(t, h, "correct horse")
	salt := strings.Split(good, "$")[4]
	for name, phc := range map[string]string{
		"empty":             "",
		"plain text":        "correct horse",
		"other algorithm":   strings.Replace(good, "argon2id", "argon2i", 1),
		"other version":     strings.Replace(good, "v=19", "v=16", 1),
		"no version":        strings.Replace(good, "$v=19", "", 1),
		"leading zero":      strings.Replace(good, "m=16", "m=016", 1),
		"plus sign":         strings.Replace(good, "t=1", "t=+1", 1),
		"other order":       strings.Replace(good, "m=16,t=1", "t=1,m=16", 1),
		"more parameters":   strings.Replace(good, "p=1", "p=1,data=x", 1),
		"gigabytes":         strings.Replace(good, "m=16", "m=4194304", 1),
		"no passes":         strings.Replace(good, "t=1", "t=0", 1),
		"endless passes":    strings.Replace(good, "t=1", "t=4000000000", 1),
		"lanes overflow":    strings.Replace(good, "p=1", "p=257", 1),
		"too little memory": strings.Replace(good, "m=16", "m=7", 1),
		"short salt":        strings.Replace(good, salt, "c2FsdA", 1),
		"padded":            good + "=",
		"trailing":          good + "$",
		"line end":          good + "\n",
	} {
		if phc == good {
			t.Fatalf("%s: the case changes nothing", name)
		}
		ok, err := h.Verify(t.Context(), phc, account.Secret("correct horse"))
		if ok || !errors.Is(err, password.ErrMalformed) {
			t.Errorf("%s: got %v, %v", name, ok, err)
		}
	}
}

// storedHash is of "correct horse" at the cheap cost.
const storedHash = "$argon2id$v=19$m=16,t=1,p=1$S/7VmlwOeiEcOzNj6lUuXQ$1aLXQnLugAzfxb4P3c3LnytT5yy5b0+DoXsci4td06w"

func FuzzVerifyOfStoredHashes(f *testing.F) {
	h := newHasher(f, password.Options{})
	f.Add(storedHash)
	f.Add(strings.Replace(storedHash, "m=16", "m=8", 1))
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, phc string) {
		if password.Dear(phc) {
			return
		}
		ok, err := h.Verify(t.Context(), phc, account.Secret("correct horse"))
		if ok && phc != storedHash {
			t.Errorf("accepted %q", phc)
		}
		if err != nil && !errors.Is(err, password.ErrMalformed) {
			t.Error(err)
		}
	})
}

func TestNewHasherRefusesWhatItWouldNotReadBack(t *testing.T) {
	for _, cost := range []password.Cost{
		{MemoryKiB: 1 << 30, Passes: 1, Lanes: 1},
		{MemoryKiB: 16, Passes: 0, Lanes: 1},
		{MemoryKiB: 16, Passes: 1, Lanes: 0},
		{MemoryKiB: 16, Passes: 1, Lanes: 4},
	} {
		if _, err := password.NewHasher(password.Options{Cost: cost}); err == nil {
			t.Errorf("accepted %+v", cost)
		}
	}
}

func TestAFloodIsRefusedAndNotQueuedWithoutEnd(t *testing.T) {
	h := newHasher(t, password.Options{Cost: password.Cost{MemoryKiB: 8 * 1024, Passes: 2, Lanes: 1}, Workers: 1, Queue: 3})
	var mu sync.Mutex
	done, busy := 0, 0
	var wait sync.WaitGroup
	start := make(chan struct{})
	for range 64 {
		wait.Go(func() {
			<-start
			_, err := h.Hash(t.Context(), account.Secret("correct horse"))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				done++
			case errors.Is(err, password.ErrBusy):
				busy++
			default:
				t.Error(err)
			}
		})
	}
	close(start)
	wait.Wait()
	if done < 4 || busy == 0 || done+busy != 64 {
		t.Errorf("%d done, %d refused", done, busy)
	}
	if _, err := h.Hash(t.Context(), account.Secret("correct horse")); err != nil {
		t.Errorf("after the flood: %v", err)
	}
}

func TestOnlyWorkersComputeAtOnce(t *testing.T) {
	h := newHasher(t, password.Options{Workers: 2, Queue: 100})
	running, most := password.CountRunning(h, 50)
	if running != 0 || most > 2 {
		t.Errorf("%d at once, %d left", most, running)
	}
}

func TestACancelledCallerComputesNothing(t *testing.T) {
	h := newHasher(t, password.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ctx, account.Secret("correct horse")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := h.VerifyNobody(ctx, account.Secret("correct horse")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkVerifyAtTheDefaultCost(b *testing.B) {
	h := newHasher(b, password.Options{Cost: password.DefaultCost})
	phc := hash(b, h, "correct horse")
	for b.Loop() {
		if ok, err := h.Verify(b.Context(), phc, account.Secret("correct horse")); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkVerifyNobody(b *testing.B) {
	h := newHasher(b, password.Options{Cost: password.DefaultCost})
	for b.Loop() {
		if err := h.VerifyNobody(b.Context(), account.Secret("correct horse")); err != nil {
			b.Fatal(err)
		}
	}
}
