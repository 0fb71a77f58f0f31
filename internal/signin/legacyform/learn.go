package legacyform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
)

// Learner tries an app's login form, once with a good password and once with
// a bad one, and writes the configuration that tells them apart.
type Learner struct {
	// Page is the address of the login page.
	Page *url.URL
	// Username and Password are somebody's own. The password is sent to the
	// app once and kept nowhere.
	Username string
	Password account.Secret
	// Transport makes the requests. It follows no redirects.
	Transport http.RoundTripper
}

// Learned is a configuration with the reason for each line.
type Learned struct {
	Config  Config
	Reasons map[string]string // by the option's word
	// Open says in sentences what could not be found out.
	Open []string
	// Works is set where the configuration, tried on both answers, lets the
	// good login in and the bad one not.
	Works bool
}

const (
	badPassword  = "not-the-password-93a1"
	maxRedirects = 8
)

// ErrNoForm says that the page has no form with a password.
var ErrNoForm = errors.New("the page has no form with a password field")

// visit is one browser's way through the app.
type visit struct {
	l      *Learner
	client *http.Client
	jar    http.CookieJar
}

// document is an answer and where it came from.
type document struct {
	*Answer
	text string
}

func (l *Learner) visit() (*visit, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &visit{l: l, jar: jar, client: &http.Client{
		Jar: jar, Transport: l.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func (v *visit) send(ctx context.Context, method string, at *url.URL, form url.Values) (*document, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, at.String(), body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	r.Header.Set("User-Agent", "Mozilla/5.0 (stepgate legacy learn)")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", at.Scheme+"://"+at.Host)
		r.Header.Set("Referer", v.l.Page.String())
	}
	response, err := v.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	read, err := io.ReadAll(io.LimitReader(response.Body, MaxBody))
	if err != nil {
		return nil, err
	}
	a := &Answer{URL: at, Status: response.StatusCode, Header: response.Header, Body: read, Whole: len(read) < MaxBody}
	text, _ := a.text()
	return &document{a, string(text)}, nil
}

// open gets a page as a browser does, redirects on the same origin included.
func (v *visit) open(ctx context.Context, at *url.URL) (*document, error) {
	for range maxRedirects {
		d, err := v.send(ctx, http.MethodGet, at, nil)
		if err != nil {
			return nil, err
		}
		next := d.leadsTo()
		if next == nil {
			return d, nil
		}
		if next.Host != v.l.Page.Host {
			return nil, fmt.Errorf("%s leads away, to %s: give the address that its pages have", at, next.Host)
		}
		at = next
	}
	return nil, fmt.Errorf("%s leads round in circles", at)
}

func (d *document) leadsTo() *url.URL {
	location := d.Header.Get("Location")
	if d.Status < 300 || d.Status > 399 || location == "" {
		return nil
	}
	to, err := d.URL.Parse(location)
	if err != nil {
		return nil
	}
	to.Fragment = ""
	return to
}

// attempt is one login.
type attempt struct {
	*visit
	page   *document
	form   *loginForm
	before string // the Cookie line that went with it
	answer *document
}

// login opens the page, fills in its form and sends it.
func (l *Learner) login(ctx context.Context, password string) (*attempt, error) {
	v, err := l.visit()
	if err != nil {
		return nil, err
	}
	page, err := v.open(ctx, l.Page)
	if err != nil {
		return nil, fmt.Errorf("open the login page: %w", err)
	}
	form := findForm(page)
	if form == nil {
		return nil, fmt.Errorf("%s: %w", page.URL, ErrNoForm)
	}
	if form.action.Host != page.URL.Host || form.method != http.MethodPost {
		return nil, fmt.Errorf("%s: its form goes by %s to %s, which cannot be watched", page.URL, form.method, form.action)
	}
	a := &attempt{visit: v, page: page, form: form, before: v.cookies(form.action)}
	fields := url.Values{}
	for name, value := range form.fields {
		fields.Set(name, value)
	}
	fields.Set(form.username, l.Username)
	fields.Set(form.password, password)
	a.answer, err = v.send(ctx, http.MethodPost, form.action, fields)
	if err != nil {
		return nil, fmt.Errorf("send the form: %w", err)
	}
	return a, nil
}

// cookies is the Cookie line for an address.
func (v *visit) cookies(at *url.URL) string {
	var parts []string
	for _, c := range v.jar.Cookies(at) {
		parts = append(parts, c.Name+"="+c.Value)
	}
	return strings.Join(parts, "; ")
}

// Learn tries the form. An error says why nothing could be learned at all.
func (l *Learner) Learn(ctx context.Context) (*Learned, error) {
	bad, err := l.login(ctx, badPassword)
	if err != nil {
		return nil, err
	}
	good, err := l.login(ctx, string(l.Password.Reveal()))
	if err != nil {
		return nil, err
	}
	c := &comparison{l: l, good: good, bad: bad, Learned: Learned{Reasons: map[string]string{}}}
	c.compareForms()
	c.compareAnswers()
	c.compareCookies()
	if err := c.findIdentity(ctx); err != nil {
		return nil, err
	}
	c.findSignOut()
	c.try(ctx)
	return &c.Learned, nil
}
