package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// callers are pages whose function call asks for data, and leaves what came in
// window.out.
func callers() map[string]scriptedPage {
	jquery := `$.ajax({type: "POST", url: "/data/1", data: {typed: "typed"}, dataType: "json", beforeSend: function (x) { x.setRequestHeader("X-Custom", "yes"); },
		success: function (v) { out = v; }, error: function (x) { out = ["error", x.status]; }});`
	with := func(library, code string) scriptedPage {
		return htmlPage(`<script src="/lib/` + library + `"></script>` + inline("function call() {"+code+"}"))
	}
	fetched := `fetch("/data/1", {method: "POST", body: "typed", headers: {"X-Custom": "yes"}}).then((r) => r.json()).then((v) => out = v)`
	strict := htmlPage(`<script nonce="bm9uY2U">function call() {` + fetched + `}</script>`)
	strict.header = http.Header{"Content-Security-Policy": {
		"default-src 'none'; script-src 'nonce-bm9uY2U' 'strict-dynamic'; connect-src 'self'; require-trusted-types-for 'script'", "script-src 'self' 'nonce-bm9uY2U', script-src-elem * 'nonce-bm9uY2U'",
	}}
	narrow := htmlPage(inline("function call() {" + fetched + "}"))
	narrow.text = strings.Replace(narrow.text, "<head>", `<head><meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; connect-src http://*:*/data/">`, 1)
	hashed := htmlPage(inline("function call() {" + fetched + "}"))
	hashed.header = http.Header{"Content-Security-Policy": {"script-src 'strict-dynamic' '" + hashOf("function call() {"+fetched+"}") + "'"}}
	replaced := htmlPage(inline(`var before = fetch; fetch = function () { window.passed = true; return before.apply(this, arguments); }; function call() {` + fetched + `}`))
	return map[string]scriptedPage{
		"fetch": htmlPage(inline("function call() {" + fetched + "}")),
		"xmlhttprequest": htmlPage(inline(`function call() { var x = new XMLHttpRequest(); window.seen = [];
			x.onreadystatechange = function () { seen.push(x.readyState + " " + x.status); if (x.readyState === 4) out = [x.responseText, seen]; };
			x.open("POST", "/data/1", true); x.setRequestHeader("X-Custom", "yes"); x.send("typed"); }`)),
		"strict":       strict,
		"hashed":       hashed,
		"narrow":       narrow,
		"replaced":     replaced,
		"form-data":    htmlPage(inline(`function call() { var d = new FormData(); d.append("X-Custom", "yes"); d.append("file", new File(["typed"], "a.txt")); fetch("/data/1", {method: "POST", body: d}).then((r) => r.json()).then((v) => out = v); d.delete("file"); }`)),
		"request":      htmlPage(inline(`function call() { fetch(new Request("/data/1", {method: "POST", body: "typed", headers: {"X-Custom": "yes"}})).then((r) => r.json()).then((v) => out = v); }`)),
		"array-buffer": htmlPage(inline(`function call() { var x = new XMLHttpRequest(); x.responseType = "arraybuffer"; x.onload = function () { out = new TextDecoder().decode(x.response); }; x.open("POST", "/data/1"); x.setRequestHeader("X-Custom", "yes"); x.send(new Blob(["typed"])); }`)),
		"document":     htmlPage(inline(`function call() { var x = new XMLHttpRequest(); x.responseType = "document"; x.onload = function () { out = "POST typed yes " + x.status; }; x.open("POST", "/data/1"); x.setRequestHeader("X-Custom", "yes"); x.send("typed"); }`)),
		"once":         htmlPage(inline(`function call() { var d = new FormData(); d.append("X-Custom", "yes"); d.append("file", new File(["typed"], "a.txt")); fetch("/sealed/1", {method: "POST", body: d}).then((r) => r.json()).then((v) => out = v); }`)),
		"jquery-1.2":   with("jquery-old/jquery/src/sizzle/speed/frameworks/jquery.js", jquery),
		"jquery-1.4":   with("jquery-old/jquery/speed/jquery-basis.js", jquery),
		"jquery-3":     with("jquery/dist/jquery.min.js", jquery),
		"htmx": htmlPage(`<script src="/lib/htmx.org/dist/htmx.min.js"></script><div id="box" hx-post="/data/fragment" hx-trigger="go" hx-vals='{"typed": "yes"}'></div>` +
			inline(`document.addEventListener("htmx:afterSwap", () => out = "POST typed yes " + box.innerHTML); function call() { htmx.trigger("#box", "go"); }`)),
		"dojo-grid": with("dojo/dojo.js", `dojo.xhrPost({url: "/data/rows", content: {typed: "typed"}, headers: {"X-Custom": "yes"}, handleAs: "json", load: function (v) {
			var grid = dojo.create("table", {id: "grid"}, dojo.body());
			for (var name in v) dojo.create("td", {innerHTML: name + " " + v[name]}, dojo.create("tr", null, grid));
			out = grid.innerHTML; }});`),
	}
}

