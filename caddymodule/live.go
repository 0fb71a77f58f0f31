package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/stepgate/stepgate/caddymodule/source"
	"github.com/stepgate/stepgate/challenge"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
	"github.com/stepgate/stepgate/policy"
)

// live is a site with its store open.
type live struct {
	runtime    *runtime
	ceremonies *challenge.Site
	pages      http.Handler
	status     http.Handler
	assets     http.Handler
	weld       *weld.Weld      // nil where no login form is watched
	password   policy.LevelSet // what a password alone meets
}

func (l *live) now() time.Time { return time.Now() }

// alive returns the site with its store open. Apps start in any order, so the
// first request may come before the app has started.
func (h *Handler) alive(ctx context.Context) (*live, error) {
	if l := h.live.Load(); l != nil {
		return l, nil
	}
	ctx = context.WithoutCancel(ctx)
	r, err := h.app.open(ctx)
	if err != nil {
		return nil, err
	}
	l, err := h.newLive(ctx, r)
	if err != nil {
		return nil, err
	}
	h.live.CompareAndSwap(nil, l)
	return h.live.Load(), nil
}

func (h *Handler) newLive(ctx context.Context, r *runtime) (*live, error) {
	place, err := placeOf(h.Origin)
	if err != nil {
		return nil, err
	}
	site := &challenge.Site{
		Web: h.web, Kit: h.kit, Pages: h.pages, Guard: &web.Guard{Site: h.web, MAC: r.ring.MAC, Verify: r.ring.VerifyMAC, Now: time.Now},
		Place: place, Sessions: r.sessions, Store: r.store, Factors: r.factors, Policy: h.policy,
		Admit: r.people.Arrive, Shadowed: h.shadowed(r), Ledger: r.ledger, Plan: r.plan, Recorder: r.recorder, Sealer: r.ring,
		Kept:    &kept.Keeper{Store: r.store, Max: h.keepBytes(), Now: time.Now},
		Address: clientAddress, Enrolment: h.enrolment(), SignOutAfter: h.AfterEnrolment == "sign_out",
		BindingDelay: h.bindingDelay(), RelyingParty: h.relyingParty(), Notices: h.notices(r), Now: time.Now,
		Report: func(reference string, err error) {
			h.logger.Warn("a sign-in was refused", zap.String("reference", reference), zap.Error(err))
		},
	}
	if h.signsLocal() {
		site.People, site.Links, site.Judge = r.people, h.links(r), h.judge
	}
	for _, module := range h.sources {
		site.Place.Sources = append(site.Place.Sources, module.Name())
		opened, err := module.Open(ctx, source.Opening{Origin: h.Origin, Local: r.local, Log: r.log})
		if err != nil {
			return nil, fmt.Errorf("sign_in %s: %w", module.Name(), err)
		}
		if checker, ok := opened.(signin.PasswordChecker); ok {
			site.Passwords = append(site.Passwords, checker)
		}
		if asserter, ok := opened.(signin.Asserter); ok {
			site.Asserters = append(site.Asserters, asserter)
		}
		if redirector, ok := opened.(signin.Redirector); ok {
			site.Redirectors = append(site.Redirectors, redirector)
		}
		if watched, ok := opened.(signin.Observer); ok {
			site.LoginPage = watched.LoginTarget()
		}
	}
	return &live{
		runtime: r, ceremonies: site, pages: web.TopLevelOnly(h.web, site.Handler()), status: site.Status(), assets: h.kit.Assets(h.web),
		weld: h.newWeld(r), password: passwordMeets(h.policy, time.Now()),
	}, nil
}

// passwordMeets are the levels that whoever knows a password meets.
func passwordMeets(p *policy.Policy, now time.Time) policy.LevelSet {
	met, _ := p.MetUntil([]policy.Proof{{Factor: policy.Password, At: now}}, true, now)
	return met
}

