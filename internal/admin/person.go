package admin

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// personView is the view of person.html.
type personView struct {
	view
	ID           account.ID
	Username     string
	Parts        account.NameParts
	Email        string
	Mobile       string
	Groups       []string
	Organisation string
	Role         account.Role
	Source       string
	CreatedAt    time.Time
	SuspendedAt  time.Time
	// Password tells whether a local account has one.
	Local, Password bool
	// On tells whether something asks for a second factor: the person's own
	// account, or Require of the organisation.
	On      bool
	Require string
	// Factors are the three ways that the page always names, and what else is
	// held.
	Factors []heldFactor
	Recent  []happened
	Do      buttons
	// Ticket is that of the call in which who is calling was checked.
	Ticket string
	// Unchecked says that a helpdesk has to check the caller first.
	Unchecked bool
	// Self is the visitor's own account.
	Self bool
}

// Administrator tells whether the person acts on others.
func (v *personView) Administrator() bool { return v.Role != "" && v.Role != account.RoleUser }

// buttons are what the visitor may do to the account.
type buttons struct {
	Manage, Suspend, Resume, Invite, Password, Key, ResetFactors, TemporaryCode, CheckCaller bool
	Token, RevokeDevice                                                                      bool
	// Second says that it waits for a second administrator.
	Second bool
}

// heldFactor is one factor and what of it the person holds.
type heldFactor struct {
	Factor string
	Held   []heldCredential
}

type heldCredential struct {
	Label, Address    string
	Default           bool
	CreatedAt, UsedAt time.Time
	CountsFrom        time.Time
	// EndsAt is set for what ends by itself, Ended where it has.
	EndsAt time.Time
	Ended  bool
	// Paths, Methods and Addresses bound a token.
	Paths, Methods, Addresses string
	// Revoke is the act that takes it away, where the visitor may.
	Revoke, Query string
}

// happened is something that an account did lately.
type happened struct {
	At             time.Time
	Event, Reason  string
	Factor         string
	Address, Where string
}

// always are the factors that the page names whether or not they are held.
var always = []policy.Factor{policy.WebAuthn, policy.TOTP, policy.SMS}

func (q *visit) person(id string) error {
	record, err := q.People.Show(q.ctx(), q.actor, people.Who{ID: account.ID(id)})
	if err != nil {
		return missing(err)
	}
	a := record.Account
	v := &personView{
		view: q.view(), ID: a.ID, Username: a.Username, Parts: a.Parts.Of(a.Name), Email: a.Email, Mobile: a.Mobile, Groups: a.Groups,
		Organisation: a.Organisation, Role: a.Role, Source: a.Source, CreatedAt: a.CreatedAt, SuspendedAt: a.SuspendedAt,
		Local: a.Source == account.LocalSource, Password: record.HasPassword, On: a.TwoFactor, Self: q.actor.Is(a.ID),
	}
	v.Title = a.Username
	if v.Require, err = q.People.Requires(q.ctx(), a); err != nil {
		return err
	}
	if v.Recent, err = q.recent(a.ID); err != nil {
		return err
	}
	if v.Do, v.Ticket, err = q.buttons(record); err != nil {
		return err
	}
	if v.Factors, err = q.factorsOf(record.Credentials, v.Do); err != nil {
		return err
	}
	v.Unchecked = v.Do.CheckCaller && v.Ticket == ""
	return q.render(http.StatusOK, "person", v)
}

