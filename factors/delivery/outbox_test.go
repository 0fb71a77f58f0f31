package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/factors/delivery"
)

func TestSendTellsWhatWillNotArrive(t *testing.T) {
	for name, c := range map[string]struct {
		message delivery.Message
		answer  error
		want    error
		left    int
	}{
		"text accepted":   {text(), nil, nil, 0},
		"text temporary":  {text(), busy, delivery.ErrTemporary, 0},
		"text permanent":  {text(), never, delivery.ErrPermanent, 0},
		"text refused":    {text(), refused, delivery.ErrRefused, 0},
		"text unknown":    {text(), lost, lost, 0},
		"email accepted":  {mail(), nil, nil, 0},
		"email temporary": {mail(), busy, nil, 1},
		"email unknown":   {mail(), lost, nil, 1},
		"email permanent": {mail(), never, delivery.ErrPermanent, 0},
		"email refused":   {mail(), refused, delivery.ErrRefused, 0},
	} {
		t.Run(name, func(t *testing.T) {
			store := newMemory()
			o := delivery.NewOutbox(delivery.Options{Store: store})
			p := &provider{answers: []error{c.answer}}
			o.Use(map[string]delivery.Sender{delivery.SMS: p, delivery.Email: p})
			if c.message.ExpiresAt.IsZero() {
				t.Fatal("no end")
			}
			if err := o.Send(t.Context(), c.message); !errors.Is(err, c.want) {
				t.Errorf("error is %v, want %v", err, c.want)
			}
			if store.queued() != c.left {
				t.Errorf("%d messages are left, want %d", store.queued(), c.left)
			}
		})
	}
}

func TestSendWaitsFiveSecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, p := newMemory(), &provider{slow: 12 * time.Second, answers: []error{lost}}
		o := open(t, store, map[string]delivery.Sender{delivery.SMS: p})
		begin := time.Now()
		if err := o.Send(t.Context(), text()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("it took %s", took)
		}
		if store.queued() != 1 {
			t.Error("the text under way is not queued")
		}
		time.Sleep(10 * time.Minute)
		if p.count() != 1 || store.queued() != 0 {
			t.Errorf("handed over %d times, %d left", p.count(), store.queued())
		}
	})
}

func TestATextIsHandedOverOnceWhateverTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, answer := range []error{busy, never, refused, lost, context.DeadlineExceeded} {
			p := &provider{answers: []error{answer}}
			o := open(t, newMemory(), map[string]delivery.Sender{delivery.SMS: p})
			o.Send(t.Context(), text())
			time.Sleep(20 * time.Minute)
			if p.count() != 1 {
				t.Errorf("after %v: %d times", answer, p.count())
			}
		}
	})
}

func TestAnEMailIsTriedLaterAndLaterUntilItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, p := newMemory(), &provider{answers: []error{busy}}
		o := open(t, store, map[string]delivery.Sender{delivery.Email: p})
		begin := time.Now()
		if err := o.Send(t.Context(), mail()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		seen, tries := p.all()
		var after []time.Duration
		for _, at := range tries {
			after = append(after, at.Sub(begin).Round(10*time.Second))
		}
		want := []time.Duration{0, 10 * time.Second, 40 * time.Second, 100 * time.Second, 220 * time.Second, 520 * time.Second}
		if diff := cmp.Diff(want, after); diff != "" {
			t.Error(diff)
		}
		for _, m := range seen {
			if m.ID != seen[0].ID || m.ID == "" {
				t.Errorf("tries have the IDs %q and %q", seen[0].ID, m.ID)
			}
		}
	})
}

func TestAnEMailArrivesOnceTheProviderIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, p := newMemory(), &provider{answers: []error{lost, busy, nil}}
		o := open(t, store, map[string]delivery.Sender{delivery.Email: p})
		if err := o.Send(t.Context(), mail()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		if p.count() != 3 || store.queued() != 0 {
			t.Errorf("%d tries, %d left", p.count(), store.queued())
		}
	})
}

func TestWhatACrashLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The process before was killed while it handed both over, with a
		// third and a fourth not yet begun.
		store := newMemory()
		for i, m := range []delivery.Message{text(), mail(), text(), mail()} {
			m.ID = fmt.Sprintf("%s-%d", m.Channel, i)
			k := delivery.Queued{Message: m, DueAt: time.Now()}
			if i < 2 {
				k.Tries, k.DueAt = 1, time.Now().Add(time.Minute)
			}
			store.QueueMessage(t.Context(), k, 10)
		}
		p := &provider{}
		open(t, store, map[string]delivery.Sender{delivery.SMS: p, delivery.Email: p})
		time.Sleep(9 * time.Minute)
		seen, _ := p.all()
		var ids []string
		for _, m := range seen {
			ids = append(ids, m.ID)
		}
		slices.Sort(ids)
		if diff := cmp.Diff([]string{"email-1", "email-3", "sms-2"}, ids); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPostIsSentByTheWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, p := newMemory(), &provider{}
		o := open(t, store, map[string]delivery.Sender{delivery.Email: p})
		if err := o.Post(t.Context(), mail()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if p.count() != 1 || store.queued() != 0 {
			t.Errorf("%d tries, %d left", p.count(), store.queued())
		}
	})
}

