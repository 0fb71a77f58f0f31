package caddymodule

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/kept"
)

var shownReference = regexp.MustCompile(`data-stepgate="reference">([^<]+)<`)

// writtenUnder is what the trail has under the reference that a page shows.
func (g *rig) writtenUnder(p *page) audit.Record {
	g.t.Helper()
	shown := shownReference.FindStringSubmatch(p.body)
	if shown == nil {
		g.t.Fatalf("no reference at %s (%d):\n%s", p.url, p.status, p.body)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		found, err := active.Load().store.EventByReference(g.t.Context(), shown[1])
		if err == nil {
			return found
		}
		if !errors.Is(err, audit.ErrNotFound) || time.Now().After(deadline) {
			g.t.Fatalf("reference %s of %s (%d): %v", shown[1], p.url, p.status, err)
		}
	}
}

// TestTheTrailKnowsTheReferenceOfEveryPageThatRefuses holds that whoever reads
// out a reference can be helped (contract, section 4).
func TestTheTrailKnowsTheReferenceOfEveryPageThatRefuses(t *testing.T) {
	site := strings.Replace(withOption(keptSite, "keep_requests 1KiB"), "stepgate {\n", "stepgate {\n\t\tadmin_pages\n", 1)
	site = strings.Replace(site, "policy {\n", "policy {\n\t\t\tpublic /open\n", 1)
	g := startGateway(t, site, nil)
	b := g.visitor("joe")
	elsewhere := func(r *http.Request) {
		r.Header.Set("Origin", "https://elsewhere.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	const kind = "application/x-www-form-urlencoded"
	tired := g.browser()
	door := tired.get("/")
	for range 10 {
		tired.signInAs(door, "joe", "not the password").want(403, "")
	}
	guess := func(at string) *page {
		return g.browser().get(at, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token.Prefix+"none") })
	}
	for range 41 {
		guess("/open") // which costs the trail one event, not two
	}
	large := b.post("/payments", kind, []byte(strings.Repeat("a", 1<<10+1)))
	offered := b.enrol(b.post("/payments", kind, []byte("amount=12"))).offered()
	b.submit(offered, kept.Field, nil).want(200, "")
	for name, row := range map[string]struct {
		page   *page
		status int
		event  audit.Name
		reason string
	}{
		"no such page":        {b.get("/.stepgate/nothing"), 404, audit.InputRefused, "no-such-page"},
		"another method":      {b.do("PUT", "/.stepgate/sign-in", nil), 405, audit.InputRefused, "method"},
		"a form too large":    {b.do("POST", "/.stepgate/sign-out", url.Values{"note": {strings.Repeat("a", 2<<20)}}), 413, audit.InputRefused, "too-large"},
		"no token":            {b.do("POST", "/.stepgate/sign-out", url.Values{}), 403, audit.MaliciousCSRF, "form-token"},
		"another site":        {b.do("POST", "/.stepgate/sign-out", url.Values{}, elsewhere), 403, audit.MaliciousCSRF, "cross-site"},
		"another's role":      {b.get("/.stepgate/admin/"), 403, audit.AccessDenied, "not-permitted"},
		"a link that is over": {b.get("/.stepgate/register/AAAAAAAAAAAAAAAAAAAAAAAAAA"), 410, audit.SequenceFail, "over"},
		"sent already":        {b.submit(offered, kept.Field, nil), 409, audit.SequenceFail, "kept-continued"},
		"tried too often":     {tired.signInAs(door, "joe", "not the password"), 429, audit.RateLimitExceeded, "throttled"},
		"guessed too often":   {guess("/payments"), 429, audit.RateLimitExceeded, "throttled"},
		"too large to keep":   {large, 413, audit.StepUpRequired, "level-missing"},
	} {
		if row.page.status != row.status {
			t.Errorf("%s: %d, want %d:\n%s", name, row.page.status, row.status, row.page.body)
			continue
		}
		e := g.writtenUnder(row.page)
		if e.Name != row.event || e.Reason != row.reason || (e.Account == "") != strings.HasSuffix(name, "too often") {
			t.Errorf("%s: the trail has %s, %s of %q; want %s, %s", name, e.Name, e.Reason, e.Account, row.event, row.reason)
		}
		for _, f := range e.Detail {
			if strings.Contains(f.Value, "AAAA") {
				t.Errorf("%s: the trail has the secret of a link: %v", name, e.Detail)
			}
		}
	}
}

// What a page's script asks by itself is no use of the session, refused or not.
func TestARefusalKeepsNoSessionFromIdlingOut(t *testing.T) {
	g := startGateway(t, walkSite, nil)
	g.addUser("joe")
	b := g.browser()
	b.enrol(b.signIn(b.get("/cases/1"), "joe")).want(200, "/cases/1")
	g.load(strings.Replace(testHead, "stepgate.db\n", "stepgate.db\n\t\tsession {\n\t\t\tidle 2s\n\t\t}\n", 1) + walkSite)
	waitFor(t, func() bool {
		b.do("PUT", "/.stepgate/status", nil).want(405, "")
		return b.idled()
	})
}
