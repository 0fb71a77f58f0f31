package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/policy"
)

// answering is somebody who answers with a code of one step.
type answering struct {
	b          *bench
	key        throttle.Key
	session    session.Session
	credential account.Credential
}

var errCharge, errCompare = errors.New("budget spent"), errors.New("the factor broke")

func newAnswering(b *bench) *answering {
	a := b.person("jo")
	return &answering{b: b, key: throttle.Key{7}, session: b.session(a.ID), credential: b.credential(a.ID, policy.TOTP)}
}

func charge(c []throttle.Counter) error {
	if c[0].Count >= 2 {
		return errCharge
	}
	c[0].Count++
	return nil
}

// answer burns step, and brings a session of high risk where that was new.
func (a *answering) answer(of session.ID, step int64, charge func([]throttle.Counter) error, after error) (won bool, err error) {
	next := session.NewIdentifier().Hash()
	risen, err := a.b.Answer(a.b.Context(), ceremony.Tried{
		Account: a.session.Account, Session: of, Counters: []throttle.Key{a.key}, Charge: charge,
		Compare: func(ctx context.Context) (*ceremony.Passed, error) {
			if won, err = a.b.ConsumeStep(ctx, a.credential.ID, step, Noon); err != nil || !won || after != nil {
				return nil, errors.Join(err, after)
			}
			return &ceremony.Passed{
				Settle: func(c []throttle.Counter) { clear(c) },
				Event:  audit.Event{At: Noon, Name: audit.ChallengePassed, Account: string(a.session.Account)},
				Raising: session.Raising{
					ID: of, Account: a.session.Account, Next: next, Now: Noon, OverlapEnds: Noon.Add(session.Overlap),
					Change: func(s *session.Session) error {
						s.Risk, s.UserAgent, s.Password = "high", "a\x00b", "mark"
						s.SeenAt = time.Now() // which has a monotonic clock too
						return nil
					},
				},
			}, nil
		},
	}, Noon)
	if err == nil && won {
		got, owner, readErr := a.b.SessionByHash(a.b.Context(), next, Noon)
		a.b.same(risen, &session.Risen{Session: got, Owner: owner})
		if readErr != nil || risen.Session.SeenAt != got.SeenAt {
			a.b.Errorf("the risen session was seen at %#v, the one read back at %#v, %v", risen.Session.SeenAt, got.SeenAt, readErr)
		}
	}
	return won, err
}

// kept tells what is there of the answers: tries that are charged, the last
// step burnt, events, and whether the session has risen.
func (a *answering) kept() (tries, step int64, events int, risen bool) {
	b := a.b
	b.must(b.Counters(b.Context(), []throttle.Key{a.key}, func(c []throttle.Counter) error { tries = c[0].Count; return nil }))
	held, err := b.Store.Credential(b.Context(), a.credential.ID)
	b.must(err)
	all, err := b.Events(b.Context(), audit.Query{Account: string(a.session.Account)})
	b.must(err)
	rows, err := b.SessionsOf(b.Context(), a.session.Account, Noon)
	b.must(err)
	return tries, held.Counter, len(all), len(rows) == 1 && rows[0].Risk == "high"
}

func (a *answering) has(when string, tries, step int64, events int, risen bool) {
	a.b.Helper()
	if t, s, e, r := a.kept(); t != tries || s != step || e != events || r != risen {
		a.b.Errorf("%s: %d tries, step %d, %d events, risen %v; want %d, %d, %d, %v", when, t, s, e, r, tries, step, events, risen)
	}
}

// testAnswer: the try, what the factor burns and what a right answer brings are
// kept together, or none of it.
func testAnswer(t *testing.T, b *bench) {
	a := newAnswering(b)
	_, err := a.answer(a.session.ID, 10, charge, errCompare)
	b.is(err, errCompare)
	_, err = a.answer("gone", 10, charge, nil)
	b.is(err, session.ErrNotFound)
	a.has("nothing was answered", 0, 0, 0, false)
	if won, err := a.answer(a.session.ID, 0, charge, nil); won || err != nil {
		t.Errorf("a step that was used: %v, %v", won, err)
	}
	a.has("a wrong answer", 1, 0, 0, false)
	if won, err := a.answer(a.session.ID, 10, charge, nil); !won || err != nil {
		t.Errorf("a right answer: %v, %v", won, err)
	}
	a.has("a right answer", 0, 10, 1, true)
	for range 2 {
		_, err = a.answer(a.session.ID, 10, charge, nil)
		b.must(err)
	}
	_, err = a.answer(a.session.ID, 11, charge, nil)
	b.is(err, errCharge)
	a.has("a right answer over the budget", 2, 10, 1, true)
}

// testAnswerRace: of many forms with one code one gets through, and what the
// others were charged for is counted.
func testAnswerRace(t *testing.T, b *bench) {
	a := newAnswering(b)
	wins := make([]bool, callers)
	for _, err := range race(callers, func(i int) (err error) {
		wins[i], err = a.answer(a.session.ID, 10, charge, nil)
		return err
	}) {
		if err != nil && !errors.Is(err, errCharge) {
			t.Error(err)
		}
	}
	won := 0
	for _, w := range wins {
		if w {
			won++
		}
	}
	if tries, step, events, risen := a.kept(); won != 1 || tries != 2 || step != 10 || events != 1 || !risen {
		t.Errorf("%d answers won: %d tries, step %d, %d events, risen %v", won, tries, step, events, risen)
	}
}
