package caddymodule

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/stepgate/stepgate/internal/legacytest"
)

func TestALongFormSaysBeforehandThatItAsksForMore(t *testing.T) {
	form := func(action string) string {
		return `<form method="post" action="` + action + `"><textarea name="text" id="text"></textarea><button id="send">Send</button></form>`
	}
	site := strings.Replace(scriptedSite, "inject_step_up", "inject_step_up early", 1)
	s := startScripted(t, site, map[string]scriptedPage{"/page": htmlPage(form("/long")), "/free": htmlPage(form("/free"))}, false)
	s.stale("/page")
	told := s.listen("half written")
	s.do(chromedp.SendKeys(chromedp.CSS("#text"), "half written"))
	s.hears("Sending this form will ask for another confirmation.").everywhere(legacytest.Axe(t), "early")
	s.g.last()
	s.do(chromedp.Focus(chromedp.CSS("#typed")))
	s.key("\t") // the line is before the form
	s.confirm()
	s.hears("Confirmed. You can send the form.")
	if got := s.g.last(); got != nil {
		t.Errorf("the application was asked: %s", got.Line)
	}
	if asked, said := told(); said != nil || len(asked) == 0 {
		t.Errorf("of %q what is in the form is said by %q", asked, said)
	}
	s.press("#send")
	if _, said := told(); len(said) == 0 {
		t.Error("nobody would have heard of it")
	}
	if got := s.g.last(); got == nil || got.Line != "POST /long" || got.Body != "text=half+written" {
		t.Errorf("the application got %+v", got)
	}
	s.stale("/free").rest(1)
	if strings.Contains(s.spoken(), "will ask") {
		t.Error("a form that needs nothing says that it does")
	}
}

// listen hears every request that the page makes, and every word on a
// WebSocket. It returns how to learn which were made, and which of them say
// some words, whether in the address, a header or the body.
func (s *scripted) listen(words string) func() (made, saying []string) {
	s.t.Helper()
	var mu sync.Mutex
	var made, saying []string
	hear := func(what string, parts ...string) {
		mu.Lock()
		defer mu.Unlock()
		made = append(made, what)
		if text, _ := url.QueryUnescape(strings.Join(parts, "\n")); strings.Contains(text+strings.Join(parts, "\n"), words) {
			saying = append(saying, what)
		}
	}
	err := chromedp.Listen(s.ctx, func(event any) {
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			parts := []string{e.Request.URL, fmt.Sprint(e.Request.Headers)}
			for _, entry := range e.Request.PostDataEntries {
				parts = append(parts, string(entry.Bytes))
			}
			hear(e.Request.Method+" "+e.Request.URL, parts...)
		case *network.EventWebSocketFrameSent:
			hear("a WebSocket", string(e.Response.PayloadData))
		}
	})
	if err != nil {
		s.t.Fatal(err)
	}
	call(s.tab, network.Enable, network.EnableParams{})
	return func() (all, of []string) {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(made), slices.Clone(saying)
	}
}

const briefSite = `{
	admin off
	persist_config off
	auto_https off
	log {
		output discard
	}
	stepgate {
		store sqlite {{dir}}/stepgate.db
		session {
			idle 8s
		}
	}
}
{{site}} {
	stepgate {
		inject_step_up
		policy {
			level recent {
				accept password
				max_age 60m
			}
			require signed_in /
			require recent    /data/*
			default           signed_in
		}
	}
	reverse_proxy {{upstream}}
}
`

func TestThePersonIsAskedBeforeTheSessionEnds(t *testing.T) {
	// Half of that is left to answer in.
	s := startScripted(t, strings.Replace(briefSite, "idle 8s", "idle 12s", 1), map[string]scriptedPage{"/page": htmlPage("")}, false)
	s.open(s.g.url + "/page")
	s.do(chromedp.SendKeys(chromedp.CSS("#typed"), "half written"))
	for range 2 {
		s.hears("dialog: You will be signed out soon")
		s.key("\r")
		s.silent()
	}
	if got := evaluate[string](s.tab, `document.querySelector("#typed").value`); got != "half written" {
		t.Errorf("the page has %q", got)
	}
	s.hears("dialog: You will be signed out soon")
	s.hears("You have been signed out.")
	s.hears("button: Sign in again")
	s.expectWindow()
	s.key("\r")
	if got := evaluate[string](s.tab, `document.querySelector("#typed").value`); got != "half written" {
		t.Errorf("the page has %q", got)
	}
}

// ownClock has the page's long timers be kept in window.timers, to go off when
// a test wants them to. With window.late the gateway seems to say that the
// session ends in two minutes.
const ownClock = `timers = []; late = false; const [wait, ask] = [setTimeout, fetch];
	setTimeout = (act, ms, ...more) => ms > 60000 ? timers.push({ms, act}) : wait(act, ms, ...more);
	fetch = async (...args) => {
		const answer = await ask(...args);
		if (!late || !String(args[0]).includes("/live") || args[1]?.method === "POST") return answer;
		return new Response(JSON.stringify({...await answer.json(), expires_in_s: 119}));
	};`

