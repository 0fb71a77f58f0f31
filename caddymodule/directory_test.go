package caddymodule

import (
	"net/http"
	"strings"
	"testing"
	"time"

	ldapclient "github.com/go-ldap/ldap/v3"

	"github.com/stepgate/stepgate/internal/legacytest"
)

// directorySite signs people in with a directory, and local accounts beside it.
func directorySite(d *legacytest.Directory) string {
	return strings.NewReplacer("{{ldap}}", d.URL, "{{ca}}", d.CAFile, "{{base}}", d.BaseDN, "{{reader}}", d.BindDN, "{{password}}", d.BindPassword).Replace(`{{site}} {
	stepgate {
		sign_in ldap {{ldap}} {
			base_dn       ou=people,{{base}}
			filter        "(uid={username})"
			bind_dn       {{reader}}
			bind_password {{password}}
			start_tls
			ca_file       {{ca}}
			nested_groups
			recheck 1s
		}
		sign_in local
		enrolment self
		policy {
			require signed_in /
			require mfa       /cases/*
			require signed_in /admin/* {
				group admins
			}
		}
	}
	reverse_proxy {{upstream}}
}
`)
}

func TestADirectorySignsPeopleInBesideLocalAccounts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts slapd")
	}
	d := legacytest.StartDirectory(t)
	g := startGateway(t, directorySite(d), nil)
	g.addUser("owner")

	joe := g.browser()
	p := joe.signInAs(joe.get("/cases/1?x=%2F"), "joe", "joe-Pass1")
	p = joe.enrol(p.atEnrolment())
	if seen := g.last(); p.status != http.StatusOK || seen == nil || seen.Line != "GET /cases/1?x=%2F" {
		t.Fatalf("%d at %s: %+v", p.status, p.url, seen)
	} else if seen.Header.Get("Remote-User") != "joe" || seen.Header.Get("Remote-Name") != "Joe Bloggs" || seen.Header.Get("Remote-Groups") != "clerks,staff" || seen.Header.Get("Remote-Email") != "joe@county.test" {
		t.Errorf("the upstream is told %v", seen.Header)
	}
	joe.get("/admin/").want(http.StatusForbidden, "")

	ann := g.browser()
	ann.signInAs(ann.get("/admin/"), "ann", "ann-Pass1").want(http.StatusOK, "/admin/")
	owner := g.browser()
	owner.signInAs(owner.get("/"), "owner", password1).want(http.StatusOK, "/")
	for _, wrong := range [][2]string{{"joe", "wrong"}, {"owner", "joe-Pass1"}, {"*", "joe-Pass1"}} {
		b := g.browser()
		b.signInAs(b.get("/"), wrong[0], wrong[1]).want(http.StatusForbidden, "")
	}

	// Groups and name are what the directory says today.
	manager, err := ldapclient.DialURL(d.URL)
	if err == nil {
		err = manager.Bind(d.BindDN, d.BindPassword)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	change := ldapclient.NewModifyRequest("cn=admins,ou=groups,"+d.BaseDN, nil)
	change.Add("member", []string{d.PersonDN("joe")})
	if err := manager.Modify(change); err != nil {
		t.Fatal(err)
	}
	becomes(t, "the groups of somebody who is signed in are those of today", func() bool { return joe.get("/admin/").status == http.StatusOK })
	again := g.browser()
	again.signInAs(again.get("/admin/"), "joe", "joe-Pass1").want(http.StatusOK, "/admin/")

	// Whom it does not have any more is signed out, and nobody else.
	if err := manager.Del(ldapclient.NewDelRequest(d.PersonDN("joe"), nil)); err != nil {
		t.Fatal(err)
	}
	becomes(t, "somebody who has left is signed out", func() bool { return joe.get("/").url.Path == "/.stepgate/sign-in" })
	again.get("/").at("/sign-in")
	ann.get("/").want(http.StatusOK, "/")
	owner.get("/").want(http.StatusOK, "/")
}

func becomes(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// signInAs fills in the sign-in page.
func (b *browser) signInAs(p *page, name, password string) *page {
	b.t.Helper()
	return b.submit(p, "password", map[string]string{"username": name, "password": password})
}

func TestADirectoryThatIsDownKeepsWhoIsSignedIn(t *testing.T) {
	if testing.Short() {
		t.Skip("starts slapd")
	}
	d := legacytest.StartDirectory(t)
	way, cut := forward(t, legacytest.FreeAddr(t), d.Addr)
	g := startGateway(t, strings.Replace(directorySite(d), d.URL, "ldap://"+way, 1), nil)
	joe := g.browser()
	joe.signInAs(joe.get("/"), "joe", "joe-Pass1").want(http.StatusOK, "/")
	cut()
	joe.get("/").want(http.StatusOK, "/")
	ann := g.browser()
	p := ann.signInAs(ann.get("/"), "ann", "ann-Pass1").want(http.StatusServiceUnavailable, "")
	if strings.Contains(p.body, "dial") || p.marked("reference") == "" {
		t.Errorf("the page of a directory that is down: %s", p.body)
	}
}

// TestADirectorysPasswordIsAskedForAgainAndChanged has people who sign in with
// their address, by which their accounts are not named.
func TestADirectorysPasswordIsAskedForAgainAndChanged(t *testing.T) {
	if testing.Short() {
		t.Skip("starts slapd")
	}
	d := legacytest.StartDirectory(t)
	site := strings.NewReplacer(`"(uid={username})"`, "(mail={login})\n\t\t\tchange_password", "policy {", `policy {
			level again {
				accept password
				once
			}
			require again /pay/*`).Replace(directorySite(d))
	g := startGateway(t, site, nil)

	joe := g.browser()
	joe.signInAs(joe.get("/"), "joe@county.test", "joe-Pass1").want(http.StatusOK, "/")
	asked := joe.get("/pay/1").at("/challenge/password")
	for _, wrong := range []string{"wrong", "ann-Pass1"} {
		joe.submit(asked, "password", map[string]string{"password": wrong}).want(http.StatusForbidden, "")
	}
	joe.submit(asked, "password", map[string]string{"password": "joe-Pass1"}).want(http.StatusOK, "/pay/1")

	// joe changes his password on the account page, and goes on.
	change := joe.get("/.stepgate/account/password").want(http.StatusOK, "")
	joe.submit(change, "new_password", map[string]string{"password": "joe-Pass1", "new_password": "joe-Pass2"}).at("/account")
	old := g.browser()
	old.signInAs(old.get("/"), "joe@county.test", "joe-Pass1").want(http.StatusForbidden, "")
	old.signInAs(old.get("/"), "joe@county.test", "joe-Pass2").want(http.StatusOK, "/")

	// bob has to change his before anything else.
	d.MustChange(t, "bob")
	bob := g.browser()
	stale := bob.signInAs(bob.get("/?x=%2F"), "bob@county.test", "bob-Pass1")
	if stale.status != http.StatusOK || !strings.Contains(stale.body, "has to be changed") {
		t.Fatalf("%d at %s:\n%s", stale.status, stale.url, stale.body)
	}
	stale = bob.submit(stale, "new_password", map[string]string{"password": "bob-Pass1", "new_password": "x"}).want(http.StatusBadRequest, "")
	bob.submit(stale, "new_password", map[string]string{"password": "bob-Pass1", "new_password": "bob-Pass2"}).want(http.StatusOK, "/?x=%2F")
}
