package challenge

import (
	"net/http"

	"github.com/stepgate/stepgate/internal/web"
)

// allField in the address of the list of factors shows them all, where one
// of them would be asked for at once.
const allField = "all"

// choose shows the factors that would do, or goes on where there is nothing
// to choose.
func (s *Site) choose(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return &web.Fail{Status: http.StatusMethodNotAllowed, Allow: "GET, HEAD"}
	}
	at, err := s.ready(w, r)
	if at == nil {
		return err
	}
	v, c := at.visitor, at.continuation
	if s.satisfied(v, c) {
		return s.dispatch(w, r, v, c)
	}
	held, err := s.holdingsOf(r, v)
	if err != nil {
		return err
	}
	offered := prospects{s}.offer(v, c, held)
	if len(offered.factors) < 2 || offered.direct != "" && r.URL.Query().Get(allField) == "" {
		return s.dispatch(w, r, v, c)
	}
	view := &chooseView{View: s.view(w, r, v), Purpose: s.purposeOf(v, c)}
	for _, kind := range offered.factors {
		label := ""
		if own := held.usable[kind]; len(own) == 1 && !kind.Fallback() {
			label = own[0].Called(web.Language(r, s.Web))
		}
		href, err := s.address("/challenge/"+string(kind), c)
		if err != nil {
			return err
		}
		view.Ways = append(view.Ways, way{Factor: kind, Label: label, Href: href})
	}
	return s.Pages.Render(w, r, s.Web, http.StatusOK, "choose", view)
}
