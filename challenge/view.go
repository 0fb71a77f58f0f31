package challenge

import (
	"errors"
	"strings"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/web"
	"github.com/stepgate/stepgate/policy"
)

// signInView is the view of sign-in.html.
type signInView struct {
	web.View
	Continuation string
	// Place is the name under which the browser may put its place away, and
	// PutAway that under which it has (placeField).
	Place, PutAway string
	// Done is the id of the text that says what has just happened, Beside that
	// of one that goes with it.
	Done, Beside string
	// Options and Invitation are for a passkey's script and form; empty
	// where no passkey can be the sign-in.
	Options, Invitation string
	// Passwords tells whether a name and a password would do; Elsewhere are
	// the sources that the page leads to.
	Passwords bool
	Elsewhere []away
	// Domains are those whose people go elsewhere once they have given their
	// name.
	Domains []string
	// Named says that people are let in by somebody before the gateway, and
	// in no other way.
	Named bool
	// Forgot offers a new password.
	Forgot bool
}

// ElsewhereKind makes the buttons that lead elsewhere the page's main ones
// where there is nothing else.
func (v *signInView) ElsewhereKind() string {
	if v.Asks() {
		return "secondary"
	}
	return ""
}

// Asks tells whether the page asks for a name.
func (v *signInView) Asks() bool { return v.Passwords || len(v.Domains) > 0 }

// DomainList is Domains as the hint names them.
func (v *signInView) DomainList() string { return "@" + strings.Join(v.Domains, ", @") }

// staleView is the view of stale.html.
type staleView struct {
	web.View
	Continuation, Stale string
	Username            string
	// Reason says why another password is needed.
	Reason signin.Reason
}

// linkView is the view of link.html.
type linkView struct {
	web.View
	Action   string
	Purpose  string
	Username string
	// Texts says that the button sends a text message.
	Texts bool
}

// resetView is the view of reset.html and reset-sent.html.
type resetView struct{ web.View }

// newPasswordView is the view of new-password.html.
type newPasswordView struct {
	web.View
	Action   string
	Username string
	// Alone says that the password is the only factor.
	Alone bool
}

// Strength is what the part of that name is executed with.
func (v *newPasswordView) Strength() strength { return strengthOf(v.Alone) }

// strength is about the field of a new password, as it is typed.
type strength struct {
	For string
	// Min is how many characters it needs.
	Min int
}

func strengthOf(alone bool) strength {
	if alone {
		return strength{"new_password", 15}
	}
	return strength{"new_password", 8}
}

// passwordView is the view of password.html.
type passwordView struct {
	web.View
	Continuation string
	Purpose      purpose
	// Username is whose password is asked for, for password managers.
	Username string
	// Others leads to the other factors, empty where there are none.
	Others string
}

// chooseView is the view of choose.html and enrol.html.
type chooseView struct {
	web.View
	Purpose purpose
	Ways    []way
	// Which is set where the ways are several credentials of one factor.
	Which policy.Factor
}

// purpose says on the pages of a proof what it is for, where it is for one
// thing alone.
type purpose struct {
	// Done is the id of the text that says what has just happened.
	Done string
	// Why is the policy author's word on the rule.
	Why string
	// Operation is the id of the text that names an operation.
	Operation string
	// Method and Target are those of the one request that is opened.
	Method, Target string
}

// maxShownTarget bounds how much of a request target a page shows.
const maxShownTarget = 200

