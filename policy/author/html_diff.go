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

// Comparison is what two configurations differ in, for a page.
type Comparison struct {
	// Title says which two.
	Title string
	// Verdict is what it comes to, in words. NeverWeaker says that the second
	// asks for all that the first does.
	Verdict     string
	NeverWeaker bool
	Sites       []SiteDifference
	// Shifts are the requests of logs that need something else.
	Shifts []Shift
	// Now is when the levels are asked for.
	Now time.Time
}

// diffPage is what a comparison's page shows.
type diffPage struct {
	Comparison
	Lead string
	// Sites stand in place of the comparison's.
	Sites []siteRows
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

// RenderHTML writes a comparison as one page that needs nothing else.
func (c Comparison) RenderHTML(w io.Writer) error {
	p := diffPage{Comparison: c, Lead: "What becomes weaker or stronger between two configurations, on every path and by every method."}
	for _, one := range c.Sites {
		rows := siteRows{SiteDifference: one}
		if one.Was != nil && one.Is != nil {
			rows.compare(c.Now)
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
