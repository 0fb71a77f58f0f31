package keys

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func create(t testing.TB) (*Ring, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stepgate.key")
	r, err := Create(path, day)
	if err != nil {
		t.Fatal(err)
	}
	return r, path
}

func load(t testing.TB, path string) *Ring {
	t.Helper()
	r, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func rotate(t testing.TB, r *Ring, path string) {
	t.Helper()
	if _, err := r.Rotate(path, day.AddDate(0, 1, 0)); err != nil {
		t.Fatal(err)
	}
}

func TestPrintingARingShowsNoSecret(t *testing.T) {
	r, path := create(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(text))
	secret := fields[len(fields)-2]
	if len(secret) != 44 {
		t.Fatalf("the test looks at the wrong field: %d characters", len(secret))
	}
	raw := fmt.Sprint(r.held.Load().first().secret)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		for _, v := range []any{r, r.List()} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, secret) || strings.Contains(got, raw) {
				t.Errorf("%s shows the secret", verb)
			}
		}
	}
}

func TestSubkeysDifferByUseAndPurpose(t *testing.T) {
	r, _ := create(t)
	k := r.held.Load().first()
	seen := map[string]string{}
	for _, use := range []string{"seal", "mac", "cookie-hash", "cookie-block", "assertion", "id", "check"} {
		for _, purpose := range []string{"", "session", "session/device"} {
			sub := string(k.derive(use, purpose, 32))
			if other, ok := seen[sub]; ok {
				t.Errorf("%s/%s and %s are one key", use, purpose, other)
			}
			seen[sub] = use + "/" + purpose
		}
	}
}
