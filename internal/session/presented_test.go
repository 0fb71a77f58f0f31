package session

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
)

// TestWhatAProgramPresentsIsReadOnce finds a token again from memory, until a
// change of its account, or its end.
func TestWhatAProgramPresentsIsReadOnce(t *testing.T) {
	f := newFixture(t)
	reads := 0
	stands := Presented{
		Session: Session{ID: "token 1", Account: "joe", Site: place.Origin, EndsAt: f.clock.now().Add(time.Hour)},
		Owner:   Owner{Account: account.Account{ID: "joe"}}, Scope: "x",
	}
	var gone error
	find := func() *Entry {
		t.Helper()
		e, err := f.Presented(t.Context(), "\x00key", func(context.Context) (Presented, error) {
			reads++
			return stands, gone
		})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for range 3 {
		if e := find(); e == nil || e.Scope != "x" || reads != 1 {
			t.Fatalf("%+v after %d reads", e, reads)
		}
	}
	f.shelf.tell(AccountChanged, "joe")
	f.hear()
	gone = ErrNotFound
	if e := find(); e != nil || reads != 2 {
		t.Errorf("%+v after %d reads", e, reads)
	}
	gone = nil
	find()
	f.later(time.Hour)
	if e := find(); e != nil {
		t.Error("it holds after its end")
	}
	stands.Session.EndsAt, stands.Owner.Account.SuspendedAt = f.clock.now().Add(time.Hour), f.clock.now()
	if e := find(); e != nil {
		t.Error("that of a suspended account holds")
	}
	f.clock.move(time.Minute)
	if _, err := f.Presented(t.Context(), "\x00key", nil); !errors.Is(err, ErrStore) {
		t.Errorf("without the store: %v", err)
	}
}
