package legacytest

import (
	"slices"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

func TestDirectoryHasPeopleAndGroups(t *testing.T) {
	if testing.Short() {
		t.Skip("starts slapd")
	}
	d := StartDirectory(t)
	conn, err := ldap.DialURL(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Bind(d.PersonDN("joe"), "wrong"); !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
		t.Errorf("wrong password: %v", err)
	}
	for _, who := range d.Accounts {
		if err := conn.Bind(d.PersonDN(who.Username), who.Password); err != nil {
			t.Errorf("%s: %v", who.Username, err)
		}
	}
	if err := conn.Bind(d.BindDN, d.BindPassword); err != nil {
		t.Fatal(err)
	}
	found, err := conn.Search(ldap.NewSearchRequest(d.BaseDN, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false,
		"(objectClass=inetOrgPerson)", []string{"uid", "entryUUID", "memberOf", "mail", "mobile"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	groups := map[string]int{}
	for _, e := range found.Entries {
		if len(e.GetAttributeValue("entryUUID")) != 36 || e.GetAttributeValue("mail") == "" {
			t.Errorf("%s lacks entryUUID or mail", e.DN)
		}
		groups[e.GetAttributeValue("uid")] = len(e.GetAttributeValues("memberOf"))
	}
	for i, uid := range []string{"joe", "ann", "bob"} {
		if want := []int{1, 2, 0}[i]; groups[uid] != want {
			t.Errorf("%s is in %d groups, want %d", uid, groups[uid], want)
		}
	}
	ann := found.Entries[slices.IndexFunc(found.Entries, func(e *ldap.Entry) bool { return e.GetAttributeValue("uid") == "ann" })]
	if !slices.Contains(ann.GetAttributeValues("memberOf"), "cn=admins,ou=groups,"+d.BaseDN) {
		t.Errorf("ann is in %v", ann.GetAttributeValues("memberOf"))
	}
}
