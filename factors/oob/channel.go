package oob

import (
	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// channel is what differs between texts and e-mails.
type channel interface {
	kind() policy.Factor
	// field is the name of the address's field.
	field() string
	// parse reads a typed address; factors.ErrBadAddress.
	parse(typed string) (address, error)
	// known is the address that the account has.
	known(a account.Account) string
	// fold is the address as budgets count it.
	fold(to string) string
	mask(to, language string) string
	// label is what a new credential is called.
	label(to, language string) string
	// compose gives subject and body.
	compose(l letter) (subject, body string)
}

// letter is what a message with a code says.
type letter struct {
	scope factors.Scope
	code  string
	// minutes is how long the code holds.
	minutes int
}

type textMessage struct{ Numbers }

func (textMessage) kind() policy.Factor             { return policy.SMS }
func (textMessage) field() string                   { return "mobile" }
func (textMessage) known(a account.Account) string  { return a.Mobile }
func (textMessage) fold(to string) string           { return to }
func (textMessage) mask(to, language string) string { return maskNumber(to, language) }
func (textMessage) label(to, language string) string {
	return account.PhoneEnding.In(language) + " " + ending(to)
}
func (textMessage) compose(l letter) (subject, body string) { return "", text(l) }

type eMail struct{}

func (eMail) kind() policy.Factor                 { return policy.Email }
func (eMail) field() string                       { return "email" }
func (eMail) parse(typed string) (address, error) { return parseEmail(typed) }
func (eMail) known(a account.Account) string      { return a.Email }
func (eMail) fold(to string) string               { return foldEmail(to) }
func (eMail) mask(to, _ string) string            { return maskEmail(to) }
func (eMail) label(to, language string) string {
	return account.EmailTo.In(language) + " " + maskEmail(to)
}
func (eMail) compose(l letter) (subject, body string) { return mailFor(l) }
