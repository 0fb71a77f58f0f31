package gate

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/signin/upstreambasic"
)

// held is an answer that waits for a decision, to its end: an app may hold its
// session until then, and could not say whose it is. One that is too long even
// for that is decided at that point: full is called, and what follows goes to
// rest. Where full is nil, its beginning is all that counts.
type held struct {
	header http.Header
	sent   http.Header // the header as it was when the answer began
	status int
	body   bytes.Buffer
	more   spool // what came after the body that is looked at
	full   func() (rest http.ResponseWriter)
	whole  bool // nothing was cut off
	rest   http.ResponseWriter
	passed bool
}

func newHeld() *held { return &held{header: http.Header{}, whole: true} }

func (a *held) Header() http.Header { return a.header }

// WriteHeader keeps the first status that is not of the 1xx kind.
func (a *held) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status, a.sent = status, a.header.Clone()
	}
}

func (a *held) Write(p []byte) (int, error) {
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
func (a *held) FlushError() error { return nil }

// answer is what is judged.
func (a *held) answer(h *Handler, target string) (*legacyform.Answer, error) {
	a.WriteHeader(http.StatusOK)
	at, err := url.Parse(h.Origin + target)
	if err != nil {
		return nil, err
	}
	return &legacyform.Answer{URL: at, Status: a.status, Header: a.sent, Body: a.body.Bytes(), Whole: a.whole}, nil
}

// pass sends the answer on as it is. w may have cookies of ours already.
func (a *held) pass(w http.ResponseWriter) {
	for name, values := range a.sent {
		if name == "Set-Cookie" {
			values = append(w.Header()[name], values...)
		}
		w.Header()[name] = values
	}
	w.WriteHeader(a.status)
	w.Write(a.body.Bytes())
	a.more.WriteTo(w)
}

// passHeader is pass without the body.
func (a *held) passHeader(w http.ResponseWriter) {
	a.body.Reset()
	a.more.Close()
	for name := range a.sent {
		if strings.HasPrefix(name, "Content-") || name == "Transfer-Encoding" || name == "Trailer" {
			delete(a.sent, name)
		}
	}
	a.pass(w)
}

// probeTimeout is how long the app may take to say who somebody is.
const probeTimeout = 10 * time.Second

// probeHeaders are those of the browser's own request that a question to the
// app in its name has as well: apps tie sessions to them. The languages that
// the browser would like are not among them, because the pattern that finds
// the name is written for one language.
var probeHeaders = []string{
	"User-Agent", "Forwarded", "Via", "X-Real-Ip", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port",
}

// asker asks the app by the same way that the request goes.
func (h *Handler) asker(r *http.Request, next Next) legacyform.Ask {
	return func(ctx context.Context, target, cookies string) (*legacyform.Answer, error) {
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		at, err := url.ParseRequestURI(target)
		if err != nil {
			return nil, err
		}
		q := &http.Request{
			Method: http.MethodGet, URL: at, RequestURI: target, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
			Host: r.Host, RemoteAddr: r.RemoteAddr, TLS: r.TLS, Body: http.NoBody, Header: http.Header{"Accept": {"text/html,*/*;q=0.8"}},
		}
		for _, name := range probeHeaders {
			if values, ok := r.Header[name]; ok {
				q.Header[name] = append([]string(nil), values...)
			}
		}
		if cookies = strings.TrimSpace(cookies); cookies != "" {
			q.Header["Cookie"] = []string{cookies}
		}
		if token := legacyform.BearerOf(ctx); token != "" {
			q.Header["Authorization"] = []string{"Bearer " + token}
		}
		if c, ok := upstreambasic.Of(ctx); ok {
			q.Header["Authorization"] = []string{string(c.Line.Reveal())}
		}
		a := newHeld()
		if err := h.Server.Ask(q.WithContext(ctx), a, next); err != nil {
			return nil, err
		}
		return a.answer(h, target)
	}
}
