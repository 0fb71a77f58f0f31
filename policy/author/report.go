package author

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Report is what a rehearsal saw.
type Report struct {
	// Lines are all lines: Requests, Other that are no request, and
	// Unreadable ones.
	Lines      int64 `json:"lines"`
	Requests   int64 `json:"requests"`
	Other      int64 `json:"other_lines"`
	Unreadable int64 `json:"unreadable_lines"`
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
	}
	if all.total > 0 {
		report.From, report.To = time.Unix(all.from, 0).UTC(), time.Unix(all.to, 0).UTC()
		report.Days = max(1, report.To.Sub(report.From).Hours()/24)
	}
	if r.Compare != nil {
		report.Changes = r.shifts(all, top)
		return report
	}
	report.Needs = r.shares(all, top)
	fallback := all.fallback.share(all.total, top)
	report.Default = &fallback
	report.Forecast = r.foresee(all, future, report.Days)
	return report
}

// join adds what another judge has counted.
func (j *judge) join(o *judge) {
	if o.from != 0 && (j.from == 0 || o.from < j.from) {
		j.from = o.from
	}
	j.total, j.other, j.broken, j.to, j.named = j.total+o.total, j.other+o.other, j.broken+o.broken, max(j.to, o.to), j.named || o.named
	j.samples = append(j.samples, o.samples...)
	j.samples = j.samples[:min(len(j.samples), maxSamples)]
	for k, t := range o.classes {
		tallyOf(j.classes, k).join(t)
	}
	for k, t := range o.changes {
		tallyOf(j.changes, k).join(t)
	}
	j.fallback.join(o.fallback)
}

func (t *tally) join(o *tally) {
	t.count += o.count
	t.urls.join(o.urls)
}

func (t *tally) share(of int64, top int) Share {
	s := Share{Requests: t.count, Share: float64(t.count) / float64(max(of, 1)), URLs: []URLCount{}}
	for _, c := range t.urls.most(top) {
		s.URLs = append(s.URLs, URLCount{URL: c.key, Requests: c.count, Over: c.over})
	}
	return s
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

func (r *Rehearsal) shifts(all *judge, top int) []Shift {
	shifts := []Shift{}
	for k, t := range all.changes {
		way := direction(r.Sites[k.site].Policy, k.was, r.Compare[k.site].Policy, k.is)
		if way == "" {
			continue
		}
		s := Shift{Direction: way, Old: k.was.says(r.Sites[k.site]), New: k.is.says(r.Compare[k.site]), Share: t.share(all.total, top)}
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

// Render writes the report for people: a table with a bar for each share.
func (r *Report) Render(w io.Writer) error {
	var b strings.Builder
	if r.Partial {
		b.WriteString("PARTIAL: not everything was read\n")
	}
	fmt.Fprintf(&b, "%s requests", grouped(r.Requests))
	if r.Requests > 0 {
		fmt.Fprintf(&b, ", %s to %s, %s", r.From.Format("2006-01-02 15:04"), r.To.Format("2006-01-02 15:04 MST"), span(r.Days))
	}
	fmt.Fprintf(&b, "\n%s other lines, %s that could not be read\n", grouped(r.Other), grouped(r.Unreadable))
	for _, line := range r.Samples {
		fmt.Fprintf(&b, "  not read: %s\n", visible(line))
	}
	if len(r.Needs) > 0 {
		b.WriteString("\nWhat they would need\n")
		for _, s := range r.Needs {
			bar(&b, strings.TrimSpace(s.Site+" "+words(s.Needs)), s.Requests, s.Share)
		}
	}
	if r.Forecast != nil {
		r.Forecast.render(&b)
	}
	for _, s := range r.Needs {
		urls(&b, "Most asked for that need "+strings.TrimSpace(words(s.Needs)+" "+s.Site), s.URLs)
	}
	if r.Default != nil {
		bar(&b, "\nNo rule, so the default", r.Default.Requests, r.Default.Share)
		urls(&b, "Most asked for that fall to the default", r.Default.URLs)
	}
	for _, c := range r.Changes {
		bar(&b, strings.TrimSpace(fmt.Sprintf("%s: %s -> %s %s", c.Direction, words(c.Old), words(c.New), c.Site)), c.Requests, c.Share.Share)
		urls(&b, "", c.URLs)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func span(days float64) string {
	if days <= 1 {
		return "counted as a day"
	}
	return fmt.Sprintf("%.1f days", days)
}

func (f *Forecast) render(b *strings.Builder) {
	b.WriteString("\nWhat people would be asked\n")
	fmt.Fprintf(b, "  %-28s %12s a day\n", "sign-ins", decimal(f.SignInsPerDay))
	fmt.Fprintf(b, "  %-28s %12s a day", "challenges", decimal(f.ChallengesPerDay))
	if f.BusiestDay != "" {
		fmt.Fprintf(b, ", %s on the busiest (%s)", grouped(f.BusiestDayChallenges), f.BusiestDay)
	}
	who := "addresses with their browsers"
	if f.Users {
		who = "people"
	}
	fmt.Fprintf(b, "\n  %-28s %12s a day on which they come; about %s %s\n", "challenges for each", decimal(f.ChallengesPerPersonDay), grouped(f.People), who)
	for _, a := range f.ByLevels {
		bar(b, "for "+words(a.Levels), a.Challenges, float64(a.Challenges)/float64(max(1, f.Challenges)))
	}
	fmt.Fprintf(b, "  Model: %s.\n", f.Model)
}

func urls(b *strings.Builder, title string, list []URLCount) {
	if len(list) == 0 {
		return
	}
	if title != "" {
		fmt.Fprintf(b, "\n%s\n", title)
	}
	for _, u := range list {
		about := ""
		if u.Over > 0 {
			about = "at most "
		}
		fmt.Fprintf(b, "  %20s  %s\n", about+grouped(u.Requests), visible(u.URL))
	}
}

const barCells = 30

// bar is a line with a name, a number, and its share as a bar.
func bar(b *strings.Builder, name string, n int64, share float64) {
	eighths := min(int(share*barCells*8+0.5), barCells*8)
	if n > 0 && eighths == 0 {
		eighths = 1
	}
	full := strings.Repeat("█", eighths/8)
	if part := eighths % 8; part > 0 {
		full += string([]rune(" ▏▎▍▌▋▊▉")[part])
	}
	if strings.HasPrefix(name, "\n") {
		b.WriteString("\n")
		name = name[1:]
	}
	fmt.Fprintf(b, "  %-28s %12s %5.1f%%  %s\n", name, grouped(n), share*100, full)
}

// grouped writes a number with blanks between thousands.
func grouped(n int64) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + " " + text[at:]
	}
	return text
}

func decimal(f float64) string {
	if f >= 100 {
		return grouped(int64(f + 0.5))
	}
	return fmt.Sprintf("%.2f", f)
}
