package caddymodule

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/stepgate/stepgate/internal/demo"
)

const portalSite = `{{site}} {
	stepgate {
		policy {
			level fresh_code {
				accept totp
				max_age 10m
			}
			public             /about /assets/* /favicon.ico /framing
			require signed_in  / /messages /events
			require mfa        /cases/* /api/cases/*
			require fresh_code /payments/*
			require mfa        /admin/* {
				group admins
			}
			deny /debug/*
		}
		pages {
			name "Ashdown Case Portal"
			help "Call the clerk's office on 01632 960 100."
		}
	}
	reverse_proxy {{upstream}}
}
`

// portal is the demonstration's portal, with a page that frames another.
func portal() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", demo.New())
	mux.HandleFunc("/framing", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte(`<h1>Old frames</h1><iframe src="/cases" width="340" height="400"></iframe>`))
	})
	return mux
}

// TestTheWholeWalkInABrowser is what a person does from the first visit to
// the sign-out, on a desk and on a phone, with scripts and without.
func TestTheWholeWalkInABrowser(t *testing.T) {
	c := startWindows(t)
	g := startGateway(t, portalSite, portal())
	const target = "/cases?q=tenancy&status=open&page=1&x=%2F"
	for i, l := range []looks{{1280, true, false}, {1280, false, false}, {360, true, true}, {360, false, false}} {
		t.Run(l.String(), func(t *testing.T) {
			name := "person" + string(rune('a'+i))
			g.addUser(name)
			b := c.profile(t, l)

			b.open(g.url + target).at("/sign-in").shoot("sign-in")
			b.press(submitButton).at("/sign-in").says("Enter your username").shoot("sign-in-empty")
			b.fill("username", name, "password", "wrong").press(submitButton).says("not correct").shoot("sign-in-wrong")
			b.signIn(name).chooseApp().readSecret().shoot("enrol-totp")
			b.do(chromedp.Click(chromedp.CSS("main summary")))
			b.shoot("enrol-totp-by-hand")
			b.fill("code", "000 000").press(`main button[value="verify"]`).at("/enrol/totp").says("not correct").shoot("enrol-totp-wrong")
			b.fill("code", b.code()).press(`main button[value="verify"]`).keepCodes().stands(target, "Docket search")

			again := c.profile(t, l)
			again.secret, again.used = b.secret, b.used
			again.open(g.url + "/cases/1001?from=letter").signIn(name).at("/challenge/totp").shoot("challenge-totp")
			again.fill("code", b.codeAt(b.used)).press(submitButton).at("/challenge/totp").says("used already").shoot("challenge-totp-used")
			again.do(chromedp.Click(chromedp.CSS("main summary")))
			again.shoot("challenge-totp-trouble")
			again.fill("code", again.code()).press(submitButton).stands("/cases/1001?from=letter", "-01001")

			b.open(g.url + "/admin/").says("You cannot open this page").shoot("denied")
			b.open(g.url + "/.stepgate/nothing").shoot("no-such-page")

			b.open(g.url + "/cases/1001").says("-01001")
			b.open(g.url + "/.stepgate/sign-out").shoot("sign-out")
			b.press(submitButton).says("You are signed out").shoot("signed-out")
			b.backShowsNothing()
			b.open(g.url + "/cases/1001").at("/sign-in")
			again.open(g.url + "/cases/1002").says("-01002") // another session of the same person
		})
	}
}

// backShowsNothing goes back through the whole history.
func (b *tab) backShowsNothing() {
	b.t.Helper()
	for {
		history, err := chromedp.Run(b.ctx, chromedp.NavigationEntries())
		if err != nil {
			b.t.Fatal(err)
		}
		if history.CurrentIndex == 0 {
			return
		}
		to := history.Entries[history.CurrentIndex-1]
		// What a form led to is not there again without asking the person.
		err = chromedp.Do(b.ctx, chromedp.NavigateToHistoryEntry(to.ID))
		if err != nil && !strings.Contains(err.Error(), "ERR_CACHE_MISS") {
			b.t.Fatal(err)
		}
		if text := b.text(); containsAny(text, "CV-200", "Docket search", b.secret) {
			b.t.Errorf("back at %s shows, after the sign-out:\n%s", to.URL, text)
		}
	}
}

