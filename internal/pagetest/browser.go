package pagetest

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// Browser keeps cookies and asks for pages.
type Browser struct {
	T       testing.TB
	Origin  string
	Pages   http.Handler
	Cookies map[string]string
}

// Request is what the browser sends where somebody follows a link of the site,
// or sends a form of it.
func (b *Browser) Request(method, target string, form url.Values) *http.Request {
	r := httptest.NewRequestWithContext(b.T.Context(), method, b.Origin+target, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.Origin)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	for name, value := range b.Cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

// Keep keeps the cookies of an answer.
func (b *Browser) Keep(answer *http.Response) {
	for _, c := range answer.Cookies() {
		if c.MaxAge < 0 {
			delete(b.Cookies, c.Name)
		} else {
			b.Cookies[c.Name] = c.Value
		}
	}
}

// Sheet is an answer: a page, or a redirect.
type Sheet struct {
	Status int
	// At is the address that it came from, To where a redirect leads.
	At, To   string
	Text     string
	Document *html.Node
}

// Ask gives a request to the pages, and keeps the cookies of the answer.
func (b *Browser) Ask(r *http.Request) Sheet {
	b.T.Helper()
	w := httptest.NewRecorder()
	b.Pages.ServeHTTP(w, r)
	answer := w.Result()
	b.Keep(answer)
	s := Sheet{Status: answer.StatusCode, At: r.URL.RequestURI(), To: answer.Header.Get("Location"), Text: w.Body.String()}
	var err error
	if s.Document, err = html.Parse(strings.NewReader(s.Text)); err != nil {
		b.T.Fatal(err)
	}
	return s
}

// Attribute is an element's; "" where it has none of that name.
func Attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