// placeOf is where the site's session cookie lives.
func placeOf(origin string) (session.Place, error) {
	u, err := url.Parse(origin)
	if err != nil {
		return session.Place{}, err
	}
	secure := u.Scheme == "https"
	return session.Place{Origin: origin, Secure: secure, Cookie: session.CookieName(secure, u.Port())}, nil
}

func (h *Handler) relyingParty() challenge.RelyingParty {
	rp := challenge.RelyingParty{Name: h.web.Name}
	if u, err := url.Parse(h.Origin); err == nil {
		rp.ID = u.Hostname()
	}
	if h.RelyingParty != nil {
		rp.ID = h.RelyingParty.ID
		if h.RelyingParty.Name != "" {
			rp.Name = h.RelyingParty.Name
		}
	}
	return rp
}

// ownHandler finds the page at a path below the prefix.
func (h *Handler) ownHandler(path string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l, err := h.alive(r.Context())
		if path == h.Prefix+"/health" {
			h.serveHealth(w, r, l, err)
			return
		}
		if err != nil {
			h.fail(w, r, &web.Fail{Status: http.StatusServiceUnavailable, Err: err})
			return
		}
		// An earlier handler may have rewritten the path: pages go by what
		// the client sent.
		at := *r.URL
		at.Path, at.RawPath = path, ""
		own := *r
		own.URL = &at
		rest := strings.TrimPrefix(path, h.Prefix)
		switch {
		case rest == "/status":
			l.status.ServeHTTP(w, &own)
		case rest == "/jwks.json":
			h.serveJWKS(w, &own, l)
		case strings.HasPrefix(rest, "/assets/"):
			l.assets.ServeHTTP(w, &own)
		default:
			l.pages.ServeHTTP(w, &own)
		}
	})
}

// serveHealth tells a balancer whether this node can serve, its store
// included, and nobody anything more.
func (h *Handler) serveHealth(w http.ResponseWriter, r *http.Request, l *live, err error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.fail(w, r, &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD"})
		return
	}
	if err == nil {
		err = l.runtime.sessions.Answers(r.Context())
	}
	web.Harden(w.Header(), h.web)
	if err != nil {
		h.logger.Debug("not healthy", zapError(err))
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// serveJWKS answers with the public keys of the identity assertion.
func (h *Handler) serveJWKS(w http.ResponseWriter, r *http.Request, l *live) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.fail(w, r, &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD"})
		return
	}
	web.Harden(w.Header(), h.web)
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Del("Vary")
	w.Write(l.runtime.ring.JWKS())
}

const changePasswordPath = "/.well-known/change-password"

// changePassword sends password managers to the account page (W3C
// change-password-url).
func (h *Handler) changePassword(w http.ResponseWriter, r *http.Request) {
	if err := web.Redirect(w, r, h.web, h.web.Path("/account")); err != nil {
		h.fail(w, r, err)
	}
}

// logPage writes down what became of a page, under the reference that its
// visitor was shown.
func (h *Handler) logPage(_ context.Context, level slog.Level, message, reference string, err error) {
	at := zapcore.DebugLevel
	if level >= slog.LevelError {
		at = zapcore.ErrorLevel
	}
	h.logger.Log(at, message, zap.String("reference", reference), zap.Error(err))
}

func zapError(err error) zap.Field { return zap.Error(err) }

// checkOrigin tells what is wrong with an origin (RFC 6454 §6.2).
func checkOrigin(origin string) error {
	u, err := url.Parse(origin)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return errors.New("expected scheme and host, such as https://portal.example.gov")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("expected scheme and host alone, without a path")
	case origin != strings.ToLower(origin):
		return errors.New("expected lower case, as browsers write it")
	case u.Scheme == "https" && u.Port() == "443", u.Scheme == "http" && u.Port() == "80":
		return errors.New("leave out the scheme's own port, as browsers do")
	default:
		return nil
	}
}
