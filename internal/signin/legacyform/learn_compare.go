package legacyform

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stepgate/stepgate/internal/weld"
)

// comparison is what two logins tell.
type comparison struct {
	Learned
	l         *Learner
	good, bad *attempt
	landing   *document // where the good login leads
}

func (c *comparison) open(format string, args ...any) {
	c.Open = append(c.Open, fmt.Sprintf(format, args...))
}

// commands are fields by which apps say what a request is to do.
var commands = []string{"do", "action", "cmd", "command", "op", "act", "mode", "task", "authaction", "event"}

func (c *comparison) compareForms() {
	form := c.good.form
	c.Config.UsernameField, c.Config.PasswordField = form.username, form.password
	c.Reasons["username_field"] = "the text field before the password"
	c.Reasons["password_field"] = "the form's password field"
	submit := Target{Method: http.MethodPost, Path: pattern(form.action, c.bad.form.action)}
	c.Reasons["submit"] = "where the form goes"
	for name, value := range form.fields {
		if slices.Contains(commands, strings.ToLower(name)) && value != "" && c.bad.form.fields[name] == value {
			submit.Form = append(submit.Form, Field{name, value})
			c.Reasons["submit"] = "where the form goes; only with this field is it a login"
		}
	}
	c.Config.Submit = []Target{submit}
	c.Config.LoginPages = []string{pattern(c.good.page.URL, c.bad.page.URL)}
	c.Reasons["login_page"] = "the page with the form"
	charset, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(form.charset)), " ")
	if charset != "" && charset != "utf-8" && charset != "unknown" {
		c.Config.Charset = charset
		c.Reasons["charset"] = "the form says so"
	}
}

// random is a value that is made anew for each visit.
var random = regexp.MustCompile(`^[0-9A-Za-z+/=_%.-]{16,}$`)

// pattern writes an address as a target, with "*" for values that differ from
// one visit to the next, that are empty or look random.
func pattern(at, other *url.URL) string {
	if at.RawQuery == "" {
		return at.EscapedPath()
	}
	var fields []string
	for part := range strings.SplitSeq(at.RawQuery, "&") {
		name, value, _ := strings.Cut(part, "=")
		if value == "" || random.MatchString(value) || other != nil && !slices.Contains(strings.Split(other.RawQuery, "&"), part) {
			value = "*"
		}
		fields = append(fields, name+"="+value)
	}
	return at.EscapedPath() + "?" + strings.Join(fields, "&")
}

func (c *comparison) compareAnswers() {
	good, bad := c.good.answer, c.bad.answer
	if good.Status != bad.Status {
		c.Config.Success = append(c.Config.Success, Condition{Kind: "status", Values: []string{strconv.Itoa(good.Status)}})
		c.Reasons["success status"] = fmt.Sprintf("a bad password gets %d", bad.Status)
	}
	c.compareLocations(good.leadsTo(), bad.leadsTo())
	if text := complaint(bad, c.bad.page, good); text != "" {
		c.Config.Failure = append(c.Config.Failure, Condition{Kind: "body", Values: []string{regexp.QuoteMeta(text)}})
		c.Reasons["failure body"] = "only the answer to a bad password says so"
	}
	if len(c.Config.Success)+len(c.Config.Failure) == 0 {
		c.open("The answers to a good and to a bad password look alike (status %d).", good.Status)
	}
}

func (c *comparison) compareLocations(good, bad *url.URL) {
	switch {
	case good == nil:
	case bad != nil && good.Path == bad.Path && good.RawQuery != bad.RawQuery:
		c.Config.Failure = append(c.Config.Failure, Condition{Kind: "location", Values: []string{bad.Path + "?" + differing(bad, good)}})
		c.Reasons["failure location"] = "where a bad password leads"
	case bad != nil && !strings.HasPrefix(good.Path, bad.Path):
		c.Config.Success = append(c.Config.Success, Condition{Kind: "location", Values: []string{"!" + bad.Path + "*"}})
		c.Reasons["success location"] = "where a bad password leads"
	case !strings.HasPrefix(good.Path, c.good.page.URL.Path):
		c.Config.Success = append(c.Config.Success, Condition{Kind: "location", Values: []string{"!" + c.good.page.URL.Path + "*"}})
		c.Reasons["success location"] = "a redirect that does not lead back to the form"
	}
}