// buttons are what the visitor may do to an account, as it is.
func (q *visit) buttons(r people.Record) (b buttons, ticket string, err error) {
	a := r.Account
	manage, err := q.may(people.ActManage, a)
	if err != nil {
		return b, "", err
	}
	reset, err := q.may(people.ActResetFactors, a)
	if err != nil {
		return b, "", err
	}
	code, err := q.may(people.ActTemporaryCode, a)
	if err != nil {
		return b, "", err
	}
	ticket, checked, err := q.People.CallerChecked(q.ctx(), q.actor, a.ID)
	if err != nil {
		return b, "", err
	}
	local := a.Source == account.LocalSource
	return buttons{
		Manage: manage, Suspend: manage && !a.Suspended(), Resume: manage && a.Suspended(),
		Invite: manage && local && !r.HasPassword && !a.Suspended(), Password: manage && local && r.HasPassword && !a.Suspended(),
		Key:          manage && q.Key != nil && !a.Suspended(),
		ResetFactors: reset && checked, TemporaryCode: code && checked && !a.Suspended(),
		Token:        manage && q.People.Tokens != nil && !a.Suspended(),
		RevokeDevice: reset,
		CheckCaller:  reset && q.role == account.RoleHelpdesk, Second: q.People.TwoPerson,
	}, ticket, nil
}

// factorsOf groups credentials: the three ways that are always named, then the
// others in the order of the policy's words.
func (q *visit) factorsOf(held []account.Credential, do buttons) ([]heldFactor, error) {
	var all []heldFactor
	for _, f := range append(slices.Clone(always), policy.Factors()...) {
		if slices.ContainsFunc(all, func(h heldFactor) bool { return h.Factor == string(f) }) {
			continue
		}
		one := heldFactor{Factor: string(f)}
		for _, c := range held {
			if c.Factor != string(f) {
				continue
			}
			row, err := q.heldOf(c, do)
			if err != nil {
				return nil, err
			}
			one.Held = append(one.Held, row)
		}
		if len(one.Held) > 0 || slices.Contains(always, f) || f == policy.Token && do.Token {
			all = append(all, one)
		}
	}
	return all, nil
}

// heldOf is one credential as the page shows it.
func (q *visit) heldOf(c account.Credential, do buttons) (heldCredential, error) {
	row := heldCredential{
		Label: c.Called(web.Language(q.r, q.Web)), Address: c.Address, Default: c.Default, CreatedAt: c.CreatedAt, UsedAt: c.LastUsedAt, CountsFrom: c.CountsFrom, Query: credentialQuery(c.ID),
	}
	switch policy.Factor(c.Factor) {
	case policy.DevicePIN:
		if q.People.DeviceEnds != nil {
			row.EndsAt = q.People.DeviceEnds(c)
		}
		if do.RevokeDevice {
			row.Revoke = "revoke-device"
		}
	case policy.Approval:
		if do.RevokeDevice {
			row.Revoke = "revoke-phone"
		}
	case policy.Token:
		bounds, err := token.BoundsOf(c)
		if err != nil {
			return row, err
		}
		row.EndsAt, row.Paths, row.Methods, row.Addresses = bounds.EndsAt, strings.Join(bounds.Paths, " "), strings.Join(bounds.Methods, " "), token.AddressesText(bounds)
		if do.Manage {
			row.Revoke = "revoke-token"
		}
	}
	row.Ended = !row.EndsAt.IsZero() && !q.Now().Before(row.EndsAt)
	return row, nil
}

// telling are the events by which a helpdesk can ask a caller what only they
// would know.
var telling = []audit.Name{
	audit.LoginSuccess, audit.LoginSuccessAfterFail, audit.LoginFail, audit.ChallengePassed, audit.ChallengeFailed, audit.FactorEnrolled,
	audit.FactorRemoved, audit.FactorReset, audit.PasswordChange, audit.SessionLogout,
}

// recentLimit is how many of them a page shows.
const recentLimit = 12

func (q *visit) recent(id account.ID) ([]happened, error) {
	records, err := q.Store.Events(q.ctx(), audit.Query{Account: string(id), Names: telling, Limit: recentLimit})
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	var all []happened
	for _, r := range records {
		h := happened{At: r.At, Event: "event." + string(r.Name), Factor: r.Factor, Address: r.Address}
		if q.Where != nil && r.Address != "" {
			h.Where = q.Where(r.Address)
		}
		all = append(all, h)
	}
	return all, nil
}
