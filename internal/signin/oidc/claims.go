package oidc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/stepgate/stepgate/internal/signin"
)

// ErrGroupsElsewhere says that the issuer left the groups out of the token
// because they are too many, and named an address of its own for them (Entra's
// overage, Core §5.6.2). Without them a person could lose a group that a rule
// denies by, or gain none that it asks for, so nobody is signed in.
var ErrGroupsElsewhere = errors.New("oidc: the issuer left the groups out of the token, as they are too many; let it send only the groups that are assigned to the application, or roles")

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
	groups := cmp.Or(s.config.Claims.Groups, "groups")
	if elsewhere, ok := claims["_claim_names"].(map[string]any); ok && claims.at(groups) == nil && elsewhere[groups] != nil {
		return signin.Identity{}, ErrGroupsElsewhere
	}
	who := signin.Identity{
		Source: s.name, Subject: id.Subject,
		Username: claims.text(oneOr(s.config.Claims.Username, "preferred_username", "email")...),
		Name:     claims.text(cmp.Or(s.config.Claims.Name, "name")),
		Email:    claims.text(cmp.Or(s.config.Claims.Email, "email")),
		Mobile:   claims.text(cmp.Or(s.config.Claims.Mobile, "phone_number")),
		Groups:   claims.list(groups), GroupsKnown: true, MayCreate: true,
	}
	slices.Sort(who.Groups)
	who.Groups = slices.Compact(who.Groups)
	return who, nil
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
