package selfservice

import (
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

// password gives the person another password. Whoever holds a second factor
// proves it for this; everybody types the present password.
func (s *Site) password(w http.ResponseWriter, r *http.Request, at *visit) error {
	owner := at.record.Account
	if owner.Source != account.LocalSource || !at.record.HasPassword || s.CheckPassword == nil {
		return &web.Fail{Status: http.StatusConflict, Title: "password.elsewhere.title", Advice: "password.elsewhere"}
	}
	second := holdsSecond(at.record.Credentials)
	chosen := account.Secret(at.fields["new_password"])
	page := func(status int, errs ...web.FieldError) error {
		view := &passwordView{View: s.below(at), Username: owner.Username, Alone: !second}
		view.Errors = errs
		return s.Pages.Render(w, r, s.Web, status, "password", view)
	}
	show := func() error { return page(http.StatusOK) }
	check := func() (bool, error) {
		if text, args := s.Judge(chosen, owner, !second); text != "" {
			return false, page(http.StatusBadRequest, web.FieldError{Field: "new_password", Text: text, Args: args})
		}
		right, err := s.comparePassword(r, at, account.Secret(at.fields["password"]))
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
	do := func() error {
		if err := s.Self.SetPassword(r.Context(), at.own, chosen); err != nil {
			return err
		}
		return s.back(w, r, "password&strength="+s.Strength(chosen))
	}
	if second {
		o := ceremony.Operation{Once: "password", Text: "operation.password", Page: s.Web.Path(Path + "/password")}
		return s.operate(w, r, at, o, show, check, do)
	}
	if r.Method != http.MethodPost {
		return show()
	}
	if on, err := check(); err != nil || !on {
		return err
	}
	if err := do(); err != nil {
		return s.told(err)
	}
	s.applied(owner.ID)
	return nil
}

// comparePassword compares what was typed with the present password, within
// the budgets of a sign-in.
func (s *Site) comparePassword(r *http.Request, at *visit, typed account.Secret) (bool, error) {
	ctx, owner := r.Context(), at.record.Account
	receipt, err := s.Ledger.Spend(ctx, s.Plan.Charges(throttle.Try{
		Account: throttle.TypedName(account.FoldUsername(owner.Username)), Factor: string(policy.Password), Address: s.Address(r), Known: known(at),
	})...)
	if err != nil {
		return false, err
	}
	right, err := s.CheckPassword(ctx, owner, typed)
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
