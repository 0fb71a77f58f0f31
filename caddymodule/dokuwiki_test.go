package caddymodule

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/legacytest"
	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/author"
)

const dokuwikiExample = "../docs/examples/dokuwiki/Caddyfile"

func drawDokuWiki(t *testing.T) *drawing {
	t.Helper()
	d, err := draw(dokuwikiExample, "")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDokuWikiExampleHoldsWhatItAsserts: the example's assertions are part of
// the documentation.
func TestDokuWikiExampleHoldsWhatItAsserts(t *testing.T) {
	site := drawDokuWiki(t).sites()[0]
	if err := checkAssertFile(site, "../docs/examples/dokuwiki/policy.assert"); err != nil {
		t.Error(err)
	}
}

// TestDokuWikiExampleIsClean: lint has notes about it at most.
func TestDokuWikiExampleIsClean(t *testing.T) {
	found, err := drawDokuWiki(t).lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if !f.Note {
			t.Errorf("%s:%d: %s [%s]", f.File, f.Line, f.Text, f.Code)
		}
	}
}

var dokuwikiMode = regexp.MustCompile(`class="[^"]*\bmode_(\w+)`)

// TestDokuWikiExampleSeesWhatDokuWikiDoes asks the real one what each spelling
// of an action does, and the policy what it needs: where DokuWiki leaves the
// pages for reading, more than a sign-in does.
func TestDokuWikiExampleSeesWhatDokuWikiDoes(t *testing.T) {
	wiki := legacytest.StartDokuWiki(t, legacytest.Options{})
	alice := dokuwikiAdministrator(t, wiki)
	site := drawDokuWiki(t).sites()[0]
	reading := []string{"show", "recent", "index", "search", "revisions", "diff", "backlink", "login", "register", "resendpwd"}
	left := 0
	for _, action := range []string{
		"edit", "EDIT", "e-dit", "ed%20it", "%65dit", "e0dit", "admin", "ad-min", "ad%00min", "ad;min", "media", "med.ia", "draft", "profile", "source", "recent",
		"revert", "subscribe", "show",
	} {
		for _, query := range []string{"do=" + action, "do[" + action + "]=show", "do[" + action + "]", "do%5B" + action + "%5D=x", "do=show&do=" + action, "d%6F=" + action, "do[x]=y&do=" + action} {
			target := "/doku.php?id=start&" + query
			mode := dokuwikiDoes(t, alice, wiki.URL+target)
			answer := site.Explain(author.Facts{Method: http.MethodGet, Target: target, Now: time.Now()})
			more := answer.Refused != nil || answer.Deny || !slices.Equal(answer.Levels, []string{policy.LevelSignedIn})
			if !slices.Contains(reading, mode) {
				left++
				if !more {
					t.Errorf("%s: DokuWiki does %q, and the policy asks for %v", target, mode, answer.Levels)
				}
			}
		}
	}
	if left < 90 {
		t.Errorf("DokuWiki left the pages for reading %d times only", left)
	}
}

// dokuwikiAdministrator is a browser in which an administrator signed in.
func dokuwikiAdministrator(t *testing.T, wiki *legacytest.App) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	alice := wiki.Accounts[0]
	response, err := browser.PostForm(wiki.URL+wiki.Login.Submit, url.Values{
		wiki.Login.UsernameField: {alice.Username}, wiki.Login.PasswordField: {alice.Password},
	})
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if mode := dokuwikiDoes(t, browser, wiki.URL+"/doku.php?id=start&do=admin"); mode != "admin" {
		t.Fatalf("the administrator sees %q", mode)
	}
	return browser
}

// dokuwikiDoes is the action that the page's own mark names.
func dokuwikiDoes(t *testing.T, browser *http.Client, url string) string {
	t.Helper()
	response, err := browser.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	mode := dokuwikiMode.FindStringSubmatch(string(page))
	if mode == nil {
		return strings.ToLower(response.Status)
	}
	return mode[1]
}
