package author

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

// page keeps a page where STEPGATE_TEST_PAGES says, to be looked at.
func page(t *testing.T, name string, render func(*bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := render(&b); err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("STEPGATE_TEST_PAGES"); dir != "" {
		if err := os.WriteFile(dir+"/"+name+".html", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, never := range []string{"<script", "http-equiv=\"refresh", "src=", "href=", "@import", "url(", "ZgotmplZ"} {
		if strings.Contains(b.String(), never) {
			t.Errorf("%s has %s in it", name, never)
		}
	}
	return b.String()
}

func TestRehearsalPage(t *testing.T) {
	r := rehearsal(t, contractSample)
	r.Paths = true
	log := synthetic("combined", 20_000) + clf("GET /<script>alert(1)</script> HTTP/1.1", 404, "b") + clf("GET /a HTTP/1.1", 200, "Googlebot") + "garbage <b>\n"
	report := run(t, r, log)
	text := page(t, "rehearse", func(b *bytes.Buffer) error { return r.RenderHTML(b, report) })
	for _, want := range []string{
		"<title>Rehearsal of https://portal.test</title>", "public", "phishing_resistant fresh_key", ">/cases/*<", "Monday", "signed_in fresh_key",
		"require mfa /cases/*", "(Caddyfile:4)", "Nothing: this is the policy that is enforced", "/app.do?action=", "garbage &lt;b&gt;", "width: 24.2%",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the page", want)
		}
	}
	r.Enforced = []*Site{siteOf(t, "default signed_in\npublic /assets/*")}
	watched := page(t, "watched", func(b *bytes.Buffer) error { return r.RenderHTML(b, run(t, r, log)) })
	if !strings.Contains(watched, `<th scope="row" class="stronger">stronger</th><td>signed_in</td><td>mfa</td>`) {
		t.Error("the page does not say what changes against the enforced policy")
	}
}

func TestDiffPage(t *testing.T) {
	was, is := siteOf(t, contractSample), siteOf(t, strings.Replace(contractSample, "require mfa /cases/*", "require signed_in /cases/*\npublic /app/*", 1))
	difference, err := Diff(was, is, noon)
	if err != nil {
		t.Fatal(err)
	}
	sites := []SiteDifference{
		{Origin: "https://portal.test", Difference: difference, Was: was, Is: is, Settings: []SettingChange{{Direction: Weaker, Setting: "binding_delay", Old: "1d", New: "0s", Text: "how long"}}},
		{Origin: "https://gone.test", Difference: Difference{Complete: true}},
	}
	text := page(t, "diff", func(b *bytes.Buffer) error {
		return Comparison{Title: "old and new compared", Verdict: "3 changes may let somebody through", Sites: sites, Now: noon}.RenderHTML(b)
	})
	for _, want := range []string{"3 changes may let", `class="weaker">weaker`, "GET /cases", "binding_delay", `class="k-public">public`, "https://gone.test", "No path needs anything else"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the page", want)
		}
	}
}

// TestDiffPageOfManyRules shows what changed, not everything.
func TestDiffPageOfManyRules(t *testing.T) {
	was, is := siteOf(t, portal(3000, 0)), siteOf(t, portal(3000, 3))
	text := page(t, "many", func(b *bytes.Buffer) error {
		sites := []SiteDifference{{Origin: "https://portal.test", Was: was, Is: is, Difference: Difference{Complete: true}}}
		return Comparison{Title: "many", Verdict: "never weaker", NeverWeaker: true, Sites: sites, Now: time.Now()}.RenderHTML(b)
	})
	if len(text) > 100_000 || !strings.Contains(text, "patterns that need what they needed are left out") {
		t.Errorf("a page of %d bytes", len(text))
	}
}
