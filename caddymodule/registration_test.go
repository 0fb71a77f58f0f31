package caddymodule

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

const newPassword = "kettle lantern 91"

// link is the newest link to a page that was sent by e-mail.
func (g *rig) link(page string, n int) string {
	g.t.Helper()
	var found []string
	pattern := regexp.MustCompile(regexp.QuoteMeta(g.url+"/.stepgate/"+page+"/") + `[A-Z2-7]+`)
	waitFor(g.t, func() bool {
		text, _ := os.ReadFile(filepath.Join(g.dir, "mails.jsonl"))
		found = pattern.FindAllString(string(text), -1)
		return len(found) >= n
	})
	return found[len(found)-1]
}

// invite makes an account without a password, and invites its person.
func (g *rig) invite(name string) account.Account {
	g.t.Helper()
	return g.inviteAt(name, "+447700900609")
}

// inviteAt is invite for somebody with a number.
func (g *rig) inviteAt(name, number string) account.Account {
	g.t.Helper()
	a := g.addUser(name, mobile(number), func(n *people.NewAccount) { n.Password = nil })
	made, err := active.Load().people.Invite(g.t.Context(), people.Operator(), people.Who{ID: a.ID}, "")
	if err != nil || !made.Sent || len(made.Link) > 0 {
		g.t.Fatalf("invite: %+v, %v", made, err)
	}
	return a
}

func TestAnInvitedPersonRegisters(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	joe := g.invite("joe")
	link := g.link("register", 1)
	scanner := g.browser()
	for range 2 {
		if p := scanner.get(link).want(200, ""); len(g.texts()) != 0 || !strings.Contains(p.body, "joe") {
			t.Fatalf("opening the link sent something, or does not say whose it is:\n%s", p.body)
		}
	}
	b := g.browser()
	p := b.submit(b.get(link), "action", map[string]string{"action": "begin"}).want(200, "")
	for _, want := range []string{"ending 609", "If the number is not the one you expect, ask your administrator", `autocomplete="one-time-code"`} {
		if !strings.Contains(p.body, want) {
			t.Errorf("the page of the code lacks %q:\n%s", want, p.body)
		}
	}
	if p := b.submit(p, "code", map[string]string{"code": "000000", "action": "verify"}); p.status != 400 {
		t.Errorf("a wrong code: %d", p.status)
	}
	if _, form := scanner.get(link).form("new_password"); form != nil {
		t.Error("another browser was asked for a password")
	}
	p = b.submit(p, "code", map[string]string{"code": g.lastCode("texts.jsonl", 1), "action": "verify"}).want(200, "")
	if _, form := scanner.get(link).form("new_password"); form != nil {
		t.Error("what one browser proved let another on")
	}
	for bad, why := range map[string]string{"": "at least 8", "short": "at least 8", "password1": "many people", "joejoejoe": "too weak"} {
		if again := b.submit(p, "new_password", map[string]string{"new_password": bad}); again.status != 400 || !strings.Contains(again.body, why) {
			t.Errorf("password %q: %d", bad, again.status)
		}
	}
	p = b.submit(p, "new_password", map[string]string{"new_password": newPassword}).at("/sign-in")
	if !strings.Contains(p.body, "Your account is ready") {
		t.Errorf("it does not say what happened:\n%s", p.body)
	}
	if p := b.get(link); p.status != 410 {
		t.Errorf("the link works again: %d", p.status)
	}
	held := g.credentials(joe.ID)
	if len(held) != 1 || held[0].Factor != "sms" || held[0].Address != "+447700900609" || held[0].Label != "Phone ending 609" || !held[0].CountsFrom.IsZero() {
		t.Errorf("holds %+v", held)
	}
	p = b.submit(b.get("/text/1"), "username", map[string]string{"username": "joe", "password": newPassword}).at("/challenge/sms")
	b.submit(p, "code", map[string]string{"code": g.lastCode("texts.jsonl", 2), "action": "verify"}).want(200, "/text/1")
}

