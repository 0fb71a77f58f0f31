package ldap

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// inChain is Active Directory's matching rule that follows members of members
// by itself (LDAP_MATCHING_RULE_IN_CHAIN, MS-ADTS §3.1.1.3.4.4.3).
const inChain = "1.2.840.113556.1.4.1941"

// maxGroups bounds the groups of one person, in whatever way they are found:
// they travel in headers.
const maxGroups = 10000

// groups are the names of an entry's groups, each once, sorted.
func (s *Source) groups(ctx context.Context, e *ldap.Entry) ([]string, error) {
	direct := e.GetEqualFoldAttributeValues(s.config.Attributes.groups())
	all := direct
	if s.config.NestedGroups {
		var err error
		if all, err = s.nested(ctx, e, direct); err != nil {
			return nil, err
		}
	}
	if len(all) > maxGroups {
		return nil, errors.New("more groups than are read")
	}
	names := make([]string, 0, len(all))
	for _, group := range all {
		if name := groupName(group); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// groupName is the first value of a DN, or the text where it is no DN.
func groupName(text string) string {
	dn, err := ldap.ParseDN(text)
	if err != nil || len(dn.RDNs) == 0 || len(dn.RDNs[0].Attributes) == 0 {
		return strings.TrimSpace(text)
	}
	return dn.RDNs[0].Attributes[0].Value
}

// nested finds the groups of groups: by Active Directory's rule where entries
// carry an objectGUID, elsewhere step by step.
func (s *Source) nested(ctx context.Context, e *ldap.Entry, direct []string) (all []string, err error) {
	err = s.searchs.do(ctx, func(conn *ldap.Conn) error {
		if len(e.GetEqualFoldRawAttributeValue("objectGUID")) > 0 {
			all, err = s.chain(conn, e.DN)
			return err
		}
		all, err = s.climb(conn, direct)
		return err
	})
	return all, err
}

// chain asks the server for all groups at once.
func (s *Source) chain(conn *ldap.Conn, dn string) ([]string, error) {
	found, err := conn.SearchWithPaging(ldap.NewSearchRequest(s.top(), ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, int(s.config.timeout().Seconds())+1, false,
		"(member:"+inChain+":="+ldap.EscapeFilter(dn)+")", []string{"1.1"}, nil), 500)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, group := range found.Entries {
		all = append(all, group.DN)
	}
	return all, nil
}

// climb reads the groups of each group, level by level, each once: groups may
// contain one another in a ring.
func (s *Source) climb(conn *ldap.Conn, direct []string) ([]string, error) {
	name := s.config.Attributes.groups()
	seen := map[string]bool{}
	var all []string
	for level := direct; len(level) > 0; {
		var above []string
		for _, dn := range level {
			if seen[strings.ToLower(dn)] {
				continue
			}
			seen[strings.ToLower(dn)] = true
			all = append(all, dn)
			if len(all) > maxGroups {
				return nil, errors.New("more groups than are read")
			}
			found, err := conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, int(s.config.timeout().Seconds())+1, false,
				"(objectClass=*)", []string{name}, nil))
			if ldap.IsErrorAnyOf(err, ldap.LDAPResultNoSuchObject, ldap.LDAPResultInvalidDNSyntax, ldap.LDAPResultInsufficientAccessRights) {
				continue // a group that the reader may not look into is a group all the same
			}
			if err != nil {
				return nil, err
			}
			if len(found.Entries) == 1 {
				above = append(above, found.Entries[0].GetEqualFoldAttributeValues(name)...)
			}
		}
		level = above
	}
	return all, nil
}

// top is where groups may be: the directory's own suffix, for they need not be
// below base_dn.
func (s *Source) top() string {
	dn, err := ldap.ParseDN(s.config.BaseDN)
	if err != nil {
		return s.config.BaseDN
	}
	for i, rdn := range dn.RDNs {
		if len(rdn.Attributes) > 0 && strings.EqualFold(rdn.Attributes[0].Type, "dc") {
			return (&ldap.DN{RDNs: dn.RDNs[i:]}).String()
		}
	}
	return s.config.BaseDN
}
