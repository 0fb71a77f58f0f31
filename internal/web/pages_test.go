package web

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEveryPageRendersItsZeroView(t *testing.T) {
	p := samplePages(t)
	if err := p.CheckViews(map[string]any{"everything": sampleView{}}); err != nil {
		t.Error(err)
	}
	own := p.kit.own
	if err := own.CheckViews(map[string]any{"fail": failView{}, "framed": &framedView{}}); err != nil {
		t.Error(err)
	}
}

func TestCheckViewsWantsAViewForEachPage(t *testing.T) {
	if err := samplePages(t).CheckViews(nil); err == nil || !strings.Contains(err.Error(), "page everything: no view") {
		t.Error(err)
	}
}

func TestParseFailsOnWhatIsBroken(t *testing.T) {
	const texts = `{"a":"A"}`
	tests := []struct {
		name, page, texts, want string
	}{
		{"a page that is missing", "", texts, "page.html is missing"},
		{"a page without main", `{{define "title"}}x{{end}}`, texts, `"main" is not defined`},
		{"syntax", `{{define "main"}}{{if}}{{end}}`, texts, "page.html"},
		{"an unknown part", `{{define "main"}}{{template "nope" .}}{{end}}`, texts, "nope"},
		{"a text that does not exist", `{{define "main"}}{{if .X}}<b>{{t "b"}}</b>{{end}}{{end}}`, texts, `text "b" does not exist`},
		{"a text in a pipeline", `{{define "main"}}{{with (printf "%s" (t "b"))}}{{.}}{{end}}{{end}}`, texts, `text "b" does not exist`},
		{"what cannot be escaped", `{{define "main"}}<a href="{{if .X}}"{{end}}>{{end}}`, texts, "page.html"},
		{"texts that are not flat", `{{define "main"}}{{end}}`, `{"a":{"b":"c"}}`, "texts_en.json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := fstest.MapFS{"texts_en.json": {Data: []byte(tt.texts)}}
			if tt.page != "" {
				files["page.html"] = &fstest.MapFile{Data: []byte(tt.page)}
			}
			_, err := testKit(t, Options{}).Parse("test", files, "page")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
		})
	}
}

// What a page is made of is looked at once in a process; what it says, each time.
func TestParseFailsOnATextThatIsMissingLater(t *testing.T) {
	page := []byte(`{{define "main"}}{{t "later"}}{{end}}`)
	for _, row := range []struct{ texts, want string }{
		{`{"later":"Later"}`, ""}, {`{"sooner":"Sooner"}`, `page.html: text "later" does not exist`}, {`{"later":"Later"}`, ""},
	} {
		_, err := testKit(t, Options{}).Parse("test", fstest.MapFS{"texts_en.json": {Data: []byte(row.texts)}, "page.html": {Data: page}}, "page")
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("texts %s: error %v, want %q", row.texts, err, row.want)
		}
	}
	// Another layout is another page.
	broken := Options{Override: fstest.MapFS{"web/layout.html": {Data: []byte(`{{if .Page}}<a href="{{end}}{{template "main" .View}}`)}}}
	if _, err := New(broken); err == nil || !strings.Contains(err.Error(), "layout.html") {
		t.Errorf("a layout that cannot be escaped: %v", err)
	}
}

func TestRenderShowsTitleOnceAndHelp(t *testing.T) {
	w, body := render(t, navigation("GET", "/.stepgate/challenge", ""), sampleView{})
	if w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
	for _, once := range []string{"<h1>", "<main", `<html lang="en">`, "Call 0300 000 0000", `class="skip" href="#main"`,
		"<title>Every part of the kit – Casework Portal</title>"} {
		if n := strings.Count(body, once); n != 1 {
			t.Errorf("%d times %s", n, once)
		}
	}
}

