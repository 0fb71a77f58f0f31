package web

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// ownForm is a form that posts, as our templates write it.
var ownForm = regexp.MustCompile(`(?s)<form method="post" action="([^"]*)".*?</form>`)

// keepPlace has the forms of a page that act on the page's own path act on its
// very address: then a browser carries along what stands behind the # of it,
// which no server gets, without scripts too. An empty `formaction` is the
// address of the document, its fragment included (HTML §4.10.21.3, step 12);
// `action` stays for those that read it.
func keepPlace(body []byte, path string) []byte {
	return ownForm.ReplaceAllFunc(body, func(form []byte) []byte {
		action, _, _ := strings.Cut(html.UnescapeString(string(ownForm.FindSubmatch(form)[1])), "?")
		if action != path {
			return form
		}
		return bytes.ReplaceAll(form, []byte(`<button type="submit"`), []byte(`<button type="submit" formaction=""`))
	})
}

// wayField names, in the address of a page, another page that a button of it
// leads to.
const wayField = "way"

// ownWay is a link to another page of the same journey, as our templates write
// it: it carries data-way.
var ownWay = regexp.MustCompile(`<a data-way(?: class="([^"]*)")? href="([^"]*)">([^<]*)</a>`)

// plainWays puts beside each link to another page of the journey a button, for
// browsers without scripts, which do not show the link: no link carries along
// what stands behind the #, but a form of the page's own address does, and so
// does the redirect of ToWay. path is the page's, style the address of what
// hides the links, nonce what lets it be loaded.
func plainWays(body []byte, path, style, nonce string) []byte {
	found := false
	body = ownWay.ReplaceAllFunc(body, func(link []byte) []byte {
		found = true
		m := ownWay.FindSubmatch(link)
		class := cmp.Or(string(m[1]), "button link")
		return fmt.Appendf(nil, `%s<noscript><button type="submit" form="ways" formaction="" name="%s" value="%s" class="%s">%s</button></noscript>`, link, wayField, m[2], class, m[3])
	})
	if !found {
		return body
	}
	form := fmt.Sprintf(`<noscript><form id="ways" method="get" action="%s"></form></noscript></main>`, html.EscapeString(path))
	body = bytes.Replace(body, []byte("</main>"), []byte(form), 1)
	sheet := fmt.Sprintf(`<noscript><link rel="stylesheet" href="%s" nonce="%s"></noscript></head>`, html.EscapeString(style), html.EscapeString(nonce))
	return bytes.Replace(body, []byte("</head>"), []byte(sheet), 1)
}

// ToWay answers the button that a page without scripts has in place of a link
// to another page, and tells whether it did. It leads to the site's own pages
// below some paths alone.
func ToWay(w http.ResponseWriter, r *http.Request, site *Site, below ...string) (bool, error) {
	to := r.URL.Query().Get(wayField)
	if r.Method != http.MethodGet || to == "" {
		return false, nil
	}
	path, _, _ := strings.Cut(to, "?")
	own := slices.ContainsFunc(below, func(b string) bool { return path == site.Path(b) || strings.HasPrefix(path, site.Path(b)+"/") })
	if !own {
		return false, nil
	}
	return true, Redirect(w, r, site, to)
}
