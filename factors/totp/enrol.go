package totp

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// PendingTTL is how long a shown seed waits for its first code.
const PendingTTL = 10 * time.Minute

var errState = errors.New("totp: unreadable enrolment state")

// pending is a seed that has been shown and not yet confirmed. As State it is
// eight bytes of Unix seconds and the seed.
type pending struct {
	shownAt time.Time
	seed    account.Secret
}

func newPending(now time.Time) pending {
	seed := make([]byte, seedBytes)
	rand.Read(seed)
	return pending{shownAt: now, seed: seed}
}

func (p pending) state() factors.State {
	return append(binary.BigEndian.AppendUint64(nil, uint64(p.shownAt.Unix())), p.seed.Reveal()...)
}

func (p pending) expired(now time.Time) bool { return now.Sub(p.shownAt) >= PendingTTL }

func pendingOf(state factors.State) (pending, error) {
	if len(state) != 8+seedBytes {
		return pending{}, errState
	}
	return pending{
		shownAt: time.Unix(int64(binary.BigEndian.Uint64(state)), 0),
		seed:    account.Secret(state[8:]),
	}, nil
}

// BeginEnrolment implements factors.Enroller. It shows the pending seed, or a
// new one: at the beginning, for the button "new", and when the old one has
// waited too long.
func (f *Factor) BeginEnrolment(_ context.Context, scope factors.Scope, _ []account.Credential, state factors.State, answer factors.Answer) (factors.Prompt, factors.State, error) {
	p := newPending(scope.Now)
	if len(state) > 0 && answer.Fields["action"] != "new" {
		begun, err := pendingOf(state)
		if err != nil {
			return factors.Prompt{}, nil, err
		}
		if !begun.expired(scope.Now) {
			p = begun
		}
	}
	return factors.Prompt{
		Shape:     factors.ShapeSecret,
		Factor:    policy.TOTP,
		Digits:    digits,
		Secret:    base32Text.EncodeToString(p.seed.Reveal()),
		SecretURI: uri(issuer(scope), label(scope.Account), p.seed),
	}, p.state(), nil
}

// ConfirmEnrolment implements factors.Enroller. The step of the code is the
// credential's Counter, so the code that confirmed is not good for a proof.
func (f *Factor) ConfirmEnrolment(_ context.Context, scope factors.Scope, held []account.Credential, state factors.State, answer factors.Answer) (account.Credential, error) {
	p, err := pendingOf(state)
	if err != nil {
		return account.Credential{}, err
	}
	if p.expired(scope.Now) {
		return account.Credential{}, factors.ErrExpired
	}
	code, ok := factors.Digits(answer.Code(), digits)
	if !ok {
		return account.Credential{}, factors.ErrWrongAnswer
	}
	step, matched, err := match(p.seed, code, scope.Now)
	if err != nil {
		return account.Credential{}, fmt.Errorf("compare first code: %w", err)
	}
	if !matched {
		return account.Credential{}, factors.ErrWrongAnswer
	}
	return account.Credential{
		Factor:  string(policy.TOTP),
		Label:   name(answer.Fields["label"], ours(held), scope.Language),
		Secret:  p.seed,
		Counter: step,
	}, nil
}

// name is what the person calls the credential, or a name of ours that no
// other has.
func name(typed string, held []account.Credential, language string) string {
	if own := factors.CleanLabel(typed); own != "" {
		return own
	}
	taken := make(map[string]bool)
	for _, c := range held {
		taken[c.Label] = true
	}
	usual := account.AuthenticatorApp.In(language)
	free := usual
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s %d", usual, n)
	}
	return free
}
