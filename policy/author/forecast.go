package author

import (
	"time"

	"github.com/stepgate/stepgate/policy"
)

// Limits are those of sessions.
type Limits struct {
	Idle, Absolute time.Duration
}

// visit is one private request, as the forecast needs it.
type visit struct {
	person uint64 // who it is, as well as the log tells
	at     int64  // Unix seconds
	site   int32
	// target tells requests apart for levels with `once`.
	needed policy.LevelSet
}

// forecast plays sessions over a log: what people would have been asked.
//
// A person is signed in from their first private request until idle or
// absolute has passed. A challenge asks for all that is missing at once and
// is answered at once, by the way that helps other levels least, so that the
// number is rather too high. It must see visits in the order of the log.
type forecast struct {
	limits Limits
	models []*levelModel

	young, old map[uint64]*sitting // old ones are forgotten when young is full
	days       map[int64]*dayCount
	asked      map[askedFor]int64
	people     distinct
	personDays distinct
}

// sitting is a session as the forecast knows it.
type sitting struct {
	start, last int64
	met         policy.LevelSet
	// proved has when each ageing level of the site was met last.
	proved []int64
}

type dayCount struct {
	signIns, challenges int64
	hours               [24]int64 // of challenges
}

// askedFor is what a challenge asked for at a site.
type askedFor struct {
	site   int32
	levels policy.LevelSet
}

const (
	// sittingsKept is how many sessions each of two generations remembers.
	sittingsKept = 1 << 17
	// daysKept bounds a log whose times are nonsense: 27 years.
	daysKept = 10_000
)

func newForecast(sites []*Site, limits Limits) *forecast {
	f := &forecast{
		limits: limits, young: map[uint64]*sitting{}, old: map[uint64]*sitting{}, days: map[int64]*dayCount{}, asked: map[askedFor]int64{},
	}
	for _, s := range sites {
		f.models = append(f.models, newLevelModel(s.Policy))
	}
	return f
}

func (f *forecast) see(v *visit) {
	day := f.day(v.at)
	f.people.add(v.person)
	f.personDays.add(mix(v.person, uint64(v.at/86400)))
	model := f.models[v.site]
	s := f.sitting(mix(v.person, uint64(v.site)), v.at)
	if s.proved == nil {
		s.start, s.met, s.proved = v.at, model.signedIn, make([]int64, len(model.ageing))
		day.signIns++
	}
	s.last = v.at
	missing := v.needed &^ s.met
	for i, l := range model.ageing {
		if missing.Has(l.Set()) && s.proved[i] != 0 && abs(v.at-s.proved[i]) <= int64(l.MaxAge()/time.Second) {
			missing &^= l.Set()
		}
	}
	if missing == 0 {
		return
	}
	day.challenges++
	day.hours[(v.at%86400+86400)%86400/3600]++
	f.asked[askedFor{v.site, missing}]++
	proved := model.after(missing)
	s.met |= proved & model.lasting
	for i, l := range model.ageing {
		if proved.Has(l.Set()) {
			s.proved[i] = v.at
		}
	}
}

// sitting finds the session of a person at a site, an empty one where it is
// over.
func (f *forecast) sitting(key uint64, now int64) *sitting {
	s, ok := f.young[key]
	if !ok {
		if s, ok = f.old[key]; !ok {
			s = &sitting{}
		}
		if len(f.young) == sittingsKept {
			f.old, f.young = f.young, make(map[uint64]*sitting, sittingsKept)
		}
		f.young[key] = s
	}
	if abs(now-s.last) > int64(f.limits.Idle/time.Second) || abs(now-s.start) > int64(f.limits.Absolute/time.Second) {
		*s = sitting{}
	}
	return s
}

func (f *forecast) day(at int64) *dayCount {
	day := at / 86400
	d, ok := f.days[day]
	if !ok {
		d = &dayCount{}
		if len(f.days) < daysKept {
			f.days[day] = d
		}
	}
	return d
}

func abs(n int64) int64 { return max(n, -n) }

// levelModel is what a forecast knows of one policy's levels.
type levelModel struct {
	policy *policy.Policy
	// signedIn are met by the sign-in alone.
	signedIn policy.LevelSet
	// ageing have a max_age; lasting hold as long as the session. Levels with
	// `once` are neither: they are asked for each time.
	ageing  []*policy.Level
	lasting policy.LevelSet
	known   map[policy.LevelSet]policy.LevelSet
}

func newLevelModel(p *policy.Policy) *levelModel {
	m := &levelModel{policy: p, known: map[policy.LevelSet]policy.LevelSet{}, lasting: ^p.OnceLevels()}
	for _, l := range p.Levels() {
		switch {
		case l.Once():
		case l.MaxAge() > 0:
			m.ageing = append(m.ageing, l)
			m.lasting &^= l.Set()
		}
	}
	m.signedIn = p.MetBy(nil) & m.lasting
	return m
}

// after returns the levels that are met once a challenge for missing has been
// answered.
func (m *levelModel) after(missing policy.LevelSet) policy.LevelSet {
	met, ok := m.known[missing]
	if !ok {
		met = missing
		if ways := m.policy.Ways(missing&^m.policy.OnceLevels(), nil, time.Unix(1<<40, 0)); len(ways) > 0 {
			met |= m.policy.MetBy(leastUseful(ways))
		}
		m.known[missing] = met
	}
	return met
}

// leastUseful is the last of the shortest ways: they are in the order of
// strength.
func leastUseful(ways [][]policy.Factor) []policy.Factor {
	least := ways[0]
	for _, way := range ways {
		if len(way) == len(least) {
			least = way
		}
	}
	return least
}
