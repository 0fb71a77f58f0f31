package ldap

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/stepgate/stepgate/internal/signin"
)

// errNoID says that an entry has nothing that stays with a person for good.
var errNoID = errors.New("the entry has neither entryUUID nor objectGUID; name the attribute that identifies people for good with `attribute id`")

// identity is what an entry says of a person.
func (s *Source) identity(ctx context.Context, e *ldap.Entry) (signin.Identity, error) {
	a := s.config.Attributes
	subject := s.subject(e)
	if subject == "" {
		return signin.Identity{}, fmt.Errorf("ldap: %w", errNoID)
	}
	groups, err := s.groups(ctx, e)
	if err != nil {
		return signin.Identity{}, fmt.Errorf("ldap: groups: %w", err)
	}
	return signin.Identity{
		Source: s.name, Subject: subject, Username: first(e, a.username()...), Name: first(e, a.name()...),
		Email: first(e, a.email()), Mobile: first(e, a.mobile()), Groups: groups, GroupsKnown: true, MayCreate: true,
	}, nil
}

// subject is an entry's stable identifier in text.
func (s *Source) subject(e *ldap.Entry) string {
	for _, name := range s.config.Attributes.id() {
		raw := e.GetEqualFoldRawAttributeValue(name)
		switch {
		case len(raw) == 0:
		case strings.EqualFold(name, "objectGUID"):
			return guidText(raw)
		default:
			return string(raw)
		}
	}
	return ""
}

// subjectFilter finds an entry by its identifier.
func (s *Source) subjectFilter(subject string) string {
	var alternatives strings.Builder
	for _, name := range s.config.Attributes.id() {
		value := ldap.EscapeFilter(subject)
		if strings.EqualFold(name, "objectGUID") {
			raw, ok := guidBytes(subject)
			if !ok {
				continue
			}
			value = ldap.EscapeFilter(string(raw))
		}
		fmt.Fprintf(&alternatives, "(%s=%s)", name, value)
	}
	return "(|" + alternatives.String() + ")" // (|) is true of nothing (RFC 4526)
}

// guidText writes the 16 bytes of an objectGUID as Windows does: the first
// three groups least significant byte first (MS-DTYP §2.3.4.2).
func guidText(raw []byte) string {
	if len(raw) != 16 {
		return ""
	}
	x := hex.EncodeToString([]byte{raw[3], raw[2], raw[1], raw[0], raw[5], raw[4], raw[7], raw[6]}) + hex.EncodeToString(raw[8:])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// guidBytes undoes guidText.
func guidBytes(text string) ([]byte, bool) {
	if len(text) != 36 {
		return nil, false
	}
	x, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(x) != 16 {
		return nil, false
	}
	return append([]byte{x[3], x[2], x[1], x[0], x[5], x[4], x[7], x[6]}, x[8:]...), true
}

func first(e *ldap.Entry, names ...string) string {
	for _, name := range names {
		if value := strings.TrimSpace(e.GetEqualFoldAttributeValue(name)); value != "" {
			return value
		}
	}
	return ""
}

const (
	// maxRanges bounds how often the rest of one attribute is asked for, and
	// with it the groups of one person: a server gives 1,500 values at a time.
	maxRanges = 40
)

// complete reads the rest of an attribute of which Active Directory gave only
// the first values, under the name "memberOf;range=0-1499" (MS-ADTS
// §3.1.1.3.1.3.3).
func (s *Source) complete(conn *ldap.Conn, e *ldap.Entry) error {
	name := s.config.Attributes.groups()
	for range maxRanges {
		part, next, ok := ranged(e, name)
		if !ok {
			return nil
		}
		add(e, name, part.Values)
		if next < 0 {
			return nil
		}
		more, err := conn.Search(ldap.NewSearchRequest(e.DN, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 1, int(s.config.timeout().Seconds())+1, false,
			"(objectClass=*)", []string{fmt.Sprintf("%s;range=%d-*", name, next)}, nil))
		if err != nil {
			return err
		}
		if len(more.Entries) != 1 {
			return nil
		}
		e.Attributes = append(e.Attributes, more.Entries[0].Attributes...)
	}
	return fmt.Errorf("%s has more values than are read", name)
}

// ranged takes a part of an attribute out of an entry. next is where the rest
// begins, -1 where there is none.
func ranged(e *ldap.Entry, name string) (part *ldap.EntryAttribute, next int, ok bool) {
	for i, a := range e.Attributes {
		base, span, found := strings.Cut(strings.ToLower(a.Name), ";range=")
		if !found || base != strings.ToLower(name) {
			continue
		}
		e.Attributes = append(e.Attributes[:i:i], e.Attributes[i+1:]...)
		_, last, _ := strings.Cut(span, "-")
		end, err := strconv.Atoi(last)
		if err != nil {
			return a, -1, true
		}
		return a, end + 1, true
	}
	return nil, 0, false
}

func add(e *ldap.Entry, name string, values []string) {
	for _, a := range e.Attributes {
		if strings.EqualFold(a.Name, name) {
			a.Values = append(a.Values, values...)
			return
		}
	}
	e.Attributes = append(e.Attributes, ldap.NewEntryAttribute(name, values))
}
