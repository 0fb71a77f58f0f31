package legacyform

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/weld"
)

// comparison is what several logins tell.
type comparison struct {
	Learned
	l                *Learner
	bad, first, good *attempt // first and good are the same person's
	also             *attempt // somebody else's; nil for nobody
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
	at = tidy(at)
	if at.RawQuery == "" {
		return at.EscapedPath()
	}
	var fields []string
	for part := range strings.SplitSeq(at.RawQuery, "&") {
		name, value, _ := strings.Cut(part, "=")
		if value == "" || random.MatchString(value) || other != nil && !slices.Contains(strings.Split(tidy(other).RawQuery, "&"), part) {
			value = "*"
		}
		fields = append(fields, name+"="+value)
	}
	return at.EscapedPath() + "?" + strings.Join(fields, "&")
}

// tidy leaves out what a query says twice, in whatever spelling.
func tidy(at *url.URL) *url.URL {
	var parts, known []string
	for part := range strings.SplitSeq(at.RawQuery, "&") {
		meaning, err := url.QueryUnescape(part)
		if err != nil {
			meaning = part
		}
		if !slices.Contains(known, meaning) {
			parts, known = append(parts, part), append(known, meaning)
		}
	}
	tidied := *at
	tidied.RawQuery = strings.Join(parts, "&")
	return &tidied
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
		c.open("The answers to a good and to a bad password look alike (status %d): was the good one the right one?", good.Status)
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

// issues lists the cookies that an answer gives.
func (d *document) issues() (issued []weld.Cookie) {
	now := time.Now()
	for _, line := range d.Header["Set-Cookie"] {
		if set, ok := weld.ParseSetCookie(line, now); ok && !set.Gone {
			issued = append(issued, set.Cookie)
		}
	}
	return issued
}

func (c *comparison) compareCookies() {
	// What is the same for two logins belongs to no session.
	constant := c.first.answer.issues()
	for _, set := range c.good.answer.issues() {
		if len(set.Value) >= leastSecret && set.Value != c.l.Username && !slices.Contains(constant, set) && !slices.Contains(c.Config.SessionCookies, globOf(set.Name)) {
			c.Config.SessionCookies = append(c.Config.SessionCookies, globOf(set.Name))
		}
	}
	c.Reasons["session_cookie"] = "each good login gives another value"
	if slices.ContainsFunc(c.bad.answer.issues(), func(set weld.Cookie) bool { return slices.Contains(c.Config.SessionCookies, globOf(set.Name)) }) {
		c.Reasons["session_cookie"] = "each good login gives another value; so does a bad one, so that it proves nothing by itself"
	}
	if len(c.Config.SessionCookies) > 0 {
		c.leaveOut(constant)
		c.onlyGood()
		return
	}
	for part := range strings.SplitSeq(c.good.before, "; ") {
		name, _, _ := strings.Cut(part, "=")
		if name != "" && !slices.Contains(strings.Split(c.first.before, "; "), part) {
			c.Config.SessionCookies = append(c.Config.SessionCookies, name)
		}
	}
	c.Reasons["session_cookie"] = "what the browser had before: this app keeps its cookie at sign-in, so that only an identity proves a login"
	if len(c.Config.SessionCookies) == 0 {
		c.open("No cookie was found by which the app knows who it is.")
	}
}

// onlyGood finds a session cookie that a bad login does not give.
func (c *comparison) onlyGood() {
	bad := c.bad.answer.issues()
	for _, set := range c.good.answer.issues() {
		name := globOf(set.Name)
		if slices.Contains(c.Config.SessionCookies, name) && !slices.ContainsFunc(bad, func(b weld.Cookie) bool { return weld.Glob(name).Matches(b.Name) }) {
			c.Config.Success = append(c.Config.Success, Condition{Kind: "cookie", Name: name})
			c.Reasons["success cookie"] = "only a good login gives it"
			return
		}
	}
}

// leaveOut names the cookies that a glob for the session's would fit, though
// they are the same for two logins.
func (c *comparison) leaveOut(constant []weld.Cookie) {
	names, err := weld.CompileNames(c.Config.SessionCookies)
	if err != nil {
		return // New says so
	}
	for _, set := range constant {
		if names.Has(set.Name) && slices.Contains(c.good.answer.issues(), set) && !slices.Contains(c.Config.SessionCookies, set.Name) {
			c.Config.SessionCookies = append(c.Config.SessionCookies, "!"+set.Name)
			c.Reasons["session_cookie"] += "; " + set.Name + " is the same for all"
		}
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

// leaving are words in the addresses of sign-outs.
var leaving = regexp.MustCompile(`(?i)log[-_]?out|log[-_]?off|sign[-_]?out|sign[-_]?off`)

func (c *comparison) findSignOut() {
	for _, way := range waysOut(c.good.landing) {
		c.Config.SignOut = []Target{{Method: way.method, Path: pattern(way.at, twin(way, waysOut(c.first.landing)))}}
		c.Reasons["sign_out"] = "on the page after the login; what differs between two logins is *"
		return
	}
	c.open("No link to sign out was found on the page after the login: name it with `sign_out`.")
}

// way is a link or a form.
type way struct {
	method string // "" for a link
	at     *url.URL
}

// waysOut are those of a page that sign out, links first.
func waysOut(d *document) (found []way) {
	if d == nil {
		return nil
	}
	for _, to := range links(d) {
		if leaving.MatchString(to.RequestURI()) {
			found = append(found, way{"", to})
		}
	}
	for _, form := range elements(d.text, "form") {
		to, err := d.URL.Parse(attribute(form, "action"))
		if err == nil && to.Host == d.URL.Host && strings.EqualFold(attribute(form, "method"), http.MethodPost) && leaving.MatchString(to.RequestURI()) {
			found = append(found, way{http.MethodPost, to})
		}
	}
	return found
}

// twin is the same way out of another login, nil for none.
func twin(w way, others []way) *url.URL {
	for _, o := range others {
		if o.method == w.method && o.at.Path == w.at.Path {
			return o.at
		}
	}
	return nil
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
		l := &Login{Submission: Submission{Username: a.who}, Cookies: a.before, BeforeKnown: true, Answer: a.answer.Answer}
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
	good, bad := accepts(c.good) && (c.also == nil || accepts(c.also)), accepts(c.bad)
	c.Works = good && !bad
	switch {
	case bad:
		c.open("By what was found a bad password would be let in: do not use it like this.")
	case !good:
		c.open("By what was found a good password would not be let in.")
	}
}
