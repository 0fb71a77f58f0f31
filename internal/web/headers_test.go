package web

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var nonceIn = regexp.MustCompile(`nonce-([A-Za-z0-9_-]{22})'`)

func TestPagesCarryTheSecurityHeaders(t *testing.T) {
	w, body := render(t, navigation("GET", "/.stepgate/challenge", ""), &sampleView{})
	found := nonceIn.FindStringSubmatch(w.Header().Get("Content-Security-Policy"))
	if found == nil {
		t.Fatalf("no nonce in %q", w.Header().Get("Content-Security-Policy"))
	}
	nonce := found[1]
	want := http.Header{
		"Cache-Control": {"no-store"},
		"Content-Security-Policy": {"default-src 'none'; script-src 'nonce-" + nonce + "'; style-src 'nonce-" + nonce +
			"'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"},
		"Content-Type":                 {"text/html; charset=utf-8"},
		"Content-Language":             {"en"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Permissions-Policy": {"publickey-credentials-get=(self), publickey-credentials-create=(self), " +
			"clipboard-write=(self), camera=(), geolocation=(), microphone=(), payment=(), usb=()"},
		"Referrer-Policy":        {"same-origin"},
		"Vary":                   {"Cookie, Sec-Fetch-Mode, Sec-Fetch-Dest, Accept, Accept-Language"},
		"X-Content-Type-Options": {"nosniff"},
		"X-Frame-Options":        {"DENY"},
	}
	if diff := cmp.Diff(want, w.Header()); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(body, `nonce="`+nonce+`"`); n != 2 {
		t.Errorf("nonce on %d tags, want style and script", n)
	}
}

func TestNonceDiffersPerAnswer(t *testing.T) {
	first, _ := render(t, navigation("GET", "/", ""), &sampleView{})
	second, _ := render(t, navigation("GET", "/", ""), &sampleView{})
	if first.Header().Get("Content-Security-Policy") == second.Header().Get("Content-Security-Policy") {
		t.Error("same nonce twice")
	}
}

func TestPagesHoldNothingInline(t *testing.T) {
	_, body := render(t, navigation("GET", "/", ""), &sampleView{View: View{Errors: []FieldError{{Field: "code", Text: "x"}}}})
	for _, inline := range []*regexp.Regexp{
		regexp.MustCompile(`<script(?:[^>]*)>[^<]`), regexp.MustCompile(`<style`),
		regexp.MustCompile(`\sstyle=`), regexp.MustCompile(`\son[a-z]+=`), regexp.MustCompile(`https?://`),
	} {
		if found := inline.FindString(body); found != "" {
			t.Errorf("page holds %q", found)
		}
	}
}

func TestFormTargetsAndHSTSAreTheSites(t *testing.T) {
	site := testSite()
	site.FormTargets = []string{"https://issuer.example"}
	site.HSTS = "max-age=31536000"
	w := httptest.NewRecorder()
	if err := samplePages(t).Render(w, navigation("GET", "/", ""), site, 200, "everything", sampleView{}); err != nil {
		t.Fatal(err)
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://issuer.example;") {
		t.Error(csp)
	}
	if got := w.Header().Get("Strict-Transport-Security"); got != site.HSTS {
		t.Errorf("HSTS %q", got)
	}
}

func TestFramedPageMayBeFramedBySelfOnly(t *testing.T) {
	w := httptest.NewRecorder()
	if err := testKit(t, Options{}).RenderFramed(w, navigation("GET", "/x", ""), testSite(), "/.stepgate/challenge?c=1", "AAAAA-BBBBB"); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusUnauthorized {
		t.Errorf("status %d", w.Code)
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'self';") {
		t.Error(csp)
	}
	if got := w.Header().Get("X-Frame-Options"); got != "SAMEORIGIN" {
		t.Errorf("X-Frame-Options %q", got)
	}
	body := bodyOf(t, w)
	for _, want := range []string{`href="/.stepgate/challenge?c=1" target="_top"`, `data-stepgate="reference">AAAAA-BBBBB<`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
}
