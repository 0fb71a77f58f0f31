package challenge

import (
	"html/template"
	"net/http"
	"strconv"
	"strings"

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
	view.Private = !enrolling && prompt.Shape == factors.ShapeQuestions && prospects{k.s}.privateAsksNone(k.v, k.c)
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

// promptView is the view of the pages of prompt shapes.
type promptView struct {
	web.View
	factors.Prompt
	Purpose      purpose
	Continuation string
	// Picture is the QR picture of SecretURI.
	Picture template.URL
	// Action is the form's path; Others leads to the other factors, empty
	// where there are none.
	Action string
	Others string
	// Enrolling tells an enrolment from a challenge.
	Enrolling bool
	// Forgot leads to another PIN, empty where there is no way to one.
	Forgot string
	// Private says that a private device of the person's would be asked no
	// questions.
	Private bool
	// Invited tells the code of a registration: the number is the
	// administrator's word, and the person's to doubt.
	Invited bool
	// Again is the page's own address, and Wait that by which its script learns
	// that an answer has come from elsewhere; empty where none is waited for.
	Again, Wait string
}

// Refresh has a browser without scripts ask for the page again by itself.
func (v *promptView) Refresh() template.HTML {
	return "<noscript>" + refreshTo(v.Again, 5) + "</noscript>"
}

// refreshTo has a browser open an address by itself. In this attribute
// html/template would let no address stand.
func refreshTo(address string, seconds int) template.HTML {
	return template.HTML(`<meta http-equiv="refresh" content="` + strconv.Itoa(seconds) + ";url=" + template.HTMLEscapeString(address) + `">`)
}

// Spelt is a number digit by digit, for who hears it.
func (v *promptView) Spelt() string { return strings.Join(strings.Split(v.Prompt.Number, ""), " ") }

// Phones are those that are asked.
func (v *promptView) Phones() string { return strings.Join(v.Labels, ", ") }

// Unlocks tells a PIN that unlocks the browser's own key from one that is sent.
func (v *promptView) Unlocks() bool { return v.Factor == policy.DevicePIN }

// Delivered tells a code that is sent from one that the person makes or has.
func (v *promptView) Delivered() bool { return v.Destination != "" }

// LostText is the text for who does not get codes that are sent; it speaks of
// another way where there is one.
func (v *promptView) LostText() string {
	if v.Others == "" {
		return "code.missing.lost.only." + string(v.Factor)
	}
	return "code.missing.lost." + string(v.Factor)
}

// AddressKind is the kind of the address's input.
func (v *promptView) AddressKind() string {
	if v.Field == "email" {
		return "email"
	}
	return "tel"
}

// Countdown is until the button that asks for another code works.
func (v *promptView) Countdown() countdown { return countdown{v.ResendAfterS, "resend"} }

// countdown is what the part of that name is executed with.
type countdown struct {
	Seconds int
	For     string
}

// errorsOf puts the words for an answer at the field that the page has: that
// of the address, or none where there is only a button to ask for a code. A
// wrong code that leads to that button was the last that could be tried.
func errorsOf(prompt factors.Prompt, errs []web.FieldError) []web.FieldError {
	for i := range errs {
		switch {
		case prompt.Shape == factors.ShapeAddress:
			errs[i].Field = prompt.Field
			if errs[i].Text == "error.address" {
				errs[i].Text += "." + prompt.Field
			}
		case prompt.Destination != "" && !prompt.Sent:
			errs[i].Field = ""
			if errs[i].Text == "error.wrong" {
				errs[i].Text = "error.tries"
			}
		}
	}
	return errs
}

// questionField is one question with the names of its fields.
type questionField struct {
	Number           int
	Question, Answer string
	// Text is the question's id in the catalogue, empty where it is chosen.
	Text string
}

// Asked are the questions of the page: those that were answered before, or as
// many as are to be chosen.
func (v *promptView) Asked() []questionField {
	fields := make([]questionField, enrolledQuestions)
	if !v.Enrolling {
		fields = make([]questionField, len(v.Questions))
	}
	for i := range fields {
		n := strconv.Itoa(i + 1)
		fields[i] = questionField{Number: i + 1, Question: "question_" + n, Answer: "answer_" + n}
		if !v.Enrolling {
			fields[i].Text = v.Questions[i]
		}
	}
	return fields
}

// enrolledQuestions is how many questions a person chooses and answers.
const enrolledQuestions = 3

// OptionsText is Options as the page writes them.
func (v promptView) OptionsText() string { return string(v.Prompt.Options) }
