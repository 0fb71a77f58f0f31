package selfservice

import (
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
)

func TestASignInAndItsSecondFactorAreOneLine(t *testing.T) {
	k := newRig(t, signedIn)
	jo := k.person("jo")
	b := k.browser(jo)
	for _, e := range []audit.Event{
		{Name: audit.LoginSuccess, Session: "1"}, {Name: audit.ChallengePassed, Session: "1", Factor: "sms", At: k.clock().Add(time.Minute)},
		{Name: audit.ChallengePassed, Session: "1", Factor: "totp", At: k.clock().Add(2 * time.Minute)}, {Name: audit.ChallengePassed, Session: "1", Factor: "webauthn", At: k.clock().Add(time.Hour)},
		{Name: audit.LoginSuccess, Session: "2", Factor: "email"}, {Name: audit.FactorEnrolled, Session: "2", Factor: "totp"}, {Name: audit.ChallengePassed, Session: "2", Factor: "pin"},
	} {
		if e.At.IsZero() {
			e.At = k.clock()
		}
		e.Account, e.Actor, e.Site, e.Address = string(jo.ID), string(jo.ID), rigOrigin, "192.0.2.7"
		if _, err := k.db.AppendEvent(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	s := b.get("/activity")
	if strings.Contains(s.text, "with a password") {
		t.Errorf("a sign-in is told without its second factor:\n%s", s.text)
	}
	for _, line := range []string{
		"Signed in with a code by text message from Leeds", "Confirmed with a code from the authenticator app", "Confirmed with a security key",
		"Signed in with a code by e-mail", "Confirmed with a PIN",
	} {
		if !strings.Contains(s.text, line) {
			t.Errorf("no %q:\n%s", line, s.text)
		}
	}
}