func TestTheWarningComesTwoMinutesBeforeTheEnd(t *testing.T) {
	s := startScripted(t, strings.Replace(briefSite, "idle 8s", "idle 30m", 1), map[string]scriptedPage{"/page": htmlPage("")}, false)
	s.before(ownClock)
	s.open(s.g.url + "/page")
	s.do(chromedp.SendKeys(chromedp.CSS("#typed"), "half written"))
	s.until(`timers.length === 1`)
	if at := evaluate[float64](s.tab, `timers[0].ms / 1000`); at < 27*60 || at > 28*60 {
		t.Errorf("the gateway is asked after %v seconds of thirty minutes", at)
	}
	evaluate[bool](s.tab, `(timers.pop().act(), true)`)
	s.until(`timers.length === 1`) // there is time still
	if spoken := s.spoken(); strings.Contains(spoken, "dialog: ") {
		t.Errorf("too early:\n%s", spoken)
	}
	evaluate[bool](s.tab, `(late = true, timers.pop().act(), true)`)
	s.hears("dialog: You will be signed out soon").hears("Time left: 1:")
	s.everywhere(legacytest.Axe(t), "session-ends")
	s.key("\r") // Stay signed in
	s.silent()
	s.until(`timers.length === 1`)
	if at := evaluate[float64](s.tab, `timers[0].ms / 1000`); at < 27*60 || at > 28*60 {
		t.Errorf("after that it is asked after %v seconds", at)
	}
	if got := evaluate[string](s.tab, `document.activeElement.value`); got != "half written" {
		t.Errorf("the page has %q", got)
	}
}

func TestWhatIsConfirmedIsShownAndDroppedOnDemand(t *testing.T) {
	site := strings.NewReplacer("idle 8s", "idle 30m", "accept password", "accept totp").Replace(briefSite)
	s := startScripted(t, site, map[string]scriptedPage{"/page": htmlPage(`<a href="#stepgate-proofs" id="show">What I have confirmed</a>`)}, false)
	s.open(s.g.url + "/data/1").chooseApp().readSecret()
	s.fill("code", s.code()).press(`main button[value="verify"]`).keepCodes()
	s.open(s.g.url + "/page")
	s.do(chromedp.KeyEvent("S", chromedp.KeyModifiers(chromedp.ModifierAlt|chromedp.ModifierShift)))
	s.hears("dialog: What you have confirmed").hears("Signed in as joe.").hears("Confirmed with your password, until you sign out").hears("Confirmed with your app, 5")
	s.everywhere(legacytest.Axe(t), "proofs")
	s.key("\x1b")
	s.silent()
	s.do(chromedp.Click(chromedp.CSS("#show"))) // the page's own link does the same
	s.hears("Confirmed with your app, 5")
	s.do(chromedp.KeyEvent("\t", chromedp.KeyModifiers(chromedp.ModifierShift)))
	s.key("\r") // Drop it now
	s.hears("Dropped. The next page that needs it asks again.")
	if spoken := s.spoken(); strings.Contains(spoken, "your app") || !strings.Contains(spoken, "your password") {
		t.Errorf("afterwards there is\n%s", spoken)
	}
	s.shoot("proofs-dropped")
	s.key("\x1b")
	s.silent()
	s.open(s.g.url + "/data/1").at("/challenge/totp")
}

// TestThePagesOfASessionAreNotShownAfterIt goes back to a page that the
// browser still has in its memory.
func TestThePagesOfASessionAreNotShownAfterIt(t *testing.T) {
	s := startWindows(t).startScripted(t, scriptedSite, &scriptedApp{pages: map[string]scriptedPage{"/page": htmlPage("<b>secret</b>" + inline(`addEventListener("pageshow", (e) => {
		window.kept = e.persisted;
		// Whatever was drawn before anybody was asked.
		requestAnimationFrame(() => sessionStorage.shown = (sessionStorage.shown ?? "") + (getComputedStyle(document.documentElement).visibility === "hidden" ? "-" : "+"));
	})`))}})
	back := func() { evaluate[bool](s.tab, `(setTimeout(() => history.back()), true)`) }
	s.open(s.g.url + "/page")
	s.open(s.g.url + "/blank")
	back()
	s.until(`document.body.innerText.includes("secret") && getComputedStyle(document.body).visibility === "visible"`)
	t.Logf("the page came out of the browser's memory: %t", evaluate[bool](s.tab, `kept`))
	before := evaluate[string](s.tab, `sessionStorage.shown`)
	s.open(s.g.url + "/.stepgate/sign-out").press(submitButton)
	evaluate[bool](s.tab, `(setTimeout(() => history.go(-2)), true)`)
	s.until(`location.pathname === "/.stepgate/sign-in"`)
	if strings.Contains(s.text(), "secret") {
		t.Error("the page is shown")
	}
	if shown := strings.TrimPrefix(evaluate[string](s.tab, `sessionStorage.shown`), before); strings.Contains(shown, "+") {
		t.Errorf("the page was shown for a moment: %s", shown)
	}
}
