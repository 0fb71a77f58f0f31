package watched

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/signin/upstreambasic"
)

// Next is the rest of a request's way to the app.
type Next interface {
	ServeHTTP(w http.ResponseWriter, r *http.Request) error
}

// Server is what only the server around the gate can do.
type Server interface {
	// Ask sends a question of the gateway's own to the app by next, which is
	// the way of the request that it is asked for.
	Ask(q *http.Request, w http.ResponseWriter, next Next) error
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

// Asker asks the app in the gateway's own name.
type Asker struct {
	Origin string // of the site
	Server Server
}

// For asks by the same way that the request r goes, which next is the rest of.
func (a Asker) For(r *http.Request, next Next) legacyform.Ask {
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
		answer := newHeld()
		if err := a.Server.Ask(q.WithContext(ctx), answer, next); err != nil {
			return nil, err
		}
		return answer.answer(a.Origin, target)
	}
}
