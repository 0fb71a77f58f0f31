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
	"github.com/stepgate/stepgate/internal/gate"
	"github.com/stepgate/stepgate/internal/kept"
	"github.com/stepgate/stepgate/internal/selfservice"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/web"
)

// newLive opens the store, or takes it from the app, and builds what the
// gate has then.
func (h *Handler) newLive(ctx context.Context) (*gate.Live, error) {
	r, err := h.app.open(ctx)
	if err != nil {
		return nil, err
	}
	ceremonies, err := h.newCeremonies(ctx, r)
	if err != nil {
		return nil, err
	}
	rooms := map[string]http.Handler{selfservice.Path: h.newSelfService(r, ceremonies).Handler()}
	if h.AdminPages {
		rooms[adminPath] = h.newAdministration(r, ceremonies).Handler()
	}
	return &gate.Live{
		Rooms: rooms, Programs: r.store, Uses: r.uses,
		Ceremonies: ceremonies, Sessions: r.sessions, Recorder: r.recorder, Ring: r.ring, Store: r.store, People: r.people,
		Turns: r.turns, Ledger: r.ledger,
	}, nil
}

func (h *Handler) newCeremonies(ctx context.Context, r *runtime) (*challenge.Site, error) {
	place, err := placeOf(h.Origin)
	if err != nil {
		return nil, err
	}
	shadowed, shared := h.shadowed(r)
	if shared {
		place.Vet = &session.Vet{Refuses: shadowed}
	}
	site := &challenge.Site{
		Web: h.gate.Web, Kit: h.gate.Kit, Pages: h.pages, Guard: &web.Guard{Site: h.gate.Web, MAC: r.ring.MAC, Verify: r.ring.VerifyMAC, Now: time.Now},
		Place: place, Sessions: r.sessions, Store: r.store, Factors: r.factors, Policy: h.gate.Policy, Domains: h.SignInFor,
		Admit: r.people.Arrive, Shadowed: shadowed, Ledger: r.ledger, Plan: r.plan, Recorder: r.recorder, Sealer: r.ring,
		Kept:    &kept.Keeper{Store: r.store, Max: h.keepBytes(), Now: time.Now},
		Address: clientAddress, Enrolment: h.enrolment(), SignOutAfter: h.AfterEnrolment == "sign_out",
		BindingDelay: h.bindingDelay(), RelyingParty: h.relyingParty(), DeviceLife: h.app.deviceLife(), Notices: h.notices(r), Where: h.app.whereIs, Now: time.Now,
		Report: func(reference string, err error) {
			h.logger.Warn("a sign-in was refused", zap.String("reference", reference), zap.Error(err))
		},
	}
	if asksRisk(h.enforced(), h.ReportOnly) {
		site.Scorer = scorer{h.app, r}
	}
	if h.signsLocal() {
		site.People, site.Links, site.Judge = r.people, h.links(r), h.judge
		site.Strength = strengthOf
	}
	if h.SignInAt != "" {
		if err := h.join(site); err != nil {
			return nil, err
		}
	}
	sources, err := h.openSources(ctx, r)
	if err != nil {
		return nil, err
	}
	for i, opened := range sources {
		site.Place.Sources = append(site.Place.Sources, h.sources[i].Name())
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
			_, site.LoginBox = opened.(signin.Boxed)
		}
	}
	site.Web = h.withFormTargets(site)
	return site, nil
}

// withFormTargets is the site whose pages' forms may lead to where its people
// sign in, and to sites that leave signing in to it. Browsers hold every
// redirect after a form to that, and an issuer may send people on to others, so
// that of issuers no more can be said than how they are spoken to.
func (h *Handler) withFormTargets(site *challenge.Site) *web.Site {
	leads := *h.gate.Web
	if len(site.Redirectors) > 0 {
		leads.FormTargets = append(leads.FormTargets, "https:")
		if !leads.SecureCookies {
			leads.FormTargets = append(leads.FormTargets, "http:")
		}
	}
	for _, other := range h.app.sites {
		if other.SignInAt == h.Origin {
			leads.FormTargets = append(leads.FormTargets, other.Origin)
		}
	}
	return &leads
}

// openSources gives what the site's sources are once the store is open, the same
// each time.
func (h *Handler) openSources(ctx context.Context, r *runtime) ([]source.Source, error) {
	h.opening.Lock()
	defer h.opening.Unlock()
	for len(h.opened) < len(h.sources) {
		module := h.sources[len(h.opened)]
		opened, err := module.Open(ctx, source.Opening{Origin: h.Origin, Local: r.local, Log: r.log})
		if err != nil {
			return nil, fmt.Errorf("sign_in %s: %w", module.Name(), err)
		}
		h.opened = append(h.opened, opened)
	}
	return h.opened, nil
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
	rp := challenge.RelyingParty{Name: h.gate.Web.Name}
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

// logPage writes down what became of a page, under the reference that its
// visitor was shown.
func (h *Handler) logPage(_ context.Context, level slog.Level, message, reference string, err error) {
	at := zapcore.DebugLevel
	if level >= slog.LevelError {
		at = zapcore.ErrorLevel
	}
	h.logger.Log(at, message, zap.String("reference", reference), zap.Error(err))
}

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

// enrolment is the site's, or the default of its sources.
func (h *Handler) enrolment() challenge.Enrolment {
	if h.Enrolment != "" {
		return challenge.Enrolment(h.Enrolment)
	}
	if h.SignInAt != "" {
		if at := h.app.siteAt(h.SignInAt); at != nil && at.SignInAt == "" {
			return at.enrolment()
		}
		return challenge.EnrolContact
	}
	for _, s := range h.sources {
		if s.Name() != "local" {
			return challenge.EnrolContact
		}
	}
	return challenge.EnrolSelf
}

const defaultBindingDelay = 24 * time.Hour

func (h *Handler) bindingDelay() time.Duration {
	if h.BindingDelay == nil {
		return defaultBindingDelay
	}
	return time.Duration(*h.BindingDelay)
}
