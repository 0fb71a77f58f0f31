package caddymodule

import (
	"bytes"
	"crypto/rand"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/kept"
)

// keptSite asks for a code where payments are made.
const keptSite = `{{site}} {
	stepgate {
		policy {
			level fresh_code {
				accept totp
				max_age 10m
			}
			level approve {
				accept totp
				once
			}
			require signed_in  /
			require fresh_code POST /payments
			require approve    /approvals
			require signed_in  /forms
			require fresh_code /forms?step=last*
		}
	}
	reverse_proxy {{upstream}}
}
`

// withOption puts an option into a site's block.
func withOption(site, option string) string {
	return strings.Replace(site, "stepgate {\n\t\tpolicy", "stepgate {\n\t\t"+option+"\n\t\tpolicy", 1)
}

// visitor signs somebody in who has not been asked for a code yet. A code can
// be made twice in half a minute: to set an app up, and one more.
func (g *rig) visitor(name string) *browser {
	g.t.Helper()
	g.addUser(name)
	b := g.browser()
	b.signIn(b.get("/"), name).want(200, "/")
	g.last()
	return b
}

// post sends a body as a form of the page /payments/new does.
func (b *browser) post(target, contentType string, body []byte, change ...func(*http.Request)) *page {
	b.t.Helper()
	return b.do("POST", target, nil, append([]func(*http.Request){func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.GetBody = nil
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Origin", b.base)
		r.Header.Set("Referer", b.base+"/payments/new?for=1")
	}}, change...)...)
}

// confirm answers the page of a code.
func (b *browser) confirm(p *page) *page {
	b.t.Helper()
	return b.submit(p.at("/challenge/totp"), "code", map[string]string{"code": b.code()})
}

// offered fails unless a page offers to send what was kept.
func (p *page) offered() *page {
	p.t.Helper()
	if _, form := p.form(kept.Field); form == nil || p.status != 200 || !strings.Contains(p.body, "not been sent yet") {
		p.t.Fatalf("at %s (%d) nothing is offered:\n%s", p.url, p.status, p.body)
	}
	return p
}

// says fails unless a page has some words and a status.
func (p *page) says(status int, words string) *page {
	p.t.Helper()
	if p.status != status || !strings.Contains(p.body, words) {
		p.t.Fatalf("at %s (%d), want %d and %q:\n%s", p.url, p.status, status, words, p.body)
	}
	return p
}

// got takes what reached the upstream so far.
func (g *rig) got() (all []*received) {
	for {
		select {
		case r := <-g.seen:
			all = append(all, r)
		default:
			return all
		}
	}
}

// gotOnce fails unless one request reached the upstream, byte for byte.
func (g *rig) gotOnce(line, contentType string, body []byte) *received {
	g.t.Helper()
	all := g.got()
	if len(all) != 1 {
		g.t.Fatalf("the upstream got %d requests, want 1", len(all))
	}
	r := all[0]
	if r.Line != line || r.Body != string(body) || r.Header.Get("Content-Type") != contentType || r.Header.Get("Content-Length") != strconv.Itoa(len(body)) {
		g.t.Fatalf("the upstream got %s with %d bytes of %s, Content-Length %s; want %s with %d of %s",
			r.Line, len(r.Body), r.Header.Get("Content-Type"), r.Header.Get("Content-Length"), line, len(body), contentType)
	}
	return r
}

func upload(t *testing.T, size int) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	form.WriteField("case", "1001")
	w, err := form.CreateFormFile("document", "exhibit \"A\".bin")
	if err != nil {
		t.Fatal(err)
	}
	io.CopyN(w, rand.Reader, int64(size))
	form.Close()
	return form.FormDataContentType(), b.Bytes()
}

func TestAnInterruptedFormIsSentOnceByteForByteAfterTheChallenge(t *testing.T) {
	g := startGateway(t, keptSite, nil)
	multi, file := upload(t, 3<<20)
	for name, row := range map[string]struct {
		target, contentType string
		body                []byte
		shows               string
	}{
		"form":    {"/payments?x=%2F(1)'&y=%27", "application/x-www-form-urlencoded", []byte("amount=12&to=a%20b&to=c+d&%zz=\xff&empty="), "<bdi>amount</bdi>, <bdi>to</bdi>"},
		"upload":  {"/payments", multi, file, "exhibit"},
		"data":    {"/payments", "application/json; charset=utf-8", []byte("{\"amount\": 12}\r\n\x00"), "17 bytes"},
		"nothing": {"/payments", "text/plain", nil, "0 bytes"},
		"largest": {"/payments", "application/octet-stream", bytes.Repeat([]byte("0123456789abcdef"), 10<<16), "10 MB"},
	} {
		t.Run(name, func(t *testing.T) {
			g.t = t
			b := g.visitor(name)
			p := b.enrol(b.post(row.target, row.contentType, row.body)).offered()
			if !strings.Contains(p.body, "The form of the page /payments") || !strings.Contains(p.body, row.shows) || strings.Contains(p.body, "a b") {
				t.Errorf("what was interrupted is not named as it should be:\n%s", p.body)
			}
			if early := g.got(); len(early) != 0 {
				t.Fatalf("the upstream got %s before Continue", early[0].Line)
			}
			b.submit(p, kept.Field, nil).want(200, "")
			r := g.gotOnce("POST "+row.target, row.contentType, row.body)
			if r.Header.Get("Referer") != b.base+"/payments/new?for=1" || r.Header.Get("Remote-User") != name || r.Header.Get("Origin") != b.base {
				t.Errorf("headers of the replay: %v", r.Header)
			}
			// Back, and the button again.
			b.get(p.url.String()).says(409, "sent already")
			b.submit(p, kept.Field, nil).says(409, "sent already")
			if again := g.got(); len(again) != 0 {
				t.Errorf("it was sent again: %s", again[0].Line)
			}
		})
	}
}

