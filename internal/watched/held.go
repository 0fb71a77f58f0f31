package watched

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/stepgate/stepgate/internal/signin/legacyform"
)

// Held is an answer that waits for a decision, to its end: an app may hold its
// session until then, and could not say whose it is. One that is too long even
// for that is decided at that point: full is called, and what follows goes to
// rest. Where full is nil, its beginning is all that counts.
type Held struct {
	header http.Header
	sent   http.Header // the header as it was when the answer began
	status int
	body   bytes.Buffer
	more   Spool // what came after the body that is looked at
	full   func() (rest http.ResponseWriter)
	whole  bool // nothing was cut off
	rest   http.ResponseWriter
	passed bool
	adds   Adds
	added  io.Closer // what adds to the page that is going out
}

// Adds is how something is added to a page before a browser shows it: it looks
// at the header that goes out, and gives the way of the body to w, nil for an
// answer that stays as it is.
type Adds func(status int, h http.Header, w io.Writer) io.WriteCloser

func newHeld() *Held { return &Held{header: http.Header{}, whole: true} }

// Header implements http.ResponseWriter.
func (a *Held) Header() http.Header { return a.header }

// WriteHeader keeps the first status that is not of the 1xx kind.
func (a *Held) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status, a.sent = status, a.header.Clone()
	}
}

// Write keeps what is short enough to be looked at; what is longer goes on as
// it comes, where there is a way for it.
func (a *Held) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.whole && a.body.Len()+len(p) <= legacyform.MaxBody {
		return a.body.Write(p)
	}
	a.whole = false
	if a.full == nil {
		return len(p), nil
	}
	if !a.passed {
		if _, err := a.more.Write(p); err == nil {
			return len(p), nil
		}
		a.passed = true
		a.rest = a.full()
	}
	if a.rest == nil {
		return len(p), nil
	}
	return a.rest.Write(p)
}

// FlushError has nothing to do: nothing is sent before the decision.
func (a *Held) FlushError() error { return nil }

// answer is what is judged.
func (a *Held) answer(origin, target string) (*legacyform.Answer, error) {
	a.WriteHeader(http.StatusOK)
	at, err := url.Parse(origin + target)
	if err != nil {
		return nil, err
	}
	return &legacyform.Answer{URL: at, Status: a.status, Header: a.sent, Body: a.body.Bytes(), Whole: a.whole}, nil
}

// Leads tells whether the answer sends the browser on.
func (a *Held) Leads() bool { return a.status >= 300 && a.status < 400 && a.sent.Get("Location") != "" }

// Cookies are the Set-Cookie lines of the answer.
func (a *Held) Cookies() []string { return a.sent["Set-Cookie"] }

// Pass sends the answer on, and gives the way of what is left of a long one. w
// may have cookies of ours already.
func (a *Held) Pass(w http.ResponseWriter) (rest http.ResponseWriter) {
	for name, values := range a.sent {
		if name == "Set-Cookie" {
			values = append(w.Header()[name], values...)
		}
		w.Header()[name] = values
	}
	rest = w
	if a.adds != nil {
		if body := a.adds(a.status, w.Header(), w); body != nil {
			a.added, rest = body, through{w, body}
		}
	}
	w.WriteHeader(a.status)
	rest.Write(a.body.Bytes())
	a.more.WriteTo(rest)
	return rest
}

// through is a writer whose body goes another way.
type through struct {
	http.ResponseWriter
	body io.Writer
}

func (t through) Write(p []byte) (int, error) { return t.body.Write(p) }

// close forgets what was kept, and sends what is left of a page that something
// was added to. What came broken arrives broken: there is nobody else to tell.
func (a *Held) close() {
	a.more.Close()
	if a.added != nil {
		_ = a.added.Close()
	}
}

// PassHeader is Pass without the body.
func (a *Held) PassHeader(w http.ResponseWriter) {
	a.body.Reset()
	a.more.Close()
	for name := range a.sent {
		if strings.HasPrefix(name, "Content-") || name == "Transfer-Encoding" || name == "Trailer" {
			delete(a.sent, name)
		}
	}
	a.Pass(w)
}
