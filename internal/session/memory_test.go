package session

import (
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/account"
)

// fading has something that is good until a moment.
type fading struct{ until, faded time.Time }

func (f *fading) Fade(now time.Time) {
	if !now.Before(f.until) {
		f.faded = now
	}
}

// What is over by itself goes without being asked for, and what was derived for
// a moment goes before its session.
func TestWhatIsOverLeavesMemory(t *testing.T) {
	f := newFixture(t)
	at := f.clock.now()
	stays, _ := f.begin()
	derived := &fading{until: at.Add(time.Minute)}
	stays.Memo.Store(derived)
	idle, _ := f.begin()
	ends, _ := f.begin()
	ends.Session.EndsAt = at.Add(2 * time.Minute)
	idle.seen.Store(at.Add(-29 * time.Minute).UnixNano())

	tidy := func(want int) {
		t.Helper()
		f.tidyUp()
		if n := f.Numbers().Entries; n != want || len(f.memory.bySession.first) != want {
			t.Errorf("%d sessions in memory, %d indexed; want %d", n, len(f.memory.bySession.first), want)
		}
	}
	tidy(3)
	f.clock.move(time.Minute)
	tidy(3)
	if derived.faded != f.clock.now() {
		t.Error("what was good for a minute is still there")
	}
	f.clock.move(time.Minute)
	tidy(1)
	if f.memory.current(stays.Session.ID) != stays {
		t.Error("the session that lives has gone")
	}
}

// A change reaches all entries that it is about, however many of one session
// or account have come and gone before.
func TestIndexesFollowWhatComesAndGoes(t *testing.T) {
	m := newMemory()
	m.limit(100 * shardCount)
	entry := func(cookie, id, owner string) *Entry {
		e := &Entry{cookie: cookie, Session: Session{ID: ID(id)}, Owner: Owner{Account: account.Account{ID: account.ID(owner), Organisation: owner + "'s"}}}
		m.store(e)
		return e
	}
	has := func(want string) {
		t.Helper()
		var got []string
		for _, cookie := range strings.Fields("a b c d e") {
			if m.load(cookie) != nil {
				got = append(got, cookie)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("in memory are %q, want %q", got, want)
		}
	}
	fill := func() (all []*Entry) {
		m.clear()
		for _, cookie := range strings.Fields("a b c d") {
			all = append(all, entry(cookie, "one", "joe"))
		}
		entry("e", "two", "ann")
		return all
	}
	for gone := range 4 {
		all := fill()
		m.forget(all[gone])
		m.forget(all[gone])
		m.apply(Change{Kind: SessionChanged, Key: "one"})
		has("e")
		all = fill()
		m.forget(all[gone])
		entry("a", "three", "joe") // takes a's place, or is new
		m.apply(Change{Kind: AccountChanged, Key: "joe"})
		has("e")
		fill()
		m.apply(Change{Kind: OrganisationChanged, Key: "joe's"})
		has("e")
		m.apply(Change{Kind: AccountChanged, Key: "ann"})
		has("")
		if len(m.bySession.first)+len(m.byAccount.first) != 0 {
			t.Error("the indexes name what has gone")
		}
	}
}

// Compacting changes no text, shares what is alike, and takes lists of groups for
// the same only if they are.
func TestCompactKeepsEveryText(t *testing.T) {
	w := newWords()
	first, second, plain := benchEntry(1), benchEntry(41), benchEntry(1)
	first.Owner.Account.Groups, second.Owner.Account.Groups = []string{"a", "b"}, []string{"a\x00b"}
	plain.Owner.Account.Groups = []string{"a", "b"}
	plain.Session.Proofs = first.Session.Proofs
	for _, e := range []*Entry{first, second} {
		w.compact(e)
	}
	if diff := cmp.Diff(plain.Session, first.Session); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(plain.Owner, first.Owner); diff != "" {
		t.Error(diff)
	}
	if first.cookie != plain.cookie || len(second.Owner.Account.Groups) != 1 {
		t.Errorf("cookie %q, groups %q", first.cookie, second.Owner.Account.Groups)
	}
	if unsafe.StringData(first.Session.UserAgent) != unsafe.StringData(second.Session.UserAgent) {
		t.Error("two sessions have two copies of one browser's name")
	}
}
