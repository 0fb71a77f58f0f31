package challenge

import (
	"net/http"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

func (k *walk) render(w http.ResponseWriter, r *http.Request, prompt factors.Prompt, errs []web.FieldError, enrolling bool) error {
	sealed, err := k.c.Seal(k.s.Sealer, k.s.Place.Origin)
	if err != nil {
		return err
	}
	view := &promptView{View: k.s.view(w, r, k.v), Prompt: prompt, Continuation: sealed, Action: k.page, Enrolling: enrolling}
	view.Errors = errorsOf(prompt, errs)
	if typed, ok := k.typed[prompt.Field]; ok && prompt.Field != "" {
		view.Values = map[string]string{prompt.Field: typed}
	}
	if !enrolling {
		view.Purpose = k.s.purposeOf(k.v, k.c)
	}
	if k.others {
		up, all := "/challenge", "&"+allField+"=1"
		if enrolling {
			up, all = "/enrol", ""
		}
		if view.Others, err = k.s.address(up, k.c); err != nil {
			return err
		}
		view.Others += all
	}
	if prompt.Shape == factors.ShapePIN && !enrolling && k.forgot && k.s.Factors.Find(policy.PIN) != nil {
		if view.Forgot, err = k.s.address(forgottenPage, k.c); err != nil {
			return err
		}
	}
	if prompt.SecretURI != "" {
		if view.Picture, err = web.QRCode(prompt.SecretURI, 5); err != nil {
			return err
		}
	}
	if prompt.Progress == factors.ProgressWaiting {
		if view.Again, err = k.s.address(k.page, k.c); err != nil {
			return err
		}
		if view.Wait, err = k.s.address(k.page+waitPath, k.c); err != nil {
			return err
		}
	}
	status := http.StatusOK
	if errs != nil {
		status = http.StatusBadRequest
	}
	if k.fail != nil {
		status = k.fail.Status
		view.Errors = k.fail.Excuse()
		web.SetRetryAfter(w.Header(), k.fail.RetryAfter)
	}
	return k.s.Pages.Render(w, r, k.s.Web, status, pageOf(prompt), view)
}
