package watched

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
)

const (
	// withheldFor is how long a Cookie line of which something was withheld
	// is judged alike, without asking the store again.
	withheldFor = time.Second
	// confirmPause is how long the app is not asked again about a session
	// after it has disowned a cookie.
	confirmPause = 5 * time.Second
)

// Request is one request on its way to the app, as the gate has judged it.
type Request struct {
	HTTP    *http.Request
	Visitor Visitor
	Seen    *legacyform.Seen
	Next    Next
	// Lost says that who the visitor is could not be found out.
	Lost   bool
	Public bool // of a path that needs no session
	// Changes says that it may make the app take a cookie for somebody else's,
	// Stake that its path needs more than a password gives.
	Changes, Stake bool
	// Adds is what is added to the page that answers a submit; nil for nothing.
	Adds Adds

	site  *Site
	bonds *weld.Bonds
}

// ask asks the app by the request's own way.
func (q *Request) ask() legacyform.Ask { return q.site.For(q.HTTP, q.Next) }

// findBonds finds what belongs to the visitor's session. An error says that
// nothing can be known of whose a cookie is.
func (q *Request) findBonds() error {
	if q.site.Weld == nil || q.Lost {
		return errUnknown
	}
	bonds, err := q.site.bonds(q.HTTP.Context(), q.Visitor)
	q.bonds = bonds
	return err
}

// noteForeign tells the trail of a value that is not the visitor's, and gives
// the reference.
func (q *Request) noteForeign() string {
	return q.site.refused(q.HTTP, q.Visitor, audit.WeldRefused, "foreign-session")
}

// foreign refuses a request for such a value. The error is for a page.
func (q *Request) foreign() error {
	return &web.Fail{Status: http.StatusForbidden, Reference: q.noteForeign(), Err: errForeign}
}

// elsewhere gathers what find has found in the target that the client sent,
// and in the one that an earlier handler made of it.
func elsewhere[T any](q *Request, find func(path, query string) []T) []T {
	sent := q.Seen.Target
	found := find(sent.RawPath(), sent.RawQuery())
	if path, query, _ := strings.Cut(q.HTTP.RequestURI, "?"); path != sent.RawPath() || query != sent.RawQuery() {
		found = append(found, find(path, query)...)
	}
	return found
}

// elsewhereIDs are the app's session ids that a request has in its targets and
// its form.
func (q *Request) elsewhereIDs() []weld.Cookie {
	names := q.site.Form.Cookies()
	found := elsewhere(q, names.InURL)
	if q.Seen.Form != nil {
		contentType, body, _ := q.Seen.Form()
		found = append(found, names.InForm(contentType, body)...)
	}
	return found
}

// passCookies withholds what is not the visitor's. The line of the session's
// last request is remembered.
func (q *Request) passCookies() (passed weld.Passed) {
	line, memo := weld.JoinLines(q.HTTP.Header), q.Visitor.Memo
	if line == "" {
		return passed
	}
	if memo != nil {
		if last := memo.welded.Load(); last != nil && last.line == line {
			weld.SetLine(q.HTTP.Header, last.passed.Line)
			return last.passed
		}
	}
	passed = q.site.Weld.Pass(q.HTTP.Context(), line, q.Visitor.id(), q.bonds, q.Public)
	if !passed.Own && !q.Public && q.Visitor.Entry != nil {
		passed = q.passAnew(line, passed)
	}
	if passed.Foreign {
		q.noteForeign()
	}
	if passed.Own && memo != nil && len(line) <= longestKept {
		memo.welded.Store(&weldedLine{line, passed})
	}
	weld.SetLine(q.HTTP.Header, passed.Line)
	return passed
}

// longestKept is the longest Cookie line, in bytes, that a session's memory
// keeps. A browser hardly ever sends a longer one to an app that takes it; who
// does has it judged at each request.
const longestKept = 4 << 10

// weldedLine is a Cookie line of which all that counts is the session's own,
// as it came and as it passes.
type weldedLine struct {
	line   string
	passed weld.Passed
}

// passAnew looks again at cookies that are not known to be the session's:
// another node may have bound them since, or the app may say that they are.
func (q *Request) passAnew(line string, passed weld.Passed) weld.Passed {
	s, memo, now := q.site, q.Visitor.Memo, q.site.Now()
	digest := sha256.Sum256([]byte(line))
	if last := memo.withheld.Load(); last != nil && last.line == digest && now.Before(last.until) {
		return passed
	}
	again := func() {
		fresh, err := s.readBonds(q.HTTP.Context(), q.Visitor)
		if err != nil {
			s.Log.Error("read bound cookies", zap.Error(err))
			return
		}
		passed = s.Weld.Pass(q.HTTP.Context(), line, q.Visitor.id(), fresh, false)
	}
	again()
	if len(passed.Offered) > 0 && q.confirm(line, passed.Offered) {
		again()
	}
	if !passed.Own {
		memo.withheld.Store(&withheldLine{digest, now.Add(withheldFor)})
	}
	return passed
}

// withheldLine is a Cookie line, by its digest, that was judged not long ago.
type withheldLine struct {
	line  [sha256.Size]byte
	until time.Time
}

// mayConfirm tells whether the app can be asked now whose a value is.
func (q *Request) mayConfirm() bool {
	return q.site.Form.ConfirmsLater() && q.site.Now().UnixNano() >= q.Visitor.Memo.confirmFrom.Load()
}

// disowned has the app not asked again for a while.
func (q *Request) disowned() {
	q.Visitor.Memo.confirmFrom.Store(q.site.Now().Add(confirmPause).UnixNano())
}

// confirm binds values that the app set in this session, if the app says that
// they are the same person's. It tells whether one was bound.
func (q *Request) confirm(line string, offered []weld.Cookie) bool {
	s, ctx := q.site, q.HTTP.Context()
	if !q.mayConfirm() {
		return false
	}
	// No login and no other sign-in may come between the app's word and the bond.
	done, err := s.Turns.Logins(ctx, s.Weld.Carried("", q.Visitor.id(), offered))
	if err != nil {
		return false
	}
	defer done()
	bound := false
	for _, c := range offered {
		who, err := s.Form.Who(ctx, q.ask(), join(s.Form.Cookies().Others(line), c))
		if err != nil || !s.isVisitor(ctx, q.Visitor, who) {
			q.disowned()
			continue
		}
		err = s.bind(ctx, q.Visitor.Entry.Session, []weld.Cookie{c})
		bound = bound || err == nil
	}
	return bound
}

// join adds a cookie to a Cookie line.
func join(line string, c weld.Cookie) string {
	if line != "" {
		line += "; "
	}
	return line + c.Name + "=" + c.Value
}
