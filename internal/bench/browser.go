package main

import (
	"cmp"
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/pquerna/otp/totp"
)

// browser takes the steps of a person at a gateway.
type browser struct {
	client *http.Client
	jar    *cookiejar.Jar
	base   string
	named  string // what X-Person says, if anything
}

// newBrowser is one that comes from a loopback address of its own: what a
// gateway counts for addresses is then counted for each by itself.
func newBrowser(base string, number int) (*browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(number>>8), byte(number))}}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return from.DialContext(ctx, "tcp4", address)
	}}
	return &browser{client: &http.Client{Jar: jar, Transport: transport}, jar: jar, base: base}, nil
}

func (b *browser) close() { b.client.CloseIdleConnections() }

// page is what a visit has led to, after redirects.
type page struct{ text, at string }

func (b *browser) get(target string) (page, error) { return b.visit(target, nil) }

func (b *browser) visit(target string, form url.Values) (page, error) {
	r, err := b.request(target, form)
	if err != nil {
		return page{}, err
	}
	resp, err := b.client.Do(r)
	if err != nil {
		return page{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return page{string(text), resp.Request.URL.String()}, err
}

func (b *browser) request(target string, form url.Values) (*http.Request, error) {
	if strings.HasPrefix(target, "/") {
		target = b.base + target
	}
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, target, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/html")
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Accept-Language", "en-GB")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.named != "" {
		r.Header.Set("X-Person", b.named)
	}
	return r, nil
}

// cookies is the line of all cookies that the browser has.
func (b *browser) cookies() (string, error) {
	base, err := url.Parse(b.base)
	if err != nil {
		return "", err
	}
	var line []string
	for _, c := range b.jar.Cookies(base) {
		line = append(line, c.Name+"="+c.Value)
	}
	return strings.Join(line, "; "), nil
}

var (
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
	toTOTP = regexp.MustCompile(`href="(/\.stepgate/enrol/totp\?[^"]*)"`)
	secret = regexp.MustCompile(`data-stepgate="totp-secret">([A-Z2-7]+)<`)
)

// form is what a page's hidden fields and these say: name, value, name, value.
func (p page) form(more ...string) url.Values {
	form := url.Values{}
	for _, f := range hidden.FindAllStringSubmatch(p.text, -1) {
		form.Set(f[1], html.UnescapeString(f[2]))
	}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

// enrol enrols an authenticator app at the page that asks for a second factor,
// and returns its secret and the step whose code it gave: the one before this,
// unless that was too long ago once it arrived.
func (b *browser) enrol(p page) (seed string, step int64, err error) {
	if choice := toTOTP.FindStringSubmatch(p.text); choice != nil {
		if p, err = b.get(html.UnescapeString(choice[1])); err != nil {
			return "", 0, err
		}
	}
	for late := range int64(2) {
		found := secret.FindStringSubmatch(p.text)
		if found == nil {
			break
		}
		seed, step = found[1], time.Now().Unix()/30-1+late
		code, err := totp.GenerateCode(seed, time.Unix(step*30, 0))
		if err != nil {
			return "", 0, err
		}
		if p, err = b.visit(p.at, p.form("code", code)); err != nil {
			return "", 0, err
		}
	}
	if seed == "" || secret.MatchString(p.text) {
		return "", 0, fmt.Errorf("no app was enrolled at %s", p.at)
	}
	return seed, step, nil
}

// arrive goes to a page of the application and says what the application was
// asked with there.
func (b *browser) arrive() (http.Header, error) {
	p, err := b.get("/cases/echo")
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(p.at, "/cases/echo") {
		return nil, fmt.Errorf("stands at %s", p.at)
	}
	return parseEcho(p.text)
}

// signIn signs a person with a local account in, whose second factor it
// enrols.
func (b *browser) signIn(username, password string) (http.Header, error) {
	p, err := b.get("/cases/1")
	if err != nil {
		return nil, err
	}
	if p, err = b.visit(p.at, p.form("username", username, "password", password)); err != nil {
		return nil, err
	}
	if _, _, err := b.enrol(p); err != nil {
		return nil, err
	}
	return b.arrive()
}

// atApp signs a person in at the application's own form.
func (b *browser) atApp() (http.Header, error) {
	p, err := b.get("/login.php")
	if err != nil {
		return nil, err
	}
	p, err = b.visit("/login.php", url.Values{"user": {"joe"}, "pass": {appPassword}})
	if err == nil && !strings.HasSuffix(p.at, "/home") {
		err = fmt.Errorf("stands at %s after the login", p.at)
	}
	if err == nil {
		p, err = b.get("/cases/1")
	}
	if err == nil {
		_, _, err = b.enrol(p)
	}
	if err != nil {
		return nil, err
	}
	return b.arrive()
}

// identity are the headers that a gate has added for the application.
func identity(seen http.Header) map[string]string {
	set := map[string]string{}
	for name, values := range seen {
		if strings.HasPrefix(name, "Remote-") || strings.HasPrefix(name, "Stepgate-") {
			set[name] = cmp.Or(values...)
		}
	}
	return set
}
