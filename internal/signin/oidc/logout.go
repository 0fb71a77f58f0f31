package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/stepgate/stepgate/internal/signin"
)

// logoutLife is how old a logout token may be. Ending the same sessions twice
// does nothing, so no token is remembered.
const logoutLife = 5 * time.Minute

// HearLogout implements signin.LogoutHearer: a logout token that the issuer
// posts (Back-Channel Logout §2.5), or an address that it has a frame open
// (Front-Channel Logout §2), which ends no more than the session it names by a
// name that only the issuer and this gateway know.
func (s *Source) HearLogout(r *http.Request, _ string) (signin.Ended, error) {
	if token := r.PostForm.Get("logout_token"); token != "" {
		return s.hearToken(r.Context(), token)
	}
	query := r.URL.Query()
	if query.Get("iss") != s.config.Issuer {
		return signin.Ended{}, signin.ErrNobody
	}
	session := query.Get("sid")
	if session == "" || len(query["iss"]) != 1 || len(query["sid"]) != 1 {
		return signin.Ended{}, fmt.Errorf("%w: no session is named", signin.ErrRefused)
	}
	return signin.Ended{IssuerSession: session}, nil
}

func (s *Source) hearToken(ctx context.Context, raw string) (signin.Ended, error) {
	if !s.claimsToBeFrom(raw) {
		return signin.Ended{}, signin.ErrNobody
	}
	i, err := s.discover(ctx)
	if err != nil {
		return signin.Ended{}, err
	}
	ctx, trouble := withTrouble(oidc.ClientContext(ctx, s.client))
	token, err := s.verifier(i, strangers{i.keys}).VerifyLogout(ctx, raw)
	if trouble.err != nil {
		return signin.Ended{}, trouble.err
	}
	if err != nil {
		return signin.Ended{}, errors.Join(signin.ErrRefused, fmt.Errorf("oidc: logout token: %w", err))
	}
	if token.IssuedAt.After(s.now().Add(clockSkew)) || s.now().Sub(token.IssuedAt) > logoutLife {
		return signin.Ended{}, errors.Join(signin.ErrRefused, errors.New("oidc: logout token: too old, or of the future"))
	}
	return signin.Ended{Subject: token.Subject, IssuerSession: token.SessionID}, nil
}

// claimsToBeFrom tells whether a token says, before anybody has looked at its
// signature, that it is this issuer's.
func (s *Source) claimsToBeFrom(raw string) bool {
	signed, err := jose.ParseSignedCompact(raw, signatures)
	if err != nil {
		return false
	}
	var said struct {
		Issuer string `json:"iss"`
	}
	return json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &said) == nil && said.Issuer == s.config.Issuer
}

// SignOut implements signin.Ender (RP-Initiated Logout §2). The note is the ID
// token, by which the issuer knows whom to sign out without asking.
func (s *Source) SignOut(ctx context.Context, note []byte, back string) (string, error) {
	if s.config.KeepSignedIn {
		return "", nil
	}
	i, err := s.discover(ctx)
	if err != nil || i.claims.EndSession == "" {
		return "", err
	}
	at, err := url.Parse(i.claims.EndSession)
	if err != nil {
		return "", fmt.Errorf("oidc: end_session_endpoint: %w", err)
	}
	q := at.Query()
	q.Set("client_id", s.config.ClientID)
	q.Set("post_logout_redirect_uri", back)
	if len(note) > 0 {
		q.Set("id_token_hint", string(note))
	}
	at.RawQuery = q.Encode()
	return at.String(), nil
}
