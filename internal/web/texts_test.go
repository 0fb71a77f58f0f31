package web

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestOurTextsAreTheSameInAllLanguages(t *testing.T) {
	sub, err := fs.Sub(embedded, "kit")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(CheckTexts(sub), CheckTemplates(sub)); err != nil {
		t.Error(err)
	}
}

func TestCheckTemplatesFindsWordsOfATemplate(t *testing.T) {
	err := CheckTemplates(fstest.MapFS{"a.html": {Data: []byte(`{{define "main"}}<p class="x">{{t "a"}} – <b>Hello</b></p><img alt="A picture" src="x.png">{{end}}`)}})
	if err == nil || !strings.Contains(err.Error(), `"Hello"`) || !strings.Contains(err.Error(), `"A picture"`) || strings.Contains(err.Error(), "x.png") {
		t.Errorf("%v", err)
	}
}

func TestCheckTextsFindsWhatDiffers(t *testing.T) {
	err := CheckTexts(fstest.MapFS{
		"texts_en.json": {Data: []byte(`{"a":"A","b":"{n} b","c.one":"1 {count}","c.other":"{count}"}`)},
		"texts_cy.json": {Data: []byte(`{"b":"{m} b","c.other":"{count}","d":"D"}`)},
	})
	if err == nil {
		t.Fatal("nothing found")
	}
	for _, want := range []string{`cy.json: "a" is missing`, `"b" has parameters "m", English "n"`, `"d" is not in English`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not found: %s in %v", want, err)
		}
	}
	if !strings.Contains(err.Error(), `"c": form "two" is there: false`) || strings.Contains(err.Error(), "en.json") {
		t.Errorf("plural forms: %v", err)
	}
}

func TestTextFillsParametersAndPlurals(t *testing.T) {
	k := testKit(t, Options{})
	tests := []struct {
		lang, id string
		args     []any
		want     string
	}{
		{"en", "wait.minutes", []any{"count", 1}, "You can try again in 1 minute."},
		{"en", "wait.minutes", []any{"count", 7}, "You can try again in 7 minutes."},
		{"cy", "wait.minutes", []any{"count", 2}, "Gallwch roi cynnig arall arni ymhen 2 funud."},
		{"cy", "wait.minutes", []any{"count", 7}, "Gallwch roi cynnig arall arni ymhen 7 munud."},
		{"en", "field.show_label", []any{"name", "{count}<b>"}, "Show what you typed: {count}<b>"},
		{"en", "no.such.text", nil, "no.such.text"},
	}
	for _, tt := range tests {
		got, err := k.own.wordsFor(tt.lang).text(tt.id, tt.args...)
		if err != nil || got != tt.want {
			t.Errorf("%s %s: %q, %v", tt.lang, tt.id, got, err)
		}
	}
	for _, bad := range [][]any{{"count"}, {1, 2}} {
		if _, err := k.own.wordsFor("en").text("wait.minutes", bad...); err == nil {
			t.Errorf("parameters %v were taken", bad)
		}
	}
}

