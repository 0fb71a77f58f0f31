package watched

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin/legacyform"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/internal/weld"
)

// Show sends an answer that waited to somebody who has a session now, as far as
// they may see it. It returns where the rest of a long answer goes, nil for
// nowhere.
type Show func(e *session.Entry, a *Held) (rest http.ResponseWriter)

// login is one submit of the app's form on its way there and back.
type login struct {
	Request
	w       http.ResponseWriter
	show    Show
	login   legacyform.Login
	receipt throttle.Receipt
	// sent are the browser's cookies, before those of ours were taken out.
	sent    []string
	answer  *Held
	passed  bool // to the app
	decided bool
	turn    *weld.Turn // nil for somebody without a session
	done    func()     // lets other logins have the values that it carries
	values  []weld.Hash
	holders []session.ID
}

// Submit lets a name and a password reach the app, and makes a session of it
// if the app lets the person in. Its error is the app's own.
func (s *Site) Submit(w http.ResponseWriter, q Request, show Show) error {
	q.site = s
	l := &login{Request: q, w: w, show: show, sent: slices.Clone(q.HTTP.Header["Cookie"]), answer: newHeld()}
	l.answer.adds = q.Adds
	if err := l.admit(); err != nil {
		l.fail(err)
		return nil
	}
	if q.Visitor.Entry != nil {
		var err error
		if l.turn, err = s.Turns.Login(q.HTTP.Context(), q.Visitor.id()); err != nil {
			l.fail(errors.Join(waitedInVain(err), l.refund()))
			return nil
		}
		defer l.leave()
	}
	err := l.ready()
	if l.done != nil {
		defer l.done()
	}
	if err != nil {
		l.fail(errors.Join(err, l.refund()))
		return nil
	}
	return l.pass()
}

// pass sends the submit to the app, and sees to it that its answer is decided.
func (l *login) pass() error {
	l.passed = true
	defer l.answer.close()
	*l.HTTP = *l.HTTP.WithContext(outlasting(l.HTTP.Context()))
	l.answer.full = func() http.ResponseWriter { return l.decide() }
	defer l.spoil()
	if err := l.Next.ServeHTTP(l.answer, l.HTTP); err != nil && !l.decided {
		l.decided = neverSent(err)
		return errors.Join(err, l.refund())
	}
	if !l.decided {
		l.decide()
	}
	return nil
}

// fail answers with an error in place of the app.
func (l *login) fail(err error) { l.site.Gate.Fail(l.w, l.HTTP, err) }

func (l *login) refund() error { return l.site.Ledger.Refund(l.HTTP.Context(), l.receipt) }

// spoil has the values withheld that a submit carried which got no answer.
func (l *login) spoil() {
	if !l.decided {
		l.site.Turns.Spoil(l.values, l.site.Now())
	}
}

// leave ends the turn of a submit in a session. Where the app may have had it
// and nothing was decided, as when it breaks off, the session ends.
func (l *login) leave() {
	defer l.turn.Done()
	if l.passed && !l.decided {
		if err := l.part(); err != nil {
			l.site.Log.Error("end the session of a login that broke off", zap.Error(err))
		}
	}
}

// admit refuses what is no honest submit, and charges for the rest before the
// app compares anything.
func (l *login) admit() error {
	if !fromThisSite(l.HTTP.Header, l.site.Origin) {
		reference := l.site.refused(l.HTTP, l.Visitor, audit.MaliciousCSRF, "login-from-elsewhere")
		return &web.Fail{Status: http.StatusForbidden, Reference: reference, Err: web.ErrCrossSite}
	}
	var err error
	if l.login.Submission, err = l.site.Form.Submission(l.Seen); err != nil {
		reference := l.site.refused(l.HTTP, l.Visitor, audit.InputRefused, "login-ambiguous")
		return &web.Fail{Status: http.StatusBadRequest, Reference: reference, Err: err}
	}
	if l.login.Username == "" || l.login.First {
		return nil // nothing is compared yet, or nobody knows whose it is
	}
	return l.spend()
}

// fromThisSite tells whether a page of this origin sent a form, or the
// request does not say (RFC 9110 §10.1.3, Fetch Metadata §2).
func fromThisSite(header http.Header, origin string) bool {
	if site, said := header["Sec-Fetch-Site"]; said {
		return len(site) == 1 && (site[0] == "same-origin" || site[0] == "none")
	}
	if from, said := header["Origin"]; said {
		return len(from) == 1 && from[0] == origin
	}
	referer := header.Get("Referer")
	return referer == "" || strings.HasPrefix(referer, origin+"/")
}

func (l *login) spend() (err error) {
	l.receipt, err = l.site.Ceremonies.SpendTyped(l.HTTP, l.login.Username)
	return err
}

// ready makes the request one that the app may get: as on a public path, in
// nobody's name.
func (l *login) ready() error {
	ctx, form := l.HTTP.Context(), l.site.Form
	l.site.Gate.Withhold(l.HTTP.Header)
	if !form.PassAuthorization() || form.Bears() {
		delete(l.HTTP.Header, "Authorization") // nobody who signs in has a token yet
	}
	// The answer is to be read. Go's own transport asks for compression by
	// itself, and undoes it.
	delete(l.HTTP.Header, "Accept-Encoding")
	if err := l.carry(ctx); err != nil {
		return err
	}
	if l.login.Username == "" {
		if err := l.second(l.site.Weld.Carried(l.login.Cookies, l.Visitor.id(), nil)); err != nil {
			return err
		}
	}
	var err error
	if l.holders, err = l.site.Weld.Holders(ctx, "", form.Cookies().Cookies(l.login.Cookies)); err != nil {
		return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	if err := form.Before(ctx, l.ask(), &l.login); err != nil {
		return &web.Fail{Status: http.StatusBadGateway, Err: err}
	}
	return nil
}

// carry leaves of the submit's cookies what may reach the app, and keeps other
// logins away from their values.
func (l *login) carry(ctx context.Context) error {
	bonds, err := l.site.bonds(ctx, l.Visitor)
	if err != nil {
		return &web.Fail{Status: http.StatusServiceUnavailable, Err: err}
	}
	line, found := weld.JoinLines(l.HTTP.Header), l.elsewhereIDs()
	l.values = l.site.Weld.Carried(line, l.Visitor.id(), found)
	if l.done, err = l.site.Turns.Logins(ctx, l.values); err != nil {
		return waitedInVain(err)
	}
	if !l.site.Weld.Allowed(ctx, found, l.Visitor.id(), bonds, true) {
		return l.foreign()
	}
	passed := l.site.Weld.Pass(ctx, line, l.Visitor.id(), bonds, true)
	weld.SetLine(l.HTTP.Header, passed.Line)
	l.login.Cookies = passed.Line
	return nil
}
