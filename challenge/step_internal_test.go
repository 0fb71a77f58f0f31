package challenge

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/policy"
)

func TestAStepUpLeadsBackToTheVeryTarget(t *testing.T) {
	const target = "/cases/1?x=1&y=%2F"
	k := newRig(t, nil)
	k.holdsApp(k.person("jo"))
	b := k.browser()
	page := b.signIn(k.door(b, target, policy.LevelMFA), "jo")
	before := b.fork()
	if wrong := b.send(page, map[string]string{"code": "000000"}); wrong.status != http.StatusBadRequest || wrong.to != "" {
		t.Errorf("a wrong code: %d to %q", wrong.status, wrong.to)
	}
	for range 6 { // more often than may be tried
		if empty := b.send(page, map[string]string{"code": " "}); empty.status != http.StatusBadRequest || !strings.Contains(empty.text, "Enter the code") {
			t.Fatalf("no code: %d\n%s", empty.status, empty.text)
		}
	}
	if right := b.send(page, map[string]string{"code": k.code([]byte(rigSeed))}); right.to != target {
		t.Errorf("the right code: %d to %q\n%s", right.status, right.to, right.text)
	}
	if b.Cookies[k.Place.Cookie] == before.Cookies[k.Place.Cookie] {
		t.Error("the session rose under the identifier that it had")
	}
	if old := before.visitor(); old == nil || len(old.Session.Proofs) != 1 {
		t.Errorf("the old identifier is good for more than it was: %+v", old)
	}
	for _, want := range []audit.Name{audit.LoginSuccess, audit.ChallengeFailed, audit.ChallengePassed} {
		if !slices.Contains(k.events(), want) {
			t.Errorf("no event %s in %v", want, k.events())
		}
	}
}

func TestACodeOpensOneSession(t *testing.T) {
	k := newRig(t, nil)
	k.holdsApp(k.person("jo"))
	first, second := k.browser(), k.browser()
	code := map[string]string{"code": k.code([]byte(rigSeed))}
	pages := map[*browser]sheet{}
	for _, b := range []*browser{first, second} {
		pages[b] = b.signIn(k.door(b, "/x", policy.LevelMFA), "jo")
	}
	if s := first.send(pages[first], code); s.to != "/x" {
		t.Fatalf("%d to %q", s.status, s.to)
	}
	if s := second.send(pages[second], code); s.to != "" || s.status != http.StatusBadRequest {
		t.Errorf("a code that was used opens another session: %d to %q", s.status, s.to)
	}
}

// countedStore counts what the pages of a step write by verbs of their own.
type countedStore struct {
	Store
	opened, passed, answered, noted int
}

func (s *countedStore) OpenTransaction(ctx context.Context, t ceremony.Transaction, now time.Time) (ceremony.Transaction, error) {
	s.opened++
	return s.Store.OpenTransaction(ctx, t, now)
}

func (s *countedStore) Pass(ctx context.Context, p ceremony.Passed, now time.Time) (*session.Risen, error) {
	s.passed++
	return s.Store.Pass(ctx, p, now)
}

func (s *countedStore) Answer(ctx context.Context, a ceremony.Tried, now time.Time) (*session.Risen, error) {
	s.answered++
	return s.Store.Answer(ctx, a, now)
}

func (s *countedStore) Note(ctx context.Context, e audit.Event, messages []delivery.Queued) error {
	s.noted++
	return s.Store.Note(ctx, e, messages)
}

// TestAPageWritesNothingAndARightAnswerOnce: a stranger who knows a password
// can open pages for ever, and each write waits for the disk.
func TestAPageWritesNothingAndARightAnswerOnce(t *testing.T) {
	k := newRig(t, nil)
	k.holdsApp(k.person("jo"))
	b := k.browser()
	page := b.signIn(k.door(b, "/x", policy.LevelMFA), "jo")
	counted := &countedStore{Store: k.Store}
	k.Store = counted
	for range 3 {
		page = b.open(page.at)
	}
	if *counted != (countedStore{Store: counted.Store}) {
		t.Errorf("pages that were only shown wrote: %+v", *counted)
	}
	k.bench.Crashes.Begin()
	if s := b.send(page, map[string]string{"code": k.code([]byte(rigSeed))}); s.to != "/x" {
		t.Fatalf("%d to %q", s.status, s.to)
	}
	if writes := len(k.bench.Crashes.Left()) - 1; writes != 1 {
		t.Errorf("one right answer made %d writes", writes)
	}
	if counted.opened != 0 || counted.passed != 0 || counted.answered != 1 || counted.noted != 0 {
		t.Errorf("one right answer: %+v", *counted)
	}
}
