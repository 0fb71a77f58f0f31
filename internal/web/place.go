package web

import (
	"bytes"
	"html"
	"regexp"
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