func TestAPagesOwnCallWaitsForTheChallenge(t *testing.T) {
	pages := map[string]scriptedPage{}
	for name, page := range callers() {
		pages["/"+name] = page
	}
	s := startScripted(t, scriptedSite, pages, true)
	for name := range callers() {
		t.Run(name, func(t *testing.T) {
			s.of(t).stale("/" + name)
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
			if seen := evaluate[string](s.tab, `String(window.seen ?? "")`); strings.Contains(seen, "401") {
				t.Errorf("the page has seen %s", seen)
			}
			if left := evaluate[int](s.tab, `document.querySelectorAll("script[src*=stepgate]").length + Object.keys(window).filter((k) => /step.?gate/i.test(k)).length`); left != 0 {
				t.Errorf("%d traces are left in the page", left)
			}
		})
	}
}

func TestAChallengeThatDoesNotGoSmoothly(t *testing.T) {
	call := htmlPage(inline(`out = []; const call = (n) => fetch("/data/" + n).then((r) => out.push(n + " " + r.status)); function broken() {
		const x = new XMLHttpRequest(); x.open("GET", "/data/x"); x.onreadystatechange = () => x.readyState === 4 && out.push("x " + x.status); x.onabort = () => out.push("aborted"); x.send(); return x; }`))
	s := startScripted(t, scriptedSite, map[string]scriptedPage{"/page": call, "/other": call}, false)
	got := func() string { return evaluate[string](s.tab, `JSON.stringify(out)`) }
	start := func(t *testing.T) {
		s.of(t).stale("/page")
		evaluate[bool](s.tab, `(call(1), true)`)
		s.asks()
	}
	t.Run("cancelled", func(t *testing.T) {
		start(t)
		evaluate[bool](s.tab, `(broken(), true)`)
		s.key("\t")
		s.key("\r")
		s.out("x 401")
		s.out("1 401")
		s.silent()
	})
	t.Run("Escape", func(t *testing.T) {
		start(t)
		s.key("\x1b")
		s.out("1 401")
		s.silent()
	})
	t.Run("aborted", func(t *testing.T) {
		s.of(t).stale("/page")
		evaluate[bool](s.tab, `(window.x = broken(), true)`)
		s.asks()
		if state := evaluate[string](s.tab, `x.readyState + x.responseText + x.status + x.getResponseHeader("Content-Type")`); state != "10null" {
			t.Errorf("while it waits it shows %s", state)
		}
		evaluate[bool](s.tab, `(x.abort(), true)`)
		s.silent()
		if got() != `["x 0","aborted"]` {
			t.Errorf("%s", got())
		}
	})
	t.Run("several calls", func(t *testing.T) {
		start(t)
		evaluate[bool](s.tab, `(call(2), call(3), broken(), true)`)
		s.confirm()
		for _, want := range []string{"1 200", "2 200", "3 200", "x 200"} {
			s.out(want)
		}
		s.silent()
	})
	t.Run("a wrong password", func(t *testing.T) {
		start(t)
		s.key("\r")
		w := s.small()
		w.fill("password", "wrong").press(submitButton).says("password")
		if got() != `[]` {
			t.Errorf("%s", got())
		}
		w.answer()
		s.out("1 200")
	})
	t.Run("the window closed", func(t *testing.T) {
		start(t)
		s.key("\r")
		s.small().shut()
		s.hears("Open the window again")
		s.confirm()
		s.out("1 200")
	})
	t.Run("in another tab", func(t *testing.T) {
		start(t)
		other := s.another()
		other.open(s.g.url + "/data/elsewhere").at("/challenge/password").answer()
		s.out("1 200")
		s.silent()
	})
	t.Run("no network", func(t *testing.T) {
		start(t)
		s.key("\r")
		w := s.small()
		s.online(false)
		s.hears("There is no connection")
		s.rest(10)
		w.answer()
		if got() != `[]` {
			t.Errorf("%s", got())
		}
		s.online(true)
		s.out("1 200")
		s.silent()
	})
	t.Run("a blocked window", func(t *testing.T) {
		s.of(t)
		s.before(`window.open = () => null`)
		start(t)
		s.key("\r")
		s.hears("link: Confirm in a new tab").shoot("step-up-blocked")
		s.key("\r")
		s.small().answer()
		s.out("1 200")
	})
}
