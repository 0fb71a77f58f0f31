package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/policy"
)

const keySite = `{{site}} {
	stepgate {
		policy {
			level both {
				accept totp+webauthn
			}
			level approve {
				accept webauthn
				once
			}
			public                     /assets/*
			require signed_in          /
			require mfa                /cases/*
			require phishing_resistant /keys/*
			require both               /both/*
			require approve            /approve/*
		}
	}
	reverse_proxy {{upstream}}
}
`

// pressedAgain is somebody who presses the button once more while the answer of
// their key is on its way; sessionStorage.asked counts what keys are asked.
const pressedAgain = `(() => {
	const form = document.querySelector("form[data-key]"), keys = navigator.credentials;
	const create = keys.create.bind(keys), send = form.requestSubmit.bind(form);
	keys.create = (asked) => {
		sessionStorage.asked = Number(sessionStorage.asked ?? 0) + 1;
		return create(asked);
	};
	form.requestSubmit = () => {
		form.querySelector("[data-key-start]").click();
		send();
	};
	return true;
})()`

// held are the credentials of an account of one factor.
func (g *rig) held(a account.Account, kind policy.Factor) []account.Credential {
	g.t.Helper()
	return slices.DeleteFunc(g.credentials(a.ID), func(c account.Credential) bool { return c.Factor != string(kind) })
}

func TestAKeyIsSetUpAndUsedInARealBrowser(t *testing.T) {
	g := startGateway(t, keySite, nil)
	joe := g.addUser("joe")
	w := g.window(t)
	w.open(w.base + "/cases/1?q=a%20b")
	w.fits("sign-in")
	w.signIn("joe")
	w.at("/.stepgate/enrol")
	w.fits("enrol")
	w.press(`a[href*="/enrol/webauthn"]`)
	w.at("/.stepgate/enrol/webauthn")
	w.fits("enrol-key")
	see[bool](w, `(document.getElementById("label").value = "Work laptop", true)`)
	see[bool](w, pressedAgain)
	w.press("[data-key-start]")
	w.await(`document.querySelectorAll("[data-stepgate=backup-code]").length === 10`)
	if asked := see[string](w, `sessionStorage.asked`); asked != "1" {
		t.Errorf("the authenticator was asked for a key %s times: the last one takes the place of the one that was set up", asked)
	}
	w.fits("backup-codes")
	if got := see[bool](w, `!!document.querySelector("[data-print]").offsetParent && !!document.querySelector("[data-copy]").offsetParent`); !got {
		t.Error("codes can be neither copied nor printed")
	}
	w.press("button[value=continue]")
	w.at("/cases/1")
	if got := see[string](w, "location.search"); got != "?q=a%20b" {
		t.Errorf("back at %s", got)
	}
	if keys := g.held(joe, policy.WebAuthn); len(keys) != 1 || keys[0].Label != "Work laptop" {
		t.Errorf("keys: %+v", keys)
	}

	t.Run("asked for at the next sign-in", func(t *testing.T) {
		w.forget()
		w.open(w.base + "/.stepgate/sign-out") // a page without an invitation
		b := g.browser()
		p := b.signIn(b.get("/cases/2"), "joe").at("/challenge/webauthn")
		if !strings.Contains(p.body, "/challenge?c=") || !strings.Contains(p.body, "all=1") {
			t.Errorf("no way to the other factors:\n%s", p.body)
		}
		others := b.choose(p, "/challenge").at("/challenge")
		b.choose(others, "/challenge/backup_code")
	})

	t.Run("says what went wrong and lets try again", func(t *testing.T) {
		w.forget()
		w.verifies(true)
		w.touched(false)
		w.open(w.base + "/cases/3")
		w.signIn("joe")
		w.at("/.stepgate/challenge/webauthn")
		w.fits("challenge-key")
		see[bool](w, `(navigator.credentials.get = () => Promise.reject(new DOMException("no", "NotAllowedError")), true)`)
		w.press("[data-key-start]")
		w.await(`!!document.querySelector("[data-error=NotAllowedError]").offsetParent && document.querySelectorAll("[data-error]:not([hidden])").length === 1`)
		w.fits("challenge-key-refused")
		see[bool](w, `(navigator.credentials.get = () => Promise.reject(new DOMException("no", "SomethingNew")), true)`)
		w.press("[data-key-start]")
		w.await(`!!document.querySelector("[data-error=other]").offsetParent`)
		w.touched(true)
		w.open(w.base + "/cases/3")
		w.press("[data-key-start]")
		w.at("/cases/3")
	})

	t.Run("a passkey signs in by itself, with its person verified", func(t *testing.T) {
		w.forget()
		w.open(w.base + "/keys/1")
		// The authenticator answers the autofill at once, as if its entry had
		// been chosen; where it does not, there is the button.
		w.await(`location.pathname === "/keys/1" || !!document.querySelector("[data-key-start]")?.offsetParent`)
		see[bool](w, `(setTimeout(() => document.querySelector("[data-key-start]")?.click(), 500), true)`)
		w.at("/keys/1")
	})

	t.Run("without scripts the page says so and offers the others", func(t *testing.T) {
		b := startChromium(t).profile(t, looks{width: 360})
		b.open(w.base + "/cases/4").signIn("joe").at("/challenge/webauthn").says("JavaScript").shoot("challenge-key")
		b.press(`main a[href*="all=1"]`).at("/challenge").says("backup codes")
	})
}

