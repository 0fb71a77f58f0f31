package selfservice

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/web"
)

// tokensView is the view of tokens.html.
type tokensView struct {
	web.View
	Rows []tokenRow
	// May tells whether the site takes tokens at all.
	May bool
}

// tokenRow is a token as its owner sees it.
type tokenRow struct {
	Label, Query      string
	Paths, Methods    string
	Addresses         string
	CreatedAt, EndsAt time.Time
	LastUsedAt        time.Time
	Ended             bool
}

// tokenView is the view of token.html: the form, or once the token.
type tokenView struct {
	web.View
	Token string
}

// tokens lists the person's tokens.
func (s *Site) tokens(w http.ResponseWriter, r *http.Request, at *visit) error {
	if r.Method == http.MethodPost {
		return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD"}
	}
	view := &tokensView{View: s.below(at), May: s.tokensCount()}
	for _, c := range at.record.Credentials {
		if !isToken(c) {
			continue
		}
		bounds, err := token.BoundsOf(c)
		if err != nil {
			return err
		}
		row := tokenRow{
			Label: c.Label, Query: url.QueryEscape(string(c.ID)), Paths: strings.Join(bounds.Paths, " "), Methods: strings.Join(bounds.Methods, " "),
			Addresses: token.AddressesText(bounds), CreatedAt: c.CreatedAt, EndsAt: bounds.EndsAt, LastUsedAt: c.LastUsedAt, Ended: !s.Now().Before(bounds.EndsAt),
		}
		view.Rows = append(view.Rows, row)
	}
	return s.Pages.Render(w, r, s.Web, http.StatusOK, "tokens", view)
}

// newToken makes a token and shows it, in the answer to the POST and never
// again.
func (s *Site) newToken(w http.ResponseWriter, r *http.Request, at *visit) error {
	if !s.tokensCount() {
		return &web.Fail{Status: http.StatusNotFound}
	}
	var asked people.NewToken
	page := func(status int, made string, errs ...web.FieldError) error {
		view := &tokenView{View: s.below(at), Token: made}
		view.Back, view.Errors = s.Web.Path(Path+"/tokens"), errs
		if made == "" {
			view.Values = at.fields
		}
		return s.Pages.Render(w, r, s.Web, status, "token", view)
	}
	o := ceremony.Operation{Once: "new-token", Text: "operation.token", Page: s.Web.Path(Path + "/tokens/new")}
	check := func() (bool, error) {
		var wrong *web.FieldError
		if asked, wrong = s.askedFor(at.fields); wrong != nil {
			return false, page(http.StatusBadRequest, "", *wrong)
		}
		return true, nil
	}
	return s.operate(w, r, at, step{o, func() error { return page(http.StatusOK, "") }, check, func() error {
		made, err := s.Self.AddToken(r.Context(), at.own, asked)
		if errors.Is(err, people.ErrRefused) {
			return page(http.StatusConflict, "", web.FieldError{Text: "error.token.full"})
		}
		if err != nil {
			return err
		}
		return page(http.StatusOK, string(made.Token.Reveal()))
	}})
}

// askedFor reads the form of a new token.
func (s *Site) askedFor(fields map[string]string) (people.NewToken, *web.FieldError) {
	n := people.NewToken{Label: factors.CleanLabel(fields["label"])}
	if n.Label == "" {
		return n, &web.FieldError{Field: "label", Text: "error.no-label"}
	}
	var wrong string
	if n.Bounds, wrong = token.Asked(func(name string) string { return fields[name] }, s.Now()); wrong != "" {
		return n, &web.FieldError{Field: wrong, Text: "error.token." + wrong}
	}
	return n, nil
}

// revokeToken takes a token away.
func (s *Site) revokeToken(w http.ResponseWriter, r *http.Request, at *visit) error {
	id := account.CredentialID(r.URL.Query().Get("credential"))
	i := slices.IndexFunc(at.record.Credentials, func(c account.Credential) bool { return c.ID == id && isToken(c) })
	if i < 0 {
		return s.refusal(http.StatusNotFound, "gone.title", "gone.advice")
	}
	o := ceremony.Operation{
		Once: "revoke-token " + string(id), Text: "operation.token", Page: s.Web.Path(Path + "/tokens/revoke?credential=" + url.QueryEscape(string(id))),
	}
	return s.operate(w, r, at, step{operation: o, show: func() error {
		return s.confirm(w, r, at, confirmView{Action: o.Page, What: "revoke", Label: at.record.Credentials[i].Label, Warning: true})
	}, do: func() error {
		if err := s.Self.RevokeToken(r.Context(), at.own, id); err != nil {
			return err
		}
		return s.back(w, r, "revoked")
	}})
}
