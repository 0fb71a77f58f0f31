package saml

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/crewjam/saml"

	"github.com/stepgate/stepgate/internal/signin"
)

// HearLogout implements signin.LogoutHearer: the provider's signed request, by
// which ever binding, that somebody's sessions end. The answer to it is a
// redirect.
func (s *Source) HearLogout(r *http.Request, page string) (signin.Ended, error) {
	provider, err := s.provider(r.Context())
	if err != nil {
		return signin.Ended{}, err
	}
	party, err := s.party(page, provider)
	if err != nil {
		return signin.Ended{}, err
	}
	request, err := party.ValidateLogoutRequest(r)
	if err != nil && !errors.Is(private(err), saml.ErrIssuerMismatch) {
		if newer := s.newer(r.Context(), provider); newer != nil && newer.EntityID == provider.EntityID {
			if party, err = s.party(page, newer); err == nil {
				request, err = party.ValidateLogoutRequest(r)
			}
		}
	}
	switch {
	case errors.Is(private(err), saml.ErrIssuerMismatch):
		return signin.Ended{}, signin.ErrNobody
	case err != nil:
		return signin.Ended{}, errors.Join(signin.ErrRefused, fmt.Errorf("saml: logout request: %w", private(err)))
	case request.NameID == nil:
		return signin.Ended{}, fmt.Errorf("%w: saml: logout request: of nobody", signin.ErrRefused)
	}
	ended := signin.Ended{Subject: strings.TrimSpace(request.NameID.Value)}
	if indexes := request.AllSessionIndexes(); len(indexes) == 1 {
		ended.IssuerSession = indexes[0].Value
	} else if s.config.Attributes.ID != "" {
		return signin.Ended{}, fmt.Errorf("%w: saml: logout request: it names no one session, and people are not known by their NameID", signin.ErrRefused)
	}
	if party.GetSLOBindingLocation(saml.HTTPRedirectBinding) == "" {
		return ended, nil
	}
	answer, err := party.MakeRedirectLogoutResponse(request.ID, r.FormValue("RelayState"))
	if err != nil {
		return signin.Ended{}, fmt.Errorf("saml: logout response: %w", err)
	}
	ended.Answer = answer.String()
	return ended, nil
}

// SignOut implements signin.Ender. Without a key nothing can be asked of the
// provider, which believes signed requests only.
func (s *Source) SignOut(ctx context.Context, kept []byte, _ string) (string, error) {
	var n note
	if s.own == nil || s.config.KeepSignedIn || json.Unmarshal(kept, &n) != nil || n.NameID == "" {
		return "", nil
	}
	provider, err := s.provider(ctx)
	if err != nil {
		return "", err
	}
	party, err := s.party(n.Page, provider)
	if err != nil {
		return "", err
	}
	if party.GetSLOBindingLocation(saml.HTTPRedirectBinding) == "" {
		return "", nil
	}
	location, err := party.MakeRedirectLogoutRequest(n.NameID, "", func(r *saml.LogoutRequest) {
		r.NameID = &saml.NameID{Value: n.NameID, Format: n.Format, NameQualifier: n.NameQualifier, SPNameQualifier: n.SPNameQualifier}
		if n.SessionIndex != "" {
			saml.WithSessionIndex(n.SessionIndex)(r)
		}
	})
	if err != nil {
		return "", fmt.Errorf("saml: logout request: %w", err)
	}
	return location.String(), nil
}
