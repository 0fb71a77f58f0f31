package caddymodule

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

const (
	joesSite = `{{site}} {
	stepgate {
		sign_in local
		policy {
			require signed_in /
		}
	}
	reverse_proxy {{upstream}}
}
`
	othersJoeSite = `{{other}} {
	basic_auth {
		joe {{hash}}
		ann {{hash}}
	}
	stepgate {
		sign_in trusted {http.auth.user.id}
		policy {
			require signed_in /
		}
	}
	reverse_proxy {{upstream}}
}
`
)

// told is what the upstream was last told of a person: the header, and of the
// assertion the subject.
func (g *rig) told() (user, subject string) {
	g.t.Helper()
	seen := g.last()
	if seen == nil {
		return "", ""
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	parts := strings.Split(seen.Header.Get(assertionHeader), ".")
	if len(parts) == 3 {
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err == nil {
			err = json.Unmarshal(payload, &claims)
		}
		if err != nil {
			g.t.Fatal(err)
		}
	}
	return seen.Header.Get("Remote-User"), claims.Subject
}

// TestOneUsernameOfTwoSourcesIsTwoPeople has two sites with a source each, and
// somebody called joe in both; and then one site with both sources.
func TestOneUsernameOfTwoSourcesIsTwoPeople(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	other := "http://" + freeAddress(t)
	sites := strings.NewReplacer("{{other}}", other, "{{hash}}", string(hash))
	g := startGateway(t, sites.Replace(joesSite+othersJoeSite), nil)
	ours := g.addUser("joe")
	b, named := g.browser(), g.browser()
	b.signInAs(b.get("/"), "joe", password1).want(http.StatusOK, "/")
	user, subject := g.told()
	named.get(other+"/", basicAs("joe")).want(http.StatusOK, "/")
	theirs, err := active.Load().store.AccountByUsername(t.Context(), "trusted", "joe")
	if err != nil || theirs.ID == ours.ID {
		t.Fatalf("the other source's joe: %v, %v", theirs.ID, err)
	}
	if user != "joe" || subject != string(ours.ID) {
		t.Errorf("of the local joe the upstream is told %q, %q", user, subject)
	}
	if user, subject := g.told(); user != "joe" || subject != string(theirs.ID) {
		t.Errorf("of the other joe the upstream is told %q, %q", user, subject)
	}
	for site, who := range map[string]account.ID{g.url: ours.ID, other: theirs.ID} {
		logins, err := active.Load().store.Events(t.Context(), audit.Query{Account: string(who), Names: []audit.Name{audit.LoginSuccess}, Limit: 10})
		if err != nil || len(logins) != 1 || logins[0].Site != site {
			t.Errorf("the sign-ins of %s in the trail: %+v, %v", who, logins, err)
		}
	}

	// One application would take the two for one: the first source has the name.
	g.load(sites.Replace(joesSite + strings.Replace(othersJoeSite, "sign_in trusted", "sign_in local\n\t\tsign_in trusted", 1)))
	for who, browser := range map[string]*browser{"a new browser": g.browser(), "a browser that was signed in": named} {
		p := browser.get(other+"/", basicAs("joe"))
		if user, subject := g.told(); user != "" || subject != "" {
			t.Errorf("%s reaches the application as %q, %q: %d at %s", who, user, subject, p.status, p.url)
		}
	}
	g.browser().get(other+"/", basicAs("ann")).want(http.StatusOK, "/")
	if user, _ := g.told(); user != "ann" {
		t.Errorf("somebody whose name is theirs alone: %q", user)
	}

	// No token leads around that.
	secret := string(g.token(theirs, "/*").Token.Reveal())
	programs := func(sources string) string { return strings.Replace(ownSite, "policy {", sources+"\n\t\tpolicy {", 1) }
	g.load(programs("sign_in trusted {http.auth.user.id}"))
	if got := g.dav(http.MethodGet, "/dav/1", bearer(secret)); got.StatusCode != http.StatusOK {
		t.Errorf("a token at a site of its own source: %s", got.Status)
	}
	for why, sources := range map[string]string{
		"somebody whose name another has": "sign_in local\n\t\tsign_in trusted {http.auth.user.id}", "a source that is gone": "sign_in local",
	} {
		g.load(programs(sources))
		if got := g.dav(http.MethodGet, "/dav/1", bearer(secret)); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("a token of %s: %s", why, got.Status)
		}
	}
}
