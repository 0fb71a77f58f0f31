package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stepgate/stepgate/internal/legacytest"
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
		"array-buffer": htmlPage(inline(`function call() { var x = new XMLHttpRequest(); x.responseType = "arraybuffer"; x.onload = function () { out = new TextDecoder().decode(x.response); }; x.open("POST", "/data/1"); x.setRequestHeader("X-Custom", "yes"); x.send(new Blob(["typed"])); }`)),
		"document":     htmlPage(inline(`function call() { var x = new XMLHttpRequest(); x.responseType = "document"; x.onload = function () { out = "POST typed yes " + x.status; }; x.open("POST", "/data/1"); x.setRequestHeader("X-Custom", "yes"); x.send("typed"); }`)),
		"bodies": htmlPage(inline(`function call() {
			const form = (...more) => { const d = new FormData(); d.append("X-Custom", "yes"); for (const [name, file] of more) d.append(name, file); return d; };
			const file = (text, name) => new File([text], name, {type: "text/x-test"});
			const sent = (init, input = "/data/1") => fetch(input, init && {method: "POST", ...init}).then((r) => r.json());
			const request = (init) => sent(undefined, new Request("/data/1", {method: "POST", ...init}));
			const xhr = (body) => new Promise((done) => { const x = new XMLHttpRequest(); x.open("POST", "/data/1"); x.onload = () => done(JSON.parse(x.responseText)); x.send(body); });
			const bytes = (text) => new TextEncoder().encode(text);
			const all = {
				blob: sent({body: new Blob(["typed blob"], {type: "text/x-test"})}), parameters: sent({body: new URLSearchParams({x: "typed parameters"})}),
				array: sent({body: bytes("xtyped arrayx").subarray(1, 12)}), buffer: sent({body: bytes("typed buffer").buffer}),
				view: sent({body: new DataView(bytes("xxtyped view").buffer, 2)}), none: sent({}), headers: sent({body: "typed headers", headers: [["X-Custom", "yes"]]}),
				files: sent({body: form(["one", file("typed files", "a.txt")], ["two", file("other", "b c.txt")], ["empty", new File([], "none.txt")])}),
				"request of a blob": request({body: new Blob(["typed request of a blob"])}), "request of a form": request({body: form(["one", file("typed request of a form", "a.txt")])}),
				"request of words": request({body: "typed request of words"}),
				"request and more": sent({body: "typed request and more"}, new Request("/data/1", {headers: {"X-Custom": "yes"}})),
				"xhr of files": xhr(form(["one", file("typed xhr of files", "a.txt")])), "xhr of a blob": xhr(new Blob(["typed xhr of a blob"], {type: "text/x-test"})),
				"xhr of parameters": xhr(new URLSearchParams({x: "typed xhr of parameters"})), "xhr of an array": xhr(bytes("typed xhr of an array")),
			};
			Promise.all(Object.values(all)).then((answers) => {
				Object.keys(all).forEach((name, i) => { if (name !== "none" && !decodeURIComponent(answers[i].body).replaceAll("+", " ").includes("typed " + name)) wrong.push([name, answers[i]]); });
				const [files] = answers.slice(7);
				for (const part of ['name="one"; filename="a.txt"', "text/x-test", 'filename="b c.txt"', "other", 'filename="none.txt"']) if (!files.body.includes(part)) wrong.push([part, files]);
				if (answers[0].type !== "text/x-test" || answers[13].type !== "text/x-test" || !answers[1].type.startsWith("application/x-www-form-urlencoded")) wrong.push(answers);
				out = answers;
			}); } var wrong = [];`)),
		"once":       htmlPage(inline(`function call() { var d = new FormData(); d.append("X-Custom", "yes"); d.append("file", new File(["typed"], "a.txt")); fetch("/sealed/1", {method: "POST", body: d}).then((r) => r.json()).then((v) => out = v); }`)),
		"jquery-1.2": with("jquery-old/jquery/src/sizzle/speed/frameworks/jquery.js", jquery),
		"jquery-1.4": with("jquery-old/jquery/speed/jquery-basis.js", jquery),
		"jquery-3":   with("jquery/dist/jquery.min.js", jquery),
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
	axe := legacytest.Axe(t)
	s := startScripted(t, scriptedSite, pages, true)
	for name := range callers() {
		t.Run(name, func(t *testing.T) {
			s.of(t).stale("/" + name)
			s.do(chromedp.SendKeys(chromedp.CSS("#typed"), "half written"))
			evaluate[bool](s.tab, `(call(), true)`)
			s.asks()
			if name == "fetch" {
				s.everywhere(axe, "step-up-dialog")
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
			if wrong := evaluate[string](s.tab, `JSON.stringify(window.wrong ?? [])`); wrong != "[]" {
				t.Errorf("wrong are %s", wrong)
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
	s := startScripted(t, scriptedSite, map[string]scriptedPage{"/page": call}, false)
	got := func() string { return evaluate[string](s.tab, `JSON.stringify(out)`) }
	start := func(t *testing.T) {
		s.of(t).stale("/page")
		evaluate[bool](s.tab, `(call(1), true)`)
		s.asks()
	}
	t.Run("cancelled", func(t *testing.T) {
		start(t)
		evaluate[bool](s.tab, `(broken(), true)`)
		s.until(`performance.getEntriesByName(location.origin + "/data/x").length === 1`)
		s.rest(1)
		s.key("\t")
		s.key("\r")
		s.out("x 401")
		s.out("1 401")
		s.silent()
	})
	t.Run("Escape", func(t *testing.T) {
		s.of(t).stale("/page")
		s.do(chromedp.Focus(chromedp.CSS("#typed")))
		evaluate[bool](s.tab, `(call(1), true)`)
		s.asks()
		focused := func() string {
			return evaluate[string](s.tab, `(document.activeElement.shadowRoot?.activeElement ?? document.activeElement).textContent || document.activeElement.id`)
		}
		// The keyboard stays in the dialog, but for the browser's own bars.
		for _, want := range []string{"Confirm now", "Cancel"} {
			if got := focused(); got != want {
				t.Errorf("the keyboard is at %q, want %q", got, want)
			}
			s.key("\t")
		}
		if got := focused(); got == "typed" {
			t.Error("the keyboard gets out of the dialog into the page")
		}
		s.key("\x1b")
		s.out("1 401")
		s.silent()
		if got := focused(); got != "typed" {
			t.Errorf("afterwards the keyboard is at %q", got)
		}
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
	t.Run("a blocked window", func(t *testing.T) {
		s.of(t)
		s.before(`window.open = () => null`)
		start(t)
		s.key("\r")
		s.hears("link: Confirm in a new tab").everywhere(legacytest.Axe(t), "step-up-blocked")
		s.key("\x1b")
		s.out("1 401")
	})
}
