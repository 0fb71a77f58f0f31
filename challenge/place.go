package challenge

import (
	"crypto/rand"
	"html/template"
	"net/http"
	"strings"

	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/web"
)

// This file is for what follows the # of the address that somebody came for:
// their place on its page. No server gets it, and no other site is to have it.
// Redirects and forms carry it along on this site; while the browser is away at
// an issuer it waits in the storage of its tab, where a script of ours puts it
// under a name and takes it from. The gateway keeps the name alone, and only
// where there is a place.

// placeField carries that name, in forms and in the address of a page that is
// left; empty where there is no place.
const placeField = "place"

// leavingView is the view of leaving.html and returned.html.
type leavingView struct {
	web.View
	// To is where the browser goes on by itself, Place the name.
	To, Place string
	// Elsewhere is what the place that it goes to is called.
	Elsewhere string
}

// Refresh has a browser without scripts go on.
func (v *leavingView) Refresh() template.HTML {
	return "<noscript>" + refreshTo(v.To, 0) + "</noscript>"
}

// leaving shows a page on the way to an issuer that puts the place away, and
// true, to a browser that no page of ours has seen since it came for the
// address. A form that leads there has put it away already.
func (s departures) leaving(w http.ResponseWriter, r *http.Request, c ceremony.Continuation, source signin.Redirector) (bool, error) {
	if !showsPages(r) || r.URL.Query().Has(placeField) || strings.HasPrefix(c.Target, s.Web.Path(handOverPath)) {
		return false, nil
	}
	mark := "?"
	if r.URL.RawQuery != "" {
		mark = "&"
	}
	view := &leavingView{View: s.view(w, r, nil), To: r.URL.RequestURI() + mark + placeField + "=", Place: rand.Text(), Elsewhere: labelOf(source)}
	return true, s.Pages.Render(w, r, s.Web, http.StatusOK, "leaving", view)
}

// showsPages tells whether a GET is of a browser, which would show a page on
// the way. All browsers say this with a navigation (Upgrade Insecure Requests
// §3.2.1); programs that follow redirects do not, and are redirected.
func showsPages(r *http.Request) bool {
	return r.Method == http.MethodGet && web.Navigation(r) && r.Header.Get("Upgrade-Insecure-Requests") == "1"
}

// placeOf is the name that a browser has put its place away under.
func placeOf(r *http.Request) string {
	name := r.URL.Query().Get(placeField)
	if r.Method == http.MethodPost {
		name = r.PostForm.Get(placeField)
	}
	if len(name) != len(rand.Text()) || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return ""
	}
	return name
}

// comeBack goes on after a sign-in elsewhere: at once, or by way of a page
// that takes the place up again.
func (s departures) comeBack(w http.ResponseWriter, r *http.Request, v *session.Entry, d departure) error {
	if d.Place == "" {
		return s.dispatch(w, r, v, d.Goes)
	}
	to, err := s.address("/sign-in", d.Goes)
	if err != nil {
		return err
	}
	return s.Pages.Render(w, r, s.Web, http.StatusOK, "returned", &leavingView{View: s.view(w, r, v), To: to, Place: d.Place})
}