func TestLanguageIsChosenByLinkThenBrowserThenSite(t *testing.T) {
	tests := []struct {
		name, target, form, accept string
		offered                    []string
		want                       string
	}{
		{"nothing said", "/", "", "", []string{"cy", "en"}, "cy"},
		{"no languages configured", "/", "", "cy", nil, "en"},
		{"the browser's", "/", "", "cy-GB, en;q=0.8", []string{"en", "cy"}, "cy"},
		{"the browser's second", "/", "", "fr, cy;q=0.5", []string{"en", "cy"}, "cy"},
		{"none of the browser's", "/", "", "fr, de", []string{"en", "cy"}, "en"},
		{"not a header", "/", "", ";;;===", []string{"en", "cy"}, "en"},
		{"an endless header", "/", "", strings.Repeat("cy,", 1000), []string{"en", "cy"}, "en"},
		{"a link", "/?lang=cy", "", "en", []string{"en", "cy"}, "cy"},
		{"a form", "/?lang=en", "lang=cy", "en", []string{"en", "cy"}, "cy"},
		{"a language not on offer", "/?lang=fr", "", "cy", []string{"en", "cy"}, "cy"},
		{"nonsense", "/?lang=../../x", "", "", []string{"en", "cy"}, "en"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", tt.target, nil)
			if tt.form != "" {
				r = httptest.NewRequest("POST", tt.target, strings.NewReader(tt.form))
				r.Header.Set("Content-Type", formType)
				if _, err := ReadForm(httptest.NewRecorder(), r); err != nil {
					t.Fatal(err)
				}
			}
			r.Header.Set("Accept-Language", tt.accept)
			if got := Language(r, &Site{Languages: tt.offered}); got != tt.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

// cymraeg adds Welsh to the sample set, as an operator's directory would.
var cymraeg = fstest.MapFS{
	"sample/texts_cy.json": {Data: []byte(`{"sample.title":"Pob rhan","sample.code":"Cod diogelwch"}`)},
}

func TestChosenLanguageIsCarriedAlong(t *testing.T) {
	p, err := testKit(t, Options{Override: cymraeg}).Parse("sample", sampleFS(t))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	view := sampleView{View: View{Account: "joe", CSRF: "x"}, Rows: []sampleRow{{At: noon}}}
	if err := p.Render(w, navigation("GET", "/.stepgate/challenge?c=1&lang=cy&d=2", ""), testSite(), 200, "everything", view); err != nil {
		t.Fatal(err)
	}
	body := bodyOf(t, w)
	for _, want := range []string{
		`<html lang="cy">`, `<h1>Pob rhan</h1>`, "Cod diogelwch", "5 Tachwedd 2026, 12:00 UTC",
		"Username", // not translated: English
		`action="/.stepgate/challenge/sms?lang=cy"`, `<input type="hidden" name="lang" value="cy">`, `href="/.stepgate/account?lang=cy"`,
		`<a href="/.stepgate/challenge?c=1&amp;d=2&amp;lang=en" lang="en" hreflang="en" rel="alternate">English</a>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	w = httptest.NewRecorder()
	if err := p.Render(w, navigation("GET", "/.stepgate/challenge", ""), testSite(), 200, "everything", view); err != nil {
		t.Fatal(err)
	}
	if body := bodyOf(t, w); strings.Contains(body, "name=\"lang\"") || !strings.Contains(body, ">Cymraeg</a>") {
		t.Error("a language nobody chose is carried along, or the link to Welsh is missing")
	}
}

func TestRedirectGoesToTheVeryPathOnThisSite(t *testing.T) {
	for _, target := range []string{"/", "/a//b/../c?x=/&y=%2F", "/.stepgate/account", "/%E2%82%AC"} {
		w := httptest.NewRecorder()
		if err := Redirect(w, httptest.NewRequest("POST", "/", nil), testSite(), target); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != target || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", target, w.Code, w.Header())
		}
	}
	for _, target := range []string{
		"", "evil", "//evil", `/\evil`, "/%5cevil", "/%2fevil", "/%09/evil", "/\t/evil", "https:evil", "https://evil", "javascript:alert(1)",
		"@evil", "/a\r\nSet-Cookie: x=y", "/%0d%0aX", "/a\x00", `\\evil`, " /", "/%zz",
	} {
		w := httptest.NewRecorder()
		if err := Redirect(w, httptest.NewRequest("POST", "/", nil), testSite(), target); err == nil || w.Header().Get("Location") != "" {
			t.Errorf("%q was followed", target)
		}
	}
	w := httptest.NewRecorder()
	if err := Redirect(w, httptest.NewRequest("POST", "/?lang=cy", nil), testSite(), "/.stepgate/account?x=1#keys"); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Get("Location"); got != "/.stepgate/account?x=1&lang=cy#keys" {
		t.Errorf("Location %s", got)
	}
}

func FuzzSafePath(f *testing.F) {
	for _, seed := range []string{"/", "//evil", "/%5cevil", "/a?b#c", "/\\x", "/%2e%2e//x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		if !SafePath(target) {
			return
		}
		base := httptest.NewRequest("GET", "https://portal.example.gov/x", nil)
		u, err := base.URL.Parse(target)
		if err != nil || u.Host != "portal.example.gov" || u.Scheme != "https" || strings.ContainsAny(target, "\r\n\\") {
			t.Fatalf("%q leads to %v, %v", target, u, err)
		}
	})
}

func TestDateIsEmptyForNever(t *testing.T) {
	v := &View{page: &page{words: testKit(t, Options{}).own.wordsFor("en"), Site: new(Site)}}
	if got, err := v.Date(time.Time{}); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := v.Date(noon.In(time.FixedZone("x", 3600))); got != "5 November 2026, 12:00 UTC" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	v.page.Site.Zone = time.FixedZone("the site's own", -3600)
	if got, err := v.Date(noon); got != "5 November 2026, 11:00" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}