// differing are the fields of a query that another has not.
func differing(a, b *url.URL) string {
	var fields []string
	for part := range strings.SplitSeq(a.RawQuery, "&") {
		if !slices.Contains(strings.Split(b.RawQuery, "&"), part) {
			fields = append(fields, part)
		}
	}
	return strings.Join(fields, "&")
}

var complains = regexp.MustCompile(`(?i)\b(invalid|incorrect|wrong|fail|failed|not correct|denied|error|unknown|sorry|bad)\b`)

// complaint is a text that only the answer to a bad password has.
func complaint(bad, page, good *document) string {
	if bad.leadsTo() != nil {
		return ""
	}
	known, fine := lines(page.text), lines(good.text)
	for _, line := range lines(bad.text) {
		if complains.MatchString(line) && len(line) < 120 && !slices.Contains(known, line) && !slices.Contains(fine, line) &&
			strings.Contains(bad.text, line) && !strings.Contains(good.text, line) {
			return line
		}
	}
	return ""
}

func (c *comparison) compareCookies() {
	now := time.Now()
	var also []string
	for _, line := range c.bad.answer.Header["Set-Cookie"] {
		if set, ok := weld.ParseSetCookie(line, now); ok && !set.Gone {
			also = append(also, set.Name)
		}
	}
	for _, line := range c.good.answer.Header["Set-Cookie"] {
		set, ok := weld.ParseSetCookie(line, now)
		if ok && !set.Gone && len(set.Value) >= leastSecret && set.Value != c.l.Username && !slices.Contains(c.Config.SessionCookies, globOf(set.Name)) {
			c.Config.SessionCookies = append(c.Config.SessionCookies, globOf(set.Name))
		}
	}
	c.Reasons["session_cookie"] = "a good login gives a new value"
	if slices.ContainsFunc(also, func(n string) bool { return slices.Contains(c.Config.SessionCookies, globOf(n)) }) {
		c.Reasons["session_cookie"] = "a good login gives a new value; so does a bad one, so that it proves nothing by itself"
	}
	if len(c.Config.SessionCookies) > 0 {
		return
	}
	for part := range strings.SplitSeq(c.good.before, "; ") {
		if name, _, _ := strings.Cut(part, "="); name != "" {
			c.Config.SessionCookies = append(c.Config.SessionCookies, name)
		}
	}
	c.Reasons["session_cookie"] = "what the browser had before: this app keeps its cookie at sign-in, so that only an identity proves a login"
	if len(c.Config.SessionCookies) == 0 {
		c.open("No cookie was found by which the app knows who it is.")
	}
}

// installed is a name that ends in a digest of where the app is installed,
// which may be another one behind the gateway.
var installed = regexp.MustCompile(`^([A-Za-z_-]{2,}?)[0-9a-f]{16,}$`)

func globOf(name string) string {
	if m := installed.FindStringSubmatch(name); m != nil {
		return m[1] + "*"
	}
	return name
}

// leastSecret is the length of a value that can be somebody's session.
const leastSecret = 8

// probable are words in the addresses of pages that say who somebody is.
var probable = regexp.MustCompile(`(?i)profile|account|preference|setting|user|me\b|home|index|start`)

const (
	// maxProbes bounds the pages that are looked at, maxPatterns what is
	// tried on one.
	maxProbes   = 12
	maxPatterns = 60
)

// findIdentity looks for a page that names the person, and does not name
// anybody to a stranger.
func (c *comparison) findIdentity(ctx context.Context) error {
	stranger, err := c.l.visit()
	if err != nil {
		return err
	}
	start := c.good.answer.leadsTo()
	if start == nil {
		start = c.good.answer.URL
	}
	if c.landing, err = c.good.open(ctx, start); err != nil {
		c.open("The page after the login could not be opened: %v.", err)
		return nil
	}
	pages := []*url.URL{c.landing.URL}
	for _, to := range links(c.landing) {
		if probable.MatchString(to.RequestURI()) && !leaving.MatchString(to.RequestURI()) && len(pages) < maxProbes {
			pages = append(pages, to)
		}
	}
	// The more a page is about the person, the less others write on it.
	slices.SortStableFunc(pages, func(a, b *url.URL) int { return rank(a) - rank(b) })
	for _, at := range pages {
		if found := c.identityAt(ctx, stranger, at); found != nil {
			c.Config.Identity = found
			c.Reasons["identity"] = "this page names the person who is signed in, and nobody to a stranger; see that nothing before the group is this person's own"
			return nil
		}
	}
	c.open("No page was found that says who is signed in. Without `identity` the submitted name counts, for accounts that exist already.")
	return nil
}

