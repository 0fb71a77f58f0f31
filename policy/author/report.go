package author

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/accesslog"
)

// Report is what a rehearsal saw.
type Report struct {
	// Lines are all lines: Requests, Other that are no request, and
	// Unreadable ones.
	Lines      int64 `json:"lines"`
	Requests   int64 `json:"requests"`
	Other      int64 `json:"other_lines"`
	Unreadable int64 `json:"unreadable_lines"`
	// Formats says in which formats requests were written.
	Formats []FormatCount `json:"formats"`
	// NotFound and Bots are how many requests asked for pages that the app
	// does not have, and came from programs that say so. They are among
	// Requests, and listed apart; bots are nobody in the forecast.
	NotFound int64 `json:"not_found"`
	Bots     int64 `json:"bots"`
	// Samples are the first lines that could not be read, shortened.
	Samples []string `json:"unreadable_samples,omitempty"`
	// Partial is set where a log broke off, or the rehearsal was ended.
	Partial bool      `json:"partial,omitempty"`
	From    time.Time `json:"from,omitzero"`
	To      time.Time `json:"to,omitzero"`
	// Days is how long that is, one at least.
	Days float64 `json:"days"`
	// Needs says what was needed, the most frequent first.
	Needs []Share `json:"needs,omitempty"`
	// Default are the requests that no rule matches.
	Default *Share `json:"default,omitempty"`
	// Changes says what a second policy changes, where there was one.
	Changes []Shift `json:"changes,omitempty"`
	// Forecast is nil where policies were compared.
	Forecast *Forecast `json:"forecast,omitempty"`
	// Classes are the kinds of requests, by what they need and which rule
	// decides, the most frequent first.
	Classes []Class `json:"-"`

	tree *pathTree
}

// FormatCount is how many requests were written in a format.
type FormatCount struct {
	Format   accesslog.Format `json:"format"`
	Requests int64            `json:"requests"`
}

// Class is requests that need the same by the same rule.
type Class struct {
	Site     string
	Needs    []string
	Rule     string // with its place
	Requests int64
	Share    float64
	Example  string
}

// Share is some of the requests.
type Share struct {
	// Site is empty where there is only one.
	Site string `json:"site,omitempty"`
	// Needs is in the words of an assertion; empty for the default.
	Needs    []string `json:"needs,omitempty"`
	Requests int64    `json:"requests"`
	// Share is of all requests, 0 to 1.
	Share float64    `json:"share"`
	URLs  []URLCount `json:"urls"`
}

// Shift is requests that a second policy asks for something else.
type Shift struct {
	Direction Direction `json:"change"`
	Old       []string  `json:"old"`
	New       []string  `json:"new"`
	Share
}

// URLCount is a path and how often it was asked for. `*` stands for numbers
// and their like.
type URLCount struct {
	URL      string `json:"url"`
	Requests int64  `json:"requests"`
	// Over is by how much Requests may be too high; paths that are rare in a
	// log of very many are counted roughly.
	Over int64 `json:"over,omitempty"`
	// NotFound and Bot tell of requests that are set apart.
	NotFound bool `json:"not_found,omitempty"`
	Bot      bool `json:"bot,omitempty"`
}

// Forecast is what people would have been asked.
type Forecast struct {
	SignIns          int64   `json:"sign_ins"`
	SignInsPerDay    float64 `json:"sign_ins_per_day"`
	Challenges       int64   `json:"challenges"`
	ChallengesPerDay float64 `json:"challenges_per_day"`
	// BusiestDay is that with the most challenges, YYYY-MM-DD in UTC.
	BusiestDay           string `json:"busiest_day,omitempty"`
	BusiestDayChallenges int64  `json:"busiest_day_challenges"`
	// People are users of the log, where it has users, and otherwise
	// addresses with their browsers; a close estimate.
	People int64 `json:"people"`
	Users  bool  `json:"users"`
	// ChallengesPerPersonDay is a person's on a day on which they come.
	ChallengesPerPersonDay float64 `json:"challenges_per_person_day"`
	ByLevels               []Asked `json:"by_levels"`
	// Hours are challenges by day of the week, Monday first, and hour in UTC.
	Hours [7][24]int64 `json:"by_hour"`
	// Model says in a line what was reckoned with.
	Model string `json:"model"`
}

// Asked is how often challenges asked for just these levels.
type Asked struct {
	Levels     []string `json:"levels"`
	Challenges int64    `json:"challenges"`
}

func (r *Rehearsal) report(judges []*judge, future *forecast) *Report {
	all := judges[0]
	for _, j := range judges[1:] {
		all.join(j)
	}
	top := cmp.Or(r.Top, 10)
	report := &Report{
		Lines: all.total + all.other + all.broken, Requests: all.total, Other: all.other, Unreadable: all.broken, Days: 1, Samples: all.samples,
		NotFound: all.notFound, Bots: all.bots, Formats: []FormatCount{},
	}
	if all.total > 0 {
		report.From, report.To = time.Unix(all.from, 0).UTC(), time.Unix(all.to, 0).UTC()
		report.Days = max(1, report.To.Sub(report.From).Hours()/24)
	}
	for _, f := range slices.SortedFunc(maps.Keys(all.parser.Counted()), func(a, b accesslog.Format) int {
		return cmp.Or(cmp.Compare(all.parser.Lines[b], all.parser.Lines[a]), cmp.Compare(a, b))
	}) {
		report.Formats = append(report.Formats, FormatCount{f, all.parser.Lines[f]})
	}
	if r.Compare != nil {
		report.Changes = r.shifts(all, r.Sites, r.Compare, top)
		return report
	}
	if r.Enforced != nil {
		report.Changes = r.shifts(all, r.Enforced, r.Sites, top)
	}
	report.Needs = r.shares(all, top)
	fallback := all.fallback.share(all.total, top)
	report.Default = &fallback
	report.Forecast = r.foresee(all, future, report.Days)
	report.Classes = r.classes(all)
	report.tree = all.tree
	return report
}