func TestErrorsAreOnTopAndAtTheirFields(t *testing.T) {
	errs := []FieldError{
		{Field: "code", Text: "wait.minutes", Args: []any{"count", 3}},
		{Field: "device", Text: "Choose yes or no"},
		{Text: "The form as a whole"},
	}
	view := &sampleView{View: View{Errors: errs}}
	_, body := render(t, navigation("POST", "/", "x=1"), view)
	for _, want := range []string{
		"<title>Error: Every part of the kit – Casework Portal</title>",
		`<a href="#code">You can try again in 3 minutes.</a>`, `<a href="#device">Choose yes or no</a>`, "<li>The form as a whole</li>",
		`<p class="wrong" id="code-error"><span class="vh">Error:</span> You can try again in 3 minutes.</p>`,
		`aria-describedby="code-hint code-error" aria-invalid="true"`,
		`<fieldset class="field has-error" aria-describedby="device-hint device-error">`,
		`<input type="radio" id="device" name="device" value="public"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	main := strings.Index(body, "<main")
	if summary, h1 := strings.Index(body, "There is a problem"), strings.Index(body, "<h1>"); summary < main || h1 < summary {
		t.Error("the summary is not first in main")
	}
	if view.Errors[0].Text != "wait.minutes" || view.page != nil {
		t.Error("Render changed its caller's view")
	}
}

var payloads = []string{`<svg onload=alert(1)>`, `"><script>alert(1)</script>`, `javascript:alert(1)`, `{{.}}`, `' onfocus='x`, "\u2028</title>"}

func TestWhateverIsSaidStaysText(t *testing.T) {
	for _, x := range payloads {
		view := &sampleView{
			View: View{
				Title: x, Account: x, CSRF: x, Back: x,
				Errors: []FieldError{{Field: "username", Text: x}, {Text: x}},
				Values: map[string]string{"username": x, "device": x, "question_1": x},
			},
			Secret: x, Codes: []string{x}, Reference: x, Rows: []sampleRow{{Name: x}},
		}
		site := testSite()
		site.Name, site.Help = x, x
		w := httptest.NewRecorder()
		r := navigation("GET", "/", "")
		r.URL.RawQuery = `x="><script>alert(1)</script>`
		if err := samplePages(t).Render(w, r, site, 200, "everything", view); err != nil {
			t.Fatal(err)
		}
		body := bodyOf(t, w)
		for _, bad := range []string{"<svg", "<script>", `href="javascript:`, ` onfocus='`, ` onload=`} {
			if strings.Contains(strings.ReplaceAll(body, "&lt;svg onload=", ""), bad) {
				t.Errorf("%q gives %q", x, bad)
			}
		}
	}
}

func TestSecretAnswersAreNeverRefilled(t *testing.T) {
	entered := map[string]string{"username": "joe", "password": "hunter2", "code": "123456", "pin": "2580"}
	_, body := render(t, navigation("GET", "/", ""), &sampleView{View: View{Values: entered}})
	if !strings.Contains(body, `value="joe"`) {
		t.Error("the username is lost")
	}
	for _, secret := range []string{"hunter2", "123456", "2580"} {
		if strings.Contains(body, secret) {
			t.Errorf("page repeats %s", secret)
		}
	}
}

func TestInputsSayWhatTheyAre(t *testing.T) {
	_, body := render(t, navigation("GET", "/", ""), &sampleView{})
	for name, attributes := range map[string]string{
		"username": `type="text" autocomplete="username" autocapitalize="none" autocorrect="off" spellcheck="false"`,
		"password": `type="password" autocomplete="current-password"`,
		"code":     `type="text" autocomplete="one-time-code" inputmode="numeric"`,
		"mobile":   `type="tel" autocomplete="tel"`,
		"email":    `type="email" autocomplete="email"`,
		"pin":      `type="password" autocomplete="off" inputmode="numeric"`,
	} {
		want := regexp.MustCompile(`<input class="\w+" id="` + name + `" name="` + name + `" ` + attributes)
		if !want.MatchString(body) {
			t.Errorf("%s is not %s", name, attributes)
		}
		if !strings.Contains(body, `<label for="`+name+`">`) {
			t.Errorf("%s has no label", name)
		}
	}
	if strings.Contains(body, "maxlength") || strings.Contains(body, "placeholder") || strings.Contains(body, `type="number"`) {
		t.Error("an input that keeps people from pasting or reading")
	}
}

func TestProgramsFindSecretsCodesAndReferences(t *testing.T) {
	_, body := render(t, navigation("GET", "/", ""), &sampleView{Secret: "JBSWY3DP", Codes: []string{"AAAA-BBBB", "CCCC-DDDD"}, Reference: "EEEEE-FFFFF"})
	for _, want := range []string{
		`data-stepgate="totp-secret">JBSWY3DP<`, `data-stepgate="backup-code">AAAA-BBBB<`, `data-stepgate="backup-code">CCCC-DDDD<`,
		`data-stepgate="reference">EEEEE-FFFFF<`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestSignOutIsAFormForWhoIsSignedIn(t *testing.T) {
	_, body := render(t, navigation("GET", "/", ""), &sampleView{View: View{Account: "joe", CSRF: "token"}})
	form := regexp.MustCompile(`<form method="post" action="/.stepgate/sign-out"><input type="hidden" name="csrf_token" value="token"><button[^>]*>Sign out</button></form>`)
	if !form.MatchString(body) {
		t.Error("no form")
	}
	_, body = render(t, navigation("GET", "/", ""), &sampleView{View: View{Account: "joe"}})
	if !strings.Contains(body, `<a href="/.stepgate/sign-out">Sign out</a>`) {
		t.Error("no link without a token")
	}
	if _, body = render(t, navigation("GET", "/", ""), &sampleView{}); strings.Contains(body, "Sign out") {
		t.Error("nobody can sign out")
	}
}

func TestOperatorReplacesTemplatesTextsAndAssets(t *testing.T) {
	k := testKit(t, Options{Override: fstest.MapFS{
		"web/fail.html":          {Data: []byte(`{{define "main"}}<p>Ours: {{.Reference}} <img src="{{.Asset "logo.svg"}}" alt=""></p>{{end}}`)},
		"web/texts_en.json":      {Data: []byte(`{"layout.help":"Stuck?"}`)},
		"web/assets/logo.svg":    {Data: []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`)},
		"sample/everything.html": {Data: []byte(`{{define "main"}}<p>Replaced</p>{{end}}`)},
	}})
	p, err := k.Parse("sample", sampleFS(t), "everything")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.RenderFail(w, navigation("GET", "/", ""), testSite(), &Fail{Status: 404, Reference: "AAAAA-BBBBB"})
	if body := bodyOf(t, w); !strings.Contains(body, "Ours: AAAAA-BBBBB <img src=\"/.stepgate/assets/logo.") || !strings.Contains(body, "Stuck?") {
		t.Error(body)
	}
	w = httptest.NewRecorder()
	if err := p.Render(w, navigation("GET", "/", ""), testSite(), 200, "everything", sampleView{}); err != nil {
		t.Fatal(err)
	}
	if body := bodyOf(t, w); !strings.Contains(body, "<p>Replaced</p>") || !strings.Contains(body, "<h1>Casework Portal</h1>") {
		t.Error(body)
	}
	if _, err := New(Options{Override: fstest.MapFS{"web/layout.html": {Data: []byte(`{{broken`)}}}); err == nil {
		t.Error("a broken layout was taken")
	}
	if _, err := New(Options{Override: fstest.MapFS{"web/layot.html": {Data: []byte(`<p>`)}}}); err == nil || !strings.Contains(err.Error(), "layot.html replaces nothing") {
		t.Errorf("a page that replaces nothing: %v", err)
	}
}

func TestRenderRefusesWithoutWriting(t *testing.T) {
	p := samplePages(t)
	for name, view := range map[string]any{"nope": sampleView{}, "everything": struct{}{}} {
		w := httptest.NewRecorder()
		if err := p.Render(w, navigation("GET", "/", ""), testSite(), 200, name, view); err == nil || w.Body.Len() > 0 || len(w.Header()) > 0 {
			t.Errorf("%s %T: %v, wrote %d bytes", name, view, err, w.Body.Len())
		}
	}
	if err := p.Render(httptest.NewRecorder(), navigation("GET", "/", ""), testSite(), 200, "everything", nil); err == nil {
		t.Error("no view was taken")
	}
}

func TestCheckSiteKnowsTheLanguages(t *testing.T) {
	k := testKit(t, Options{})
	if err := k.CheckSite(testSite()); err != nil {
		t.Error(err)
	}
	if err := k.CheckSite(&Site{Languages: []string{"en", "xx"}}); err == nil || !strings.Contains(err.Error(), "texts_xx.json") {
		t.Error(err)
	}
}

func TestAssetsAreKeptForGoodUnderTheirHash(t *testing.T) {
	k := testKit(t, Options{})
	site := testSite()
	h := k.Assets(site)
	get := func(method, path string, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for name, kind := range map[string]string{"style.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		f, _ := k.assets.find(name)
		w := get("GET", "/.stepgate/assets/"+f.hashed)
		if w.Code != 200 || w.Header().Get("Content-Type") != kind || !bytes.Equal(w.Body.Bytes(), f.data) {
			t.Errorf("%s: %d %v", f.hashed, w.Code, w.Header())
		}
		if got := w.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
			t.Errorf("%s: Cache-Control %q", f.hashed, got)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", f.hashed, w.Header())
		}
	}
	if w := get("GET", "/.stepgate/assets/style.0123456789abcdef.css"); w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("another version's name: %d %v", w.Code, w.Header())
	}
	f, _ := k.assets.find("page.js")
	if w := get("GET", "/.stepgate/assets/"+f.hashed, "Service-Worker", "script"); w.Code != 404 {
		t.Errorf("became a service worker: %d", w.Code)
	}
	if w := get("POST", "/.stepgate/assets/"+f.hashed); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d", w.Code)
	}
	if w := get("HEAD", "/.stepgate/assets/"+f.hashed); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
	for _, path := range []string{"", "page", "../kit.go", "layout.html", "texts_en.json", "page.js.map", "..", "style.css/"} {
		if w := get("GET", "/.stepgate/assets/"+path); w.Code != 404 {
			t.Errorf("%q: %d", path, w.Code)
		}
	}
}
