package web

import "net/http"

// framedView is the view of the page framed.html.
type framedView struct {
	View
	Href, Reference string
}

// RenderFramed answers a framed navigation that does not meet its levels: 401
// and a small page whose link opens href in the whole window. It is the one
// page that a frame of the same origin may show; it holds nothing else.
func (k *Kit) RenderFramed(w http.ResponseWriter, r *http.Request, site *Site, href, reference string) error {
	p := k.own
	pg := p.newPage(r, site, p.language(r, site))
	body, err := p.execute(pg, "framed", &framedView{Href: pg.link(href), Reference: reference})
	if err != nil {
		return err
	}
	p.write(w, pg, http.StatusUnauthorized, body, framedBySelf)
	return nil
}
