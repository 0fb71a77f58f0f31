package ldap_test

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	ber "github.com/go-asn1-ber/asn1-ber"
	ldapclient "github.com/go-ldap/ldap/v3"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/ldap"
)

// activeDirectory answers as a domain controller does: sub-codes in the text
// of error 49, identifiers in bytes, long attributes in ranges, and groups of
// groups by a matching rule. It knows joe, in 3,200 groups, and gives 1,500 at
// a time.
type activeDirectory struct {
	refusal string // the sub-code that a bind as joe is refused with
	control int    // joe's userAccountControl
	present string // joe's password, joe-Pass1 where it is empty
	filters chan string
}

const (
	joeDN     = "CN=Joe Bloggs,OU=People,DC=county,DC=test"
	groupsAll = 3200
	atATime   = 1500
)

var joeGUID = []byte{0x04, 0x03, 0x02, 0x01, 0x06, 0x05, 0x08, 0x07, 9, 10, 11, 12, 13, 14, 15, 16}

func (a *activeDirectory) start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	a.filters = make(chan string, 1000)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go a.serve(conn)
		}
	}()
	return "ldap://" + l.Addr().String()
}

func (a *activeDirectory) serve(conn net.Conn) {
	defer conn.Close()
	for {
		packet, err := ber.ReadPacket(conn)
		if err != nil || len(packet.Children) < 2 {
			return
		}
		id, request := packet.Children[0].Value.(int64), packet.Children[1]
		switch request.Tag {
		case ldapclient.ApplicationBindRequest:
			code, text := 0, ""
			if request.Children[1].Value == joeDN && (a.refusal != "" || request.Children[2].Data.String() != a.password()) {
				code, text = ldapclient.LDAPResultInvalidCredentials, "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data "+a.subCode(request)+", v4563"
			}
			reply(conn, id, result(ldapclient.ApplicationBindResponse, code, text))
		case ldapclient.ApplicationSearchRequest:
			for _, entry := range a.search(request) {
				reply(conn, id, entry)
			}
			reply(conn, id, result(ldapclient.ApplicationSearchResultDone, 0, ""))
		case ldapclient.ApplicationModifyRequest:
			code, text := a.modify(request)
			reply(conn, id, result(ldapclient.ApplicationModifyResponse, code, text))
		default:
			return
		}
	}
}

func (a *activeDirectory) password() string { return cmp.Or(a.present, "joe-Pass1") }

// modify changes joe's password as a domain controller does: the present value
// deleted and the new one added, both in UTF-16 and quotation marks. It takes
// none of fewer than eight characters.
func (a *activeDirectory) modify(request *ber.Packet) (code int, text string) {
	var deleted, added string
	for _, change := range request.Children[1].Children {
		attribute := change.Children[1]
		if attribute.Children[0].Value != "unicodePwd" {
			return ldapclient.LDAPResultUnwillingToPerform, "0000001F"
		}
		raw := attribute.Children[1].Children[0].Data.Bytes()
		var units []uint16
		for i := 0; i+1 < len(raw); i += 2 {
			units = append(units, uint16(raw[i])|uint16(raw[i+1])<<8)
		}
		value := strings.TrimSuffix(strings.TrimPrefix(string(utf16.Decode(units)), `"`), `"`)
		if change.Children[0].Value.(int64) == ldapclient.DeleteAttribute {
			deleted = value
		} else {
			added = value
		}
	}
	switch {
	case request.Children[0].Value != joeDN || deleted != a.password():
		return ldapclient.LDAPResultConstraintViolation, "00000056: AtrErr: DSID-03191083, #1:"
	case len(added) < 8:
		return ldapclient.LDAPResultConstraintViolation, "0000052D: AtrErr: DSID-03191083, #1:"
	}
	a.present, a.refusal = added, ""
	return 0, ""
}

