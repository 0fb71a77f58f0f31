package web

import (
	"fmt"
	"net/http"
	"strings"
)

// Redirect answers with 303 to a path of this site, byte for byte (net/http
// would clean it). A language chosen by a link is carried along to pages of
// ours. A target that SafePath refuses is an error: it is a bug or an attack,
// and nothing was written.
func Redirect(w http.ResponseWriter, r *http.Request, site *Site, target string) error {
	if !SafePath(target) {
		return fmt.Errorf("redirect to %q: not a path of this site", target)
	}
	if chosen := chosenLanguage(r, site.languages()); chosen != "" && strings.HasPrefix(target, site.Path("/")) {
		target = withLanguage(target, chosen)
	}
	Harden(w.Header(), site)
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}