func TestTwoTabsOfABrowserGoOnToTheirOwnTargets(t *testing.T) {
	c := startChromium(t)
	g := startGateway(t, portalSite, portal())
	g.addUser("joe")
	one := c.profile(t, looks{1280, true, false}).open(g.url + "/cases/1001?tab=1")
	two := one.another().open(g.url + "/cases/1002?tab=2")
	one.signIn("joe").chooseApp().readSecret()
	// The second tab's form was made before there was a session.
	two.signIn("joe").chooseApp()
	one.fill("code", one.code()).press(`main button[value="verify"]`).keepCodes().stands("/cases/1001?tab=1", "-01001")
	two.secret, two.used = one.secret, one.used
	two.fill("code", two.code()).press(`main button[value="verify"]`).keepCodes()
	if two.url().Path == "/.stepgate/challenge/totp" {
		two.fill("code", two.code()).press(submitButton)
	}
	two.stands("/cases/1002?tab=2", "-01002")
	one.open(g.url + "/cases/1003").says("-01003")
}

// A double click must not cost the person a code, nor end in an error.
func TestADoubleClickPassesOnce(t *testing.T) {
	c := startChromium(t)
	g := startGateway(t, portalSite, portal())
	for _, l := range []looks{{1280, true, false}, {1280, false, false}} {
		t.Run(l.String(), func(t *testing.T) {
			name := "joe" + l.String()
			g.addUser(name)
			b := c.profile(t, l).open(g.url + "/cases/1001").at("/sign-in")
			b.fill("username", name, "password", password1).doubleClick(submitButton)
			b.awaitURL("/.stepgate/enrol").chooseApp().readSecret()
			b.fill("code", b.code()).doubleClick(`main button[value="verify"]`)
			b.awaitNot(`input[name="code"]`).keepCodes().awaitURL("/cases/1001").says("-01001")

			again := c.profile(t, l)
			again.secret, again.used = b.secret, b.used
			again.open(g.url + "/cases/1002").signIn(name).at("/challenge/totp")
			again.fill("code", again.code()).doubleClick(submitButton)
			again.awaitURL("/cases/1002").says("-01002")
			again.open(g.url + "/cases/1003").says("-01003")
		})
	}
}

// chooseApp chooses an authenticator app as the first second factor, where
// there is a choice.
func (b *tab) chooseApp() *tab {
	b.t.Helper()
	if b.url().Path == "/.stepgate/enrol" {
		b.press(`main a[href*="/enrol/totp"]`)
	}
	return b.at("/enrol/totp")
}

// keepCodes goes on from the backup codes that a first credential comes with.
func (b *tab) keepCodes() *tab {
	b.t.Helper()
	if strings.Contains(b.text(), "Keep your backup codes") {
		b.shoot("backup-codes").press(`main button[value="continue"]`)
	}
	return b
}

// awaitNot waits until nothing on the page matches a selector.
func (b *tab) awaitNot(selector string) *tab {
	b.t.Helper()
	b.do(chromedp.WaitNotPresent(chromedp.CSS(selector)))
	return b.onward()
}

func (b *tab) doubleClick(selector string) {
	b.t.Helper()
	b.do(chromedp.DoubleClick(chromedp.CSS(selector)))
}

// TestPagesForWhatWentWrong looks at the pages that few people see.
func TestPagesForWhatWentWrong(t *testing.T) {
	c := startChromium(t)
	g := startGateway(t, portalSite, portal())
	for i, l := range []looks{{1280, true, false}, {360, true, false}} {
		t.Run(l.String(), func(t *testing.T) {
			name := "person" + string(rune('a'+i))
			g.addUser(name)
			b := c.profile(t, l)
			b.open(g.url + "/framing").shoot("framed")
			b.open(g.url + "/payments/new").signIn(name).at("/enrol/totp").readSecret()
			b.fill("code", b.code()).press(`main button[value="verify"]`).keepCodes().says("Payee")
			g.age(11 * time.Minute)
			b.open(g.url + "/payments/new").at("/challenge/totp")
			for range 12 {
				b.fill("code", "000000").press(submitButton)
				if strings.Contains(b.text(), "We stop for a while") {
					break
				}
			}
			b.says("We stop for a while").shoot("throttled")
		})
	}
}