func (a *activeDirectory) subCode(bind *ber.Packet) string {
	if bind.Children[2].Data.String() != a.password() && a.refusal != "775" {
		return "52e"
	}
	return a.refusal
}

func (a *activeDirectory) search(request *ber.Packet) []*ber.Packet {
	filter, err := ldapclient.DecompileFilter(request.Children[6])
	if err != nil {
		return nil
	}
	a.filters <- filter
	var asked []string
	for _, attribute := range request.Children[7].Children {
		asked = append(asked, attribute.Value.(string))
	}
	switch {
	case strings.HasPrefix(filter, "(member:1.2.840.113556.1.4.1941:="):
		return []*ber.Packet{entry("CN=Outer,OU=Groups,DC=county,DC=test", nil), entry("CN=Inner,OU=Groups,DC=county,DC=test", nil)}
	case filter == "(objectClass=*)":
		from, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(asked[0], "memberOf;range="), "-*"))
		return []*ber.Packet{entry(joeDN, memberships(from))}
	case strings.Contains(filter, "sAMAccountName=joe"), strings.Contains(filter, "objectGUID="+ldapclient.EscapeFilter(string(joeGUID))):
		attributes := memberships(0)
		attributes["objectGUID"] = []string{string(joeGUID)}
		attributes["sAMAccountName"] = []string{"joe"}
		attributes["userAccountControl"] = []string{strconv.Itoa(a.control)}
		attributes["accountExpires"] = []string{"9223372036854775807"}
		return []*ber.Packet{entry(joeDN, attributes)}
	default:
		return nil
	}
}

// memberships are joe's groups from one number on, as many as fit.
func memberships(from int) map[string][]string {
	var groups []string
	for i := from; i < min(from+atATime, groupsAll); i++ {
		groups = append(groups, fmt.Sprintf("CN=Group %04d,OU=Groups,DC=county,DC=test", i))
	}
	last := strconv.Itoa(from + len(groups) - 1)
	if from+len(groups) == groupsAll {
		last = "*"
	}
	return map[string][]string{"memberOf": {}, fmt.Sprintf("memberOf;range=%d-%s", from, last): groups}
}

func entry(dn string, attributes map[string][]string) *ber.Packet {
	e := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldapclient.ApplicationSearchResultEntry, nil, "")
	e.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, dn, ""))
	list := ber.NewSequence("")
	for name, values := range attributes {
		one, set := ber.NewSequence(""), ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for _, value := range values {
			set.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, value, ""))
		}
		one.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, name, ""))
		one.AppendChild(set)
		list.AppendChild(one)
	}
	e.AppendChild(list)
	return e
}

func result(tag ber.Tag, code int, text string) *ber.Packet {
	r := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
	r.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	r.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, text, ""))
	return r
}

func reply(conn net.Conn, id int64, body *ber.Packet) {
	envelope := ber.NewSequence("")
	envelope.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	envelope.AppendChild(body)
	conn.Write(envelope.Bytes())
}

func (a *activeDirectory) config(t *testing.T) ldap.Config {
	return ldap.Config{
		Servers: []string{a.start(t)}, Insecure: true, BaseDN: "OU=People,DC=county,DC=test", BindDN: "CN=reader,DC=county,DC=test", BindPassword: "x",
		Filter: "(|(sAMAccountName={username})(userPrincipalName={login}))",
	}
}

func TestActiveDirectorysReasonsAreToldAfterARightPassword(t *testing.T) {
	for code, want := range map[string]signin.Reason{
		"532": signin.PasswordExpired, "773": signin.PasswordMustChange, "533": signin.AccountDisabled, "701": signin.AccountDisabled,
		"530": signin.NotNow, "531": signin.NotNow, "775": "", "52e": "", "525": "",
	} {
		a := &activeDirectory{refusal: code}
		s := open(t, a.config(t))
		_, err := check(t, s, "joe", "joe-Pass1")
		refusal := new(signin.Refusal)
		if !errors.Is(err, signin.ErrRefused) || errors.As(err, &refusal) != (want != "") || refusal.Reason != want {
			t.Errorf("data %s: %v, want %q", code, err, want)
		}
		if _, err := check(t, s, "joe", "wrong"); !errors.Is(err, signin.ErrRefused) || errors.As(err, &refusal) && want == "" {
			t.Errorf("data %s, wrong password: %v", code, err)
		} else if reason := (*signin.Refusal)(nil); errors.As(err, &reason) {
			t.Errorf("data %s: a wrong password is told %s", code, reason.Reason)
		}
	}
}

