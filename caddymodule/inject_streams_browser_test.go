package caddymodule

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAnEventStreamGoesOnAfterTheChallenge loses none of its events: they are
// numbered, and the ones after the challenge follow those before it.
func TestAnEventStreamGoesOnAfterTheChallenge(t *testing.T) {
	s := startScripted(t, scriptedSite, map[string]scriptedPage{"/page": htmlPage(inline(`out = []; states = []; const source = new EventSource("/data/events");
		source.addEventListener("count", (e) => out.push(Number(e.data))); source.onerror = () => states.push(source.readyState); source.onopen = () => states.push("open");`))}, false)
	s.expectWindow()
	s.open(s.g.url + "/page")
	s.until(`out.length > 3`)
	s.aged()
	s.asks()
	before := evaluate[int](s.tab, `out.length`)
	if broken := evaluate[bool](s.tab, `source.readyState === 2`); broken {
		t.Error("the page was told that its stream is over")
	}
	s.confirm()
	s.until(`out.length > ` + itoa(before+3))
	if lost := evaluate[string](s.tab, `JSON.stringify(out.filter((n, i) => n !== i + 1))`); lost != "[]" {
		t.Errorf("events out of order: %s", lost)
	}
	evaluate[bool](s.tab, `(source.close(), true)`)
	if closed := evaluate[int](s.tab, `source.readyState`); closed != 2 {
		t.Errorf("closed, it is in state %d", closed)
	}
}

// socketApp is a WebSocket that echoes, as an old chat page has it.
func socketApp() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, htmlPage(inline(`out = []; sent = []; function connect() {
				const s = new WebSocket(location.origin.replace("http", "ws") + "/data/socket");
				s.onmessage = (e) => out.push(e.data); s.onopen = () => s.send("hello"); s.onclose = (e) => { out.push("closed " + e.code + " " + e.reason); connect(); }; }`)).text)
			return
		}
		welcome(w, r)
	})
}

// welcome accepts a WebSocket, and says one word.
func welcome(w http.ResponseWriter, r *http.Request) {
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "+acceptOf(r.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\n")
	io.WriteString(rw, "\x81\x07welcome")
	rw.Flush()
	io.Copy(io.Discard, conn)
}

func TestAWebSocketSaysWhyItEndsAndIsOpenedAgainAfterTheChallenge(t *testing.T) {
	socketsAreOpenedAgain(startScriptedBefore(t, scriptedSite, socketApp()))
}

func socketsAreOpenedAgain(s *scripted) {
	t := s.t
	t.Helper()
	s.stale("/page")
	evaluate[bool](s.tab, `(connect(), true)`)
	s.asks() // the handshake has found no proof
	s.confirm()
	s.out("welcome")
	s.aged()
	s.asks()
	if told := evaluate[string](s.tab, `JSON.stringify(out)`); strings.Contains(told, "3003") {
		t.Errorf("the page is told before: %s", told)
	}
	s.confirm()
	s.out("closed 3003 more proof of identity is needed")
	s.until(`out.filter((m) => m === "welcome").length === 2`)
}

// TestAFormSentIntoAFrameIsSentAgain has an upload as pages made them before
// there was anything better.
func TestAFormSentIntoAFrameIsSentAgain(t *testing.T) {
	s := startScripted(t, scriptedSite, map[string]scriptedPage{"/page": htmlPage(`<iframe name="sink" id="sink" hidden></iframe>
		<form id="f" method="post" enctype="multipart/form-data" target="sink" action="/data/upload"><input name="text" value="typed"><input type="file" name="file"></form>` +
		inline(`let loads = 0; function send() {
			const d = new DataTransfer(); d.items.add(new File(["the file"], "a.txt")); f.file.files = d.files;
			const frame = document.querySelector("iframe"); frame.onload = () => { loads++; out = frame.contentDocument.body.innerText; }; f.submit(); f.reset(); }`))}, false)
	s.stale("/page")
	evaluate[bool](s.tab, `(send(), true)`)
	s.asks()
	if loads := evaluate[int](s.tab, `loads`); loads != 0 {
		t.Error("the page was told of the refusal")
	}
	s.confirm()
	for _, want := range []string{"the file", "typed", "POST"} {
		s.out(want)
	}
}

// TestAFrameLeadsBackToTheFramesetAroundIt has a frame that asks for more,
// and a link within another that leads there.
func TestAFrameLeadsBackToTheFramesetAroundIt(t *testing.T) {
	for _, l := range []looks{{width: 1280, scripts: true}, {width: 1280}} {
		t.Run(l.String(), func(t *testing.T) {
			c := startChromium(t)
			app := &scriptedApp{pages: map[string]scriptedPage{
				"/frames": {text: `<html><head><title>frames</title></head><frameset cols="50%,50%"><frame name="menu" src="/menu"><frame name="main" src="/data/page"></frameset></html>`},
				"/menu":   htmlPage(`<a href="/data/page" target="main">main</a>`), "/data/page": htmlPage("<b>inside</b>"),
			}}
			g := startGateway(t, scriptedSite, app)
			g.addUser("joe")
			s := &scripted{tab: c.profile(t, l), g: g}
			s.open(g.url + "/").signIn("joe")
			g.age(11 * time.Minute)
			s.open(g.url + "/frames?x=1")
			s.until(`(frames[1]?.document.body?.innerText ?? "").includes("Continue")`)
			s.shoot("framed")
			s.open(s.doorInFrame())
			s.at("/challenge/password").fill("password", "wrong").press(submitButton).at("/challenge/password").says("password")
			s.fill("password", password1).press(submitButton)
			if got := s.url().RequestURI(); got != "/frames?x=1" {
				t.Errorf("it comes back to %s", got)
			}
			s.until(`frames[1].document.body.innerText.includes("inside")`)
			if !l.scripts {
				return
			}
			// Of two tabs the one confirms, and the link of the other's frame leads on at once.
			s.aged()
			s.open(g.url + "/frames?x=2")
			s.until(`!!frames[1].document.querySelector("a[data-stepgate=door]")`)
			door := s.doorInFrame()
			other := s.another()
			other.open(g.url + "/data/elsewhere").at("/challenge/password").answer()
			s.until(`fetch("/.stepgate/status").then((r) => r.json()).then((s) => s.levels.includes("recent"))`)
			s.open(door)
			if got := s.url().RequestURI(); got != "/frames?x=2" {
				t.Errorf("from the other tab it comes back to %s", got)
			}
		})
	}
}

// doorInFrame is where the link of the small page leads.
func (s *scripted) doorInFrame() string {
	s.t.Helper()
	return evaluate[string](s.tab, `frames[1].document.querySelector("a[target=_top][data-stepgate=door]").href`)
}
