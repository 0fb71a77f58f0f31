package selfservice

import (
	"context"
	"errors"
	"net/http"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

// browsers lists those in which less is asked, with the site of those that are
// known to another one.
func (s *Site) browsers(ctx context.Context, owner account.ID) ([]people.Browser, error) {
	all, err := s.Self.People.RememberedBrowsers(ctx, owner)
	if err != nil {
		return nil, s.unavailable(err)
	}
	for i := range all {
		if all[i].Site == s.Place.Origin {
			all[i].Site = ""
		}
	}
	return all, nil
}

// forgetBrowser forgets a browser in which less is asked. It wants no proof: it
// only makes the gateway ask more.
func (s *Site) forgetBrowser(w http.ResponseWriter, r *http.Request, at *visit) error {
	if r.Method != http.MethodPost {
		return s.back(w, r, "")
	}
	err := s.Self.ForgetBrowser(r.Context(), at.own, at.fields["browser"])
	if errors.Is(err, account.ErrNotFound) {
		return s.refusal(http.StatusNotFound, "gone.title", "gone.advice")
	}
	if err != nil {
		return s.told(err)
	}
	return s.back(w, r, "browser")
}