func TestAnObjectGUIDIsWrittenAsWindowsDoesAndFoundAgain(t *testing.T) {
	a := &activeDirectory{control: 512}
	s := open(t, a.config(t))
	who, err := check(t, s, `COUNTY\joe`, "joe-Pass1")
	if err != nil || who.Subject != "01020304-0506-0708-090a-0b0c0d0e0f10" || who.Username != "joe" {
		t.Fatalf("%+v, %v", who, err)
	}
	if again, err := s.Recheck(t.Context(), who.Subject); err != nil || again.Subject != who.Subject {
		t.Errorf("recheck: %+v, %v", again, err)
	}
	a.control = 514
	if _, err := s.Recheck(t.Context(), who.Subject); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("recheck of a disabled account: %v", err)
	}
}

func TestGroupsThatComeInRangesAreReadToTheEnd(t *testing.T) {
	a := &activeDirectory{}
	who, err := check(t, open(t, a.config(t)), "joe", "joe-Pass1")
	if err != nil || len(who.Groups) != groupsAll || who.Groups[0] != "Group 0000" || who.Groups[groupsAll-1] != "Group 3199" {
		t.Errorf("%d groups, %v", len(who.Groups), err)
	}
}

func TestGroupsOfGroupsAreAskedForByTheMatchingRule(t *testing.T) {
	a := &activeDirectory{}
	c := a.config(t)
	c.NestedGroups = true
	who, err := check(t, open(t, c), "joe", "joe-Pass1")
	if err != nil || !slices.Equal(who.Groups, []string{"Inner", "Outer"}) {
		t.Errorf("%v, %v", who.Groups, err)
	}
}

func TestAPasswordIsChangedAsActiveDirectoryHasIt(t *testing.T) {
	for _, state := range []string{"", "532", "773"} {
		a := &activeDirectory{refusal: state}
		c := a.config(t)
		c.ChangePassword = true
		s := open(t, c)
		joe := signin.Person{Username: "joe"}
		change := func(present, chosen string) error {
			return s.ChangePassword(t.Context(), joe, account.Secret(present), account.Secret(chosen))
		}
		if err := change("wrong", "joe-Pass2 \u00e9\u20ac"); !errors.Is(err, signin.ErrRefused) {
			t.Errorf("data %q, with a wrong password: %v", state, err)
		}
		if err := change("joe-Pass1", "short"); !errors.Is(err, signin.ErrUnsuitable) || strings.Contains(err.Error(), "short") {
			t.Errorf("data %q, to a short one: %v", state, err)
		}
		if err := change("joe-Pass1", "joe-Pass2 \u00e9\u20ac"); err != nil {
			t.Errorf("data %q: %v", state, err)
		}
		if _, err := check(t, s, "joe", "joe-Pass2 \u00e9\u20ac"); err != nil {
			t.Errorf("data %q, then: %v", state, err)
		}
	}
	for _, state := range []string{"533", "701", "775", "530"} {
		a := &activeDirectory{refusal: state}
		s := open(t, a.config(t))
		if err := s.ChangePassword(t.Context(), signin.Person{Username: "joe"}, account.Secret("joe-Pass1"), account.Secret("joe-Pass2")); !errors.Is(err, signin.ErrRefused) || a.present != "" {
			t.Errorf("data %s: %v", state, err)
		}
	}
}