func TestLevelsAreJudgedAgainOnTheKeptBytes(t *testing.T) {
	g := startGateway(t, keptSite, nil)
	b := g.visitor("joe")
	const kind = "application/x-www-form-urlencoded"
	body := []byte("note=1&step=last")
	p := b.enrol(b.post("/forms", kind, body)).offered()
	// The code is too old for it by now, so it goes round once more.
	g.age(11 * time.Minute)
	again := b.confirm(b.submit(p, kept.Field, nil)).offered()
	if all := g.got(); len(all) != 0 {
		t.Fatalf("it was sent before its level was met: %s", all[0].Line)
	}
	b.submit(again, kept.Field, nil).want(200, "/forms")
	g.gotOnce("POST /forms", kind, body)
}

func TestOneProofOpensOneKeptRequest(t *testing.T) {
	g := startGateway(t, keptSite, nil)
	b := g.visitor("joe")
	kind, body := upload(t, 200<<10)
	one := b.enrol(b.post("/approvals", kind, body)).offered()
	two := b.post("/approvals", kind, body).at("/challenge/totp")
	b.submit(one, kept.Field, nil).want(200, "/approvals")
	g.gotOnce("POST /approvals", kind, body)
	b.get(two.url.String()).at("/challenge/totp")
	b.submit(b.confirm(two).offered(), kept.Field, nil).want(200, "/approvals")
	g.gotOnce("POST /approvals", kind, body)
}

func TestAKeptRequestReachesTheUpstreamOnceInARace(t *testing.T) {
	g := startGateway(t, keptSite, nil)
	b := g.visitor("joe")
	kind, body := upload(t, 600<<10)
	p := b.enrol(b.post("/payments", kind, body)).offered()
	g.got()
	var group sync.WaitGroup
	statuses := make(chan int, 20)
	for range 20 {
		group.Go(func() { statuses <- b.submit(p, kept.Field, nil).status })
	}
	group.Wait()
	close(statuses)
	g.gotOnce("POST /payments", kind, body)
	counts := map[int]int{}
	for s := range statuses {
		counts[s]++
	}
	if counts[200] != 1 || counts[409] != 19 {
		t.Errorf("statuses: %v", counts)
	}
}

func TestASessionThatEndedStillHasItsFormKept(t *testing.T) {
	head := strings.Replace(testHead, "stepgate.db\n", "stepgate.db\n\t\tsession {\n\t\t\tidle 1s\n\t\t}\n", 1)
	g := startGateway(t, head+keptSite, nil)
	b := g.visitor("joe")
	waitFor(t, b.idled)
	body := []byte("amount=12")
	const kind = "application/x-www-form-urlencoded"
	p := b.post("/", kind, body).at("/sign-in")
	p = b.signIn(p, "joe").offered()
	b.submit(p, kept.Field, nil).want(200, "/")
	g.gotOnce("POST /", kind, body)

	// Another person in the same browser gets nothing of it.
	g.addUser("ann")
	waitFor(t, b.idled)
	g.last()
	first := b.post("/", kind, body).at("/sign-in")
	other := b.signIn(first, "ann").says(403, "Nothing was sent")
	if strings.Contains(other.body, kept.Field) {
		t.Error("another account is offered it")
	}
	waitFor(t, b.idled)
	b.signIn(b.get(first.url.String()).at("/sign-in"), "joe").says(410, "Nothing was sent")
	if all := g.got(); len(all) != 0 {
		t.Errorf("the upstream got %s", all[0].Line)
	}
}

// idled tells whether the session has ended. To ask for its state does not
// keep it alive.
func (b *browser) idled() bool {
	return strings.Contains(b.get("/.stepgate/status", fetch).body, `"signed_in":false`)
}

