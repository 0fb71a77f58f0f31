package legacyform

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// probable are words in the addresses of pages that say who somebody is.
var probable = regexp.MustCompile(`(?i)profile|account|preference|setting|user|me\b|home|index|start`)

const (
	// maxProbes bounds the pages that are looked at, maxPatterns what is
	// tried on one.
	maxProbes   = 12
	maxPatterns = 60
)

// findIdentity looks for a page that names the person, and does not name
// anybody to a stranger. What people can change about themselves is not who
// they are: a name that some page offers for editing counts only where a page
// shows it in a control that cannot be edited.
func (c *comparison) findIdentity(ctx context.Context) error {
	stranger, err := c.l.visit()
	if err != nil {
		return err
	}
	if c.good.landing == nil {
		c.open("The page after the login could not be opened: %v.", c.good.landingErr)
		return nil
	}
	pages := c.pages(ctx)
	offered := ""
	for _, page := range pages {
		if control := offers(page, c.l.Username); control != "" && offered == "" {
			offered = fmt.Sprintf("%s on %s", control, page.URL.RequestURI())
		}
	}
	var refused bool
	for _, wanted := range []standing{fixed, plain} {
		if wanted == plain && offered != "" {
			refused = true
			break
		}
		for _, page := range pages {
			if found := c.identityOn(ctx, stranger, page, wanted); found != nil {
				c.Config.Identity = found
				c.Reasons["identity"] = c.whyIdentity(wanted)
				return nil
			}
		}
	}
	why := "No page was found that says who is signed in."
	if refused {
		why = fmt.Sprintf("No page was found that says who is signed in by a name that people cannot change: %s offers the name for editing. An account whose name to sign in differs from its display name may show another place.", offered)
	}
	c.open("%s Without `identity` the submitted name counts, for accounts that exist already.", why)
	return nil
}

func (c *comparison) whyIdentity(at standing) string {
	why := "this page has the submitted name, and nobody's for a stranger; no page that was looked at offers it for editing"
	if at == fixed {
		why = "this page shows the submitted name in a control that cannot be edited, and nobody's to a stranger"
	}
	if c.also != nil {
		return why + "; it has the second account's name for the second account"
	}
	return why + "; try --also-username with an account whose display name is another one"
}

// pages are those that may say who is signed in. The more a page is about the
// person, the less others write on it.
func (c *comparison) pages(ctx context.Context) (read []*document) {
	at := []*url.URL{c.steady(c.good.landing.URL)}
	for _, to := range links(c.good.landing) {
		if to = c.steady(to); probable.MatchString(to.RequestURI()) && !leaving.MatchString(to.RequestURI()) && len(at) < maxProbes &&
			!slices.ContainsFunc(at, func(u *url.URL) bool { return u.String() == to.String() }) {
			at = append(at, to)
		}
	}
	slices.SortStableFunc(at, func(a, b *url.URL) int { return rank(a) - rank(b) })
	for _, u := range at {
		if page, err := c.good.send(ctx, http.MethodGet, u, nil); err == nil && page.Status == http.StatusOK {
			read = append(read, page)
		}
	}
	return read
}

var personal = regexp.MustCompile(`(?i)profile|account|preference|setting`)

func rank(at *url.URL) int {
	if personal.MatchString(at.RequestURI()) {
		return 0
	}
	return 1
}

// steady is an address without what is made anew at each login, and without
// what it says twice.
func (c *comparison) steady(at *url.URL) *url.URL {
	at = tidy(at)
	if c.first.landing == nil || at.RawQuery == "" {
		return at
	}
	var known []string
	for _, to := range append(links(c.first.landing), c.first.landing.URL) {
		if to.Path == at.Path {
			known = append(known, strings.Split(to.RawQuery, "&")...)
		}
	}
	kept := slices.DeleteFunc(strings.Split(at.RawQuery, "&"), func(part string) bool { return !slices.Contains(known, part) })
	at.RawQuery = strings.Join(kept, "&")
	return at
}

