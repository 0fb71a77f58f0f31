package challenge

import (
	"errors"
	"html/template"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// signInView is the view of sign-in.html.
type signInView struct {
	web.View
	Continuation string
}

// chooseView is the view of choose.html and enrol.html.
type chooseView struct {
	web.View
	Ways []way
}

// way is one factor that would do.
type way struct {
	Factor policy.Factor
	// Label is the credential's, where the person has exactly one.
	Label string
	Href  string
}

// Text is the id of the factor's name in the catalogue.
func (w way) Text() string { return "way." + string(w.Factor) }

// promptView is the view of the pages of prompt shapes.
type promptView struct {
	web.View
	factors.Prompt
	Continuation string
	// Picture is the QR picture of SecretURI.
	Picture template.URL
	// Action is the form's path; Others leads to the other factors, empty
	// where there are none.
	Action string
	Others string
	// Enrolling tells an enrolment from a challenge.
	Enrolling bool
}

// Delivered tells a code that is sent from one that the person makes or has.
func (v *promptView) Delivered() bool { return v.Destination != "" }

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
// of the address, or none where there is only a button to ask for a code.
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
		}
	}
	return errs
}

// signOutView is the view of sign-out.html and signed-out.html.
type signOutView struct{ web.View }

// lostView is the view of lost.html.
type lostView struct {
	web.View
	Target string
}

// windowView is the view of window.html.
type windowView struct{ web.View }

// stuckView is the view of stuck.html: what the request needs cannot be had.
type stuckView struct {
	web.View
	Reference string
	// Text is the id of the text that says why.
	Text string
}

// pageOf is the page that owns a shape.
func pageOf(shape factors.Shape) string {
	switch shape {
	case factors.ShapeSecret:
		return "secret"
	default:
		return string(shape)
	}
}

// answerError gives the words for an answer that did not do, or nil where err
// is a technical failure.
func answerError(err error) []web.FieldError {
	text := ""
	switch {
	case errors.Is(err, factors.ErrWrongAnswer):
		text = "error.wrong"
	case errors.Is(err, factors.ErrReplayed):
		text = "error.replayed"
	case errors.Is(err, factors.ErrExpired):
		text = "error.expired"
	case errors.Is(err, factors.ErrBadAddress):
		text = "error.address"
	case errors.Is(err, factors.ErrTaken):
		text = "error.taken"
	default:
		return nil
	}
	return []web.FieldError{{Field: "code", Text: text}}
}
