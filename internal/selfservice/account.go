package selfservice

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// accountView is the view of account.html.
type accountView struct {
	web.View
	// Done is the id of the text that says what has just happened.
	Done string
	// Strength is the id of the text for how strong a new password is.
	Strength string
	Owner    account.Account
	// Email and Mobile are as they are shown, MayEmail and MayMobile whether
	// they can be changed here.
	Email, Mobile       string
	MayEmail, MayMobile bool
	// Password tells whether the person can change theirs here, Elsewhere that
	// another than the gateway keeps it.
	Password, Elsewhere bool
	Credentials         []credentialRow
	// Enforced says that a second factor is asked for whatever the person wants.
	Enforced bool
	Sessions []sessionRow
	// Others tells whether there are sessions in other browsers.
	Others bool
	// Browsers are those in which less is asked, because a second factor was
	// proved in them.
	Browsers []people.Browser
	Rows     []activityRow
	// Caller is the short code that the person reads out to the helpdesk, and
	// CallerUntil until when a newer one is shown. Who has not proved a second
	// factor that they hold sees none: it lets people in.
	Caller      string
	CallerUntil time.Time
	Tokens      bool
}

// credentialRow is a credential as its owner sees it.
type credentialRow struct {
	ID         string
	Label      string
	Factor     policy.Factor
	Address    string
	Default    bool
	CreatedAt  time.Time
	LastUsedAt time.Time
	// CountsFrom is set while the credential waits.
	CountsFrom time.Time
	// EndsAt is when a private device is one no more, zero for others.
	EndsAt time.Time
	// Change is the address where it gets a new secret, where that is how it
	// is changed.
	Change string
	// MayDefault tells whether it can become the one that is asked for first.
	MayDefault bool
}

// Way is the id of the text that names its factor.
func (c credentialRow) Way() string { return "way." + string(c.Factor) }

// Query names it in an address.
func (c credentialRow) Query() string { return url.QueryEscape(c.ID) }

// shown tells whether a credential is one of the list: tokens have a page of
// their own, and temporary codes are nobody's to keep.
func shown(c account.Credential) bool {
	f := policy.Factor(c.Factor)
	return f != policy.Token && f != policy.TemporaryCode
}

func (s *Site) overview(w http.ResponseWriter, r *http.Request, at *visit) error {
	if r.Method == http.MethodPost {
		return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD"}
	}
	a := at.record.Account
	masked := holdsSecond(at.record.Credentials) && !provedSecond(at.Entry)
	view := &accountView{
		View: s.view(at), Done: doneOf(r), Strength: strengthOf(r), Owner: a, Email: addressShown(a.Email, masked), Mobile: addressShown(a.Mobile, masked),
		Enforced: s.enforced(at.Owner),
		Tokens:   s.tokensCount() || slices.ContainsFunc(at.record.Credentials, isToken),
	}
	view.Password, view.Elsewhere = s.changesPassword(at)
	if !masked {
		view.Caller, view.CallerUntil = s.Self.People.CallerCode(a.ID)
	}
	_, view.MayEmail = s.Factors.Enroller(policy.Email)
	_, view.MayMobile = s.Factors.Enroller(policy.SMS)
	var err error
	if view.Credentials, err = s.credentialRows(r, at, masked); err != nil {
		return err
	}
	if view.Sessions, err = s.sessionRows(r, at); err != nil {
		return err
	}
	view.Others = len(view.Sessions) > 1
	if view.Browsers, err = s.browsers(r.Context(), a.ID); err != nil {
		return err
	}
	if view.Rows, _, err = s.activityRows(r, at, 0, 5); err != nil {
		return err
	}
	return s.Pages.Render(w, r, s.Web, http.StatusOK, "account", view)
}

func isToken(c account.Credential) bool { return policy.Factor(c.Factor) == policy.Token }

// addressShown is a number or an address as it is shown: to who has not yet
// proved a second factor that they hold, no more than they would recognise.
func addressShown(address string, masked bool) string {
	if !masked || address == "" {
		return address
	}
	name, domain, mail := strings.Cut(address, "@")
	if mail {
		first := []rune(name)[:min(1, len([]rune(name)))]
		return string(first) + "…@" + domain
	}
	return "…" + address[max(0, len(address)-3):]
}

func (s *Site) credentialRows(r *http.Request, at *visit, masked bool) ([]credentialRow, error) {
	var rows []credentialRow
	for _, c := range at.record.Credentials {
		if !shown(c) {
			continue
		}
		kind := policy.Factor(c.Factor)
		row := credentialRow{
			ID: string(c.ID), Label: c.Called(web.Language(r, s.Web)), Factor: kind, Address: addressShown(c.Address, masked), Default: c.Default, CreatedAt: c.CreatedAt,
			MayDefault: !c.Default && kind.Possession(),
		}
		if ends := s.Self.People.DeviceEnds; kind == policy.DevicePIN && ends != nil {
			if row.EndsAt = ends(c); !s.Now().Before(row.EndsAt) {
				continue // it is no private device any more
			}
		}
		if c.LastUsedAt.After(c.CreatedAt) {
			row.LastUsedAt = c.LastUsedAt
		}
		if c.CountsFrom.After(s.Now()) {
			row.CountsFrom = c.CountsFrom
		}
		if kind.Knowledge() || kind == policy.BackupCode {
			var err error
			if row.Change, err = s.enrolment(kind); err != nil {
				return nil, err
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// enrolment is the address of a factor's enrolment, which leads back here.
func (s *Site) enrolment(kind policy.Factor) (string, error) {
	sealed, err := ceremony.Continuation{
		ID: ceremony.NewID(), Kind: ceremony.Add, Target: s.Web.Path(Path), At: s.Now().UTC(),
	}.Seal(s.Sealer, s.Place.Origin)
	return "/enrol/" + string(kind) + "?c=" + sealed, err
}

// addView is the view of add.html.
type addView struct {
	web.View
	Ways []way
}

// way is one factor that can be added.
type way struct {
	Factor policy.Factor
	Href   string
}

// Text is the id of the factor's name in the catalogue.
func (w way) Text() string { return "way." + string(w.Factor) }

// add lists what can be added.
func (s *Site) add(w http.ResponseWriter, r *http.Request, at *visit) error {
	view := &addView{View: s.below(at)}
	for _, f := range policy.Factors() {
		if !s.mayAdd(f, at.record.Credentials) {
			continue
		}
		href, err := s.enrolment(f)
		if err != nil {
			return err
		}
		view.Ways = append(view.Ways, way{Factor: f, Href: href})
	}
	return s.Pages.Render(w, r, s.Web, http.StatusOK, "add", view)
}

// mayAdd tells whether a factor is offered: backup codes only to who has a
// second factor, and what a person has one of at most to who has none. What no
// level of the site names is not asked for.
func (s *Site) mayAdd(f policy.Factor, held []account.Credential) bool {
	if f == policy.BackupCode {
		return s.Factors.Find(f) != nil && holdsSecond(held) && !holds(held, f)
	}
	if _, ok := s.Factors.Enroller(f); !ok || f.Single() && holds(held, f) {
		return false
	}
	return slices.ContainsFunc(s.Policy.Levels(), func(l *policy.Level) bool {
		return slices.ContainsFunc(l.Alternatives(), func(a []policy.Factor) bool { return slices.Contains(a, f) })
	})
}

func holds(held []account.Credential, f policy.Factor) bool {
	return slices.ContainsFunc(held, func(c account.Credential) bool { return c.Factor == string(f) })
}
