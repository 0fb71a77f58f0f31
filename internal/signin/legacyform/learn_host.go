package legacyform

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// tryHost says what to do where an app knows itself by another address.
func tryHost(at *url.URL) string {
	return fmt.Sprintf("the app knows itself by that address; say so with --host %s://%s, and requests go to the address that you gave all the same", at.Scheme, at.Host)
}

// behind is the learner as it meets an app that knows itself by another
// address: pages, links and cookies are those of that address.
func (l *Learner) behind() (*Learner, error) {
	if l.Host == "" {
		return l, nil
	}
	text := l.Host
	if !strings.Contains(text, "://") {
		text = l.Page.Scheme + "://" + text
	}
	public, err := url.Parse(text)
	if err != nil || public.Scheme != "http" && public.Scheme != "https" || public.Host == "" || strings.Trim(public.Path, "/") != "" || public.RawQuery != "" || public.User != nil {
		return nil, fmt.Errorf("--host %s: expected a host such as portal.example.gov, or https://portal.example.gov", l.Host)
	}
	page := *l.Page
	page.Scheme, page.Host = public.Scheme, public.Host
	moved := *l
	moved.Page, moved.Transport = &page, &via{at: l.Page, next: l.Transport}
	return &moved, nil
}

// via sends what is meant for any host to one, and says of the request what a
// proxy says.
type via struct {
	at   *url.URL
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (v *via) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := r.Clone(r.Context())
	sent.Host = r.URL.Host
	sent.Header.Set("X-Forwarded-Host", r.URL.Host)
	sent.Header.Set("X-Forwarded-Proto", r.URL.Scheme)
	sent.URL.Scheme, sent.URL.Host = v.at.Scheme, v.at.Host
	return v.next.RoundTrip(sent)
}
