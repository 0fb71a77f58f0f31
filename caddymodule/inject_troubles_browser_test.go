package caddymodule

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/stepgate/stepgate/internal/demo"
	"github.com/stepgate/stepgate/internal/legacytest"
)

// troubledSite asks for more where data are, and where the demonstration's
// page closes a case.
var troubledSite = strings.NewReplacer("require recent     POST /long", "require recent     POST /api/cases/*/close").Replace(scriptedSite)

// strictPortal is the demonstration's portal under a policy that lets no
// script run but those of its own files, and the libraries beside it.
func strictPortal(t *testing.T) http.Handler {
	portal := demo.New()
	return &scriptedApp{
		lib: http.StripPrefix("/lib/", http.FileServerFS(os.DirFS(legacytest.Libraries(t)))),
		rest: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// Libraries of that age evaluate what they load.
			w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'unsafe-eval'; connect-src 'self'; img-src 'self'; "+
				"style-src 'self' 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
			if !strings.HasSuffix(r.URL.Path, "/live") {
				portal.ServeHTTP(w, r)
				return
			}
			page := httptest.NewRecorder()
			portal.ServeHTTP(page, r)
			maps.Copy(w.Header(), page.Header())
			w.Header().Del("Content-Length")
			io.WriteString(w, strings.Replace(page.Body.String(), "</head>", oldLibraries+"</head>", 1))
		}),
	}
}

const oldLibraries = `<script src="/lib/jquery-old/jquery/speed/jquery-basis.js"></script><script src="/lib/jquery/dist/jquery.min.js"></script>
<script src="/lib/htmx.org/dist/htmx.min.js"></script><script src="/lib/dojo/dojo.js"></script>`

// everyCaller has the page ask for more in every way that there is, all at
// once: calls of its own, by libraries of several ages, a stream, a socket.
// What has come of each is in window.came.
const everyCaller = `(() => {
	came = {}; alive = true;
	const came1 = (name) => (v) => { came[name] ??= typeof v === "string" ? v : JSON.stringify(v); };
	const recent = jQuery.noConflict(true), old = jQuery.noConflict(true);
	const box = document.createElement("div");
	document.body.append(box);
	box.setAttribute("hx-post", "/data/fragment"); box.setAttribute("hx-trigger", "go"); htmx.process(box);
	document.addEventListener("htmx:afterSwap", () => came1("htmx")(box.innerHTML));
	document.addEventListener("htmx:responseError", (e) => came1("htmx")("error " + e.detail.xhr.status));
	const connect = () => {
		const socket = new WebSocket(location.origin.replace("http", "ws") + "/data/socket");
		socket.onmessage = (e) => { came1("WebSocket")(e.data); socket.close(); };
		socket.onclose = () => came.WebSocket || setTimeout(connect, 100);
	};
	ask = () => {
		document.querySelector("#close").click();
		fetch("/data/1", {method: "POST", body: "typed"}).then((r) => r.json()).then(came1("fetch"), came1("fetch"));
		const x = new XMLHttpRequest(); x.open("POST", "/data/2"); x.onload = () => came1("XMLHttpRequest")(x.responseText); x.send("typed");
		for (const [name, $] of [["jQuery " + old.fn.jquery, old], ["jQuery " + recent.fn.jquery, recent]]) {
			$.ajax({type: "POST", url: "/data/3", data: {typed: "typed"}, success: came1(name), error: (x) => came1(name)("error " + x.status)});
		}
		htmx.trigger(box, "go");
		dojo.xhrPost({url: "/data/rows", content: {typed: "typed"}, handleAs: "json", load: (rows) => {
			for (const name in rows) dojo.create("td", {innerHTML: name + " " + rows[name]}, dojo.create("tr", null, dojo.create("table", {className: "grid"}, dojo.body())));
			came1("Dojo grid")(document.querySelector(".grid").innerText);
		}, error: (e) => came1("Dojo grid")("error " + e.status)});
		const source = new EventSource("/data/events");
		source.addEventListener("count", (e) => { came1("EventSource")("event " + e.data); source.close(); });
		source.onerror = () => source.readyState === 2 && came1("EventSource")("error");
		connect();
	};
	return true;
})()`

