package challenge

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/web"
)

// credentialField names in the address of a step which of several numbers or
// addresses a code goes to.
const credentialField = "credential"

// several tells whether codes could go to more than one place, so that the
// person is asked which.
func (k *walk) several() bool {
	addressed := 0
	for _, c := range k.held {
		if c.Address != "" {
			addressed++
		}
	}
	return addressed > 1
}

// pick makes one credential that of the step. What is under way for one is
// under way for no other.
func (k *walk) pick(id account.CredentialID) bool {
	i := slices.IndexFunc(k.held, func(c account.Credential) bool { return c.ID == id })
	if i < 0 {
		return false
	}
	k.held = k.held[i : i+1]
	k.page += "?" + credentialField + "=" + url.QueryEscape(string(id))
	k.others = true
	return true
}

// askWhich lists the numbers or addresses, the default first.
func (k *walk) askWhich(w http.ResponseWriter, r *http.Request) error {
	view := &chooseView{View: k.s.view(w, r, k.v), Purpose: k.s.purposeOf(k.v, k.c), Which: k.factor.Kind()}
	for _, c := range k.held {
		href, err := k.s.address(k.page+"?"+credentialField+"="+url.QueryEscape(string(c.ID)), k.c)
		if err != nil {
			return err
		}
		view.Ways = append(view.Ways, way{Factor: k.factor.Kind(), Label: c.Called(web.Language(r, k.s.Web)), Href: href})
	}
	return k.s.Pages.Render(w, r, k.s.Web, http.StatusOK, "choose", view)
}