// enrolKey signs in with a browser of its own and sets up the window's key.
func (g *rig) enrolKey(w *window, name, target string) *browser {
	g.t.Helper()
	w.openSite()
	b := g.browser()
	p := b.choose(b.signIn(b.get(target), name).atEnrolment(), "/enrol/webauthn")
	b.touch(p, w.answer(p)).want(200, target)
	return b
}

func TestAnAnswerOfAKeyPassesOnceInItsOwnPlace(t *testing.T) {
	g := startGateway(t, keySite, nil)
	g.addUser("joe")
	g.addUser("ann")
	w := g.window(t)
	g.enrolKey(w, "joe", "/cases/1")

	b, other := g.browser(), g.browser()
	p := b.signIn(b.get("/cases/1"), "joe").at("/challenge/webauthn")
	elsewhere := other.signIn(other.get("/cases/1"), "joe").at("/challenge/webauthn")
	answer := w.answer(p)
	other.touch(elsewhere, answer).want(400, "").at("/challenge/webauthn")
	b.touch(p, strings.Replace(answer, `"signature":"M`, `"signature":"N`, 1)+" ").at("/challenge/webauthn")
	b.touch(p, "{").want(400, "").at("/challenge/webauthn")
	b.touch(p, answer).want(200, "/cases/1")
	if again := b.touch(p, answer); again.url.Path != "/cases/1" {
		t.Errorf("at %s", again.url)
	}
	fresh := g.browser()
	q := fresh.signIn(fresh.get("/cases/1"), "joe").at("/challenge/webauthn")
	fresh.touch(q, answer).want(400, "").at("/challenge/webauthn")

	t.Run("another person's key", func(t *testing.T) {
		w.remove()
		w.plugIn(webauthn.AuthenticatorTransportInternal)
		g.enrolKey(w, "ann", "/cases/1")
		q := fresh.get("/cases/1").at("/challenge/webauthn")
		if got := w.answer(q); got != "! NotAllowedError" {
			t.Errorf("a browser gave %s", got)
		}
		a := g.browser()
		annAnswer := w.answer(a.signIn(a.get("/cases/1"), "ann").at("/challenge/webauthn"))
		fresh.touch(q, annAnswer).want(400, "").at("/challenge/webauthn")
	})
}

func TestALookAlikeOriginGetsNothing(t *testing.T) {
	g := startGateway(t, keySite, nil)
	g.addUser("joe")
	w := g.window(t)
	g.enrolKey(w, "joe", "/cases/1")
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("evil")) }))
	defer evil.Close()
	// The same host by another port: the browser lets it use the RP ID.
	w.open(strings.Replace(evil.URL, "127.0.0.1", "localhost", 1))
	b := g.browser()
	p := b.signIn(b.get("/cases/1"), "joe").at("/challenge/webauthn")
	relayed := w.answer(p)
	if !strings.HasPrefix(relayed, "{") {
		t.Fatal(relayed)
	}
	b.touch(p, relayed).want(400, "").at("/challenge/webauthn")
	stranger := g.browser()
	door := stranger.get("/cases/1").at("/sign-in")
	if p := stranger.touch(door, w.answer(door)).at("/sign-in"); p.status != 403 {
		t.Errorf("status %d", p.status)
	}
}

func TestAPasskeySignsInOnceAndOnlyVerified(t *testing.T) {
	g := startGateway(t, keySite, nil)
	joe := g.addUser("joe")
	w := g.window(t)
	g.enrolKey(w, "joe", "/cases/1")

	b := g.browser()
	door := b.get("/keys/1").at("/sign-in")
	answer := w.answer(door)
	other := g.browser()
	if p := other.touch(other.get("/keys/1"), answer); p.status != 403 {
		t.Errorf("another browser's invitation: %d at %s", p.status, p.url)
	}
	b.touch(door, answer).want(200, "/keys/1")
	if got := g.last().Header.Get("Remote-User"); got != "joe" {
		t.Errorf("Remote-User: %q", got)
	}
	// The same browser, signed out: the invitation is spent, on every node.
	b.submit(b.get("/.stepgate/sign-out"), "csrf_token", nil)
	if p := b.touch(door, answer).at("/sign-in"); p.status != 403 {
		t.Errorf("a spent invitation: %d", p.status)
	}

	unknown := g.browser()
	door = unknown.get("/keys/1").at("/sign-in")
	if _, _, err := active.Load().people.ResetFactors(t.Context(), people.Operator(), people.Who{ID: joe.ID}, "test"); err != nil {
		t.Fatal(err)
	}
	gone := unknown.touch(door, w.answer(door)).at("/sign-in")
	if gone.status != 403 || !strings.Contains(gone.body, "cannot be used to sign in here") {
		t.Errorf("a key that was removed: %d\n%s", gone.status, gone.body)
	}

	g.addUser("ann")
	g.enrolKey(w, "ann", "/cases/1")
	w.verifies(false)
	door = g.browser().get("/keys/1")
	if got := w.answer(door); got != "! NotAllowedError" {
		t.Errorf("a key that cannot verify answered %s", got)
	}
}

