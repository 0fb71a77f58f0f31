package admin

import (
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
)

// TestAKillLeavesAKeyHandedOverOrNot registers a key for somebody, and looks at
// what a kill after each write would have left: the key with its event and its
// notice, or nothing, and then the same form registers it.
func TestAKillLeavesAKeyHandedOverOrNot(t *testing.T) {
	k := newRig(t)
	k.Key = rigKey{}
	told := &people.Notices{Name: "Portal", Origin: rigOrigin, Offers: func(channel string) bool { return channel == delivery.Email }}
	k.People.Notices = told
	b, _ := k.administrator(account.RoleAdmin, "north")
	joe := k.person(people.NewAccount{Username: "joe", Email: "joe@example.gov", Organisation: "north"})
	type state struct{ keys, events, told int }
	look := func(k *rig) (s state) {
		held, err := k.db.Credentials(t.Context(), joe.ID)
		if err != nil {
			t.Fatal(err)
		}
		waiting, err := k.db.ClaimMessages(t.Context(), k.clock().Add(time.Second), k.clock(), 100)
		if err != nil {
			t.Fatal(err)
		}
		return state{len(held), len(k.events(audit.OnBehalf)), len(waiting)}
	}
	k.bench.Crashes.Begin()
	form := b.open(personPath(joe.ID)+"/key").wants(t, http.StatusOK).form(t, "/key")
	b.send(form, map[string]string{"credential": "an answer"}).wants(t, http.StatusOK, "The key is registered")
	undone, done := 0, 0
	for i, file := range k.bench.Crashes.Left() {
		n := rigOver(t, k.bench.After(file, 0))
		n.Key, n.People.Notices = rigKey{}, told
		switch got := look(n); got {
		case state{}:
			if undone++; done > 0 {
				t.Errorf("write %d takes back what was done", i)
			}
			// The same session goes on at a node that has come up again.
			after := n.stranger(maps.Clone(b.Cookies))
			form := after.open(personPath(joe.ID)+"/key").wants(t, http.StatusOK).form(t, "/key")
			after.send(form, map[string]string{"credential": "an answer"}).wants(t, http.StatusOK, "The key is registered")
			if got := look(n); got != (state{1, 1, 1}) {
				t.Errorf("after write %d, and the form again: %+v", i, got)
			}
		case state{1, 1, 1}:
			done++
			after := n.stranger(maps.Clone(b.Cookies))
			after.send(form, map[string]string{"credential": "an answer"})
			if got := look(n); got.keys > 2 || got.keys != got.events || got.keys != got.told {
				t.Errorf("after write %d, and a repeated form: %+v", i, got)
			}
		default:
			t.Errorf("write %d leaves it half done: %+v", i, got)
		}
	}
	if undone < 2 || done == 0 || look(k) != (state{1, 1, 1}) {
		t.Errorf("%d writes before and %d after it was done; at last %+v", undone, done, look(k))
	}
}