func TestANewInvitationEndsTheOneBefore(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	joe := g.invite("joe")
	first := g.link("register", 1)
	if _, err := active.Load().people.Invite(t.Context(), people.Operator(), people.Who{ID: joe.ID}, ""); err != nil {
		t.Fatal(err)
	}
	second := g.link("register", 2)
	if p := g.browser().get(first); p.status != 410 {
		t.Errorf("the first link: %d", p.status)
	}
	g.browser().get(second).want(200, "")
	if p := g.browser().get(strings.Replace(second, "/register/", "/reset-password/", 1)); p.status != 410 {
		t.Errorf("as a link of another purpose: %d", p.status)
	}
	if _, err := active.Load().people.Suspend(t.Context(), people.Operator(), people.Who{ID: joe.ID}, ""); err != nil {
		t.Fatal(err)
	}
	if p := g.browser().get(second); p.status != 410 {
		t.Errorf("after a suspension: %d", p.status)
	}
}

func TestAPasswordIsReset(t *testing.T) {
	site := strings.Replace(codesSite, "public            /public", "public            /public\n\t\t\trequire mfa /cases/*", 1)
	g := startGateway(t, site, nil)
	g.addUser("joe")
	elsewhere := g.browser()
	elsewhere.enrol(elsewhere.signIn(elsewhere.get("/cases/1"), "joe").atEnrolment()).want(200, "/cases/1")

	b := g.browser()
	b.secret, b.used = elsewhere.secret, elsewhere.used
	ask := func(name string) (*page, time.Duration) {
		form := g.browser()
		p := form.get("/.stepgate/reset-password").want(200, "")
		begin := time.Now()
		p = form.submit(p, "username", map[string]string{"username": name})
		return p, time.Since(begin)
	}
	known, took := ask(" JOE")
	unknown, tookToo := ask("nobody")
	if known.status != 200 || known.status != unknown.status || known.body == "" || strip(known.body) != strip(unknown.body) {
		t.Errorf("the answers tell whether there is an account: %d, %d\n%s\n%s", known.status, unknown.status, known.body, unknown.body)
	}
	if least := 400 * time.Millisecond; took < least || tookToo < least {
		t.Errorf("answered after %s and %s", took, tookToo)
	}
	p := b.submit(b.get(g.link("reset-password", 1)), "action", map[string]string{"action": "begin"}).want(200, "")
	p = b.submit(p, "code", map[string]string{"code": b.code(), "action": "verify"}).want(200, "")
	p = b.submit(p, "new_password", map[string]string{"new_password": newPassword}).at("/sign-in")
	if !strings.Contains(p.body, "Your password was changed") {
		t.Errorf("it does not say what happened:\n%s", p.body)
	}
	waitFor(t, func() bool { return !elsewhere.signedIn() })
	waitFor(t, func() bool {
		text, _ := os.ReadFile(filepath.Join(g.dir, "mails.jsonl"))
		return strings.Contains(string(text), "A new password was chosen for your account: joe")
	})
	if p := b.signIn(b.get("/.stepgate/sign-in"), "joe"); p.status != 403 {
		t.Errorf("the old password: %d", p.status)
	}
	b.submit(b.get("/cases/1"), "username", map[string]string{"username": "joe", "password": newPassword}).at("/challenge/totp")
}

// strip takes out what differs from page to page.
func strip(body string) string {
	return regexp.MustCompile(`(nonce|value)="[^"]*"`).ReplaceAllString(body, "")
}

func TestAPasswordThatIsAloneIsLonger(t *testing.T) {
	g := startGateway(t, codesSite, nil)
	g.addUser("joe")
	b := g.browser()
	b.submit(b.get("/.stepgate/reset-password"), "username", map[string]string{"username": "joe"})
	p := b.submit(b.get(g.link("reset-password", 1)), "action", map[string]string{"action": "begin"}).want(200, "")
	if p := b.submit(p, "new_password", map[string]string{"new_password": "quartz-hinge"}); p.status != 400 || !strings.Contains(p.body, "at least 15") {
		t.Errorf("twelve characters: %d", p.status)
	}
	b.submit(p, "new_password", map[string]string{"new_password": newPassword}).at("/sign-in")
}
