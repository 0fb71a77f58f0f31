package legacytest

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"
)

// Directory is a running slapd over LDAP, with StartTLS and ldaps beside it.
//
// Below BaseDN stand ou=people with joe, ann and bob (inetOrgPerson: uid, cn,
// sn, givenName, mail, mobile; each with an entryUUID) and ou=groups with
// clerks (joe, ann), admins (ann) and staff, whose one member is the group
// clerks. People and groups carry memberOf. bob is in no group and has no
// mobile. Anonymous and people may read everything but userPassword. Password
// policies hold for whoever has a pwdPolicySubentry.
type Directory struct {
	URL          string // ldap://127.0.0.1:PORT
	SecureURL    string // ldaps://127.0.0.1:PORT
	CAFile       string // of the certificate for 127.0.0.1
	Addr         string
	BaseDN       string
	BindDN       string // the directory's manager
	BindPassword string
	Accounts     []Account // joe, ann, bob: uid and password
}

const (
	schemas      = "/etc/ldap/schema/"
	directoryTop = "dc=county,dc=test"
)

// PersonDN is the entry of the person with that uid.
func (d *Directory) PersonDN(uid string) string { return "uid=" + uid + ",ou=people," + d.BaseDN }

// MustChange has somebody change their password before anything else, to one of
// eight characters or more.
func (d *Directory) MustChange(tb testing.TB, uid string) {
	tb.Helper()
	conn, err := ldap.DialURL(d.URL)
	if err != nil {
		tb.Fatalf("legacytest: slapd: %v", err)
	}
	defer conn.Close()
	policy := ldap.NewAddRequest("cn=must-change,"+d.BaseDN, nil)
	for name, values := range map[string][]string{
		"objectClass": {"device", "pwdPolicy"}, "pwdAttribute": {"userPassword"}, "pwdMustChange": {"TRUE"}, "pwdMinLength": {"8"}, "pwdCheckQuality": {"2"},
	} {
		policy.Attribute(name, values)
	}
	person := ldap.NewModifyRequest(d.PersonDN(uid), nil)
	person.Replace("pwdPolicySubentry", []string{policy.DN})
	person.Replace("pwdReset", []string{"TRUE"})
	if err := errors.Join(conn.Bind(d.BindDN, d.BindPassword), conn.Add(policy), conn.Modify(person)); err != nil {
		tb.Fatalf("legacytest: slapd: %v", err)
	}
}

// AddPeople adds this many people more, p00000, p00001 and so on, each with the
// password "pass-" and the uid.
func (d *Directory) AddPeople(tb testing.TB, n int) {
	tb.Helper()
	dir := newDir(tb)
	var ldif strings.Builder
	for i := range n {
		uid := fmt.Sprintf("p%05d", i)
		fmt.Fprintf(&ldif, "dn: %s\nobjectClass: inetOrgPerson\nuid: %s\ncn: Person %d\nsn: Person\nmail: %s@county.test\nuserPassword: pass-%s\n\n", d.PersonDN(uid), uid, i, uid, uid)
	}
	put(tb, dir, map[string]string{"people.ldif": ldif.String()})
	run(tb, command{name: "ldapadd", dir: dir, user: webUser, argv: []string{
		"/usr/bin/ldapadd", "-x", "-H", d.URL, "-D", d.BindDN, "-w", d.BindPassword, "-f", dir + "/people.ldif",
	}})
}

// StartDirectory runs Debian's slapd with a small directory.
func StartDirectory(tb testing.TB) *Directory {
	tb.Helper()
	needs(tb, "slapd", "/usr/sbin/slapd")
	needs(tb, "ldap-utils", "/usr/bin/ldapadd")
	dir := newDir(tb)
	d := &Directory{
		BaseDN: directoryTop, BindDN: "cn=manager," + directoryTop, BindPassword: "manager-Pass1",
		Accounts: []Account{{"joe", "joe-Pass1"}, {"ann", "ann-Pass1"}, {"bob", "bob-Pass1"}},
	}
	makeDirs(tb, dir, "db")
	certificate, pemRoots, err := selfSigned("localhost")
	if err != nil {
		tb.Fatalf("legacytest: slapd: %v", err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		tb.Fatalf("legacytest: slapd: %v", err)
	}
	secure := FreeAddr(tb)
	d.SecureURL, d.CAFile = "ldaps://"+secure, dir+"/certificate.pem"
	put(tb, dir, map[string]string{
		"entries.ldif": d.entries(), "certificate.pem": string(pemRoots),
		"key.pem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"slapd.conf": fmt.Sprintf(`include %score.schema
include %scosine.schema
include %sinetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload ppolicy
pidfile %s/pid
TLSCACertificateFile %s/certificate.pem
TLSCertificateFile %s/certificate.pem
TLSCertificateKeyFile %s/key.pem
database mdb
suffix "%s"
rootdn "%s"
rootpw %s
directory %s/db
maxsize 1073741824
dbnosync
index objectClass,uid,mail eq
overlay memberof
overlay ppolicy
access to attrs=userPassword by self write by anonymous auth by * none
access to * by * read
`, schemas, schemas, schemas, dir, dir, dir, dir, d.BaseDN, d.BindDN, d.BindPassword, dir),
	})
	d.Addr = serve(tb, func(addr string) command {
		return command{name: "slapd", dir: dir, user: webUser, argv: []string{
			"/usr/sbin/slapd", "-d", "0", "-f", dir + "/slapd.conf", "-h", "ldap://" + addr + " " + d.SecureURL,
		}}
	})
	d.URL = "ldap://" + d.Addr
	// Added through the server: slapadd would leave memberOf out.
	run(tb, command{name: "ldapadd", dir: dir, user: webUser, argv: []string{
		"/usr/bin/ldapadd", "-x", "-H", d.URL, "-D", d.BindDN, "-w", d.BindPassword, "-f", dir + "/entries.ldif",
	}})
	return d
}

// entries is the directory's content as LDIF, people before groups.
func (d *Directory) entries() string {
	ldif := fmt.Sprintf(`dn: %[1]s
objectClass: dcObject
objectClass: organization
dc: county
o: County of Ashdown

dn: ou=people,%[1]s
objectClass: organizationalUnit
ou: people

dn: ou=groups,%[1]s
objectClass: organizationalUnit
ou: groups

`, d.BaseDN)
	for i, p := range []struct{ first, last, mobile string }{
		{"Joe", "Bloggs", "mobile: +447700900101\n"}, {"Ann", "Fairleigh", "mobile: +447700900102\n"}, {"Bob", "Kettle", ""},
	} {
		a := d.Accounts[i]
		ldif += fmt.Sprintf("dn: %s\nobjectClass: inetOrgPerson\nuid: %s\ncn: %s %s\ngivenName: %s\nsn: %s\n%smail: %s@county.test\nuserPassword: %s\n\n",
			d.PersonDN(a.Username), a.Username, p.first, p.last, p.first, p.last, p.mobile, a.Username, a.Password)
	}
	return ldif + fmt.Sprintf(`dn: cn=clerks,ou=groups,%[1]s
objectClass: groupOfNames
cn: clerks
member: %[2]s
member: %[3]s

dn: cn=admins,ou=groups,%[1]s
objectClass: groupOfNames
cn: admins
member: %[3]s

dn: cn=staff,ou=groups,%[1]s
objectClass: groupOfNames
cn: staff
member: cn=clerks,ou=groups,%[1]s
`, d.BaseDN, d.PersonDN("joe"), d.PersonDN("ann"))
}