func TestAPhishedCodeMakesNoKeyThatCountsAtOnce(t *testing.T) {
	g := startGateway(t, keySite, nil)
	joe := g.addUser("joe")
	w := g.window(t)
	w.openSite()
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")

	thief := g.browser()
	thief.secret, thief.used = b.secret, b.used
	p := thief.signIn(thief.get("/keys/1"), "joe")
	p = thief.choose(p, "/challenge/totp")
	if !strings.Contains(p.body, "about to add a security key") {
		t.Errorf("the page does not name the operation:\n%s", p.body)
	}
	p = thief.submit(p, "code", map[string]string{"code": thief.code()}).at("/enrol/webauthn")
	p = thief.touch(p, w.answer(p))
	if p.status != 403 || !strings.Contains(p.body, "counts from") {
		t.Errorf("a new key opens what a code does not: %d at %s\n%s", p.status, p.url, p.body)
	}
	if keys := g.held(joe, policy.WebAuthn); len(keys) != 1 || time.Until(keys[0].CountsFrom) < 23*time.Hour {
		t.Fatalf("keys: %+v", keys)
	}
	thief.get("/keys/1").want(403, "")
	thief.get("/cases/1").want(200, "/cases/1") // for what the code opens it counts

	// Nor does a chain: the new key vouches for a second one.
	p = thief.get("/.stepgate/enrol/webauthn")
	p = thief.choose(thief.choose(p, "/challenge"), "/challenge/webauthn")
	p = thief.touch(p, w.answer(p)).at("/enrol/webauthn")
	w.plugIn(webauthn.AuthenticatorTransportUsb)
	thief.touch(p, w.answer(p))
	keys := g.held(joe, policy.WebAuthn)
	if len(keys) != 2 {
		t.Fatalf("keys: %+v", keys)
	}
	for _, k := range keys {
		for _, f := range k.BoundBy {
			if f == "webauthn" {
				t.Errorf("%s is bound by a key that waits itself: %v", k.Label, k.BoundBy)
			}
		}
	}
	thief.get("/keys/1").want(403, "")

	// And a passkey that waits is no way round by the sign-in.
	fresh := g.browser()
	door := fresh.get("/keys/1").at("/sign-in")
	fresh.touch(door, w.answer(door)).want(403, "")
}

func TestOneKeyIsNotTwoFactors(t *testing.T) {
	g := startGateway(t, strings.Replace(keySite, "accept totp+webauthn", "accept webauthn+webauthn", 1), nil)
	g.addUser("joe")
	w := g.window(t)
	w.openSite()
	b := g.browser()
	p := b.choose(b.signIn(b.get("/both/1"), "joe").atEnrolment(), "/enrol/webauthn")
	p = b.touch(p, w.answer(p))
	if p.status == 200 && p.url.Path == "/both/1" {
		t.Fatal("one key counted twice")
	}
	again := b.get("/both/1")
	if again.url.Path == "/both/1" {
		t.Fatal("one key counted twice")
	}
}

func TestALevelOfTwoFactorsWalksThroughBoth(t *testing.T) {
	g := startGateway(t, keySite, nil)
	g.addUser("joe")
	w := g.window(t)
	w.openSite()
	b := g.browser()
	p := b.choose(b.signIn(b.get("/both/1"), "joe").atEnrolment(), "/enrol/webauthn")
	p = b.touch(p, w.answer(p)).atEnrolment()
	b.enrol(p).want(200, "/both/1")

	c := g.browser()
	c.secret, c.used = b.secret, b.used
	p = c.signIn(c.get("/both/2"), "joe")
	for range 2 {
		switch p.url.Path {
		case "/.stepgate/challenge/totp":
			p = c.submit(p, "code", map[string]string{"code": c.code()})
		case "/.stepgate/challenge/webauthn":
			p = c.touch(p, w.answer(p))
		}
	}
	p.want(200, "/both/2")
}

func TestAPageForOneRequestNamesIt(t *testing.T) {
	g := startGateway(t, keySite, nil)
	g.addUser("joe")
	w := g.window(t)
	b := g.enrolKey(w, "joe", "/cases/1")
	p := b.get("/approve/7?x=%3Cscript%3E").at("/challenge/webauthn")
	if !strings.Contains(p.body, "<code>GET /approve/7?x=%3Cscript%3E</code>") {
		t.Errorf("the page does not name the request:\n%s", p.body)
	}
	answer := w.answer(p)
	b.touch(p, answer).want(200, "/approve/7?x=%3Cscript%3E")
	b.get("/approve/8").at("/challenge/webauthn")
}