// purposeOf tells what the proof that c asks for will be spent on.
func (s *Site) purposeOf(v *session.Entry, c ceremony.Continuation) purpose {
	switch {
	case c.Kind == ceremony.Operate:
		return purpose{Operation: c.Operation, Done: c.Done}
	case s.asksOnce(v, c):
		target := []rune(c.Target)
		if len(target) > maxShownTarget {
			target = append(target[:maxShownTarget], '…')
		}
		return purpose{Why: c.Why, Method: c.Method, Target: string(target), Done: c.Done}
	default:
		return purpose{Why: c.Why, Done: c.Done}
	}
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

// listView is the view of list.html: codes, once, or without codes a button
// that makes new ones.
type listView struct {
	web.View
	Continuation string
	// Action is the form's path.
	Action string
	Codes  []string
	// First tells the codes that come with a first second factor from those
	// that somebody asked for.
	First bool
}

// Joined is the codes, one a line.
func (v listView) Joined() string { return strings.Join(v.Codes, "\n") }

// signOutView is the view of sign-out.html and signed-out.html.
type signOutView struct{ web.View }

// lostView is the view of lost.html.
type lostView struct {
	web.View
	Target string
	// TooLong is set where an address was lost, not what was typed.
	TooLong bool
}

// windowView is the view of window.html.
type windowView struct{ web.View }

// stuckView is the view of stuck.html: what the request needs cannot be had.
type stuckView struct {
	web.View
	Reference string
	// Text is the id of the text that says why.
	Text string
	// Enrol is the page of enrolments, where that is the way on.
	Enrol string
	// From is when a credential that is held will count, if it waits.
	From time.Time
}

// pageOf is the page that owns a prompt: one a shape.
func pageOf(p factors.Prompt) string {
	if p.Shape == factors.ShapeCode && p.Digits == 0 && p.Destination == "" {
		return "paper" // letters and digits, read off paper
	}
	return string(p.Shape)
}

// answerError gives the words for an answer that did not do, or nil where err
// is a technical failure.
func answerError(kind policy.Factor, err error) []web.FieldError {
	if kind == policy.WebAuthn {
		return keyError(err)
	}
	if kind == policy.Approval {
		return approvalError(err)
	}
	if unsuitable := (*factors.Unsuitable)(nil); errors.As(err, &unsuitable) {
		return []web.FieldError{{Field: unsuitable.Field, Text: unsuitable.Text}}
	}
	text := ""
	var args []any
	var number *factors.NumberError
	switch {
	case errors.As(err, &number):
		text, args = "error.address", []any{"countries", web.Countries(number.Countries)}
	case errors.Is(err, factors.ErrWrongAnswer) && (kind == policy.PIN || kind == policy.DevicePIN):
		return []web.FieldError{{Field: "pin", Text: "error.pin.wrong"}}
	case errors.Is(err, factors.ErrExpired) && kind == policy.DevicePIN:
		return []web.FieldError{{Field: "pin", Text: "error.device.expired"}}
	case errors.Is(err, factors.ErrWrongAnswer) && kind == policy.SecurityQuestions:
		return []web.FieldError{{Field: "answer_1", Text: "error.answer.wrong"}}
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
	return []web.FieldError{{Field: "code", Text: text, Args: args}}
}

// keyError gives the words for the answer of a key. They are about the whole
// page: there is no field to mend.
func keyError(err error) []web.FieldError {
	text := ""
	switch {
	case errors.Is(err, factors.ErrModel):
		text = "error.key-model"
	case errors.Is(err, factors.ErrWrongAnswer):
		text = "error.key"
	case errors.Is(err, factors.ErrExpired):
		text = "error.key-expired"
	case errors.Is(err, factors.ErrCloned):
		text = "error.key-cloned"
	case errors.Is(err, factors.ErrUnverified):
		text = "error.key-unverified"
	case errors.Is(err, factors.ErrTaken):
		text = "error.key-taken"
	default:
		return nil
	}
	return []web.FieldError{{Text: text}}
}

// approvalError gives the words for an answer that comes from a phone. They are
// about the whole page: there is no field to mend.
func approvalError(err error) []web.FieldError {
	text := ""
	switch {
	case errors.Is(err, factors.ErrPending):
		text = "error.approval.pending"
	case errors.Is(err, factors.ErrExpired), errors.Is(err, factors.ErrReplayed):
		text = "error.approval.over"
	case errors.Is(err, factors.ErrWrongAnswer):
		text = "error.approval.refused"
	case errors.Is(err, factors.ErrTaken):
		text = "error.taken"
	default:
		return nil
	}
	return []web.FieldError{{Text: text}}
}
