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

// Learner tries an app's login form, with a good password and with a bad one,
// and writes the configuration that tells them apart.
type Learner struct {
	// Page is the address of the login page.
	Page *url.URL
	// Host is how the app knows itself, where that is not the host of Page:
	// HOST, HOST:PORT or https://HOST. Requests go to Page's host all the same.
	Host string
	Person
	// Also is somebody else, whom what was found has to hold of as well. The
	// zero value is nobody.
	Also Person
	// Fields are values for further fields of the form.
	Fields []Field
	// Transport makes the requests. It follows no redirects.
	Transport http.RoundTripper
}

// Person is somebody's own login. The password is sent to the app and kept
// nowhere.
type Person struct {
	Username string
	Password account.Secret
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
var ErrNoForm = errors.New("the page has no form with a name and a password field; one that a script makes has to be written by hand")

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
		if next.Host != v.l.Page.Host || next.Scheme != v.l.Page.Scheme {
			return nil, fmt.Errorf("%s leads away, to %s: %s", at, next.Host, tryHost(next))
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
	who    string
	page   *document
	form   *loginForm
	before string // the Cookie line that went with it
	answer *document
	// landing is where a good login leads; nil, with the reason, where that
	// could not be opened.
	landing    *document
	landingErr error
}

// login opens the page, fills in its form and sends it.
func (l *Learner) login(ctx context.Context, who Person) (*attempt, error) {
	v, err := l.visit()
	if err != nil {
		return nil, err
	}
	page, err := v.open(ctx, l.Page)
	if err != nil {
		return nil, fmt.Errorf("open the login page: %w", err)
	}
	form := findForm(page, l.Fields)
	if form == nil {
		return nil, fmt.Errorf("%s: %w", page.URL, ErrNoForm)
	}
	if form.action.Host != page.URL.Host || form.action.Scheme != page.URL.Scheme {
		return nil, fmt.Errorf("%s: its form goes to another host, %s: %s", page.URL, form.action, tryHost(form.action))
	}
	if form.method != http.MethodPost {
		return nil, fmt.Errorf("%s: its form goes by %s to %s, which cannot be watched", page.URL, form.method, form.action)
	}
	a := &attempt{visit: v, who: who.Username, page: page, form: form, before: v.cookies(form.action)}
	fields := url.Values{}
	for name, value := range form.fields {
		fields.Set(name, value)
	}
	for _, f := range l.Fields {
		fields.Set(f.Name, f.Value)
	}
	fields.Set(form.username, who.Username)
	fields.Set(form.password, string(who.Password.Reveal()))
	a.answer, err = v.send(ctx, http.MethodPost, form.action, fields)
	if err != nil {
		return nil, fmt.Errorf("send the form: %w", err)
	}
	return a, nil
}

// enter is a login that is followed to where it leads.
func (l *Learner) enter(ctx context.Context, who Person) (*attempt, error) {
	a, err := l.login(ctx, who)
	if err != nil {
		return nil, err
	}
	start := a.answer.leadsTo()
	if start == nil {
		start = a.answer.URL
	}
	a.landing, a.landingErr = a.open(ctx, start)
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
	l, err := l.behind()
	if err != nil {
		return nil, err
	}
	c := &comparison{l: l, Learned: Learned{Reasons: map[string]string{}}}
	if c.bad, err = l.login(ctx, Person{l.Username, account.Secret(badPassword)}); err != nil {
		return nil, err
	}
	// An app may end a person's first session at their second login: it is
	// the last that is asked for pages.
	if c.first, err = l.enter(ctx, l.Person); err != nil {
		return nil, err
	}
	if c.good, err = l.enter(ctx, l.Person); err != nil {
		return nil, err
	}
	if l.Also.Username != "" {
		if c.also, err = l.enter(ctx, l.Also); err != nil {
			return nil, err
		}
	}
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
