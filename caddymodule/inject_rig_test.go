package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	cdpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// scriptedSite asks for a password that is ten minutes old at most where data
// are: one that can be given as often as a test likes.
const scriptedSite = `{{site}} {
	stepgate {
		inject_step_up
		policy {
			level recent {
				accept password
				max_age 10m
			}
			level sealed {
				accept password
				once
			}
			public             /lib/*
			require signed_in  /
			require recent     /data/*
			require sealed     /sealed/*
			require recent     POST /long
			default            signed_in
		}
	}
	reverse_proxy {{upstream}}
}
`

// scripted is a browser at a page of an application with scripts.
type scripted struct {
	*tab
	g *rig
	// opens are the windows that the page opens.
	opens <-chan target.ID
	had   []target.ID // that small has seen
}

// scriptedApp serves pages as a test writes them, libraries, and data.
type scriptedApp struct {
	mu    sync.Mutex
	pages map[string]scriptedPage
	lib   http.Handler
	rest  http.Handler // what is none of the others'; nil for data
}

type scriptedPage struct {
	text   string
	header http.Header
}

func (a *scriptedApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	p, ok := a.pages[r.URL.Path]
	a.mu.Unlock()
	switch {
	case ok && r.Method == http.MethodGet:
		for name, values := range p.header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, p.text)
	case strings.HasPrefix(r.URL.Path, "/lib/") && a.lib != nil:
		a.lib.ServeHTTP(w, r)
	case r.Header.Get("Upgrade") == "websocket":
		welcome(w, r)
	case strings.HasPrefix(r.URL.Path, "/data/events"):
		a.events(w, r)
	case strings.HasSuffix(r.URL.Path, "/binary"):
		w.Write([]byte{0, 1, 2, 255})
	case strings.HasSuffix(r.URL.Path, "/fragment"):
		io.WriteString(w, "<b>fragment of "+r.URL.Path+"</b>")
	case strings.HasSuffix(r.URL.Path, "/upload"):
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<html><head></head><body>%s %s</body></html>", r.Method, html.EscapeString(string(body)))
	case a.rest != nil && !strings.HasPrefix(r.URL.Path, "/data/"):
		a.rest.ServeHTTP(w, r)
	default:
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{
			"method": r.Method, "target": r.RequestURI, "body": string(body), "type": r.Header.Get("Content-Type"), "custom": r.Header.Get("X-Custom"),
		})
	}
}

// events numbers events from the one that the browser had last.
func (a *scriptedApp) events(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.Header.Get("Last-Event-Id"))
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		n++
		if _, err := fmt.Fprintf(w, "id: %d\nevent: count\ndata: %d\n\n", n, n); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}

// startScripted runs a gateway with the script before an application of these
// pages, and signs somebody in.
func startScripted(t *testing.T, site string, pages map[string]scriptedPage, libraries bool) *scripted {
	t.Helper()
	app := &scriptedApp{pages: pages}
	if libraries {
		app.lib = http.StripPrefix("/lib/", http.FileServerFS(os.DirFS(legacytest.Libraries(t))))
	}
	return startScriptedBefore(t, site, app)
}

// startScriptedBefore is startScripted before any application.
func startScriptedBefore(t *testing.T, site string, app http.Handler) *scripted {
	t.Helper()
	return startChromium(t).startScripted(t, site, app)
}

func (c *chromium) startScripted(t *testing.T, site string, app http.Handler) *scripted {
	t.Helper()
	g := startGateway(t, strings.Replace(site, "tls internal\n", "", 1), app)
	if strings.Contains(site, "tls internal\n") {
		g.secure(site)
	}
	g.addUser("joe")
	s := &scripted{tab: c.profile(t, looks{width: 1280, scripts: true}), g: g}
	s.open(g.url + "/").signIn("joe")
	return s
}

// stale opens a page of the application, and lets the password grow too old.
func (s *scripted) stale(path string) *scripted {
	s.t.Helper()
	s.open(s.g.url + "/blank")
	s.aged()
	s.open(s.g.url + path)
	s.expectWindow()
	return s
}

// aged waits until the password is too old.
func (s *scripted) aged() {
	s.t.Helper()
	s.g.age(11 * time.Minute)
	s.until(`fetch("/.stepgate/status").then((r) => r.json()).then((s) => !s.levels.includes("recent"))`)
}

// expectWindow has small wait for the next window.
func (s *scripted) expectWindow() {
	ctx, cancel := context.WithCancel(s.ctx)
	s.t.Cleanup(cancel)
	had := slices.Clone(s.had)
	s.opens = chromedp.WaitNewTarget(ctx, func(i *target.Info) bool { return i.Type == "page" && !slices.Contains(had, i.TargetID) })
}

