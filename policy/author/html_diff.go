package author

import (
	"cmp"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
)

// SiteDifference is all that differs of one site, for a page.
type SiteDifference struct {
	Origin string
	Difference
	Settings []SettingChange
	// Was and Is are nil where only the other version has the site.
	Was, Is *Site
}

// diffPage is what a comparison shows around.
type diffPage struct {
	Title, Lead string
	Verdict     string
	NeverWeaker bool
	Sites       []siteRows
	Shifts      []Shift
}

type siteRows struct {
	SiteDifference
	Rows   []patternRow
	Hidden int64
}

// patternRow is what a pattern needed and needs.
type patternRow struct {
	Path            string
	Depth           int
	Was, Is         string
	WasKind, IsKind string // public, signed, second, strong or deny
}

// RenderDiffHTML writes a comparison as one page that needs nothing else.
// verdict is what it comes to; shifts are the requests of logs that change.
func RenderDiffHTML(w io.Writer, title, verdict string, neverWeaker bool, sites []SiteDifference, shifts []Shift, now time.Time) error {
	p := diffPage{Title: title, Lead: "What becomes weaker or stronger between two configurations, on every path and by every method.", Verdict: verdict, NeverWeaker: neverWeaker, Shifts: shifts}
	for _, one := range sites {
		rows := siteRows{SiteDifference: one}
		if one.Was != nil && one.Is != nil {
			rows.compare(now)
		}
		p.Sites = append(p.Sites, rows)
	}
	return pageOf("diff.html").ExecuteTemplate(w, "page", p)
}

// compare fills the tree of patterns: all where they are few, and otherwise
// those that need something else.
func (s *siteRows) compare(now time.Time) {
	patterns := map[string]string{}
	for _, site := range []*Site{s.Was, s.Is} {
		l := &linter{site: site, policy: site.Policy, rules: site.Policy.Rules()}
		l.prepare()
		for _, r := range l.rules {
			if !r.Pattern().Queried() {
				paths := l.pathsOf(r)
				patterns[r.Pattern().String()] = rawPath(paths[min(1, len(paths)-1)])
			}
		}
	}
	var rows []patternRow
	for pattern, path := range patterns {
		was, is := s.Was.Explain(Facts{Method: "GET", Target: path, Now: now}), s.Is.Explain(Facts{Method: "GET", Target: path, Now: now})
		rows = append(rows, patternRow{
			Path: pattern, Depth: min(maxDepth, max(0, strings.Count(strings.TrimSuffix(pattern, "/*"), "/")-1)),
			Was: words(was.says()), Is: words(is.says()), WasKind: s.Was.kind(was), IsKind: s.Is.kind(is),
		})
	}
	if len(rows) > rowsShown {
		before := len(rows)
		rows = slices.DeleteFunc(rows, func(r patternRow) bool { return r.Was == r.Is })
		rows = rows[:min(len(rows), rowsShown)]
		s.Hidden = int64(before - len(rows))
	}
	slices.SortFunc(rows, func(a, b patternRow) int { return cmp.Compare(a.Path, b.Path) })
	s.Rows = rows
}

// kind is how strong what is needed is, roughly.
func (s *Site) kind(a Answer) string {
	needed := s.set(a.Levels)
	strong, _ := s.Policy.Level(policy.LevelPhishingResistant)
	signedIn, _ := s.Policy.Level(policy.LevelSignedIn)
	switch {
	case a.Refused != nil || a.Deny:
		return "deny"
	case a.Public:
		return "public"
	case !s.Policy.Weaker(signedIn.Set(), needed):
		return "signed"
	case !s.Policy.Weaker(needed, strong.Set()):
		return "strong"
	default:
		return "second"
	}
}
