package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/policy"
)

// enrolSite is a site with one way of enrolment and codes by e-mail.
func enrolSite(options string) string {
	return strings.Replace(testHead, "\t\tstore sqlite", "\t\temail file {{dir}}/mails.jsonl\n\t\tstore sqlite", 1) + `{{site}} {
	stepgate {
		` + options + `
		policy {
			level two_codes {
				accept totp+email
			}
			require signed_in /
			require mfa       /cases/*
			require two_codes /both/*
		}
	}
	reverse_proxy {{upstream}}
}
`
}

// temporaryCode issues one as the command line does.
func (g *rig) temporaryCode(name string) string {
	g.t.Helper()
	t, err := active.Load().people.IssueTemporaryCode(g.t.Context(), people.Operator(), people.Who{Username: name}, time.Hour, "test")
	if err != nil {
		g.t.Fatal(err)
	}
	return string(t.Code.Reveal())
}

// credentials are all that an account holds.
func (g *rig) credentials(owner account.ID) []account.Credential {
	g.t.Helper()
	all, err := active.Load().store.Credentials(g.t.Context(), owner)
	if err != nil {
		g.t.Fatal(err)
	}
	return all
}

func TestBackupCodesAreShownOnceAndEachOpensOnce(t *testing.T) {
	g := startGateway(t, enrolSite(""), nil)
	g.addUser("joe")
	b := g.browser()
	p := b.choose(b.signIn(b.get("/cases/1"), "joe"), "/enrol/totp")
	b.secret = p.marked("totp-secret")
	action, form := p.form("code")
	form.Set("code", b.code())
	list := b.do(http.MethodPost, action, form).want(200, "").at("/enrol/totp")
	again := b.do(http.MethodPost, action, form)
	if again.url.Path != "/cases/1" || strings.Contains(again.body, "backup-code") {
		t.Errorf("a page of codes that is loaded again shows: %s", again.body)
	}
	_, next := list.form("codes")
	next.Set("action", "download")
	file := b.do(http.MethodPost, "/.stepgate/enrol/totp/codes", next).want(200, "")
	if !strings.HasPrefix(file.header.Get("Content-Disposition"), "attachment") || file.header.Get("Content-Type") != "text/plain; charset=utf-8" ||
		file.header.Get("Cache-Control") != "no-store" || len(strings.Fields(file.body)) != 12 {
		t.Errorf("%v\n%s", file.header, file.body)
	}
	next.Set("codes", "<script>")
	b.do(http.MethodPost, "/.stepgate/enrol/totp/codes", next).want(400, "")
	b.keepCodes(list).want(200, "/cases/1")

	other := g.browser()
	p = other.signIn(other.get("/cases/2"), "joe").at("/challenge/totp")
	p = other.choose(other.choose(p, "/challenge"), "/challenge/backup_code")
	p = other.submit(p, "code", map[string]string{"code": "0000-0000-0000-0000"}).want(400, "")
	other.submit(p, "code", map[string]string{"code": " " + strings.ToLower(b.codes[0])}).want(200, "/cases/2")

	third := g.browser()
	p = third.signIn(third.get("/cases/3"), "joe")
	p = third.choose(third.choose(p, "/challenge"), "/challenge/backup_code")
	if p = third.submit(p, "code", map[string]string{"code": b.codes[0]}); p.status != 400 || !strings.Contains(p.body, "used already") {
		t.Errorf("a used code: %d\n%s", p.status, p.body)
	}

	fresh := ""
	t.Run("authorise nothing, and new ones void the old", func(t *testing.T) {
		page := other.get("/.stepgate/enrol/backup_code").at("/challenge/totp")
		if !strings.Contains(page.body, "make new backup codes") || strings.Contains(page.body, "/challenge/backup_code") {
			t.Errorf("the page of the operation:\n%s", page.body)
		}
		other.secret, other.used = b.secret, b.used
		page = other.submit(page, "code", map[string]string{"code": other.code()}).at("/enrol/backup_code")
		action, form := page.form("action")
		page = other.do(http.MethodPost, action, form).want(200, "")
		if !strings.Contains(page.body, `data-stepgate="backup-code"`) {
			t.Fatalf("no new codes:\n%s", page.body)
		}
		fresh = page.marked("backup-code")
		other.do(http.MethodPost, action, form).at("/challenge/totp") // the proof is spent
		q := third.get("/cases/3")
		q = third.choose(third.choose(q, "/challenge"), "/challenge/backup_code")
		third.submit(q, "code", map[string]string{"code": b.codes[2]}).want(400, "")
	})

	t.Run("twenty at once", func(t *testing.T) {
		var all sync.WaitGroup
		won := make(chan bool, 20)
		for range 20 {
			r := g.browser()
			page := r.choose(r.choose(r.signIn(r.get("/cases/4"), "joe"), "/challenge"), "/challenge/backup_code")
			all.Go(func() {
				action, form := page.form("code")
				form.Set("code", fresh)
				won <- r.do(http.MethodPost, action, form).url.Path == "/cases/4"
			})
		}
		all.Wait()
		n := 0
		for range 20 {
			if <-won {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d got through with one code", n)
		}
	})
}

func TestAPasswordAloneEnrolsOnlyWhereTheSiteSaysSo(t *testing.T) {
	for _, enrolment := range []string{"self", "contact", "invited"} {
		t.Run(enrolment, func(t *testing.T) {
			g := startGateway(t, enrolSite("enrolment "+enrolment), nil)
			joe := g.addUser("joe")
			b := g.browser()
			b.signIn(b.get("/"), "joe").want(200, "/")
			for _, page := range []string{"/cases/1", "/.stepgate/enrol/totp", "/.stepgate/enrol"} {
				p := b.get(page)
				if p.url.Path == "/.stepgate/enrol" && p.status == 200 {
					p = b.choose(p, "/enrol/totp")
				}
				if shown := p.marked("totp-secret") != ""; shown != (enrolment == "self") && page != "/cases/1" {
					t.Errorf("%s: at %s with %d, secret shown: %v", page, p.url.Path, p.status, shown)
				}
			}
			b.do(http.MethodPost, "/.stepgate/enrol/totp", url.Values{"code": {"123456"}}).want(403, "")
			if n := len(g.credentials(joe.ID)); n != 0 {
				t.Errorf("%d credentials", n)
			}
		})
	}
}

func TestAContactCodeLetsAFirstFactorIn(t *testing.T) {
	g := startGateway(t, enrolSite("enrolment contact"), nil)
	g.addUser("joe")
	b := g.browser()
	choice := b.signIn(b.get("/cases/1"), "joe").atEnrolment()
	p := b.get(choice.link("/enrol/totp")).at("/challenge/email")
	if !strings.Contains(p.body, "about to add an authenticator app") {
		t.Errorf("the page does not name the operation:\n%s", p.body)
	}
	if !strings.Contains(p.body, `name="code"`) {
		p = b.submit(p, "action", map[string]string{"action": "send"}).at("/challenge/email")
	}
	p = b.submit(p, "code", map[string]string{"code": g.lastCode("mails.jsonl", 1)}).at("/enrol/totp")
	b.get("/cases/1").atEnrolment() // the code opens nothing else
	b.enrol(p).want(200, "/cases/1")
}

func TestATemporaryCodeOpensOnceAndLetsAFactorIn(t *testing.T) {
	g := startGateway(t, enrolSite("enrolment invited"), nil)
	joe := g.addUser("joe")
	b := g.browser()
	if p := b.signIn(b.get("/cases/1"), "joe"); p.status != 403 || !strings.Contains(p.body, "temporary code") {
		t.Fatalf("%d at %s", p.status, p.url)
	}
	old, code := g.temporaryCode("joe"), g.temporaryCode("joe")
	p := b.get("/cases/1").at("/challenge/temporary_code")
	p = b.submit(p, "code", map[string]string{"code": old}).want(400, "")
	b.submit(p, "code", map[string]string{"code": strings.ToLower(strings.ReplaceAll(code, "-", ""))}).want(200, "/cases/1")
	again := g.browser()
	if p := again.signIn(again.get("/cases/1"), "joe"); p.status != 403 {
		t.Errorf("a code that was used is still asked for: %d at %s", p.status, p.url)
	}
	b.enrol(b.get("/.stepgate/enrol/totp").at("/enrol/totp")).want(200, "/")
	for _, c := range g.credentials(joe.ID) {
		if !c.CountsFrom.IsZero() {
			t.Errorf("%s waits until %s", c.Factor, c.CountsFrom)
		}
	}
}

func TestAFurtherFactorWantsAProofForThatAlone(t *testing.T) {
	g := startGateway(t, enrolSite("binding_delay 2h"), nil)
	joe := g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	// A proof for the app, however fresh, is none for the account.
	p := b.get("/.stepgate/enrol/email").at("/challenge/totp")
	if strings.Contains(p.body, "/challenge/email") || !strings.Contains(p.body, "about to add an e-mail address") {
		t.Errorf("the page of the operation:\n%s", p.body)
	}
	b.do(http.MethodPost, "/.stepgate/enrol/email", url.Values{"email": {"x@example.test"}, "action": {"send"}}).want(403, "")
	p = b.submit(p, "code", map[string]string{"code": b.code()}).at("/enrol/email")
	// The proof opens no other operation.
	b.get("/.stepgate/enrol/backup_code").at("/challenge/totp")
	p = b.submit(p, "email", map[string]string{"email": "new@example.test", "action": "send"})
	b.submit(p, "code", map[string]string{"code": g.lastCode("mails.jsonl", 1)}).want(200, "/")
	for _, c := range g.credentials(joe.ID) {
		if c.Factor != string(policy.Email) {
			continue
		}
		if wait := time.Until(c.CountsFrom); wait < time.Hour || wait > 2*time.Hour || strings.Join(c.BoundBy, "+") != "password+totp" {
			t.Errorf("%v from %s", c.BoundBy, c.CountsFrom)
		}
	}
	b.get("/.stepgate/enrol/email").at("/challenge") // spent
}

func TestALevelOfTwoIsEnrolledInOneSitting(t *testing.T) {
	g := startGateway(t, enrolSite(""), nil)
	g.addUser("joe")
	b := g.browser()
	p := b.enrol(b.signIn(b.get("/both/1"), "joe").atEnrolment()).at("/enrol/email")
	p = b.submit(p, "email", map[string]string{"email": "joe@example.test", "action": "send"})
	b.submit(p, "code", map[string]string{"code": g.lastCode("mails.jsonl", 1)}).want(200, "/both/1")
}

func TestAfterEnrolmentTheNextSignInSaysThatItIsDone(t *testing.T) {
	g := startGateway(t, enrolSite("after_enrolment sign_out"), nil)
	g.addUser("joe")
	b := g.browser()
	p := b.enrol(b.signIn(b.get("/cases/1"), "joe")).at("/sign-in")
	if !strings.Contains(p.body, "That is set up") || b.codes == nil {
		t.Errorf("codes %v, and the page says:\n%s", b.codes, p.body)
	}
	p = b.signIn(p, "joe").at("/challenge/totp")
	b.submit(p, "code", map[string]string{"code": b.code()}).want(200, "/cases/1")
}