// TestNothingIsLostInWhateverTroubleTheChallengeIs has the demonstration's
// page ask in every way at once, under a strict policy, while the person has
// one trouble or another with the challenge.
func TestNothingIsLostInWhateverTroubleTheChallengeIs(t *testing.T) {
	s := startScriptedBefore(t, troubledSite, strictPortal(t))
	opened := []int{1001, 1002, 1004, 1005, 1007} // the others are closed from the beginning
	start := func(t *testing.T) {
		s.of(t).stale(fmt.Sprintf("/cases/%d/live", opened[0]))
		opened = opened[1:]
		evaluate[bool](s.tab, everyCaller)
		s.do(chromedp.SendKeys(chromedp.CSS("#remark"), "half written"))
		s.g.last()
		evaluate[bool](s.tab, `(ask(), true)`)
		s.asks()
	}
	nothing := func() {
		s.t.Helper()
		if got := evaluate[string](s.tab, `JSON.stringify(came)`); got != "{}" {
			s.t.Errorf("the page is told before: %s", got)
		}
	}
	t.Run("a wrong password", func(t *testing.T) {
		start(t)
		s.shoot("portal-step-up")
		s.key("\r")
		w := s.small()
		w.fill("password", "wrong").press(submitButton).says("password")
		nothing()
		w.answer()
		s.allCame()
	})
	t.Run("the window closed", func(t *testing.T) {
		start(t)
		s.key("\r")
		s.small().shut()
		s.hears("Open the window again")
		nothing()
		s.confirm()
		s.allCame()
	})
	t.Run("two tabs", func(t *testing.T) {
		start(t)
		other := s.another()
		s.had = append(s.had, chromedp.FromContext(other.ctx).Target.TargetID)
		s.expectWindow()
		other.open(s.g.url + "/data/elsewhere").at("/challenge/password")
		nothing()
		other.answer()
		s.allCame()
	})
	t.Run("no network for ten seconds", func(t *testing.T) {
		start(t)
		s.key("\r")
		w := s.small()
		s.online(false)
		s.hears("There is no connection")
		s.rest(10)
		nothing()
		s.online(true)
		w.answer()
		s.allCame()
	})
	t.Run("a blocked window", func(t *testing.T) {
		s.of(t)
		s.before(`window.open = () => null`)
		start(t)
		s.key("\r")
		s.hears("link: Confirm in a new tab")
		nothing()
		s.key("\r")
		s.small().answer()
		s.allCame()
	})
}

// allCame wants the answers of everything that everyCaller has asked for, in
// the page that has asked.
func (s *scripted) allCame() {
	s.t.Helper()
	// A dialog that finds its challenge met closes by itself.
	s.until(`!document.querySelector("[data-stepgate=step-up]") && Object.keys(came).length === 8 && !/Please/.test(document.querySelector("#outcome").textContent)`)
	s.silent()
	for name, want := range map[string]string{
		"fetch": "typed", "XMLHttpRequest": "typed", "jQuery 1.4.2": "typed", "jQuery 3.7.1": "typed", "htmx": "fragment of", "Dojo grid": "typed",
		"EventSource": "event 1", "WebSocket": "welcome",
	} {
		if got := evaluate[string](s.tab, fmt.Sprintf(`String(came[%q])`, name)); !strings.Contains(got, want) {
			s.t.Errorf("%s: %s, want %q in it", name, got, want)
		}
	}
	if got := evaluate[string](s.tab, `document.querySelector("#outcome").textContent + " " + document.querySelector("#remark").value + " " + alive`); got != "The case is closed. half written true" {
		s.t.Errorf("the page shows %q", got)
	}
}