func rank(at *url.URL) int {
	if regexp.MustCompile(`(?i)profile|account|preference|setting`).MatchString(at.RequestURI()) {
		return 0
	}
	return 1
}

// identityAt finds a pattern for the name on one page. It has to hold twice,
// so that nothing of it is made anew each time.
func (c *comparison) identityAt(ctx context.Context, stranger *visit, at *url.URL) *Identity {
	page, err := c.good.send(ctx, http.MethodGet, at, nil)
	if err != nil || page.Status != http.StatusOK {
		return nil
	}
	again, err := c.good.send(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil
	}
	other, err := stranger.send(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil
	}
	for _, pattern := range patternsFor(page.text, c.l.Username) {
		made, err := compileIdentity(&Identity{Kind: "probe", Name: at.RequestURI(), Pattern: pattern})
		if err != nil {
			continue
		}
		first, err := made.says(page.Answer, time.Now())
		second, err2 := made.says(again.Answer, time.Now())
		_, err3 := made.says(other.Answer, time.Now())
		if err == nil && err2 == nil && err3 != nil && strings.EqualFold(first, c.l.Username) && first == second {
			return &Identity{Kind: "probe", Name: at.RequestURI(), Pattern: pattern}
		}
	}
	return nil
}

// contextLeast is how much has to stand before a name, in bytes.
const contextLeast = 8

// contexts are how much of it is taken, the least that will do.
var contexts = []int{32, 64, 128}

// patternsFor lists expressions that match where a page has the name, those
// that say what the name is first.
func patternsFor(text, name string) (patterns []string) {
	var plain []string
	for _, written := range []string{html.EscapeString(name), url.QueryEscape(name)} {
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
			if !strings.ContainsAny(stop, `<"')`) {
				continue
			}
			group := "([^" + regexp.QuoteMeta(stop) + "]+)"
			if written != html.EscapeString(name) {
				group = "(?P<url>" + group[1:]
			}
			for _, length := range contexts {
				before := text[max(0, start-length):start]
				if j := strings.LastIndexByte(before, '\n'); j >= 0 {
					before = before[j+1:]
				}
				p := expression(before) + group + regexp.QuoteMeta(stop)
				switch {
				case len(before) < contextLeast || !utf8.ValidString(p) || len(patterns)+len(plain) >= maxPatterns:
				case says.MatchString(before):
					patterns = append(patterns, p)
				default:
					plain = append(plain, p)
				}
			}
		}
	}
	return append(patterns, plain...)
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

var (
	says    = regexp.MustCompile(`(?i)logged in|signed in|username|user.?name|account`)
	leaving = regexp.MustCompile(`(?i)log[-_]?out|log[-_]?off|sign[-_]?out|sign[-_]?off`)
)

func (c *comparison) findSignOut() {
	if c.landing != nil {
		for _, to := range links(c.landing) {
			if leaving.MatchString(to.RequestURI()) {
				c.Config.SignOut = []Target{{Path: pattern(to, nil)}}
				c.Reasons["sign_out"] = "a link on the page after the login"
				return
			}
		}
	}
	c.open("No link to sign out was found on the page after the login: name it with `sign_out`.")
}

// try judges both answers by what was found.
func (c *comparison) try(ctx context.Context) {
	f, err := New("learned", c.Config)
	if err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			c.open("%s.", line)
		}
		return
	}
	accepts := func(a *attempt) bool {
		l := &Login{Submission: Submission{c.l.Username}, Cookies: a.before, BeforeKnown: true, Answer: a.answer.Answer}
		_, err := f.Judge(ctx, func(ctx context.Context, target, _ string) (*Answer, error) {
			at, err := a.answer.URL.Parse(target)
			if err != nil {
				return nil, err
			}
			d, err := a.send(ctx, http.MethodGet, at, nil)
			if err != nil {
				return nil, err
			}
			return d.Answer, nil
		}, l)
		return err == nil
	}
	good, bad := accepts(c.good), accepts(c.bad)
	c.Works = good && !bad
	switch {
	case bad:
		c.open("By what was found a bad password would be let in: do not use it like this.")
	case !good:
		c.open("By what was found a good password would not be let in.")
	}
}
