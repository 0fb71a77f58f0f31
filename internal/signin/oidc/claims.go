package oidc

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/stepgate/stepgate/internal/signin"
)

// ErrGroupsElsewhere says that the issuer left the groups out of the token
// because they are too many, and named an address of its own for them (Entra's
// overage, Core §5.6.2). Without them a person could lose a group that a rule
// denies by, or gain none that it asks for, so nobody is signed in.
var ErrGroupsElsewhere = errors.New("oidc: the issuer left the groups out of the token, as they are too many; set `overage`, or let it send only the groups that are assigned to the application")

// claimSet is a token's claims as they came.
type claimSet map[string]any

// at finds a claim by its path. A claim whose own name has the dots is found
// first.
func (c claimSet) at(path string) any {
	if value, ok := c[path]; ok {
		return value
	}
	var value any = map[string]any(c)
	for step := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[step]
	}
	return value
}

func (c claimSet) text(paths ...string) string {
	for _, path := range paths {
		if text, ok := c.at(path).(string); ok && strings.TrimSpace(text) != "" {
			return strings.TrimSpace(text)
		}
	}
	return ""
}

// list reads a claim that is a list of texts, or one text.
func (c claimSet) list(path string) []string {
	switch value := c.at(path).(type) {
	case string:
		return []string{value}
	case []any:
		var all []string
		for _, one := range value {
			if text, ok := one.(string); ok && text != "" {
				all = append(all, text)
			}
		}
		return all
	default:
		return nil
	}
}

// identity is what the issuer says of a person.
func (s *Source) identity(ctx context.Context, i *issuer, id *oidc.IDToken, token *oauth2.Token) (signin.Identity, error) {
	claims := claimSet{}
	if err := id.Claims(&claims); err != nil {
		return signin.Identity{}, fmt.Errorf("oidc: ID token: %w", err)
	}
	if s.config.UserInfo {
		if err := s.askUserInfo(ctx, i, id, token, claims); err != nil {
			return signin.Identity{}, err
		}
	}
	if err := s.required(claims); err != nil {
		return signin.Identity{}, err
	}
	groups, err := s.groups(ctx, token, claims)
	if err != nil {
		return signin.Identity{}, err
	}
	who := signin.Identity{
		Source: s.name, Subject: id.Subject,
		Username: claims.text(oneOr(s.config.Claims.Username, "preferred_username", "email")...),
		Name:     claims.text(cmp.Or(s.config.Claims.Name, "name")),
		Email:    claims.text(cmp.Or(s.config.Claims.Email, "email")),
		Mobile:   claims.text(cmp.Or(s.config.Claims.Mobile, "phone_number")),
		Groups:   groups, GroupsKnown: s.config.Claims.Groups != noGroups, MayCreate: true,
		Proved:        s.config.Trust.Proved(append(claims.list("amr"), claims.text("acr"))...),
		IssuerSession: claims.text("sid"),
	}
	if raw, _ := token.Extra("id_token").(string); len(raw) <= maxNote {
		who.Note = []byte(raw)
	}
	if at, ok := claims["auth_time"].(float64); ok && at > 0 {
		if who.At = time.Unix(int64(at), 0).UTC(); who.At.After(s.now()) {
			who.At = time.Time{} // the clocks differ
		}
	}
	return who, nil
}

const (
	// noGroups in place of a claim says that the issuer knows no groups.
	noGroups = "none"
	// maxNote is the longest ID token that is kept to sign out with, in bytes:
	// it comes back in an address.
	maxNote = 6000
)

// required refuses whoever the claims do not let in.
func (s *Source) required(claims claimSet) error {
	for name, allowed := range s.config.Require {
		if !slices.ContainsFunc(claims.list(name), func(has string) bool { return slices.Contains(allowed, has) }) {
			return errors.Join(signin.ErrRefused, fmt.Errorf("oidc: the claim %s is none of those that are required", name))
		}
	}
	return nil
}

// groups are the person's, sorted, each once.
func (s *Source) groups(ctx context.Context, token *oauth2.Token, claims claimSet) ([]string, error) {
	claim := cmp.Or(s.config.Claims.Groups, "groups")
	if claim == noGroups {
		return nil, nil
	}
	groups := claims.list(claim)
	if elsewhere, ok := claims["_claim_names"].(map[string]any); ok && claims.at(claim) == nil && elsewhere[claim] != nil {
		if s.config.Overage == "" {
			return nil, ErrGroupsElsewhere
		}
		var err error
		if groups, err = s.askOverage(ctx, token); err != nil {
			return nil, fmt.Errorf("oidc: overage: %w", err)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

// askOverage asks Microsoft Graph for the groups of whom an access token is
// for (directoryObject: getMemberGroups). The token goes to the configured
// address, never to one that the ID token names.
func (s *Source) askOverage(ctx context.Context, token *oauth2.Token) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.Overage, strings.NewReader(`{"securityEnabledOnly":false}`))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	token.SetAuthHeader(request)
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d", response.StatusCode)
	}
	var answer struct {
		Groups []string `json:"value"`
		More   string   `json:"@odata.nextLink"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.More != "" {
		return nil, errors.New("more groups than one answer has")
	}
	return answer.Groups, nil
}

// askUserInfo adds the claims that the ID token does not have (Core §5.3.2:
// only of the same subject).
func (s *Source) askUserInfo(ctx context.Context, i *issuer, id *oidc.IDToken, token *oauth2.Token, into claimSet) error {
	info, err := i.Provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return fmt.Errorf("oidc: UserInfo: %w", err)
	}
	if info.Subject != id.Subject {
		return errors.Join(signin.ErrRefused, errors.New("oidc: UserInfo is of another subject"))
	}
	more := claimSet{}
	if err := info.Claims(&more); err != nil {
		return fmt.Errorf("oidc: UserInfo: %w", err)
	}
	for name, value := range more {
		if _, ok := into[name]; !ok {
			into[name] = value
		}
	}
	return nil
}

func oneOr(configured string, fallback ...string) []string {
	if configured != "" {
		return []string{configured}
	}
	return fallback
}
