package approval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// Factor is the factor `approval`. Safe for concurrent use.
type Factor struct {
	Store Store
	// Origin is that of the authenticator app.
	Origin string
	// Wake tells phones that something waits, without saying what, and does not
	// wait for them; nil tells none, and they ask by themselves.
	Wake func(phones []account.Credential)
}

// Kind implements factors.Factor.
func (f *Factor) Kind() policy.Factor { return policy.Approval }

// Usable implements factors.Sieve: a phone whose key was destroyed is none.
func (f *Factor) Usable(_ factors.Scope, c account.Credential) bool {
	r, err := recordOf(c)
	return err == nil && r.Live()
}

// asked is what a ceremony remembers of the request that it made.
type asked struct {
	Request string `json:"request"`
}

// Prepare implements factors.Factor. The request goes out when a form asks for
// it.
func (f *Factor) Prepare(ctx context.Context, scope factors.Scope, held []account.Credential, state factors.State, send bool) (factors.Prompt, factors.State, error) {
	prompt := factors.Prompt{Shape: factors.ShapeApproval, Factor: policy.Approval}
	phones := f.phones(scope, held)
	if len(phones) == 0 {
		return prompt, nil, factors.ErrUnavailable
	}
	for _, c := range phones {
		prompt.Labels = append(prompt.Labels, c.Label)
		if r, err := recordOf(c); err == nil && r.Lost {
			prompt.Unreached = append(prompt.Unreached, c.Label)
		}
	}
	if !send {
		r, err := f.requestOf(ctx, state)
		if err != nil {
			return prompt, nil, err
		}
		prompt.Progress = r.progress(scope.Now)
		if prompt.Progress == factors.ProgressWaiting {
			prompt.Number = r.Content.Number
			prompt.LifetimeMin = int(r.ExpiresAt.Sub(scope.Now).Round(time.Minute).Minutes())
		}
		return prompt, state, nil
	}
	r, err := newRequest(scope)
	if err != nil {
		return prompt, nil, fmt.Errorf("approval: make a request: %w", err)
	}
	if err := f.Store.AskApproval(ctx, r, scope.Now); err != nil {
		if soon := (*factors.TooSoon)(nil); errors.As(err, &soon) {
			err = errors.Join(factors.ErrDenied, err)
		}
		return prompt, nil, err
	}
	if f.Wake != nil {
		f.Wake(phones)
	}
	prompt.Progress, prompt.Number = factors.ProgressWaiting, r.Content.Number
	state, err = json.Marshal(asked{r.ID})
	return prompt, state, err
}

func (f *Factor) phones(scope factors.Scope, held []account.Credential) []account.Credential {
	return slices.DeleteFunc(slices.Clone(held), func(c account.Credential) bool {
		return c.Factor != string(policy.Approval) || !f.Usable(scope, c)
	})
}

// requestOf is the request that a ceremony made; a zero one where it has made
// none.
func (f *Factor) requestOf(ctx context.Context, state factors.State) (Request, error) {
	var a asked
	if json.Unmarshal(state, &a) != nil || a.Request == "" {
		return Request{}, nil
	}
	r, err := f.Store.Approval(ctx, a.Request)
	if errors.Is(err, ErrGone) { // long over
		return Request{Status: Spent}, nil
	}
	return r, err
}

// progress is what the page shows of a request.
func (r Request) progress(now time.Time) factors.Progress {
	switch {
	case r.Status == "":
		return factors.ProgressNone
	case r.Status == Denied:
		return factors.ProgressDenied
	case r.Status == WrongNumber:
		return factors.ProgressWrongNumber
	case r.Status == Spent || r.Status == Replaced || !now.Before(r.ExpiresAt):
		return factors.ProgressOver
	case r.Status == Approved:
		return factors.ProgressReady
	default:
		return factors.ProgressWaiting
	}
}

// Progress implements factors.Waiting.
func (f *Factor) Progress(ctx context.Context, state factors.State, now time.Time) (factors.Progress, error) {
	var m making
	if json.Unmarshal(state, &m) == nil && m.Key != "" {
		return m.progress(), nil
	}
	r, err := f.requestOf(ctx, state)
	return r.progress(now), err
}

// Verify implements factors.Factor: it spends an approval, for the ceremony
// that asked for it alone. factors.ErrPending says that nobody has answered yet.
func (f *Factor) Verify(ctx context.Context, scope factors.Scope, held []account.Credential, state factors.State, _ factors.Answer) (factors.Verified, error) {
	r, err := f.requestOf(ctx, state)
	if err != nil {
		return factors.Verified{}, err
	}
	switch r.progress(scope.Now) {
	case factors.ProgressReady:
	case factors.ProgressWaiting, factors.ProgressNone:
		return factors.Verified{}, factors.ErrPending
	case factors.ProgressOver:
		if r.Status == Spent {
			return factors.Verified{}, factors.ErrReplayed
		}
		return factors.Verified{}, factors.ErrExpired
	default:
		return factors.Verified{}, factors.ErrWrongAnswer
	}
	if r.Account != scope.Account.ID || r.Session != scope.Session || r.Transaction != scope.Transaction || r.Site != scope.Site || r.Purpose != scope.Purpose {
		return factors.Verified{}, factors.ErrWrongAnswer
	}
	phones := f.phones(scope, held)
	i := slices.IndexFunc(phones, func(c account.Credential) bool { return c.ID == r.Credential })
	if i < 0 { // revoked since, or of no use here
		return factors.Verified{}, factors.ErrExpired
	}
	switch err := f.Store.SpendApproval(ctx, r.ID, scope.Now); {
	case errors.Is(err, ErrGone):
		return factors.Verified{}, factors.ErrReplayed
	case err != nil:
		return factors.Verified{}, fmt.Errorf("spend an approval: %w", err)
	}
	return factors.Verified{Credential: phones[i]}, nil
}

// Interface guards.
var (
	_ factors.Sieve    = (*Factor)(nil)
	_ factors.Enroller = (*Factor)(nil)
	_ factors.Waiting  = (*Factor)(nil)
)