// identityOn finds a pattern for the name on one page. It has to hold twice,
// so that nothing of it is made anew each time, and for the second account.
func (c *comparison) identityOn(ctx context.Context, stranger *visit, page *document, wanted standing) *Identity {
	patterns := patternsFor(page.text, c.l.Username, wanted)
	if len(patterns) == 0 {
		return nil
	}
	again, err := c.good.send(ctx, http.MethodGet, page.URL, nil)
	if err != nil {
		return nil
	}
	other, err := stranger.send(ctx, http.MethodGet, page.URL, nil)
	if err != nil {
		return nil
	}
	var second *document
	if c.also != nil {
		if second, err = c.also.send(ctx, http.MethodGet, page.URL, nil); err != nil {
			return nil
		}
	}
	for _, pattern := range patterns {
		found := &Identity{Kind: "probe", Name: page.URL.RequestURI(), Pattern: pattern}
		made, err := compileIdentity(found)
		if err != nil {
			continue
		}
		names := func(d *document, who string) bool {
			said, err := made.says(d.Answer, time.Now())
			return err == nil && strings.EqualFold(said, who)
		}
		_, err = made.says(other.Answer, time.Now())
		if err != nil && names(page, c.l.Username) && names(again, c.l.Username) && (second == nil || names(second, c.l.Also.Username)) {
			return found
		}
	}
	return nil
}

// contextLeast is how much has to stand before a name, in bytes.
const contextLeast = 8

// contexts are how much of it is taken, the least that will do.
var contexts = []int{32, 64, 128}

// patternsFor lists expressions that match where a page has the name in the
// wanted way, those that say what the name is first.
func patternsFor(text, name string, wanted standing) (patterns []string) {
	var others []string
	controls := controlsOf(text)
	for _, written := range slices.Compact([]string{html.EscapeString(name), url.QueryEscape(name)}) {
		for at := 0; ; {
			i := strings.Index(text[at:], written)
			if i < 0 {
				break
			}
			start, end := at+i, at+i+len(written)
			at = end
			if end >= len(text) {
				break
			}
			stop := text[end : end+1]
			standing, begins := controls.at(start)
			if !strings.ContainsAny(stop, `<"')`) || standing != wanted {
				continue
			}
			group := "([^" + regexp.QuoteMeta(stop) + "]+)"
			if written != html.EscapeString(name) {
				group = "(?P<url>" + group[1:]
			}
			behind := regexp.QuoteMeta(stop)
			if begins >= 0 {
				behind += lockBehind(text[end+1:])
			}
			for _, before := range contextsOf(text, begins, start) {
				p := expression(before) + group + behind
				switch {
				case len(before) < contextLeast || !utf8.ValidString(p) || len(patterns)+len(others) >= maxPatterns:
				case says.MatchString(before):
					patterns = append(patterns, p)
				default:
					others = append(others, p)
				}
			}
		}
	}
	return append(patterns, others...)
}

var lock = regexp.MustCompile(`(?i)^[^<>]*\s(disabled|readonly)\b`)

// lockBehind matches what says, in the rest of a control's tag, that nobody can
// edit it: without that it would be another page.
func lockBehind(rest string) string {
	if m := lock.FindStringSubmatch(rest); m != nil {
		return `[^>]*\s` + m[1] + `\b`
	}
	return ""
}

// contextsOf are the texts before a name that a pattern may begin with. That
// of a control is its tag, so that it is the same control in which the name
// is found.
func contextsOf(text string, control, start int) (found []string) {
	if control >= 0 {
		return []string{text[control:start]}
	}
	for _, length := range contexts {
		before := text[max(0, start-length):start]
		if j := strings.LastIndexByte(before, '\n'); j >= 0 {
			before = before[j+1:]
		}
		found = append(found, before)
	}
	return found
}

var betweenTags = regexp.MustCompile(`>[^<>]+<`)

// expression matches what stands before a name: word for word, but for texts
// that do not look like a label and may be the person's own.
func expression(before string) string {
	var b strings.Builder
	for at := 0; ; {
		m := betweenTags.FindStringIndex(before[at:])
		if m == nil {
			b.WriteString(regexp.QuoteMeta(before[at:]))
			return b.String()
		}
		text := before[at+m[0] : at+m[1]]
		b.WriteString(regexp.QuoteMeta(before[at : at+m[0]]))
		if strings.TrimSpace(text[1:len(text)-1]) == "" || says.MatchString(text) {
			b.WriteString(regexp.QuoteMeta(text[:len(text)-1]))
		} else {
			b.WriteString(">[^<]*")
		}
		at += m[1] - 1
	}
}

var says = regexp.MustCompile(`(?i)logged in|signed in|username|user.?name|account`)
