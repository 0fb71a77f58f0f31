package storetest

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/weld"
)

func newBond(id session.ID, value string) weld.Bond {
	return weld.Bond{Hash: sha256.Sum256([]byte(value)), Session: id, At: Noon, ExpiresAt: Noon.Add(time.Hour)}
}

func testBonds(t *testing.T, f *fixture) {
	f.run(t, "ReadBack", func(t *testing.T, b *bench) {
		one, other := newBond("one", "a"), newBond("other", "b")
		b.must(b.KeepBonds(t.Context(), []weld.Bond{one, other}))
		b.bonds("one", one)
		b.bonds("other", other)
		b.bonds("nobody")
	})
	f.run(t, "OneValueOfTwoSessions", func(t *testing.T, b *bench) {
		one, other := newBond("one", "a"), newBond("other", "a")
		b.must(b.KeepBonds(t.Context(), []weld.Bond{one}))
		b.must(b.KeepBonds(t.Context(), []weld.Bond{other}))
		b.bonds("one", one)
		b.bonds("other", other)
	})
	f.run(t, "OfferedBecomesBoundAndNeverBack", func(t *testing.T, b *bench) {
		offered := newBond("one", "a")
		offered.Offered = true
		b.must(b.KeepBonds(t.Context(), []weld.Bond{offered}))
		b.bonds("one", offered)
		bound := newBond("one", "a")
		b.must(b.KeepBonds(t.Context(), []weld.Bond{bound}))
		b.must(b.KeepBonds(t.Context(), []weld.Bond{offered}))
		b.bonds("one", bound)
	})
	f.run(t, "BoundOrOfferedElsewhere", func(t *testing.T, b *bench) {
		bound, offered := newBond("one", "a"), newBond("two", "b")
		offered.Offered = true
		b.must(b.KeepBonds(t.Context(), []weld.Bond{bound, offered}))
		b.elsewhere("a", "", true)
		b.elsewhere("a", "two", true)
		b.elsewhere("a", "one", false)
		b.elsewhere("b", "one", true)
		b.elsewhere("c", "one", false)
	})
	f.run(t, "SessionsBound", func(t *testing.T, b *bench) {
		offered, ended := newBond("two", "a"), newBond("three", "a")
		offered.Offered, ended.ExpiresAt = true, Noon
		b.must(b.KeepBonds(t.Context(), []weld.Bond{newBond("one", "a"), offered, ended, newBond("four", "b"), newBond("five", "a")}))
		got, err := b.SessionsBound(t.Context(), []weld.Hash{sha256.Sum256([]byte("a")), sha256.Sum256([]byte("b"))}, "one", Noon)
		b.must(err)
		b.same(got, []session.ID{"five", "four"})
	})
	f.run(t, "LaterEndHolds", func(t *testing.T, b *bench) {
		long, short := newBond("one", "a"), newBond("one", "a")
		long.ExpiresAt = Noon.Add(2 * time.Hour)
		b.must(b.KeepBonds(t.Context(), []weld.Bond{long}))
		b.must(b.KeepBonds(t.Context(), []weld.Bond{short}))
		b.bonds("one", long)
	})
	f.run(t, "OverAtItsEnd", func(t *testing.T, b *bench) {
		bond := newBond("one", "a")
		b.must(b.KeepBonds(t.Context(), []weld.Bond{bond}))
		for at, want := range map[time.Time]bool{bond.ExpiresAt.Add(-1): true, bond.ExpiresAt: false} {
			found, err := b.BondElsewhere(t.Context(), []weld.Hash{bond.Hash}, "", at)
			b.must(err)
			b.same(found, want)
		}
		b.must(b.Purge(t.Context(), bond.ExpiresAt))
		all, err := b.BondsOf(t.Context(), "one", Noon)
		b.must(err)
		if len(all) != 0 {
			t.Errorf("%d bonds are left after a purge", len(all))
		}
	})
	f.run(t, "NewestOfferedStay", func(t *testing.T, b *bench) {
		b.must(b.KeepBonds(t.Context(), []weld.Bond{newBond("one", "bound")}))
		for i := range 3 * weld.MaxOffered {
			bond := newBond("one", numbered("v", i))
			bond.Offered, bond.At = true, Noon.Add(time.Duration(i)*time.Second)
			b.must(b.KeepBonds(t.Context(), []weld.Bond{bond}))
		}
		all, err := b.BondsOf(t.Context(), "one", Noon)
		b.must(err)
		if len(all) != 1+weld.MaxOffered || all[0].Offered || !all[1].At.Equal(Noon.Add(2*weld.MaxOffered*time.Second)) {
			t.Errorf("%d bonds are left, from %v on", len(all), all[0])
		}
	})
	f.run(t, "KeptOnceByMany", func(t *testing.T, b *bench) {
		bond := newBond("one", "a")
		b.all(race(callers, func(int) error { return b.KeepBonds(t.Context(), []weld.Bond{bond}) }))
		b.bonds("one", bond)
	})
}

func (b *bench) bonds(id session.ID, want ...weld.Bond) {
	b.Helper()
	got, err := b.BondsOf(b.Context(), id, Noon)
	b.must(err)
	b.same(got, want)
}

func (b *bench) elsewhere(value string, but session.ID, want bool) {
	b.Helper()
	got, err := b.BondElsewhere(b.Context(), []weld.Hash{sha256.Sum256([]byte("other")), sha256.Sum256([]byte(value))}, but, Noon)
	b.must(err)
	b.same(got, want)
}
