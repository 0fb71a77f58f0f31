package caddymodule

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
)

// TestATabOfYesterdayLandsWhereItWas closes a browser whose session has ended,
// and has it open its tabs again: one on a page of the application, one on the
// way to it.
func TestATabOfYesterdayLandsWhereItWas(t *testing.T) {
	app := &scriptedApp{pages: map[string]scriptedPage{"/page": htmlPage("<b>secret</b>")}}
	g := startGateway(t, briefSite, app)
	g.addUser("joe")
	profile := profileFolder(t)
	w := g.seat(t, profile)
	places := []string{"/page?x=1&y=a%2Fb#part", "/page?x=2&y=a%2Fb#another"}
	w.open(g.url + "/page").signIn("joe")
	w.open(g.url + places[0])
	see[bool](w, `new Promise((ended) => {
		const look = () => fetch("/.stepgate/live").then((r) => r.json()).then((s) => s.signed_in ? setTimeout(look, 500) : ended(true));
		look();
	})`)
	w.another().open(g.url + places[1]).at("/sign-in")
	w.leave()

	var landed []string
	for _, b := range startChromiumOn(t, profile, chromedp.Flag("restore-last-session", true)).restored(t, g.url, len(places)) {
		b.awaitURL("/.stepgate/sign-in")
		if text := b.text(); strings.Contains(text, "secret") {
			t.Errorf("the tab shows\n%s", text)
		}
		b.signIn("joe")
		landed = append(landed, strings.TrimPrefix(b.url().String(), g.url))
	}
	slices.Sort(landed)
	if diff := cmp.Diff(places, landed); diff != "" {
		t.Errorf("the tabs land elsewhere than they were: %s", diff)
	}
}

// restored are so many tabs of a site, which the browser has opened by itself.
func (c *chromium) restored(t *testing.T, site string, many int) (tabs []*tab) {
	t.Helper()
	var found []target.ID
	waitFor(t, func() bool {
		all, err := chromedp.Targets(c.ctx)
		if err != nil {
			t.Fatal(err)
		}
		found = nil
		for _, i := range all {
			if i.Type == "page" && strings.HasPrefix(i.URL, site) {
				found = append(found, i.TargetID)
			}
		}
		return len(found) == many
	})
	for _, id := range found {
		tabs = append(tabs, takeOver(t, c.ctx, id, c.shots, looks{width: 1280, scripts: true}))
	}
	return tabs
}
