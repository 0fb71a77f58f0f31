package challenge

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/policy"
)

func TestPagesOfOtherRoomsAreForWhoMeetsTheirLevels(t *testing.T) {
	k := newRig(t, nil)
	k.holdsApp(k.person("jo"))
	b := k.browser()
	const page = "/.stepgate/admin/?q=x"
	ask := func() (on bool, to string) {
		w := httptest.NewRecorder()
		on, err := k.Require(w, b.Request(http.MethodGet, page, nil), b.visitor(), page, policy.LevelMFA)
		if err != nil {
			t.Fatal(err)
		}
		b.Keep(w.Result())
		return on, w.Result().Header.Get("Location")
	}
	on, to := ask()
	if on || !strings.HasPrefix(to, "/.stepgate/sign-in?") {
		t.Fatalf("nobody: %v, to %q", on, to)
	}
	b.signIn(to, "jo")
	on, to = ask()
	if on || !strings.HasPrefix(to, "/.stepgate/challenge/totp?") {
		t.Fatalf("with a password alone: %v, to %q", on, to)
	}
	asked := b.ask(b.Request(http.MethodGet, to, nil))
	asked.fields.Set("code", k.code([]byte(rigSeed)))
	if s := b.ask(b.Request(http.MethodPost, asked.action, asked.fields)); s.to != page {
		t.Fatalf("the proof leads to %q", s.to)
	}
	if on, _ := ask(); !on {
		t.Error("with two factors the page does not open")
	}
}