func TestAnInterruptedFormInABrowser(t *testing.T) {
	c := startChromium(t)
	g := startGateway(t, portalSite, portal())
	for i, row := range []struct {
		looks looks
		kept  bool
	}{
		{looks{1280, true, false}, true}, {looks{360, false, false}, true}, {looks{1280, false, false}, false}, {looks{360, true, false}, false},
	} {
		name := "kept"
		site := portalSite
		if !row.kept {
			name, site = "lost", strings.Replace(portalSite, "stepgate {", "stepgate {\n\t\tkeep_requests off", 1)
		}
		t.Run(name+" "+row.looks.String(), func(t *testing.T) {
			g.load(site)
			person := "person" + string(rune('a'+i))
			g.addUser(person)
			b := c.profile(t, row.looks)
			b.open(g.url + "/payments/new").signIn(person).at("/enrol/totp").readSecret()
			b.fill("code", b.code()).press(`main button[value="verify"]`).keepCodes().says("Payee")
			g.age(11 * time.Minute)
			b.fillAnywhere("case", "CV-2004-01001", "payee", "Harte "+person, "amount", "12.00")
			b.press(`form[action="/payments"] input[type=submit], form[action="/payments"] button`).at("/challenge/totp")
			b.fill("code", b.code()).press(submitButton).shoot(name)
			if !row.kept {
				b.says("Nothing was sent").press("main a.button").says("Payee")
				return
			}
			b.says("It has not been sent yet").press(submitButton)
			b.open(g.url + "/cases/1001").says("-01001")
			if got := g.posted("/payments"); got != 1 {
				t.Errorf("the form reached the portal %d times", got)
			}
		})
	}
}

// posted counts the forms that reached the upstream's path since it was last
// asked.
func (g *rig) posted(path string) int {
	n := 0
	for len(g.seen) > 0 {
		if r := <-g.seen; r.Line == "POST "+path {
			n++
		}
	}
	return n
}

func (b *tab) fillAnywhere(fields ...string) {
	b.t.Helper()
	for i := 0; i < len(fields); i += 2 {
		b.do(chromedp.SendKeys(chromedp.CSS(`[name="`+fields[i]+`"]`), fields[i+1]))
	}
}

// TestACodeByTextInABrowser chooses a way, gives a number and answers with
// what came there.
func TestACodeByTextInABrowser(t *testing.T) {
	c := startChromium(t)
	g := startGateway(t, codesSite, portal())
	for i, l := range []looks{{1280, true, false}, {360, false, false}} {
		t.Run(l.String(), func(t *testing.T) {
			name := "person" + string(rune('a'+i))
			g.addUser(name)
			b := c.profile(t, l)
			b.open(g.url + "/cases/1001?by=text").signIn(name).at("/enrol").shoot("enrol-choice")
			b.press(`main a[href*="/enrol/sms"]`).at("/enrol/sms").shoot("enrol-sms")
			b.fill("mobile", "12").press(submitButton).says("There is a problem").shoot("enrol-sms-wrong")
			b.fill("mobile", "07700 90012"+string(rune('0'+i))).press(submitButton).at("/enrol/sms").shoot("enrol-sms-code")
			b.fill("code", g.textedCode()).press(`main button[value="verify"]`).keepCodes().stands("/cases/1001?by=text", "-01001")

			again := c.profile(t, l)
			again.open(g.url + "/cases/1002").signIn(name).at("/challenge/sms").shoot("challenge-sms")
			again.fill("code", g.textedCode()).press(`main button[value="verify"]`).stands("/cases/1002", "-01002")
			again.open(g.url + "/mail/1").at("/challenge/sms").says("Confirm that it is you first").shoot("challenge-sms-to-add-email")
		})
	}
}

var boundCode = regexp.MustCompile(`#(\d{6})`)

// textedCode is the code of the newest text message.
func (g *rig) textedCode() string {
	g.t.Helper()
	all := g.messages("texts.jsonl")
	if len(all) == 0 {
		g.t.Fatal("no text message")
	}
	found := boundCode.FindStringSubmatch(all[len(all)-1].Body)
	if found == nil {
		g.t.Fatalf("no code in %q", all[len(all)-1].Body)
	}
	return found[1]
}
