package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestFormsOfTheirOwnPageKeepItsAddress(t *testing.T) {
	const own, other = `<form method="post" action="/.stepgate/sign-in?lang=cy&amp;x=1" novalidate>
<button type="submit" class="button">Go</button></form>`, `<form method="post" action="/.stepgate/sign-in/more"><button type="submit">Go</button></form>`
	got := string(keepPlace([]byte(own+other), "/.stepgate/sign-in"))
	want := `<form method="post" action="/.stepgate/sign-in?lang=cy&amp;x=1" novalidate>
<button type="submit" formaction="" class="button">Go</button></form>` + other
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestLinksOfAJourneyAreButtonsWithoutScripts(t *testing.T) {
	const other = `<p><a href="/.stepgate/challenge">no way</a></p>`
	const link = `<a data-way class="button secondary" href="/.stepgate/challenge/totp?c=x&amp;d=y">App &amp; code</a>`
	got := string(plainWays([]byte("</head><main>"+other+link+`<a data-way href="/.stepgate/enrol">more</a></main>`), "/.stepgate/challenge", "/plain.css", "n0nce"))
	want := `<noscript><link rel="stylesheet" href="/plain.css" nonce="n0nce"></noscript></head><main>` + other + link +
		`<noscript><button type="submit" form="ways" formaction="" name="way" value="/.stepgate/challenge/totp?c=x&amp;d=y" class="button secondary">App &amp; code</button></noscript>` +
		`<a data-way href="/.stepgate/enrol">more</a>` +
		`<noscript><button type="submit" form="ways" formaction="" name="way" value="/.stepgate/enrol" class="button link">more</button></noscript>` +
		`<noscript><form id="ways" method="get" action="/.stepgate/challenge"></form></noscript></main>`
	if got != want {
		t.Errorf("got %s", got)
	}
	if page := "<main>" + other + "</main>"; string(plainWays([]byte(page), "/", "", "")) != page {
		t.Error("a page without ways has become another")
	}
}

func TestAWayLeadsToPagesOfTheJourneyAlone(t *testing.T) {
	site := &Site{Name: "Portal", Origin: "https://portal.example"}
	for way, leads := range map[string]bool{
		"/.stepgate/challenge": true, "/.stepgate/challenge/totp?c=x": true, "": false, "/cases/1": false, "//evil.example/.stepgate/challenge": false,
		"/.stepgate/sign-out": false, "/.stepgate/challenger": false, "https://evil.example/.stepgate/challenge/": false,
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/.stepgate/challenge/sms", nil)
		r.URL.RawQuery = "way=" + strings.NewReplacer("?", "%3F", "=", "%3D").Replace(way)
		led, err := ToWay(w, r, site, "/challenge")
		if err != nil || led != leads || leads && w.Header().Get("Location") != way {
			t.Errorf("%q: %v %v to %q", way, led, err, w.Header().Get("Location"))
		}
	}
	for _, sly := range []string{"/.stepgate/challenge/..//evil.example", "/.stepgate/challenge/%5cevil", "/.stepgate/challenge/%0d"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/.stepgate/challenge/sms", nil)
		r.URL.RawQuery = "way=" + strings.ReplaceAll(sly, "%", "%25")
		if led, err := ToWay(w, r, site, "/challenge"); led && err == nil && strings.Contains(sly, "%") {
			t.Errorf("%q leads to %q", sly, w.Header().Get("Location"))
		}
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/.stepgate/challenge/sms?way=/.stepgate/challenge", nil)
	if led, _ := ToWay(w, r, site, "/challenge"); led {
		t.Error("a POST is led elsewhere")
	}
}
