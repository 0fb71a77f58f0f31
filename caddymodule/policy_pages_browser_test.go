package caddymodule

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	paper "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/stepgate/stepgate/internal/legacytest"
	"github.com/stepgate/stepgate/policy/accesslog"
	"github.com/stepgate/stepgate/policy/author"
)

// policyPages writes the pages of `rehearse --html` and `diff --html` into a
// folder.
func policyPages(t *testing.T, dir string) {
	t.Helper()
	site := func(change *strings.Replacer) *author.Site {
		text := change.Replace("http://portal.example.gov {\n\tstepgate {\n\t\tpolicy {\n\t\t\tpublic /assets/*\n\t\t\trequire mfa /cases/*\n\t\t\trequire phishing_resistant POST /cases/*\n" +
			"\t\t\trequire mfa /admin/* {\n\t\t\t\tgroup admins\n\t\t\t}\n\t\t\tdeny /debug/*\n\t\t\tdefault signed_in\n\t\t}\n\t}\n}\n")
		return drawnSite(t, text)
	}
	was, is := site(strings.NewReplacer()), site(strings.NewReplacer("require mfa /cases/*", "require signed_in /cases/*", "deny /debug/*", "require mfa /debug/a-long-name-of-a-folder-that-nobody-can-break/*"))
	var log strings.Builder
	for i := range 5000 {
		path := []string{"/assets/site.css", fmt.Sprintf("/cases/%d/notes", i), "/admin/users", "/debug/x", "/reports/the-long-name-of-a-report-for-the-quarter-that-nobody-reads.pdf"}[i%5]
		fmt.Fprintf(&log, "192.0.2.7 - joe%d [%s] \"%s %s HTTP/1.1\" 200 1 \"-\" \"Mozilla/5.0\"\n", i%40,
			time.Date(2026, 3, 2+i%7, i%24, 0, 0, 0, time.UTC).Format("02/Jan/2006:15:04:05 -0700"), []string{"GET", "GET", "POST"}[i%3], path)
	}
	r := &author.Rehearsal{Sites: []*author.Site{is}, Enforced: []*author.Site{was}, Paths: true, Limits: author.Limits{Idle: time.Hour, Absolute: 12 * time.Hour}}
	r.Facts.Complete(time.Now())
	report, err := r.Run(t.Context(), accesslog.Log{Name: "access.log", Reader: strings.NewReader(log.String())})
	if err != nil {
		t.Fatal(err)
	}
	difference, err := author.Diff(was, is, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var rehearsed, compared bytes.Buffer
	if err := r.RenderHTML(&rehearsed, report); err != nil {
		t.Fatal(err)
	}
	sites := []author.SiteDifference{{Origin: was.Origin, Difference: difference, Was: was, Is: is}}
	comparison := author.Comparison{Title: "old and new compared", Verdict: "3 changes may let somebody through", Sites: sites, Now: time.Now()}
	if err := comparison.RenderHTML(&compared); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]*bytes.Buffer{"rehearse.html": &rehearsed, "diff.html": &compared} {
		if err := os.WriteFile(filepath.Join(dir, name), text.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// drawnSite is the only site of a Caddyfile, as the commands see it.
func drawnSite(t *testing.T, text string) *author.Site {
	t.Helper()
	raw, err := adaptText(text, "Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	d, err := drawGates("Caddyfile", raw)
	if err != nil {
		t.Fatal(err)
	}
	return d.Sites()[0]
}

// paperWidth is that of a letter's page within its margins, at 96 pixels an inch.
const paperWidth = 740

// TestPolicyPagesAreSeenAndPrinted at both widths, with scripts and without,
// and on paper, where nothing is cut off.
func TestPolicyPagesAreSeenAndPrinted(t *testing.T) {
	c, axe, dir := startChromium(t), legacytest.Axe(t), t.TempDir()
	policyPages(t, dir)
	for _, l := range []looks{{width: 1280, scripts: true}, {width: 360, scripts: true}, {width: 1280, scripts: true, dark: true}, {width: 360}} {
		b := c.profile(t, l)
		for _, name := range []string{"rehearse", "diff"} {
			b.open("file://" + filepath.Join(dir, name+".html"))
			if text := b.text(); !strings.Contains(text, "/cases") {
				t.Fatalf("%s at %s shows %q", name, l, text)
			}
			b.shoot("policy-" + name)
			b.judge(axe, name)
			if l.width != 1280 || l.dark {
				continue
			}
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
			b.do(chromedp.EmulateViewport(paperWidth, 1000))
			b.shoot("policy-" + name + "-print")
			if cut := evaluate[string](b, `[...document.querySelectorAll("*")].filter((e) => getComputedStyle(e).overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML.slice(0, 80)).join("\n")`); cut != "" {
				t.Errorf("%s on paper is cut off at %s", name, cut)
			}
			b.do(chromedp.EmulateViewport(l.width, 800))
			call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
			printed, err := chromedp.Call(b.ctx, paper.PrintToPDF, paper.PrintToPDFParams{})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(printed.Data, []byte("%PDF")) {
				t.Errorf("%s is printed as %.20q", name, printed.Data)
			}
			b.keep("policy-"+name+".pdf", printed.Data)
		}
	}
}
