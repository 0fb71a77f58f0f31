package selfservice

import (
	"context"
	"errors"
	"net/http"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// passwordView is the view of password.html.
type passwordView struct {
	web.View
	Username string
	// Alone says that the password is the only factor.
	Alone bool
	// Elsewhere says that a source of its own judges the password.
	Elsewhere bool
}

// Strength is what the part of that name is executed with: the field, and how
// many characters it needs.
func (v *passwordView) Strength() strength {
	if v.Alone {
		return strength{"new_password", 15}
	}
	return strength{"new_password", 8}
}

type strength struct {
	For string
	Min int
}

// Elsewhere changes passwords of people whose source lets them.
type Elsewhere interface {
	// Changes tells whether the account's source does.
	Changes(owner account.Account) bool
	// Compare tells whether a password is the account's.
	Compare(ctx context.Context, owner account.Account, password account.Secret) (bool, error)
	// Change puts another password in place of the present one. suits is false
	// where the source does not take it, and nothing has changed.
	Change(ctx context.Context, owner account.Account, present, chosen account.Secret) (suits bool, err error)
}

// changesPassword tells whether somebody can change their password here, and
// whether it is kept elsewhere.
func (s *Site) changesPassword(at *visit) (can, elsewhere bool) {
	owner := at.record.Account
	elsewhere = s.Elsewhere != nil && s.Elsewhere.Changes(owner)
	return elsewhere || owner.Source == account.LocalSource && at.record.HasPassword && s.CheckPassword != nil, elsewhere
}

// password gives the person another password. Whoever holds a second factor
// proves it for this; everybody types the present password.
func (s *Site) password(w http.ResponseWriter, r *http.Request, at *visit) error {
	owner := at.record.Account
	can, elsewhere := s.changesPassword(at)
	if !can {
		return s.refusal(http.StatusConflict, "password.elsewhere.title", "password.elsewhere")
	}
	second := holdsSecond(at.record.Credentials)
	present, chosen := account.Secret(at.fields["password"]), account.Secret(at.fields["new_password"])
	page := func(status int, errs ...web.FieldError) error {
		view := &passwordView{View: s.below(at), Username: owner.Username, Alone: !second, Elsewhere: elsewhere}
		view.Errors = errs
		return s.Pages.Render(w, r, s.Web, status, "password", view)
	}
	o := step{operation: ceremony.Operation{Once: "password", Text: "operation.password", Page: s.Web.Path(Path + "/password")}}
	o.show = func() error { return page(http.StatusOK) }
	o.check = func() (bool, error) {
		if text, args := s.judge(at, chosen, !second, elsewhere); text != "" {
			return false, page(http.StatusBadRequest, web.FieldError{Field: "new_password", Text: text, Args: args})
		}
		right, err := s.comparePassword(r, at, present, elsewhere)
		if spent := (*throttle.Spent)(nil); errors.As(err, &spent) {
			web.SetRetryAfter(w.Header(), spent.RetryAfter)
			return false, page(http.StatusTooManyRequests, web.FieldError{Text: "error.too-often"})
		}
		if err != nil {
			return false, s.unavailable(err)
		}
		if !right {
			return false, page(http.StatusForbidden, web.FieldError{Field: "password", Text: "error.password"})
		}
		return true, nil
	}
	o.do = func() error {
		if !elsewhere {
			if err := s.Self.SetPassword(r.Context(), at.own, chosen); err != nil {
				return err
			}
			return s.back(w, r, "password&strength="+s.Strength(chosen))
		}
		if suits, err := s.passwordElsewhere(r, at, present, chosen); err != nil {
			return err
		} else if !suits {
			return page(http.StatusBadRequest, web.FieldError{Field: "new_password", Text: "error.unsuitable"})
		}
		return s.back(w, r, "password")
	}
	if second {
		return s.operate(w, r, at, o)
	}
	if r.Method != http.MethodPost {
		return o.show()
	}
	if on, err := o.check(); err != nil || !on {
		return err
	}
	return s.finish(at, o)
}

// judge tells what is wrong with a chosen password. One that is kept elsewhere
// is judged there.
func (s *Site) judge(at *visit, chosen account.Secret, alone, elsewhere bool) (text string, args []any) {
	switch {
	case !elsewhere:
		return s.Judge(chosen, at.record.Account, alone)
	case len(chosen) == 0:
		return "error.no-new-password", nil
	default:
		return "", nil
	}
}

// passwordElsewhere changes the password at its source; suits is false where
// that does not take it, and nothing has changed.
func (s *Site) passwordElsewhere(r *http.Request, at *visit, present, chosen account.Secret) (suits bool, err error) {
	suits, err = s.Elsewhere.Change(r.Context(), at.record.Account, present, chosen)
	if err != nil || !suits {
		return suits, err
	}
	return true, s.Self.PasswordChanged(r.Context(), at.own)
}

// comparePassword compares what was typed with the present password, within
// the budgets of a sign-in.
func (s *Site) comparePassword(r *http.Request, at *visit, typed account.Secret, elsewhere bool) (bool, error) {
	ctx, owner := r.Context(), at.record.Account
	receipt, err := s.Ledger.Spend(ctx, s.Plan.Charges(throttle.Try{
		Account: throttle.TypedName(account.FoldUsername(owner.Username)), Factor: string(policy.Password), Address: s.Address(r), Known: known(at),
	})...)
	if err != nil {
		return false, err
	}
	compare := s.CheckPassword
	if elsewhere {
		compare = s.Elsewhere.Compare
	}
	right, err := compare(ctx, owner, typed)
	if err != nil {
		return false, errors.Join(err, s.Ledger.Refund(ctx, receipt))
	}
	if right {
		err = s.Ledger.Success(ctx, receipt)
	}
	return right, err
}

// known names for the throttle a session that has proved a second factor.
func known(at *visit) string {
	if provedSecond(at.Entry) {
		return "session " + string(at.Session.ID)
	}
	return ""
}
