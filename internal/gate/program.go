package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// This file is for programs that send a token, because they cannot answer a
// challenge. What they may do stands in the token; that it counts only for
// levels that name tokens, and never as a sign-in, is the policy's.

// Programs finds what tokens stand for.
type Programs interface {
	CredentialByHandle(ctx context.Context, handle string) (account.Credential, error)
	Account(ctx context.Context, id account.ID) (account.Account, error)
	Organisation(ctx context.Context, name string) (account.Organisation, error)
}

// programs is who calls without a browser: by a token, or by what is sent
// with each call.
type programs struct{ *Handler }

// program is the visitor that a token stands for, if the request is one that it
// is for; otherwise nobody.
func (h programs) program(r *http.Request, live *Live, p *passage, secret string) visitor {
	place, address := live.Ceremonies.Place, h.Server.Client(r)
	handle := token.Handle(secret)
	entry, err := live.Sessions.Presented(r.Context(), "\x00"+place.Origin+"\x00"+handle, func(ctx context.Context) (session.Presented, error) {
		return h.readToken(ctx, live, handle, r)
	})
	if err != nil || entry == nil {
		return visitor{err: err}
	}
	// What was read for an earlier configuration may be nobody's in this one.
	if admitted, err := place.Admits(r.Context(), entry, entry.Owner.Account.Source); !admitted {
		return visitor{err: err}
	}
	now := live.now()
	claimed := slices.Clone(p.claims(r.Header))
	p.claimed = p.claimed[:0]
	asked := policy.Request{Method: r.Method, Claimed: claimed, Target: &p.sent, Also: p.request.Also}
	if scope, ok := entry.Scope.(*token.Scope); !ok || !scope.Admits(asked, address, now) {
		e := trail(h).event(r, audit.AccessDenied, visitor{entry: entry})
		e.Factor, e.Credential, e.Outcome, e.Reason = string(policy.Token), entry.Session.Proofs[0].Credential, "deny", "token-out-of-bounds"
		trail(h).observe(e)
		return visitor{}
	}
	live.Uses.Note(account.CredentialID(entry.Session.Proofs[0].Credential), now)
	return visitor{entry: entry, memo: visitors(h).memo(entry, now)}
}

// readToken reads what a token stands for. Guesses are counted by address, and
// whoever makes too many waits; a token that is one waits for nobody's guesses.
func (h programs) readToken(ctx context.Context, live *Live, handle string, r *http.Request) (session.Presented, error) {
	presented, err := h.findToken(ctx, live, handle)
	if !errors.Is(err, account.ErrNotFound) {
		return presented, err
	}
	e := trail(h).event(r, audit.LoginFail, visitor{})
	e.Factor, e.Reason = string(policy.Token), "unknown-token"
	trail(h).observe(e)
	_, err = live.Ledger.Spend(ctx, live.Ceremonies.Plan.Charges(throttle.Try{Factor: string(policy.Token), Address: h.Server.Client(r)})...)
	if spent := (*throttle.Spent)(nil); errors.As(err, &spent) {
		return session.Presented{}, &web.Fail{Status: http.StatusTooManyRequests, RetryAfter: spent.RetryAfter, Err: err}
	}
	if err != nil {
		return session.Presented{}, err
	}
	return session.Presented{}, session.ErrNotFound
}

// findToken is account.ErrNotFound for a token that is none, or of an account
// that the site does not take.
func (h programs) findToken(ctx context.Context, live *Live, handle string) (session.Presented, error) {
	var found session.Presented
	c, err := live.Programs.CredentialByHandle(ctx, handle)
	if err == nil && c.Factor != string(policy.Token) {
		err = account.ErrNotFound
	}
	if err != nil {
		return found, err
	}
	owner, err := live.Programs.Account(ctx, c.Account)
	if err != nil {
		return found, err
	}
	place := live.Ceremonies.Place
	if place.Sources != nil && !slices.Contains(place.Sources, owner.Source) {
		return found, account.ErrNotFound
	}
	organisation, err := live.Programs.Organisation(ctx, owner.Organisation)
	if err != nil {
		return found, fmt.Errorf("read organisation: %w", err)
	}
	bounds, err := token.BoundsOf(c)
	if err != nil {
		return found, err
	}
	scope, err := token.Compile(bounds)
	if err != nil {
		return found, err
	}
	now := live.now().UTC()
	found.Scope = scope
	found.Owner = session.Owner{Account: owner, Require: organisation.Require}
	found.Session = session.Session{
		ID: session.ID("token " + string(c.ID)), Account: owner.ID, Site: place.Origin, Source: owner.Source, CreatedAt: c.CreatedAt, SeenAt: now,
		EndsAt: scope.EndsAt(), Proofs: []policy.Proof{{Factor: policy.Token, Credential: string(c.ID), At: now}},
	}
	return found, nil
}

// program tells whether a visitor is a program with a token.
func (v visitor) program() bool { return v.entry != nil && v.entry.Scope != nil }

// proofsAt are the proofs of an entry as they are at a request: a program sends
// its token with each, so that it never ages.
func proofsAt(e *session.Entry, now time.Time) []policy.Proof {
	if e.Scope == nil {
		return e.Session.Proofs
	}
	fresh := slices.Clone(e.Session.Proofs)
	for i := range fresh {
		fresh[i].At = now
	}
	return fresh
}

// takesTokens are the levels that name tokens.
func takesTokens(p *policy.Policy) policy.LevelSet {
	var set policy.LevelSet
	for _, l := range p.Levels() {
		if slices.ContainsFunc(l.Alternatives(), func(a []policy.Factor) bool { return slices.Contains(a, policy.Token) }) {
			set |= l.Set()
		}
	}
	return set
}

// realm is what programs are asked for a token in the name of, "" where none
// would do, and for browsers, which would ask their person for a password.
func (h programs) realm(r *http.Request, live *Live, needed policy.LevelSet) string {
	if needed&live.tokens == 0 || len(r.Header["Sec-Fetch-Mode"]) > 0 {
		return ""
	}
	return h.Web.Name
}
