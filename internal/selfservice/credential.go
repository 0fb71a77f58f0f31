package selfservice

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// confirmView is the view of confirm.html: one question and one button.
type confirmView struct {
	web.View
	// Action is the form's path and query. What is the first part of the
	// texts' ids: "remove", "default", "two-factor.on", "two-factor.off".
	Action, What string
	// Label is the credential's, where it is about one.
	Label string
	// Warning makes the button one that takes something away.
	Warning bool
}

// renameView is the view of rename.html.
type renameView struct {
	web.View
	Action, Label string
}

// ownCredential finds the credential that the address names, among the
// person's own.
func (s *Site) ownCredential(r *http.Request, at *visit) (account.Credential, error) {
	id := account.CredentialID(r.URL.Query().Get("credential"))
	for _, c := range at.record.Credentials {
		if c.ID == id && shown(c) {
			return c, nil
		}
	}
	return account.Credential{}, s.refusal(http.StatusNotFound, "gone.title", "gone.advice")
}

// operation names what is done to a credential, and the page that does it.
func (s *Site) operation(verb, text string, id account.CredentialID) ceremony.Operation {
	return ceremony.Operation{
		Once: verb + "-credential " + string(id), Text: text,
		Page: s.Web.Path(Path + "/" + verb + "?credential=" + url.QueryEscape(string(id))),
	}
}

// step is one thing that somebody does to their own account.
type step struct {
	operation ceremony.Operation
	// show is the page that asks.
	show func() error
	// check, where there is one, looks at what the form says before the proof
	// is spent, and answers where that will not do.
	check func() (bool, error)
	// do does it, and answers.
	do func() error
}

// operate does one operation: on a GET it shows the page to who may do it, on a
// POST it spends the proof and does it.
func (s *Site) operate(w http.ResponseWriter, r *http.Request, at *visit, o step) error {
	if r.Method != http.MethodPost || o.check != nil {
		if on, err := s.Ceremonies.Authorised(w, r, at.Entry, o.operation); err != nil || !on {
			return err
		}
	}
	if r.Method != http.MethodPost {
		return o.show()
	}
	if on, err := o.checked(); err != nil || !on {
		return err
	}
	if on, err := s.Ceremonies.Spend(w, r, at.Entry, o.operation); err != nil || !on {
		return err
	}
	return s.finish(at, o)
}

func (o step) checked() (bool, error) {
	if o.check == nil {
		return true, nil
	}
	return o.check()
}

// finish does what was asked for and allowed.
func (s *Site) finish(at *visit, o step) error {
	if err := o.do(); err != nil {
		return s.told(err)
	}
	s.applied(at.own.Account)
	return nil
}

// told is what a person reads of a verb that says no.
func (s *Site) told(err error) error {
	switch {
	case errors.Is(err, account.ErrNotFound):
		return s.refusal(http.StatusNotFound, "gone.title", "gone.advice")
	case errors.Is(err, people.ErrNeeded):
		return s.neededStill()
	case errors.Is(err, people.ErrForbidden):
		return &web.Fail{Status: http.StatusForbidden, Err: err}
	case errors.Is(err, people.ErrInvalid), errors.Is(err, people.ErrRefused):
		return &web.Fail{Status: http.StatusBadRequest, Err: err}
	}
	if already := (*web.Fail)(nil); errors.As(err, &already) {
		return err
	}
	return s.unavailable(err)
}

func (s *Site) rename(w http.ResponseWriter, r *http.Request, at *visit) error {
	c, err := s.ownCredential(r, at)
	if err != nil {
		return err
	}
	o := s.operation("rename", "operation.rename", c.ID)
	label := factors.CleanLabel(at.fields["label"])
	page := func(status int, errs ...web.FieldError) error {
		view := &renameView{View: s.below(at), Action: o.Page, Label: c.Called(web.Language(r, s.Web))}
		view.Errors = errs
		return s.Pages.Render(w, r, s.Web, status, "rename", view)
	}
	check := func() (bool, error) {
		if label == "" {
			return false, page(http.StatusBadRequest, web.FieldError{Field: "label", Text: "error.no-label"})
		}
		return true, nil
	}
	return s.operate(w, r, at, step{o, func() error { return page(http.StatusOK) }, check, func() error {
		if err := s.Self.Rename(r.Context(), at.own, c.ID, label); err != nil {
			return err
		}
		return s.back(w, r, "renamed")
	}})
}

func (s *Site) makeDefault(w http.ResponseWriter, r *http.Request, at *visit) error {
	c, err := s.ownCredential(r, at)
	if err != nil {
		return err
	}
	o := s.operation("default", "operation.default", c.ID)
	return s.operate(w, r, at, step{operation: o, show: func() error {
		return s.confirm(w, r, at, confirmView{Action: o.Page, What: "default", Label: c.Called(web.Language(r, s.Web))})
	}, do: func() error {
		if err := s.Self.MakeDefault(r.Context(), at.own, c.ID); err != nil {
			return err
		}
		return s.back(w, r, "default")
	}})
}

func (s *Site) remove(w http.ResponseWriter, r *http.Request, at *visit) error {
	c, err := s.ownCredential(r, at)
	if err != nil {
		return err
	}
	needed := s.needed(at.Owner.Require)
	if c.Factor != string(policy.DevicePIN) && len(needed(at.record.Account, at.record.Credentials, without(at.record.Credentials, c.ID))) > 0 {
		return s.neededStill()
	}
	o := s.operation("remove", "operation.remove."+c.Factor, c.ID)
	return s.operate(w, r, at, step{operation: o, show: func() error {
		return s.confirm(w, r, at, confirmView{Action: o.Page, What: "remove", Label: c.Called(web.Language(r, s.Web)), Warning: true})
	}, do: func() error {
		if err := s.Self.Remove(r.Context(), at.own, c.ID, needed); err != nil {
			return err
		}
		return s.back(w, r, "removed")
	}})
}

func without(held []account.Credential, id account.CredentialID) []account.Credential {
	var left []account.Credential
	for _, c := range held {
		if c.ID != id {
			left = append(left, c)
		}
	}
	return left
}

func (s *Site) confirm(w http.ResponseWriter, r *http.Request, at *visit, view confirmView) error {
	view.View = s.below(at)
	return s.Pages.Render(w, r, s.Web, http.StatusOK, "confirm", &view)
}

// twoFactor switches two-factor sign-in, where nothing enforces it.
func (s *Site) twoFactor(w http.ResponseWriter, r *http.Request, at *visit) error {
	on := !at.record.Account.TwoFactor
	switch {
	case s.enforced(at.Owner):
		return s.refusal(http.StatusConflict, "enforced.title", "enforced.advice")
	case on && !s.meetsMFA(at.record.Credentials):
		return s.add(w, r, at)
	}
	word := map[bool]string{true: "on", false: "off"}[on]
	o := ceremony.Operation{Once: "two-factor " + word, Text: "operation.two-factor." + word, Page: s.Web.Path(Path + "/two-factor")}
	return s.operate(w, r, at, step{operation: o, show: func() error {
		return s.confirm(w, r, at, confirmView{Action: o.Page, What: "two-factor." + word, Warning: !on})
	}, do: func() error {
		if err := s.Self.SetTwoFactor(r.Context(), at.own, on); err != nil {
			return err
		}
		return s.back(w, r, "two-factor-"+word)
	}})
}
