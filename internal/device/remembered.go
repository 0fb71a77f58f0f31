package device

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"time"
)

// Shown is what a browser's cookie says of it.
type Shown struct {
	// Browser is its name, random and the same over all visits; empty for a
	// browser that has none.
	Browser string
	// Turn is which of the values that it has been given it shows, 0 for none.
	Turn uint64
}

// Remembered is a browser in which an account has proved a second factor, so
// that less is asked there for a while. Its cookie stands for that factor: so
// it gets another value at each sign-in (a new turn), and a value whose
// successor has been used tells that there are two who have it.
type Remembered struct {
	// ID is a digest of the browser's name.
	ID   string `json:"id"`
	Name string `json:"name"`
	Site string `json:"site"`
	// ProvedAt is when a second factor was last proved in it, SeenAt when it
	// was last used to sign in.
	ProvedAt time.Time `json:"proved_at"`
	SeenAt   time.Time `json:"seen_at"`
	// Turn is the value that the browser was given last, at TurnedAt, Before
	// the one that it had shown for it.
	Turn     uint64    `json:"turn"`
	Before   uint64    `json:"before"`
	TurnedAt time.Time `json:"turned_at"`
}

const (
	// maxRemembered bounds what is remembered of an account; the browser that
	// was not used for longest goes.
	maxRemembered = 30
	// together is how long two tabs, or a form that was sent twice, may show
	// one value without one of them being a copy.
	together = 10 * time.Second
)

// Recognition is what a shown value is worth.
type Recognition int

const (
	// Unfamiliar is a browser that is not remembered, or not by this value.
	Unfamiliar Recognition = iota
	// Familiar is one that is.
	Familiar
	// Copied is a value whose successor was used already.
	Copied
)

func idOf(browser string) string {
	sum := sha256.Sum256([]byte("remembered browser " + browser))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Find is the browser that shows itself, by whichever value.
func Find(all []Remembered, shown Shown) (Remembered, bool) {
	i := slices.IndexFunc(all, func(m Remembered) bool { return shown.Browser != "" && m.ID == idOf(shown.Browser) })
	if i < 0 {
		return Remembered{}, false
	}
	return all[i], true
}

// Recognise judges a value. The value before the last is Familiar too: until
// the last one has been used, it may have been lost on its way to the browser.
// One that was never given out, which only a store that was set back makes
// possible, is Unfamiliar.
func (m Remembered) Recognise(shown Shown) Recognition {
	switch {
	case shown.Turn == 0 || shown.Turn > m.Turn:
		return Unfamiliar
	case shown.Turn == m.Turn || shown.Turn == m.Before:
		return Familiar
	default:
		return Copied
	}
}

// turn gives a browser its next value; 0 says that it keeps what it was given
// a moment ago by an answer that is still on its way to it.
func (m *Remembered) turn(shown Shown, now time.Time) uint64 {
	if shown.Turn != 0 && shown.Turn == m.Before && now.Sub(m.TurnedAt) < together {
		return 0
	}
	m.Before, m.TurnedAt = shown.Turn, now
	m.Turn = max(m.Turn, shown.Turn) + 1
	return m.Turn
}

// SignedIn gives a browser that was recognised its next value.
func SignedIn(all []Remembered, shown Shown, now time.Time) ([]Remembered, uint64) {
	m, ok := Find(all, shown)
	if !ok {
		return all, 0
	}
	next := m.turn(shown, now)
	m.SeenAt = now
	return replace(all, m), next
}

// Proved remembers that a second factor was proved in a browser, and gives it
// its next value.
func Proved(all []Remembered, shown Shown, name, site string, now time.Time) ([]Remembered, uint64) {
	m, ok := Find(all, shown)
	if !ok {
		m = Remembered{ID: idOf(shown.Browser)}
	}
	next := m.turn(shown, now)
	m.Name, m.Site, m.ProvedAt, m.SeenAt = name, site, now, now
	return replace(all, m), next
}

func replace(all []Remembered, m Remembered) []Remembered {
	all = append(Without(all, m.ID), m)
	slices.SortFunc(all, func(a, b Remembered) int { return b.SeenAt.Compare(a.SeenAt) })
	return all[:min(len(all), maxRemembered)]
}

// Without leaves one out.
func Without(all []Remembered, id string) []Remembered {
	return slices.DeleteFunc(slices.Clone(all), func(m Remembered) bool { return m.ID == id })
}
