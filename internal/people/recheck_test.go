package people_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
)

// register is a directory that can be asked again, and answers as it is told
// to. Whom it does not have it refuses.
type register struct {
	mu    sync.Mutex
	has   map[string]signin.Identity
	down  error
	asked map[string]int
}

func (r *register) Name() string                { return "ldap" }
func (r *register) RecheckEvery() time.Duration { return 200 * time.Millisecond }

func (r *register) Recheck(_ context.Context, subject string) (signin.Identity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[subject]++
	who, ok := r.has[subject]
	switch {
	case r.down != nil:
		return signin.Identity{}, r.down
	case !ok:
		return signin.Identity{}, signin.ErrRefused
	}
	return who, nil
}

func (r *register) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	r.asked = map[string]int{}
}

func (r *register) times(subject string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[subject]
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestPeopleAreAskedForAgainWhileTheyAreSignedIn(t *testing.T) {
	f := newDirectory(t)
	f.Now = time.Now
	jo, err := f.Arrive(t.Context(), ofDirectory("1", "jo", "staff"))
	if err != nil {
		t.Fatal(err)
	}
	idle, err := f.Arrive(t.Context(), ofDirectory("2", "idle"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	err = f.db.InsertSession(t.Context(), session.Session{
		ID: "joes", Hash: session.NewIdentifier().Hash(), Account: jo.ID, Source: "sign_in_at", CreatedAt: now, SeenAt: now, EndsAt: now.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	signedIn := func() bool {
		all, err := f.db.SessionsOf(t.Context(), jo.ID, time.Now())
		return err == nil && len(all) == 1
	}
	directory := &register{has: map[string]signin.Identity{"1": ofDirectory("1", "jo", "staff", "admins")}, asked: map[string]int{}}
	told := make(chan error, 1000)
	ctx, end := context.WithCancel(t.Context())
	var nodes sync.WaitGroup
	for range 2 {
		node := &people.Rechecks{People: f.People, Store: f.db, Sources: []signin.Rechecker{directory}, Tell: func(_ string, err error) { told <- err }}
		nodes.Go(func() { node.Run(ctx) })
	}
	until(t, "the groups are those of today", func() bool {
		a, err := f.db.Account(t.Context(), jo.ID)
		return err == nil && len(a.Groups) == 2
	})
	directory.set(func() { directory.down = errors.New("unplugged") })
	if err := <-told; err == nil || err.Error() != "unplugged" {
		t.Errorf("the log says %v", err)
	}
	until(t, "a directory that is down is asked again", func() bool { return directory.times("1") > 2 })
	if !signedIn() {
		t.Error("a directory that is down signed somebody out")
	}
	directory.set(func() { directory.down, directory.has = nil, nil })
	until(t, "whom the directory does not have is signed out", func() bool { return !signedIn() })
	if n := directory.times("2"); n != 0 {
		t.Errorf("somebody who is not signed in was asked for %d times: %s", n, idle.ID)
	}
	end()
	nodes.Wait()
	if e := f.lastEvent(t); e.Name != audit.SessionExpired || e.Account != string(jo.ID) || e.Reason != "source-refused" {
		t.Errorf("event %+v", e)
	}
	if a, err := f.db.Account(t.Context(), jo.ID); err != nil || a.Suspended() {
		t.Errorf("the account: %+v, %v", a, err)
	}
}

// counted is a store that several nodes ask, and that writes down who has
// taken a round when.
type counted struct {
	people.RecheckStore
	mu    sync.Mutex
	taken []time.Time
}

func (c *counted) OpenTransaction(ctx context.Context, t ceremony.Transaction, now time.Time) (ceremony.Transaction, error) {
	kept, err := c.RecheckStore.OpenTransaction(ctx, t, now)
	if err == nil && kept.ID == t.ID {
		c.mu.Lock()
		c.taken = append(c.taken, now)
		c.mu.Unlock()
	}
	return kept, err
}

func TestOneNodeAtATimeAsksAgain(t *testing.T) {
	f := newDirectory(t)
	f.Now = time.Now
	store := &counted{RecheckStore: f.db}
	ctx, end := context.WithCancel(t.Context())
	var nodes sync.WaitGroup
	for range 5 {
		node := &people.Rechecks{People: f.People, Store: store, Sources: []signin.Rechecker{&register{asked: map[string]int{}}}, Tell: func(_ string, err error) { t.Error(err) }}
		nodes.Go(func() { node.Run(ctx) })
	}
	until(t, "four rounds", func() bool {
		store.mu.Lock()
		defer store.mu.Unlock()
		return len(store.taken) >= 4
	})
	end()
	nodes.Wait()
	slices.SortFunc(store.taken, time.Time.Compare)
	for i := 1; i < len(store.taken); i++ {
		if apart := store.taken[i].Sub(store.taken[i-1]); apart < 149*time.Millisecond {
			t.Errorf("rounds %d and %d are %s apart", i-1, i, apart)
		}
	}
}