func TestFullHouseRefusesTextsAndQueuesEMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, p := newMemory(), &provider{slow: 15 * time.Second}
		o := open(t, store, map[string]delivery.Sender{delivery.SMS: p, delivery.Email: p})
		var refused int
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				m := text()
				if i%2 == 0 {
					m = mail()
				}
				err := o.Send(t.Context(), m)
				mu.Lock()
				defer mu.Unlock()
				if errors.Is(err, delivery.ErrTemporary) && m.Channel == delivery.SMS {
					refused++
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := p.count(); n != 32 {
			t.Errorf("%d at once, want 32", n)
		}
		time.Sleep(5 * time.Minute)
		if got := p.count(); got != 100-refused || refused < 18 || store.queued() != 0 {
			t.Errorf("%d handed over, %d texts refused, %d left", got, refused, store.queued())
		}
	})
}

func TestFullStoreIsAnError(t *testing.T) {
	o := delivery.NewOutbox(delivery.Options{Store: fullStore{newMemory()}})
	o.Use(map[string]delivery.Sender{delivery.Email: &provider{}})
	if err := o.Send(t.Context(), mail()); !errors.Is(err, delivery.ErrFull) {
		t.Error(err)
	}
	if err := o.Post(t.Context(), mail()); !errors.Is(err, delivery.ErrFull) {
		t.Error(err)
	}
}

type fullStore struct{ *memory }

func (fullStore) QueueMessage(context.Context, delivery.Queued, int) error { return delivery.ErrFull }

func TestAProviderThatPanicsHarmsNobody(t *testing.T) {
	o := delivery.NewOutbox(delivery.Options{Store: newMemory()})
	o.Use(map[string]delivery.Sender{delivery.SMS: panics{}})
	err := o.Send(t.Context(), text())
	if err == nil || strings.Contains(err.Error(), "123456") {
		t.Errorf("error is %v", err)
	}
}

type panics struct{}

func (panics) Send(_ context.Context, m delivery.Message) error { panic("cannot send " + m.Body) }

func TestWithoutProviderThereIsAnError(t *testing.T) {
	o := delivery.NewOutbox(delivery.Options{Store: newMemory()})
	o.Use(map[string]delivery.Sender{delivery.SMS: nil})
	if o.Offers(delivery.SMS) {
		t.Error("a nil sender is offered")
	}
	if err := o.Send(t.Context(), text()); !errors.Is(err, delivery.ErrPermanent) {
		t.Error(err)
	}
}

func TestSendersArePutBackUnlessOthersFollowed(t *testing.T) {
	old, refused, next := &provider{}, &provider{}, &provider{}
	o := delivery.NewOutbox(delivery.Options{Store: newMemory()})
	first := o.Use(map[string]delivery.Sender{delivery.SMS: old})
	o.Use(map[string]delivery.Sender{delivery.SMS: refused})()
	o.Send(t.Context(), text())
	o.Use(map[string]delivery.Sender{delivery.SMS: next})
	first() // the configuration before stops after the next has begun
	o.Send(t.Context(), text())
	if old.count() != 1 || refused.count() != 0 || next.count() != 1 {
		t.Errorf("sent %d, %d, %d", old.count(), refused.count(), next.count())
	}
}

func TestClosedOutboxHandsNothingOver(t *testing.T) {
	p := &provider{}
	o := delivery.NewOutbox(delivery.Options{Store: newMemory()})
	o.Use(map[string]delivery.Sender{delivery.SMS: p})
	if err := o.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := o.Send(t.Context(), text()); !errors.Is(err, delivery.ErrTemporary) || p.count() > 0 {
		t.Errorf("%v, %d", err, p.count())
	}
}

func TestMessagesPrintAMark(t *testing.T) {
	m := text()
	m.ID = "ID1"
	asJSON, err := json.Marshal(map[string]any{"m": m, "k": delivery.Queued{Message: m}})
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("sent", "message", m, "queued", delivery.Queued{Message: m})
	for _, printed := range []string{
		fmt.Sprint(m), fmt.Sprintf("%v %+v %#v %s %q %x %d", m, m, m, m, m, m, m), fmt.Sprintf("%+v", delivery.Queued{Message: m}),
		fmt.Sprintf("%v", &m), string(asJSON), logged.String(),
	} {
		if strings.Contains(printed, "123456") || strings.Contains(printed, "900609") || strings.Contains(printed, "313233343536") {
			t.Errorf("printed: %s", printed)
		}
	}
}

func TestBreakerLeavesABrokenProviderAlone(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := &provider{answers: []error{busy, lost, busy, nil, nil}}
	b := &delivery.Breaker{Sender: p, Now: func() time.Time { return now }}
	for range 20 {
		if err := b.Send(t.Context(), text()); err == nil {
			t.Fatal("a broken provider accepted")
		}
	}
	if p.count() != 3 {
		t.Fatalf("the provider was asked %d times, want 3", p.count())
	}
	now = now.Add(30 * time.Second)
	if err := b.Send(t.Context(), text()); err != nil {
		t.Fatal(err)
	}
	if err := b.Send(t.Context(), text()); err != nil || p.count() != 5 {
		t.Errorf("after it was back: %v, %d", err, p.count())
	}
}

func TestBreakerDoesNotBlameTheProviderForAddresses(t *testing.T) {
	p := &provider{answers: []error{busy, busy, refused, busy, busy, nil}}
	b := &delivery.Breaker{Sender: p}
	for range 6 {
		b.Send(t.Context(), text())
	}
	if p.count() != 6 {
		t.Errorf("the provider was asked %d times", p.count())
	}
}
