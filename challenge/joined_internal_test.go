package challenge

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stepgate/stepgate/internal/signin"
)

// TestASiteOfAnotherConfigurationIsReachedFromAForm has a site ask that this
// node's configuration does not have: browsers would stop a redirect there
// behind the sign-in form.
func TestASiteOfAnotherConfigurationIsReachedFromAForm(t *testing.T) {
	const site = "https://cases.example"
	k := newRig(t, nil)
	k.person("joe")
	join := &Join{From: site, At: rigOrigin, Page: HandOverPage(rigOrigin, "/.stepgate"), Sealer: k.ring, Now: k.clock}
	asks := func() string {
		page, _, err := join.Depart(t.Context(), signin.Departure{Callback: site + "/.stepgate/joined", Key: "key"})
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(page, rigOrigin)
	}
	s := k.browser().signIn(asks(), "joe")
	for _, text := range []string{`<meta http-equiv="refresh" content="0;url=` + site + `/.stepgate/joined?code=`, `href="` + site + `/.stepgate/joined?code=`} {
		if s.status != http.StatusOK || !strings.Contains(s.text, text) {
			t.Errorf("%d to %q, without %s:\n%s", s.status, s.to, text, s.text)
		}
	}
	for _, targets := range [][]string{{site}, {"https:"}} {
		k.Web.FormTargets = targets
		if s := k.browser().signIn(asks(), "joe"); s.status != http.StatusSeeOther || !strings.HasPrefix(s.to, site+"/.stepgate/joined?code=") {
			t.Errorf("where forms may lead to %v: %d to %q", targets, s.status, s.to)
		}
	}
}
