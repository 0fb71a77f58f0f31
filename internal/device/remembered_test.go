package device

import (
	"fmt"
	"testing"
	"time"
)

var (
	noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	mine = Shown{Browser: "B"}
)

// walk is a remembered browser and its cookie, over visits a day apart.
type walk struct {
	t   *testing.T
	all []Remembered
	now time.Time
}

func newWalk(t *testing.T) (*walk, Shown) {
	w := &walk{t: t, now: noon}
	shown := mine
	w.all, shown.Turn = Proved(nil, shown, "Firefox on Windows", "https://portal.example.gov", noon)
	return w, shown
}

// visit signs in with a value, and gives the next.
func (w *walk) visit(shown Shown, after time.Duration, want Recognition) Shown {
	w.t.Helper()
	w.now = w.now.Add(after)
	m, ok := Find(w.all, shown)
	if got := m.Recognise(shown); !ok || got != want {
		w.t.Fatalf("turn %d of %+v: %v", shown.Turn, m, got)
	}
	if want != Familiar {
		return shown
	}
	all, next := SignedIn(w.all, shown, w.now)
	w.all = all
	if next > 0 {
		shown.Turn = next
	}
	return shown
}

const day = 24 * time.Hour

func TestABrowserIsGivenAnotherValueAtEachVisit(t *testing.T) {
	w, first := newWalk(t)
	second := w.visit(first, day, Familiar)
	third := w.visit(second, day, Familiar)
	if first == second || second == third {
		t.Errorf("%v %v %v", first, second, third)
	}
	if m, _ := Find(w.all, third); m.Name != "Firefox on Windows" || !m.ProvedAt.Equal(noon) || !m.SeenAt.Equal(noon.Add(2*day)) {
		t.Errorf("%+v", m)
	}
}

func TestACopyIsFoundWhoeverComesFirst(t *testing.T) {
	t.Run("whoever of the two comes second", func(t *testing.T) {
		w, stolen := newWalk(t)
		next := w.visit(stolen, day, Familiar)
		// The other shows the value before, as if the answer had been lost: once.
		w.visit(stolen, day, Familiar)
		w.visit(next, day, Copied)
	})
	t.Run("after the owner came twice", func(t *testing.T) {
		w, stolen := newWalk(t)
		w.visit(w.visit(stolen, day, Familiar), day, Familiar)
		w.visit(stolen, day, Copied)
	})
}

func TestNobodyIsTakenForAThiefWhoIsNone(t *testing.T) {
	t.Run("two tabs", func(t *testing.T) {
		w, shown := newWalk(t)
		one := w.visit(shown, day, Familiar)
		two := w.visit(shown, time.Second, Familiar)
		if two != shown {
			t.Errorf("the second tab is given %v", two)
		}
		w.visit(w.visit(one, day, Familiar), day, Familiar)
	})
	t.Run("an answer that was lost", func(t *testing.T) {
		w, shown := newWalk(t)
		for range 3 {
			w.visit(shown, day, Familiar)
		}
		w.visit(w.visit(w.visit(shown, day, Familiar), day, Familiar), day, Familiar)
	})
	t.Run("a factor proved in two tabs", func(t *testing.T) {
		w, shown := newWalk(t)
		all, next := Proved(w.all, shown, "n", "s", noon.Add(day))
		all, none := Proved(all, shown, "n", "s", noon.Add(day+time.Second))
		if w.all = all; none != 0 {
			t.Errorf("given %d", none)
		}
		w.now = noon.Add(day)
		w.visit(Shown{mine.Browser, next}, day, Familiar)
	})
	t.Run("a store that was set back", func(t *testing.T) {
		w, shown := newWalk(t)
		shown.Turn += 5
		w.visit(shown, day, Unfamiliar)
		all, next := Proved(w.all, shown, "n", "s", noon.Add(2*day))
		w.all = all
		w.visit(Shown{mine.Browser, next}, 3*day, Familiar)
	})
	t.Run("a value without a turn", func(t *testing.T) {
		w, shown := newWalk(t)
		shown.Turn = 0
		w.visit(shown, day, Unfamiliar)
	})
}

func TestBrowsersAreBoundedAndForgotten(t *testing.T) {
	var all []Remembered
	for i := range 2 * maxRemembered {
		all, _ = Proved(all, Shown{Browser: fmt.Sprint(i)}, "n", "s", noon.Add(time.Duration(i)*time.Hour))
	}
	if _, oldest := Find(all, Shown{Browser: "0"}); len(all) != maxRemembered || oldest {
		t.Errorf("%d are remembered", len(all))
	}
	last, _ := Find(all, Shown{Browser: fmt.Sprint(2*maxRemembered - 1)})
	if _, ok := Find(Without(all, last.ID), Shown{Browser: fmt.Sprint(2*maxRemembered - 1)}); ok {
		t.Error("it is remembered all the same")
	}
	if _, ok := Find(all, Shown{}); ok {
		t.Error("a browser without a name is found")
	}
}
