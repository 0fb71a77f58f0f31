package caddymodule

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestALongFormSaysBeforehandThatItAsksForMore(t *testing.T) {
	form := func(action string) string {
		return `<form method="post" action="` + action + `"><textarea name="text" id="text"></textarea><button id="send">Send</button></form>`
	}
	site := strings.Replace(scriptedSite, "inject_step_up", "inject_step_up early", 1)
	s := startScripted(t, site, map[string]scriptedPage{"/page": htmlPage(form("/long")), "/free": htmlPage(form("/free"))}, false)
	s.stale("/page")
	s.do(chromedp.SendKeys(chromedp.CSS("#text"), "half written"))
	s.hears("Sending this form will ask for another confirmation.").shoot("early")
	s.g.last()
	s.do(chromedp.Focus(chromedp.CSS("#typed")))
	s.key("\t") // the line is before the form
	s.confirm()
	s.hears("Confirmed. You can send the form.")
	if got := s.g.last(); got != nil {
		t.Errorf("the application was asked: %s", got.Line)
	}
	s.press("#send")
	if got := s.g.last(); got == nil || got.Line != "POST /long" || got.Body != "text=half+written" {
		t.Errorf("the application got %+v", got)
	}
	s.stale("/free").rest(1)
	if strings.Contains(s.spoken(), "will ask") {
		t.Error("a form that needs nothing says that it does")
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
				max_age 300s
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
	s := startScripted(t, briefSite, map[string]scriptedPage{"/page": htmlPage("")}, false)
	s.open(s.g.url + "/page")
	s.do(chromedp.SendKeys(chromedp.CSS("#typed"), "half written"))
	for range 2 {
		s.hears("dialog: You will be signed out soon").shoot("session-ends")
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

func TestWhatIsConfirmedIsShownAndDroppedOnDemand(t *testing.T) {
	site := strings.Replace(briefSite, "idle 8s", "idle 30m", 1)
	s := startScripted(t, site, map[string]scriptedPage{"/page": htmlPage("")}, false)
	s.open(s.g.url + "/page")
	s.do(chromedp.KeyEvent("S", chromedp.KeyModifiers(chromedp.ModifierAlt|chromedp.ModifierShift)))
	s.hears("dialog: What you have confirmed").hears("Signed in as joe.").hears("Confirmed with your password: 4:").shoot("proofs")
	s.key("\x1b")
	s.silent()
}

// TestThePagesOfASessionAreNotShownAfterIt goes back to a page that the
// browser still has in its memory.
func TestThePagesOfASessionAreNotShownAfterIt(t *testing.T) {
	s := startScripted(t, scriptedSite, map[string]scriptedPage{"/page": htmlPage("<b>secret</b>")}, false)
	back := func() { evaluate[bool](s.tab, `(setTimeout(() => history.back()), true)`) }
	s.open(s.g.url + "/page")
	s.open(s.g.url + "/blank")
	back()
	s.until(`document.body.innerText.includes("secret") && getComputedStyle(document.body).visibility === "visible"`)
	s.open(s.g.url + "/.stepgate/sign-out").press(submitButton)
	evaluate[bool](s.tab, `(setTimeout(() => history.go(-2)), true)`)
	s.until(`location.pathname === "/.stepgate/sign-in"`)
	if strings.Contains(s.text(), "secret") {
		t.Error("the page is shown")
	}
}
