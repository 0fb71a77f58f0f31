package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"golang.org/x/net/html"
)

// person is a browser that a balancer may lead to any node.
type person struct {
	*testing.T
	name   string
	client *http.Client
	to     atomic.Pointer[node]
	secret string // of the authenticator app
	used   time.Time
}

// person adds somebody, with a browser.
func (n *nodes) person(name string) *person {
	n.Helper()
	n.command(n.all[0], nodesPassword, "user", "add", name, "--email", name+"@example.gov", "--password-stdin")
	p := n.browser()
	p.name = name
	return p
}

// enrol signs in, enrols an authenticator app, and is where it was going.
func (p *person) enrol(target string) {
	p.Helper()
	page := p.signIn(target)
	if page.url.Path != "/.stepgate/enrol/totp" { // where there is a choice
		page = p.get("/.stepgate/enrol/totp?" + page.url.RawQuery)
	}
	if p.secret = marked(page.body, "totp-secret"); p.secret == "" {
		p.Fatalf("no secret at %s (%d):\n%s", page.url, page.status, page.body)
	}
	p.submit(page, "code", map[string]string{"code": p.code(), "action": "verify"})
	p.wantStatus(target, http.StatusOK)
}

type answer struct {
	status int
	url    *url.URL
	body   string
}

func (n *nodes) browser() *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		n.Fatal(err)
	}
	p := &person{T: n.T}
	p.client = &http.Client{Jar: jar, Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.to.Load().addr)
		},
	}}
	return p
}

// at leads the browser to a node from now on.
func (p *person) at(one *node) *person {
	p.to.Store(one)
	return p
}

func (p *person) do(r *http.Request) answer {
	p.Helper()
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := p.client.Do(r)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Request.URL, string(body)}
}

func (p *person) get(target string) answer {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), http.MethodGet, nodesOrigin+target, nil)
	if err != nil {
		p.Fatal(err)
	}
	return p.do(r)
}

// submit fills in the form that has a field of some name.
func (p *person) submit(a answer, field string, values map[string]string) answer {
	p.Helper()
	document, _ := html.Parse(strings.NewReader(a.body))
	for form := range document.Descendants() {
		if form.Type != html.ElementNode || form.Data != "form" {
			continue
		}
		filled, has := url.Values{}, false
		for in := range form.Descendants() {
			if in.Type != html.ElementNode || in.Data != "input" && in.Data != "button" {
				continue
			}
			name := attributeOf(in, "name")
			has = has || name == field
			if attributeOf(in, "type") == "hidden" {
				filled.Set(name, attributeOf(in, "value"))
			}
		}
		if !has {
			continue
		}
		for name, value := range values {
			filled.Set(name, value)
		}
		to, err := a.url.Parse(attributeOf(form, "action"))
		if err != nil {
			p.Fatal(err)
		}
		r, err := http.NewRequestWithContext(p.Context(), http.MethodPost, to.String(), strings.NewReader(filled.Encode()))
		if err != nil {
			p.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", nodesOrigin)
		return p.do(r)
	}
	p.Fatalf("no form with %s at %s (%d):\n%s", field, a.url, a.status, a.body)
	return answer{}
}

func attributeOf(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// marked is the text of the element with a data-stepgate mark.
func marked(body, mark string) string {
	document, _ := html.Parse(strings.NewReader(body))
	for e := range document.Descendants() {
		if e.Type == html.ElementNode && attributeOf(e, "data-stepgate") == mark && e.FirstChild != nil {
			return strings.TrimSpace(e.FirstChild.Data)
		}
	}
	return ""
}

func (p *person) signIn(target string) answer {
	p.Helper()
	return p.submit(p.get(target), "username", map[string]string{"username": p.name, "password": nodesPassword})
}

// code makes a code that was not used before.
func (p *person) code() string {
	p.Helper()
	at := time.Now()
	if at.Unix()/30 <= p.used.Unix()/30 {
		at = p.used.Add(30 * time.Second)
	}
	p.used = at
	code, err := totp.GenerateCode(p.secret, at)
	if err != nil {
		p.Fatal(err)
	}
	return code
}

func (p *person) wantStatus(target string, want int) answer {
	p.Helper()
	a := p.get(target)
	if a.status != want || want == http.StatusOK && a.url.Path != target {
		p.Errorf("GET %s at %s: %d at %v, want %d", target, p.to.Load().addr, a.status, a.url, want)
	}
	return a
}
