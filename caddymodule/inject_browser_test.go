package caddymodule

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// callers are ways in which pages call for data; each leaves what came in
// window.out.
var callers = map[string]string{
	"fetch": `fetch("/data/1", {method: "POST", body: "typed", headers: {"X-Custom": "yes"}}).then((r) => r.json()).then((v) => out = v)`,
	"XMLHttpRequest": `var x = new XMLHttpRequest(); window.seen = [];
		x.onreadystatechange = function () { seen.push(x.readyState + " " + x.status); if (x.readyState === 4) out = [x.responseText, seen]; };
		x.open("POST", "/data/1", true); x.setRequestHeader("X-Custom", "yes"); x.send("typed");`,
}

func TestAPagesOwnCallWaitsForTheChallenge(t *testing.T) {
	pages := map[string]scriptedPage{}
	for name, code := range callers {
		pages["/"+name] = htmlPage(inline("function call() {" + code + "}"))
	}
	s := startScripted(t, scriptedSite, pages, false)
	for name := range callers {
		t.Run(name, func(t *testing.T) {
			s.t, s.tab.t, s.g.t = t, t, t
			s.stale("/" + name)
			s.do(chromedp.SendKeys(chromedp.CSS("#typed"), "half written"))
			evaluate[bool](s.tab, `(call(), true)`)
			s.asks()
			if name == "fetch" {
				s.shoot("step-up-dialog")
			}
			if got := evaluate[bool](s.tab, `window.out === undefined`); !got {
				t.Fatal("the page was told before")
			}
			s.confirm()
			s.out("typed")
			s.silent()
			if got := evaluate[string](s.tab, `JSON.stringify(out)`); !strings.Contains(got, "POST") || !strings.Contains(got, "yes") || strings.Contains(got, "401") {
				t.Errorf("%s", got)
			}
			if got := evaluate[string](s.tab, `document.querySelector("#typed").value`); got != "half written" {
				t.Errorf("the page has lost %q", got)
			}
		})
	}
}
