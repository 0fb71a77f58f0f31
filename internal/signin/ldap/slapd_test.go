package ldap_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ldapclient "github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/legacytest"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/signin/ldap"
)

func directory(t testing.TB) *legacytest.Directory {
	t.Helper()
	if testing.Short() {
		t.Skip("starts slapd")
	}
	return legacytest.StartDirectory(t)
}

// secure is how an operator would configure the test's directory.
func secure(d *legacytest.Directory) ldap.Config {
	return ldap.Config{
		Servers: []string{d.URL}, StartTLS: true, CAFile: d.CAFile, BaseDN: "ou=people," + d.BaseDN,
		BindDN: d.BindDN, BindPassword: d.BindPassword,
	}
}

func open(t testing.TB, c ldap.Config) *ldap.Source {
	t.Helper()
	s, err := ldap.New("ldap", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func check(t testing.TB, s *ldap.Source, name, password string) (signin.Identity, error) {
	t.Helper()
	return s.CheckPassword(t.Context(), name, account.Secret(password))
}

func TestSignInReadsThePersonOverStartTLSAndLDAPS(t *testing.T) {
	d := directory(t)
	ldaps := secure(d)
	ldaps.Servers, ldaps.StartTLS = []string{d.SecureURL}, false
	for name, config := range map[string]ldap.Config{"StartTLS": secure(d), "ldaps": ldaps} {
		who, err := check(t, open(t, config), "joe", "joe-Pass1")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := signin.Identity{
			Source: "ldap", Username: "joe", Name: "Joe Bloggs", Email: "joe@county.test", Mobile: "+447700900101",
			Groups: []string{"clerks"}, GroupsKnown: true, MayCreate: true,
		}
		if diff := cmp.Diff(want, who, cmpopts.IgnoreFields(signin.Identity{}, "Subject")); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		if len(who.Subject) != 36 {
			t.Errorf("%s: subject %q is no entryUUID", name, who.Subject)
		}
	}
}

func TestRefusesWhoeverDoesNotKnowThePassword(t *testing.T) {
	d := directory(t)
	c := secure(d)
	c.Domains = []string{"COUNTY"}
	s := open(t, c)
	for _, try := range [][2]string{
		{"joe", "wrong"}, {"joe", ""}, {"joe", "joe-Pass1\x00"}, {"joe", "ann-Pass1"}, {"nobody", "joe-Pass1"}, {"", "joe-Pass1"},
		{"*", "joe-Pass1"}, {"j*", "joe-Pass1"}, {"joe)(uid=*", "joe-Pass1"}, {"joe)(|(uid=*", "joe-Pass1"}, {"*)(userPassword=*", "joe-Pass1"},
		{"jo\\65", "joe-Pass1"}, {`OTHER\joe`, "joe-Pass1"}, {`COUNTY\`, "joe-Pass1"}, {"joe\x00", "joe-Pass1"},
		{"uid=joe,ou=people," + d.BaseDN, "joe-Pass1"},
	} {
		if who, err := check(t, s, try[0], try[1]); !errors.Is(err, signin.ErrRefused) {
			t.Errorf("%q with %q: %v, %v; want ErrRefused", try[0], try[1], who, err)
		}
	}
	if _, err := check(t, s, `county\joe`, "joe-Pass1"); err != nil {
		t.Errorf("with the directory's own domain: %v", err)
	}
}

func TestAFilterThatMatchesTwoSignsNobodyIn(t *testing.T) {
	d := directory(t)
	c := secure(d)
	c.Filter = "(|(uid={username})(uid=ann))"
	if who, err := check(t, open(t, c), "joe", "joe-Pass1"); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("%v, %v", who, err)
	}
}

func TestNestedGroupsAreFoundThroughTheirGroups(t *testing.T) {
	d := directory(t)
	c := secure(d)
	c.NestedGroups = true
	who, err := check(t, open(t, c), "joe", "joe-Pass1")
	if err != nil || !slices.Equal(who.Groups, []string{"clerks", "staff"}) {
		t.Errorf("%v, %v", who.Groups, err)
	}
}

func TestANameThatChangedHandsIsAnotherSubject(t *testing.T) {
	d := directory(t)
	s := open(t, secure(d))
	before, err := check(t, s, "bob", "bob-Pass1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recheck(t.Context(), before.Subject); err != nil {
		t.Errorf("recheck: %v", err)
	}
	manager := asManager(t, d)
	if err := manager.Del(ldapclient.NewDelRequest(d.PersonDN("bob"), nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recheck(t.Context(), before.Subject); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("recheck of somebody who is gone: %v", err)
	}
	again := ldapclient.NewAddRequest(d.PersonDN("bob"), nil)
	again.Attribute("objectClass", []string{"inetOrgPerson"})
	for name, value := range map[string]string{"uid": "bob", "cn": "Bob Other", "sn": "Other", "userPassword": "bob-Pass2"} {
		again.Attribute(name, []string{value})
	}
	if err := manager.Add(again); err != nil {
		t.Fatal(err)
	}
	after, err := check(t, s, "bob", "bob-Pass2")
	if err != nil || after.Subject == before.Subject {
		t.Errorf("subject %s before and %s after, %v", before.Subject, after.Subject, err)
	}
	if _, err := s.Recheck(t.Context(), before.Subject); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("recheck of the name's former owner: %v", err)
	}
	if _, err := s.Recheck(t.Context(), "*"); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("recheck of a wildcard: %v", err)
	}
}

// policed gives bob a password policy, and lets him change his password through
// the source.
func policed(t *testing.T, attributes map[string]string) (*legacytest.Directory, *ldap.Source) {
	d := directory(t)
	manager := asManager(t, d)
	policy := ldapclient.NewAddRequest("cn=policy,"+d.BaseDN, nil)
	policy.Attribute("objectClass", []string{"device", "pwdPolicy"})
	policy.Attribute("pwdAttribute", []string{"userPassword"})
	for name, value := range attributes {
		policy.Attribute(name, []string{value})
	}
	if err := manager.Add(policy); err != nil {
		t.Fatal(err)
	}
	change := ldapclient.NewModifyRequest(d.PersonDN("bob"), nil)
	change.Add("pwdPolicySubentry", []string{"cn=policy," + d.BaseDN})
	if err := manager.Modify(change); err != nil {
		t.Fatal(err)
	}
	c := secure(d)
	c.ChangePassword = true
	return d, open(t, c)
}

func TestAPasswordIsChangedThroughTheDirectory(t *testing.T) {
	_, s := policed(t, map[string]string{"pwdMinLength": "8", "pwdCheckQuality": "2"})
	bob, err := check(t, s, "bob", "bob-Pass1")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		who             signin.Person
		present, chosen string
		want            error
	}{
		{signin.Person{Username: "bob"}, "wrong", "bob-Pass2", signin.ErrRefused},
		{signin.Person{Username: "bob"}, "", "bob-Pass2", signin.ErrRefused},
		{signin.Person{Username: "bob"}, "bob-Pass1", "", signin.ErrRefused},
		{signin.Person{Username: "nobody"}, "bob-Pass1", "bob-Pass2", signin.ErrRefused},
		{signin.Person{Subject: "*"}, "bob-Pass1", "bob-Pass2", signin.ErrRefused},
		{signin.Person{Username: "bob"}, "bob-Pass1", "short", signin.ErrUnsuitable},
		{signin.Person{Username: "bob"}, "bob-Pass1", "bob-Pass2", nil},
		{signin.Person{Subject: bob.Subject}, "bob-Pass2", "bob-Pass3", nil},
	} {
		if err := s.ChangePassword(t.Context(), row.who, account.Secret(row.present), account.Secret(row.chosen)); !errors.Is(err, row.want) || row.want == nil && err != nil {
			t.Errorf("%+v from %q to %q: %v, want %v", row.who, row.present, row.chosen, err, row.want)
		}
	}
	if _, err := check(t, s, "bob", "bob-Pass1"); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("the old password: %v", err)
	}
	if again, err := s.CheckSubject(t.Context(), bob.Subject, account.Secret("bob-Pass3")); err != nil || again.Subject != bob.Subject {
		t.Errorf("the new password: %+v, %v", again, err)
	}
}

func TestAPasswordThatMustBeChangedIsToldAndChanged(t *testing.T) {
	d, s := policed(t, map[string]string{"pwdMustChange": "TRUE"})
	reset := ldapclient.NewModifyRequest(d.PersonDN("bob"), nil)
	reset.Replace("pwdReset", []string{"TRUE"})
	if err := asManager(t, d).Modify(reset); err != nil {
		t.Fatal(err)
	}
	told := new(signin.Refusal)
	if _, err := check(t, s, "bob", "bob-Pass1"); !errors.As(err, &told) || told.Reason != signin.PasswordMustChange {
		t.Fatalf("%v; want %s", err, signin.PasswordMustChange)
	}
	if err := s.ChangePassword(t.Context(), signin.Person{Username: "bob"}, account.Secret("bob-Pass1"), account.Secret("bob-Pass2")); err != nil {
		t.Fatal(err)
	}
	if _, err := check(t, s, "bob", "bob-Pass2"); err != nil {
		t.Errorf("with the new one: %v", err)
	}
}

func TestAPasswordThatHasExpiredIsToldAndChanged(t *testing.T) {
	_, s := policed(t, map[string]string{"pwdMaxAge": "1"})
	told := new(signin.Refusal)
	change := func(present, chosen string) error {
		return s.ChangePassword(t.Context(), signin.Person{Username: "bob"}, account.Secret(present), account.Secret(chosen))
	}
	// A password has an age from its first change under a policy.
	if err := change("bob-Pass1", "bob-Pass2"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		_, err := check(t, s, "bob", "bob-Pass2")
		if errors.As(err, &told) && told.Reason == signin.PasswordExpired {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v; want %s", err, signin.PasswordExpired)
		}
	}
	if err := change("bob-Pass2", "bob-Pass3"); err != nil {
		t.Fatal(err)
	}
	if err := change("bob-Pass2", "bob-Pass4"); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("from the one before: %v", err)
	}
}

func TestWhoIsKeptOutByTheFilterIsNotFoundAgainEither(t *testing.T) {
	d := directory(t)
	c := secure(d)
	c.Filter = "(&(objectClass=person)(mail={login})(memberOf=cn=admins,ou=groups," + d.BaseDN + "))"
	s := open(t, c)
	ann, err := check(t, s, "ann@county.test", "ann-Pass1")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Recheck(t.Context(), ann.Subject); err != nil || again.Username != "ann" {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := s.CheckSubject(t.Context(), ann.Subject, account.Secret("ann-Pass1")); err != nil {
		t.Errorf("by the subject: %v", err)
	}
	joe, err := check(t, open(t, secure(d)), "joe", "joe-Pass1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Recheck(t.Context(), joe.Subject); !errors.Is(err, signin.ErrRefused) {
		t.Errorf("somebody whom the filter keeps out: %v", err)
	}
}

func asManager(t testing.TB, d *legacytest.Directory) *ldapclient.Conn {
	t.Helper()
	conn, err := ldapclient.DialURL(d.URL)
	if err == nil {
		err = conn.Bind(d.BindDN, d.BindPassword)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestACertificateOfAnotherAuthorityIsNotSpokenTo(t *testing.T) {
	d := directory(t)
	c := secure(d)
	c.CAFile = ""
	c.Timeout = 90 * time.Second
	if _, err := check(t, open(t, c), "joe", "joe-Pass1"); err == nil || errors.Is(err, signin.ErrRefused) {
		t.Errorf("%v; want a technical error", err)
	}
}

func TestTheNextServerIsAskedAndADeadOneIsNoRefusal(t *testing.T) {
	d := directory(t)
	c := secure(d)
	dead := "ldap://" + legacytest.FreeAddr(t)
	c.Servers = []string{dead, d.URL}
	c.Timeout = 90 * time.Second
	s := open(t, c)
	for range 3 {
		if _, err := check(t, s, "joe", "joe-Pass1"); err != nil {
			t.Fatal(err)
		}
	}
	c.Servers = []string{dead}
	_, err := check(t, open(t, c), "joe", "joe-Pass1")
	if err == nil || errors.Is(err, signin.ErrRefused) {
		t.Errorf("no server: %v; want a technical error", err)
	}
	if err != nil && strings.Contains(err.Error(), "joe-Pass1") {
		t.Errorf("the error has the password: %v", err)
	}
	c = secure(d)
	c.BindPassword = "not-the-reader"
	if _, err := check(t, open(t, c), "joe", "joe-Pass1"); err == nil || errors.Is(err, signin.ErrRefused) {
		t.Errorf("a reader who is not let in: %v; want a technical error", err)
	}
}

func TestManyAtOnceShareFewConnections(t *testing.T) {
	d := directory(t)
	c := secure(d)
	c.Connections = 2
	s := open(t, c)
	var group sync.WaitGroup
	errs := make(chan error, 40)
	for i := range 40 {
		group.Go(func() {
			a := d.Accounts[i%len(d.Accounts)]
			who, err := s.CheckPassword(t.Context(), a.Username, account.Secret(a.Password))
			if err == nil && who.Username != a.Username {
				err = errors.New("signed in as " + who.Username + " with the password of " + a.Username)
			}
			errs <- err
		})
	}
	group.Wait()
	for range 40 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkSignIn compares sign-ins with bare binds, turn about in one run and over TLS both, in a
// directory of 50,000 people: the ratio is what a sign-in costs in binds, which
// is the search for the person, the comparison and the way there.
func BenchmarkSignIn(b *testing.B) {
	const people, round, workers = 50000, 2000, 8
	d := directory(b)
	d.AddPeople(b, people)
	s := open(b, secure(d))
	var conns [workers]*ldapclient.Conn
	for i := range conns {
		conns[i] = asManager(b, d)
		if err := conns[i].StartTLS(&tls.Config{InsecureSkipVerify: true}); err != nil {
			b.Fatal(err)
		}
	}
	at := 0
	turn := func(one func(worker int, uid string) error) time.Duration {
		began, first := time.Now(), at
		at += round
		var all sync.WaitGroup
		for worker := range workers {
			all.Go(func() {
				for i := worker; i < round; i += workers {
					if err := one(worker, fmt.Sprintf("p%05d", (first+i)*7919%people)); err != nil {
						b.Error(err)
					}
				}
			})
		}
		all.Wait()
		return time.Since(began)
	}
	var signIns, binds time.Duration
	rounds := 0
	for b.Loop() {
		rounds++
		signIns += turn(func(_ int, uid string) error {
			_, err := s.CheckPassword(b.Context(), uid, account.Secret("pass-"+uid))
			return err
		})
		binds += turn(func(worker int, uid string) error { return conns[worker].Bind(d.PersonDN(uid), "pass-"+uid) })
	}
	b.ReportMetric(float64(rounds*round)/signIns.Seconds(), "sign-ins/s")
	b.ReportMetric(float64(rounds*round)/binds.Seconds(), "binds/s")
	b.ReportMetric(signIns.Seconds()/binds.Seconds(), "binds/sign-in")
}
