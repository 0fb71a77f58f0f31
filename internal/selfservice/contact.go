package selfservice

import (
	"errors"
	"net/http"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/throttle"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// contactView is the view of contact.html.
type contactView struct {
	web.View
	factors.Prompt
	Action string
}

// AddressKind is the kind of the address's input.
func (v *contactView) AddressKind() string {
	if v.Prompt.Field == "email" {
		return "email"
	}
	return "tel"
}

// Countdown is until the button that asks for another code works.
func (v *contactView) Countdown() countdown { return countdown{v.ResendAfterS, "resend"} }

// countdown is what the part of that name is executed with.
type countdown struct {
	Seconds int
	For     string
}

// changing is one address that is being changed, within one request.
type changing struct {
	s        *Site
	at       *visit
	w        http.ResponseWriter
	r        *http.Request
	enroller factors.Enroller
	page     string
	o        ceremony.Operation
	t        ceremony.Transaction
}

// contact changes the number or the address on the account, once a code that
// went there has been typed. Credentials stay as they are.
func (s *Site) contact(kind policy.Factor) func(http.ResponseWriter, *http.Request, *visit) error {
	name := map[policy.Factor]string{policy.Email: "email", policy.SMS: "mobile"}[kind]
	return func(w http.ResponseWriter, r *http.Request, at *visit) error {
		enroller, ok := s.Factors.Enroller(kind)
		if !ok {
			return s.refusal(http.StatusConflict, "contact.off.title", "contact.off")
		}
		page := s.Web.Path(Path + "/" + name)
		c := &changing{s: s, at: at, w: w, r: r, enroller: enroller, page: page, o: ceremony.Operation{Once: "contact " + name, Text: "operation.contact", Page: page}}
		if on, err := s.Ceremonies.Authorised(w, r, at.Entry, c.o); err != nil || !on {
			return err
		}
		if err := c.open(); err != nil {
			return s.unavailable(err)
		}
		switch {
		case r.Method != http.MethodPost:
			return c.show(http.StatusOK, nil)
		case at.fields["action"] == "send" || at.fields["action"] == "resend" || at.fields["action"] == "new":
			return c.send()
		}
		return c.verify(name)
	}
}

// open finds the proof under way, or begins it.
func (c *changing) open() (err error) {
	now := c.s.Now().UTC()
	owner := c.at.own.Account
	c.t, err = c.s.Store.OpenTransaction(c.r.Context(), ceremony.Transaction{
		ID: ceremony.NewID(), Session: c.at.Session.ID, Key: c.o.Once, Actor: owner, Subject: owner, Site: c.s.Place.Origin,
		Purpose: c.o.Once, Factor: c.enroller.Kind(), CreatedAt: now, ExpiresAt: now.Add(ceremony.TransactionTTL), Version: 1,
	}, now)
	return err
}

// scope knows the account without its addresses: a new one is asked for.
func (c *changing) scope() factors.Scope {
	owner := c.at.record.Account
	owner.Email, owner.Mobile = "", ""
	return factors.Scope{
		Account: owner, Session: string(c.at.Session.ID), Site: c.s.Place.Origin, SiteName: c.s.Web.Name, Purpose: c.o.Once, Transaction: c.t.ID,
		Language: web.Language(c.r, c.s.Web), Address: c.s.Address(c.r), Now: c.s.Now().UTC(),
	}
}

func (c *changing) show(status int, errs []web.FieldError) error {
	prompt, state, err := c.enroller.BeginEnrolment(c.r.Context(), c.scope(), nil, c.t.State, factors.Answer{})
	if err != nil {
		return c.s.trouble(err)
	}
	if err := c.save(state); err != nil {
		return err
	}
	view := &contactView{View: c.s.below(c.at), Prompt: prompt, Action: c.page}
	for _, e := range errs {
		if prompt.Shape == factors.ShapeAddress && e.Field != "" {
			e.Field = prompt.Field
		}
		view.Errors = append(view.Errors, e)
	}
	if typed, ok := c.at.fields[prompt.Field]; ok && prompt.Field != "" {
		view.Values = map[string]string{prompt.Field: typed}
	}
	return c.s.Pages.Render(c.w, c.r, c.s.Web, status, "contact", view)
}

func (c *changing) save(state factors.State) error {
	if string(state) == string(c.t.State) {
		return nil
	}
	c.t.State = state
	if err := c.s.Store.SaveTransaction(c.r.Context(), c.t, c.s.Now().UTC()); err != nil {
		return c.s.unavailable(err)
	}
	c.t.Version++
	return nil
}

// send sends a code to what was typed, or another one, or asks for another
// address.
func (c *changing) send() error {
	_, state, err := c.enroller.BeginEnrolment(c.r.Context(), c.scope(), nil, c.t.State, factors.Answer{Fields: c.at.fields})
	if err != nil {
		return c.refused(err)
	}
	if err := c.save(state); err != nil {
		return err
	}
	return web.Redirect(c.w, c.r, c.s.Web, c.page)
}

// verify takes the code, and with it makes the address the account's.
func (c *changing) verify(name string) error {
	ctx, s := c.r.Context(), c.s
	receipt, err := s.Ledger.Spend(ctx, s.Plan.Charges(throttle.Try{
		Account: string(c.at.own.Account), Factor: string(c.enroller.Kind()), Address: s.Address(c.r), Known: known(c.at),
	})...)
	if err != nil {
		return c.refused(err)
	}
	proved, err := c.enroller.ConfirmEnrolment(ctx, c.scope(), nil, c.t.State, factors.Answer{Fields: c.at.fields})
	if err != nil {
		return c.refused(err)
	}
	if err := s.Ledger.Success(ctx, receipt); err != nil {
		return s.unavailable(err)
	}
	if on, err := s.Ceremonies.Spend(c.w, c.r, c.at.Entry, c.o); err != nil || !on {
		return err
	}
	if err := s.Store.RedeemTransaction(ctx, c.t.ID, s.Now().UTC()); err != nil {
		return s.told(err)
	}
	set := s.Self.SetEmail
	if c.enroller.Kind() == policy.SMS {
		set = s.Self.SetMobile
	}
	if err := set(ctx, c.at.own, proved.Address); err != nil {
		return s.told(err)
	}
	s.applied(c.at.own.Account)
	return s.back(c.w, c.r, name)
}

// refused shows the page again with why it cannot go on.
func (c *changing) refused(err error) error {
	var number *factors.NumberError
	var soon *factors.TooSoon
	var spent *throttle.Spent
	switch {
	case errors.As(err, &number):
		return c.show(http.StatusBadRequest, []web.FieldError{{Field: "code", Text: "error.number", Args: []any{"countries", web.Countries(number.Countries)}}})
	case errors.Is(err, factors.ErrBadAddress):
		return c.show(http.StatusBadRequest, []web.FieldError{{Field: "code", Text: "error.address"}})
	case errors.Is(err, factors.ErrWrongAnswer):
		return c.show(http.StatusBadRequest, []web.FieldError{{Field: "code", Text: "error.code"}})
	case errors.Is(err, factors.ErrExpired), errors.Is(err, factors.ErrReplayed):
		return c.show(http.StatusBadRequest, []web.FieldError{{Text: "error.expired"}})
	case errors.As(err, &soon):
		web.SetRetryAfter(c.w.Header(), soon.After)
		return c.show(http.StatusTooManyRequests, []web.FieldError{{Text: "error.too-soon"}})
	case errors.As(err, &spent):
		web.SetRetryAfter(c.w.Header(), spent.RetryAfter)
		return c.show(http.StatusTooManyRequests, []web.FieldError{{Text: "error.too-often"}})
	}
	return c.s.trouble(err)
}

// trouble is a factor that cannot be used now.
func (s *Site) trouble(err error) error {
	if errors.Is(err, factors.ErrUnavailable) {
		return &web.Fail{Status: http.StatusServiceUnavailable, Title: "contact.off.title", Advice: "contact.down", Err: err}
	}
	return s.unavailable(err)
}
