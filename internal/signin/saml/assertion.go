package saml

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/crewjam/saml"

	"github.com/stepgate/stepgate/internal/signin"
)

// The names that attributes have in practice: LDAP's own, their object
// identifiers (X.500/LDAP attribute profile, SAML profiles §8.2), Microsoft's.
var (
	usernameNames = []string{"uid", "urn:oid:0.9.2342.19200300.100.1.1", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"}
	nameNames     = []string{"displayName", "urn:oid:2.16.840.1.113730.3.1.241", "cn", "urn:oid:2.5.4.3", "http://schemas.microsoft.com/identity/claims/displayname"}
	emailNames    = []string{"mail", "urn:oid:0.9.2342.19200300.100.1.3", "email", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"}
	mobileNames   = []string{"mobile", "urn:oid:0.9.2342.19200300.100.1.41", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/mobilephone"}
	groupNames    = []string{
		"groups", "memberOf", "isMemberOf", "urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
		"http://schemas.xmlsoap.org/claims/Group", "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
	}
)

// note is what is kept to sign somebody out at the provider.
type note struct {
	NameID          string `json:"name_id"`
	Format          string `json:"format,omitempty"`
	NameQualifier   string `json:"name_qualifier,omitempty"`
	SPNameQualifier string `json:"sp_name_qualifier,omitempty"`
	SessionIndex    string `json:"session_index,omitempty"`
	Page            string `json:"page"`
}

// errTransient is a NameID that nobody is known by the next time.
var errTransient = errors.New("saml: the NameID changes at each sign-in; name an attribute that identifies people for good with `attribute id`")

// identity is what an assertion says of a person.
func (s *Source) identity(page string, a *saml.Assertion) (signin.Identity, error) {
	if a.Subject == nil || a.Subject.NameID == nil || len(a.AuthnStatements) == 0 {
		return signin.Identity{}, errors.Join(signin.ErrRefused, errors.New("saml: the assertion does not say who signed in, or that somebody did"))
	}
	id, at := a.Subject.NameID, a.AuthnStatements[0]
	who := signin.Identity{
		Source: s.name, Subject: strings.TrimSpace(id.Value), MayCreate: true, GroupsKnown: true,
		Username: first(a, s.config.Attributes.Username, usernameNames), Name: first(a, s.config.Attributes.Name, nameNames),
		Email: first(a, s.config.Attributes.Email, emailNames), Mobile: first(a, s.config.Attributes.Mobile, mobileNames),
		Groups: all(a, s.config.Attributes.Groups, groupNames), At: at.AuthnInstant.UTC(), IssuerSession: at.SessionIndex,
	}
	switch {
	case s.config.Attributes.ID != "":
		if who.Subject = first(a, s.config.Attributes.ID, nil); who.Subject == "" {
			return signin.Identity{}, errors.Join(signin.ErrRefused, fmt.Errorf("saml: the assertion has no attribute %s", s.config.Attributes.ID))
		}
	case id.Format == string(saml.TransientNameIDFormat):
		return signin.Identity{}, errTransient
	case who.Subject == "":
		return signin.Identity{}, errors.Join(signin.ErrRefused, errors.New("saml: an empty NameID"))
	}
	if who.Username == "" {
		who.Username = strings.TrimSpace(id.Value)
	}
	if now := s.now(); who.At.After(now) {
		who.At = now.UTC()
	}
	if class := at.AuthnContext.AuthnContextClassRef; class != nil {
		who.Proved = s.config.Trust.Proved(class.Value)
	}
	slices.Sort(who.Groups)
	who.Groups = slices.Compact(who.Groups)
	var err error
	who.Note, err = json.Marshal(note{
		NameID: id.Value, Format: id.Format, NameQualifier: id.NameQualifier, SPNameQualifier: id.SPNameQualifier, SessionIndex: at.SessionIndex, Page: page,
	})
	return who, err
}

// all are the values of the first attribute of one of these names that has
// some.
func all(a *saml.Assertion, configured string, usual []string) []string {
	if configured != "" {
		usual = []string{configured}
	}
	for _, name := range usual {
		var values []string
		for _, statement := range a.AttributeStatements {
			for _, attribute := range statement.Attributes {
				if attribute.Name != name && attribute.FriendlyName != name {
					continue
				}
				for _, value := range attribute.Values {
					if text := strings.TrimSpace(value.Value); text != "" {
						values = append(values, text)
					}
				}
			}
		}
		if len(values) > 0 {
			return values
		}
	}
	return nil
}

func first(a *saml.Assertion, configured string, usual []string) string {
	if values := all(a, configured, usual); len(values) > 0 {
		return values[0]
	}
	return ""
}
