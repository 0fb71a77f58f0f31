package storetest

import (
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/throttle"
)

func testCounters(t *testing.T, f *fixture) {
	one, two := throttle.Key{1}, throttle.Key{2}
	read := func(b *bench, keys ...throttle.Key) (seen []throttle.Counter) {
		b.must(b.Counters(t.Context(), keys, func(c []throttle.Counter) error {
			seen = append(seen, c...)
			return nil
		}))
		return seen
	}
	f.run(t, "KeptInTheOrderOfKeys", func(t *testing.T, b *bench) {
		b.same(read(b, one, two), make([]throttle.Counter, 2))
		want := []throttle.Counter{{Count: 1, At: Noon}, {Count: -2, At: Noon, Until: Noon.Add(time.Hour)}}
		b.must(b.Counters(t.Context(), []throttle.Key{two, one}, func(c []throttle.Counter) error {
			copy(c, want)
			return nil
		}))
		b.same(read(b, two, one), want)
		b.same(read(b, one), want[1:])
	})
	f.run(t, "ErrorKeepsNothing", func(t *testing.T, b *bench) {
		err := b.Counters(t.Context(), []throttle.Key{one, two}, func(c []throttle.Counter) error {
			c[0].Count, c[1].Count = 5, 5
			return errSpent
		})
		if err != errSpent {
			t.Errorf("error of change came back as %v", err)
		}
		b.same(read(b, one, two), make([]throttle.Counter, 2))
	})
	f.run(t, "ZeroIsForgotten", func(t *testing.T, b *bench) {
		for _, c := range []throttle.Counter{{Count: 3, At: Noon}, {}} {
			b.must(b.Counters(t.Context(), []throttle.Key{one}, func(all []throttle.Counter) error {
				all[0] = c
				return nil
			}))
			b.same(read(b, one), []throttle.Counter{c})
		}
	})
	f.run(t, "NoCountIsLost", func(t *testing.T, b *bench) {
		b.all(race(callers, func(i int) error {
			keys := []throttle.Key{one, two}
			if i%2 == 1 {
				keys = []throttle.Key{two, one}
			}
			return b.Counters(t.Context(), keys, func(c []throttle.Counter) error {
				c[0].Count++
				c[1].Count++
				return nil
			})
		}))
		b.same(read(b, one, two), []throttle.Counter{{Count: callers}, {Count: callers}})
	})
}