// until waits for an expression, or a promise, to be true.
func (s *scripted) until(expression string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression, chromedp.EvalAwaitPromise))
		if err == nil && ok {
			return
		}
		if ctx.Err() != nil {
			s.shoot("failed")
			out, _ := chromedp.Run(s.ctx, chromedp.Evaluate[string](`JSON.stringify(window.out ?? null)`))
			s.t.Fatalf("%s never became true: %v\nout is %s\n%s\n%s", expression, err, out, s.text(), s.spoken())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// spoken is what a screen reader finds in the page, the script's own dialog
// included.
func (s *scripted) spoken() string {
	s.t.Helper()
	var tree accessibility.GetFullAXTreeResult
	waitFor(s.t, func() (there bool) {
		var err error
		tree, err = chromedp.Call(s.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		return err == nil // not while one page takes the place of another
	})
	var b strings.Builder
	for _, n := range tree.Nodes {
		if !n.Ignored && n.Role != nil && n.Name != nil {
			fmt.Fprintf(&b, "%s: %s\n", bare(n.Role), bare(n.Name))
		}
	}
	return b.String()
}

func bare(v *accessibility.Value) string {
	var text string
	_ = json.Unmarshal(v.Value, &text)
	return text
}

// asks waits until the dialog is there.
func (s *scripted) asks() *scripted {
	s.t.Helper()
	s.hears("dialog: Confirm it is you")
	return s
}

// hears waits until a reader finds some words.
func (s *scripted) hears(words string) *scripted {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(s.spoken(), words); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("never %q:\n%s", words, s.spoken())
		}
	}
	return s
}

// silent waits until there is no dialog any more.
func (s *scripted) silent() *scripted {
	s.t.Helper()
	for deadline := time.Now().Add(patience); strings.Contains(s.spoken(), "dialog: "); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the dialog stays:\n%s", s.spoken())
		}
	}
	return s
}

// everywhere takes pictures of what the script shows, on a large and a small
// screen, by day and by night, and has axe look at it.
func (s *scripted) everywhere(axe, name string) {
	s.t.Helper()
	before := s.looks
	for _, dark := range []bool{true, false} {
		scheme := "light"
		if dark {
			scheme = "dark"
		}
		call(s.tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		for _, width := range []int64{360, 1280} {
			s.looks.dark, s.looks.width = dark, width
			s.do(chromedp.EmulateViewport(width, 800))
			s.shoot(name).judgePart(axe, name, `{include: [["[data-stepgate=step-up]"]]}`)
		}
	}
	s.looks = before
}

// key presses one key.
func (s *scripted) key(keys string) {
	s.t.Helper()
	s.do(chromedp.KeyEvent(keys))
}

// small is the window that the dialog opened.
func (s *scripted) small() *tab {
	s.t.Helper()
	select {
	case id := <-s.opens:
		s.had = append(s.had, id)
		s.expectWindow()
		w := takeOver(s.t, s.ctx, id, s.shots, s.looks)
		w.awaitURL("/.stepgate/challenge/password")
		return w
	case <-time.After(patience):
		s.t.Fatalf("no window was opened:\n%s", s.spoken())
		return nil
	}
}

// confirm answers the dialog: its button, the window, the password. The
// window closes itself, so that its next page may never be seen.
func (s *scripted) confirm() {
	s.t.Helper()
	s.key("\r")
	s.small().answer()
}

func (b *tab) answer() {
	b.t.Helper()
	b.fill("password", password1).do(chromedp.Click(chromedp.CSS(submitButton)))
}

// out waits until the page's script has put something into window.out.
func (s *scripted) out(want string) {
	s.t.Helper()
	s.until(fmt.Sprintf(`JSON.stringify(window.out ?? null).includes(%q)`, want))
}

// of has the browser belong to a part of a test.
func (s *scripted) of(t *testing.T) *scripted {
	s.t, s.tab.t, s.g.t = t, t, t
	return s
}

// online says whether the page has a network.
func (s *scripted) online(yes bool) {
	s.t.Helper()
	call(s.tab, network.Enable, network.EnableParams{})
	if _, err := chromedp.Call(s.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: !yes, DownloadThroughput: -1, UploadThroughput: -1}},
	}); err != nil {
		s.t.Fatal(err)
	}
	call(s.tab, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: !yes, DownloadThroughput: -1, UploadThroughput: -1})
}

// rest waits for some seconds of the page's own clock.
func (s *scripted) rest(seconds int) {
	s.t.Helper()
	s.until(fmt.Sprintf(`new Promise((r) => setTimeout(() => r(true), %d))`, 1000*seconds))
}

// before has every page begin with some code.
func (s *scripted) before(code string) {
	s.t.Helper()
	added, err := chromedp.Call(s.ctx, cdpage.AddScriptToEvaluateOnNewDocument, cdpage.AddScriptToEvaluateOnNewDocumentParams{Source: code})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_, _ = chromedp.Call(s.ctx, cdpage.RemoveScriptToEvaluateOnNewDocument, cdpage.RemoveScriptToEvaluateOnNewDocumentParams(added))
	})
}

// shut closes the tab.
func (b *tab) shut() {
	b.t.Helper()
	call(b, cdpage.Close, cdp.Empty{})
}

// hashOf is how a policy names a script.
func hashOf(script string) string {
	sum := sha256.Sum256([]byte(script))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func htmlPage(script string) scriptedPage {
	return scriptedPage{text: `<!doctype html><html lang="en"><head><title>page</title></head><body><p>page</p><input id="typed">` + script + `</body></html>`}
}

func inline(code string) string { return "<script>" + code + "</script>" }

func itoa(n int) string { return strconv.Itoa(n) }