// maxClasses is how many kinds of requests are told.
const maxClasses = 1000

func (r *Rehearsal) classes(all *judge) []Class {
	var list []Class
	for k, x := range all.rules {
		site := r.Sites[k.site]
		c := Class{
			Site: r.siteName(k.site), Needs: k.need.says(site), Rule: "the default", Requests: x.count, Share: float64(x.count) / float64(max(all.total, 1)),
			Example: x.method + " " + x.url,
		}
		switch {
		case k.need.refused:
			c.Rule = "refused before any rule is asked"
		case k.rule != nil:
			c.Rule = rule(policy.ExplainRule(site.Policy, k.rule))
		case k.need.public && strings.HasPrefix(x.url, site.Prefix+"/"):
			c.Rule = "the gateway's own pages"
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Class) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Example, b.Example))
	})
	return list[:min(len(list), maxClasses)]
}

func (r *Rehearsal) shares(all *judge, top int) []Share {
	shares := []Share{}
	for k, t := range all.classes {
		s := t.share(all.total, top)
		s.Site, s.Needs = r.siteName(k.site), k.need.says(r.Sites[k.site])
		shares = append(shares, s)
	}
	slices.SortFunc(shares, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Site+words(a.Needs), b.Site+words(b.Needs)))
	})
	return shares
}

func (r *Rehearsal) shifts(all *judge, before, after []*Site, top int) []Shift {
	shifts := []Shift{}
	for k, t := range all.changes {
		way := direction(before[k.site].Policy, k.was, after[k.site].Policy, k.is)
		if way == "" {
			continue
		}
		s := Shift{Direction: way, Old: k.was.says(before[k.site]), New: k.is.says(after[k.site]), Share: t.share(all.total, top)}
		s.Site = r.siteName(k.site)
		shifts = append(shifts, s)
	}
	slices.SortFunc(shifts, func(a, b Shift) int {
		return cmp.Or(cmp.Compare(rank(a.Direction), rank(b.Direction)), cmp.Compare(b.Requests, a.Requests), cmp.Compare(words(a.New), words(b.New)))
	})
	return shifts
}

func (r *Rehearsal) siteName(site int32) string {
	if len(r.Sites) == 1 {
		return ""
	}
	return r.Sites[site].Origin
}

func (n need) says(s *Site) []string {
	switch {
	case n.refused:
		return []string{wantRefused}
	case n.deny:
		return []string{wantDeny}
	case n.public:
		return []string{wantPublic}
	default:
		return s.Policy.LevelNames(n.levels)
	}
}

func (r *Rehearsal) foresee(all *judge, future *forecast, days float64) *Forecast {
	f := &Forecast{People: future.people.estimate(), Users: all.named, ByLevels: []Asked{}, Model: r.model(all.named)}
	for _, day := range slices.Sorted(maps.Keys(future.days)) {
		count := future.days[day]
		f.SignIns, f.Challenges = f.SignIns+count.signIns, f.Challenges+count.challenges
		weekday := ((day+3)%7 + 7) % 7 // the first of January 1970 was a Thursday
		f.Hours[weekday] = sums(f.Hours[weekday], count.hours)
		if count.challenges > f.BusiestDayChallenges {
			f.BusiestDayChallenges, f.BusiestDay = count.challenges, time.Unix(day*86400, 0).UTC().Format(time.DateOnly)
		}
	}
	f.SignInsPerDay, f.ChallengesPerDay = float64(f.SignIns)/days, float64(f.Challenges)/days
	f.ChallengesPerPersonDay = float64(f.Challenges) / float64(max(1, future.personDays.estimate()))
	for k, n := range future.asked {
		f.ByLevels = append(f.ByLevels, Asked{Levels: r.Sites[k.site].Policy.LevelNames(k.levels), Challenges: n})
	}
	slices.SortFunc(f.ByLevels, func(a, b Asked) int {
		return cmp.Or(cmp.Compare(b.Challenges, a.Challenges), cmp.Compare(words(a.Levels), words(b.Levels)))
	})
	return f
}

func sums(a, b [24]int64) [24]int64 {
	for i, n := range b {
		a[i] += n
	}
	return a
}

func (r *Rehearsal) model(named bool) string {
	person := "an address with its browser"
	if named {
		person = "a user of the log, or else an address with its browser"
	}
	return fmt.Sprintf("a person is %s, and has a session until %s without a request or %s in all; "+
		"a challenge asks once for all that is missing and is asked again after a level's max_age, for `once` each time; "+
		"nobody turns away, and no request of the app's own counts apart",
		person, short(r.Limits.Idle), short(r.Limits.Absolute))
}

// short writes 30m, not 30m0s.
func short(d time.Duration) string {
	text := d.String()
	text = strings.TrimSuffix(text, "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return cmp.Or(text, "0s")
}
