package caddymodule

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/pquerna/otp/totp"
	"golang.org/x/net/html"
)

// browser is a person with a browser that tells what it does.
type browser struct {
	t      testing.TB
	client *http.Client
	base   string
	jar    *cookiejar.Jar
	// secret is the TOTP secret, once one was shown; used is the last step.
	secret string
	used   time.Time
	// codes are the backup codes, once they were shown.
	codes []string
}

// page is what a browser shows.
type page struct {
	t        testing.TB
	status   int
	url      *url.URL
	header   http.Header
	body     string
	document *html.Node
}

func (g *rig) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	client := &http.Client{Jar: jar, Transport: &http.Transport{DisableCompression: true}}
	g.t.Cleanup(client.CloseIdleConnections)
	g.clients = append(g.clients, client)
	return &browser{t: g.t, client: client, base: g.url, jar: jar}
}

// do sends a request and follows redirects as a browser's navigation does.
func (b *browser) do(method, target string, form url.Values, change ...func(*http.Request)) *page {
	b.t.Helper()
	if !strings.HasPrefix(target, "http") {
		target = b.base + target
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.base)
	}
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range change {
		c(r)
	}
	resp, err := b.client.Do(r)
	// Caddy closes connections at a reload that a request is on its way on;
	// browsers ask again where it changes nothing (RFC 9110 §9.2.2).
	if method == http.MethodGet && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)) {
		resp, err = b.client.Do(r)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	p := &page{t: b.t, status: resp.StatusCode, url: resp.Request.URL, header: resp.Header, body: string(text)}
	p.document, _ = html.Parse(strings.NewReader(p.body))
	return p
}

func (b *browser) get(target string, change ...func(*http.Request)) *page {
	b.t.Helper()
	return b.do(http.MethodGet, target, nil, change...)
}

// fetch is what a script of the app does: no navigation.
func fetch(r *http.Request) {
	r.Header.Set("Accept", "*/*")
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Sec-Fetch-Dest", "empty")
}

// submit fills in the form that has a field, or a button, of some name. Backup
// codes that come of it are kept, and the person goes on.
func (b *browser) submit(p *page, field string, values map[string]string) *page {
	b.t.Helper()
	action, form := p.form(field)
	if form == nil {
		b.t.Fatalf("no form with %s at %s (%d):\n%s", field, p.url, p.status, p.body)
	}
	for name, value := range values {
		form.Set(name, value)
	}
	target, err := p.url.Parse(action)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.keepCodes(b.do(http.MethodPost, target.String(), form))
}

// form finds the first form with a field of some name, with its hidden values.
func (p *page) form(field string) (action string, values url.Values) {
	for _, f := range elements(p.document, "form") {
		values := url.Values{}
		found := field == ""
		for _, in := range append(elements(f, "input"), elements(f, "button")...) {
			name := attribute(in, "name")
			if name == field {
				found = true
			}
			if in.Data == "input" && name != "" && attribute(in, "type") == "hidden" {
				values.Set(name, attribute(in, "value"))
			}
		}
		if found {
			return attribute(f, "action"), values
		}
	}
	return "", nil
}

// marked is the text of the element with a data-stepgate mark.
func (p *page) marked(mark string) string {
	for _, e := range elements(p.document, "") {
		if attribute(e, "data-stepgate") == mark {
			return textOf(e)
		}
	}
	return ""
}

func elements(n *html.Node, name string) (found []*html.Node) {
	if n == nil {
		return nil
	}
	for c := range n.Descendants() {
		if c.Type == html.ElementNode && (name == "" || c.Data == name) {
			found = append(found, c)
		}
	}
	return found
}

func attribute(n *html.Node, name string) string {
	i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
	if i < 0 {
		return ""
	}
	return n.Attr[i].Val
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

// signIn answers the sign-in page.
func (b *browser) signIn(p *page, name string) *page {
	b.t.Helper()
	return b.submit(p, "username", map[string]string{"username": name, "password": password1})
}

// enrol chooses an authenticator app where there is a choice, and answers the
// page of a new one.
func (b *browser) enrol(p *page) *page {
	b.t.Helper()
	p = b.choose(p, "/enrol/totp")
	if b.secret = p.marked("totp-secret"); b.secret == "" {
		b.t.Fatalf("no secret at %s:\n%s", p.url, p.body)
	}
	return b.submit(p, "code", map[string]string{"code": b.code(), "action": "verify"})
}

// choose follows the link to a page of ours, from a page that offers it. It
// leaves a page that is there already as it is.
func (b *browser) choose(p *page, path string) *page {
	b.t.Helper()
	if p.url.Path == "/.stepgate"+path {
		return p
	}
	for _, link := range elements(p.document, "a") {
		if to, err := p.url.Parse(attribute(link, "href")); err == nil && to.Path == "/.stepgate"+path {
			return b.get(to.String())
		}
	}
	b.t.Fatalf("no link to %s at %s (%d):\n%s", path, p.url, p.status, p.body)
	return nil
}

// keepCodes takes the backup codes off the page that shows them, and goes on.
// Other pages it leaves as they are.
func (b *browser) keepCodes(p *page) *page {
	b.t.Helper()
	var codes []string
	for _, e := range elements(p.document, "code") {
		if attribute(e, "data-stepgate") == "backup-code" {
			codes = append(codes, textOf(e))
		}
	}
	if codes == nil {
		return p
	}
	b.codes = codes
	return b.submit(p, "action", map[string]string{"action": "continue"})
}

// code makes a code of a step that this browser has not used: the gateway
// takes one step ahead of the clock.
func (b *browser) code() string {
	b.t.Helper()
	at := time.Now()
	if !b.used.IsZero() && at.Unix()/30 <= b.used.Unix()/30 {
		at = b.used.Add(30 * time.Second)
	}
	b.used = at
	code, err := totp.GenerateCode(b.secret, at)
	if err != nil {
		b.t.Fatal(err)
	}
	return code
}

// want fails unless the page has a status and stands at a target.
func (p *page) want(status int, target string) *page {
	p.t.Helper()
	if got := p.url.RequestURI(); p.status != status || target != "" && got != target {
		p.t.Fatalf("at %s with %d, want %s with %d:\n%s", got, p.status, target, status, p.body)
	}
	return p
}

// atEnrolment fails unless the page is one where a first factor is chosen or
// enrolled.
func (p *page) atEnrolment() *page {
	p.t.Helper()
	if !strings.HasPrefix(p.url.Path, "/.stepgate/enrol") {
		p.t.Fatalf("at %s (%d), want an enrolment:\n%s", p.url, p.status, p.body)
	}
	return p
}

// at fails unless the page is one of the gateway's own.
func (p *page) at(path string) *page {
	p.t.Helper()
	if p.url.Path != "/.stepgate"+path {
		p.t.Fatalf("at %s (%d), want the page %s:\n%s", p.url, p.status, path, p.body)
	}
	return p
}