func TestWhatMayNotBeKeptIsNotSent(t *testing.T) {
	g := startGateway(t, withOption(keptSite, "keep_requests 1KiB"), nil)
	seen := map[string]bool{}
	small, exact, large := []byte("amount=12"), bytes.Repeat([]byte("x"), 1024), bytes.Repeat([]byte("x"), 1025)
	site := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", value) }
	}
	silent := func(origin string) func(*http.Request) {
		return func(r *http.Request) {
			for _, name := range []string{"Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-Site"} {
				r.Header.Del(name)
			}
			r.Header.Set("Origin", origin)
		}
	}
	for name, row := range map[string]struct {
		body   []byte
		change func(*http.Request)
		kept   bool
	}{
		"same origin":                   {small, site("same-origin"), true},
		"as large as may be":            {exact, site("same-origin"), true},
		"another site":                  {small, site("cross-site"), false},
		"another host of the same site": {small, site("same-site"), false},
		"typed in":                      {small, site("none"), false},
		"old browser, same origin":      {small, silent(g.url), true},
		"old browser, another origin":   {small, silent("https://evil.example"), false},
		"old browser, no origin":        {small, silent("null"), false},
	} {
		b := g.visitor("joe" + strconv.Itoa(len(seen)))
		seen[name] = true
		p := b.enrol(b.post("/payments", "text/plain", row.body, row.change))
		if row.kept {
			p.offered()
		} else if p.says(200, "Nothing was sent"); strings.Contains(p.body, kept.Field) {
			t.Errorf("%s: it was kept", name)
		}
	}
	b := g.visitor("joe")
	for name, change := range map[string]func(*http.Request){
		"of known length":   func(*http.Request) {},
		"of unknown length": func(r *http.Request) { r.ContentLength = -1 },
	} {
		p := b.post("/payments", "text/plain", large, change).says(413, "Nothing was sent")
		if !strings.Contains(p.body, "/.stepgate/challenge?c=") {
			t.Errorf("%s: the page does not lead on", name)
		}
	}
	g.addUser("stranger")
	stranger := g.browser()
	stranger.enrol(stranger.signIn(stranger.post("/payments", "text/plain", small).at("/sign-in"), "stranger")).says(200, "Nothing was sent")
	if all := g.got(); len(all) != 0 {
		t.Errorf("the upstream got %s", all[0].Line)
	}
	g.reload(withOption(keptSite, "keep_requests off"), b)
	b.enrol(b.post("/payments", "text/plain", small)).says(200, "Nothing was sent")
}

// reload runs another configuration, and has a browser connect anew.
func (g *rig) reload(site string, b *browser) {
	g.t.Helper()
	g.load(site)
	b.client.CloseIdleConnections() // the server that they led to has gone
}

// TestAnAnswerToALargeBodyIsSeen sends far more than is kept: a browser that
// is cut off in the middle would show nothing of the answer.
func TestAnAnswerToALargeBodyIsSeen(t *testing.T) {
	g := startGateway(t, keptSite, nil)
	b, stranger := g.visitor("joe"), g.browser()
	large := make([]byte, 40<<20)
	b.post("/payments", "application/octet-stream", large).says(413, "Nothing was sent")
	stranger.post("/payments", "application/octet-stream", large).at("/sign-in").want(200, "")
}

func TestTheButtonIsOfUseInItsOwnBrowserAndPageOnly(t *testing.T) {
	g := startGateway(t, keptSite, nil)
	b := g.visitor("joe")
	p := b.enrol(b.post("/payments", "text/plain", []byte("hello"))).offered()
	action, form := p.form(kept.Field)
	send := func(b *browser, target string, change ...func(*http.Request)) *page {
		t.Helper()
		return b.do("POST", target, form, change...)
	}
	// The session alone does not do.
	thief := g.browser()
	for _, c := range b.jar.Cookies(mustParse(b.base)) {
		if c.Name == "stepgate" || strings.HasPrefix(c.Name, "stepgate-") {
			thief.jar.SetCookies(mustParse(b.base), []*http.Cookie{c})
		}
	}
	send(thief, action).says(410, "Nothing was sent")
	send(b, "/payments?to=eve").says(410, "Nothing was sent")
	send(b, "/forms").says(410, "Nothing was sent")
	cross := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	if p := send(b, action, cross); p.status != 403 {
		t.Errorf("another site's page pressed the button: %d", p.status)
	}
	if p := send(b, action, fetch); p.status != 403 {
		t.Errorf("a script pressed the button: %d", p.status)
	}
	unknown := url.Values{kept.Field: {string(kept.NewID())}}
	b.do("POST", action, unknown).says(410, "Nothing was sent")
	if all := g.got(); len(all) != 0 {
		t.Fatalf("the upstream got %s", all[0].Line)
	}
	signedOut := g.browser()
	for _, c := range b.jar.Cookies(mustParse(b.base)) {
		if strings.Contains(c.Name, "visit") {
			signedOut.jar.SetCookies(mustParse(b.base), []*http.Cookie{c})
		}
	}
	signedOut.secret, signedOut.used = b.secret, b.used
	p = signedOut.signIn(send(signedOut, action).at("/sign-in"), "joe").offered()
	signedOut.submit(signedOut.confirm(signedOut.submit(p, kept.Field, nil)).offered(), kept.Field, nil).want(200, "/payments")
	g.gotOnce("POST /payments", "text/plain", []byte("hello"))
}
