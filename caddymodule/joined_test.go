package caddymodule

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// twoSites are a portal that signs people in, and a site that leaves it to the
// portal.
func twoSites(t *testing.T) (g *rig, other string) {
	t.Helper()
	other = "http://" + freeAddress(t)
	g = startGateway(t, strings.ReplaceAll(`{{site}} {
	stepgate {
		policy {
			require signed_in /*
			require mfa       /cases/*
		}
	}
	reverse_proxy {{upstream}}
}
{{other}} {
	stepgate {
		sign_in_at {{site}}
		policy {
			level fresh {
				accept password
				max_age 10m
			}
			require signed_in /*
			require mfa       /cases/*
			require fresh     /fresh/*
		}
	}
	reverse_proxy {{upstream}}
}
`, "{{other}}", other), nil)
	g.addUser("joe")
	return g, other
}

func TestOneSignInServesTwoSites(t *testing.T) {
	g, other := twoSites(t)
	b := g.browser()
	// The other site sends people to the portal, and has them back at the URL.
	at := b.get(other + "/reports?q=a%2Fb")
	if !strings.HasPrefix(at.url.String(), g.url+"/.stepgate/sign-in") {
		t.Fatalf("at %s, not at the portal's sign-in", at.url)
	}
	p := b.signInAs(at, "joe", password1)
	if seen := g.last(); p.status != http.StatusOK || p.url.String() != other+"/reports?q=a%2Fb" || seen == nil || seen.Header.Get("Remote-User") != "joe" {
		t.Fatalf("%d at %s, the upstream got %+v", p.status, p.url, seen)
	}
	b.get("/").want(http.StatusOK, "/") // and the portal knows them too

	// What is proved at the portal counts at the other site from the next
	// sign-in there on.
	b.enrol(b.get("/cases/1").atEnrolment()).want(http.StatusOK, "/cases/1")
	fresh := g.browser()
	// Cookies know no ports, so that those of the portal are told by name.
	port := mustParse(g.url).Port()
	fresh.jar.SetCookies(mustParse(g.url), slices.DeleteFunc(b.jar.Cookies(mustParse(g.url)), func(c *http.Cookie) bool { return !strings.Contains(c.Name, port) }))
	fresh.get(other+"/cases/1").want(http.StatusOK, "/cases/1")
}

func TestSigningOutOfOneSiteSignsOutOfAll(t *testing.T) {
	for name, from := range map[string]func(portal, other string) string{
		"the portal":     func(portal, _ string) string { return portal },
		"the other site": func(_, other string) string { return other },
	} {
		t.Run(name, func(t *testing.T) {
			g, other := twoSites(t)
			b, stays := g.browser(), g.browser()
			b.signInAs(b.get(other+"/"), "joe", password1)
			stays.signInAs(stays.get(other+"/"), "joe", password1)
			page := b.get(from(g.url, other) + "/.stepgate/sign-out")
			action, form := page.form("csrf_token")
			b.do(http.MethodPost, page.url.ResolveReference(mustParse(action)).String(), form, func(r *http.Request) {
				r.Header.Set("Origin", from(g.url, other))
			}).at("/sign-out")
			for _, site := range []string{g.url, other} {
				waitFor(t, func() bool {
					return strings.Contains(b.get(site+"/.stepgate/status", fetch).body, `"signed_in":false`)
				})
				if p := stays.get(site+"/.stepgate/status", fetch); !strings.Contains(p.body, `"signed_in":true`) {
					t.Errorf("another sign-in at %s ended as well: %s", site, p.body)
				}
			}
		})
	}
}

func TestACodeIsForOneSiteOneBrowserAndOnce(t *testing.T) {
	g, other := twoSites(t)
	b := g.browser()
	b.signInAs(b.get("/"), "joe", password1)
	// The last redirect, with the code in it, is held back.
	var code string
	b.client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/.stepgate/joined" {
			code = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	b.get(other + "/reports")
	if code == "" {
		t.Fatal("no code was handed over")
	}
	b.client.CheckRedirect = nil
	if p := g.browser().get(code); p.status != http.StatusForbidden {
		t.Errorf("in another browser: %d at %s", p.status, p.url)
	}
	moved := mustParse(code)
	moved.Host = mustParse(g.url).Host
	if p := g.browser().get(moved.String()); p.status == http.StatusOK && strings.Contains(p.body, "upstream") {
		t.Errorf("at another site: %d at %s", p.status, p.url)
	}
	b.get(code).want(http.StatusOK, "/reports")
	if p := g.browser().get(code); p.status != http.StatusForbidden {
		t.Errorf("a second time: %d at %s", p.status, p.url)
	}
	forged := g.url + "/.stepgate/hand-over?" + url.Values{"t": {"x"}}.Encode()
	if p := b.get(forged); p.status != http.StatusForbidden {
		t.Errorf("a request of nobody's: %d at %s", p.status, p.url)
	}
}

func TestAFreshPasswordIsAskedForAtThePortal(t *testing.T) {
	g, other := twoSites(t)
	b := g.browser()
	b.signInAs(b.get(other+"/"), "joe", password1)
	g.age(11 * time.Minute)
	at := b.get(other + "/fresh/1")
	if !strings.HasPrefix(at.url.String(), g.url+"/.stepgate/") {
		t.Fatalf("at %s, not at the portal", at.url)
	}
	if p := b.signInAs(at, "joe", password1); p.url.Host != mustParse(other).Host {
		t.Errorf("after the password: %d at %s", p.status, p.url)
	}
}
