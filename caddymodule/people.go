package caddymodule

import (
	"errors"
	"fmt"

	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

// peoplePasswords lends the rules and the hasher to package people.
type peoplePasswords struct {
	*password.Hasher
	Rules password.Rules
}

// Check implements people.Passwords: a refusal in words.
func (p peoplePasswords) Check(chosen account.Secret, owner account.Account) error {
	err := p.Rules.Check(chosen, owner.Username, "")
	var refusal *password.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	switch refusal.Reason {
	case password.TooShort:
		return fmt.Errorf("it needs at least %d characters", refusal.Min)
	case password.TooLong:
		return fmt.Errorf("it may have at most %d characters", refusal.Max)
	case password.NotText:
		return errors.New("it is not UTF-8 text")
	case password.Personal:
		return errors.New("it is made of the username or of the product's name")
	case password.Common:
		return errors.New("it is one of those that many people choose")
	default:
		return refusal
	}
}

// Interface guards.
var (
	_ people.Passwords = peoplePasswords{}
)
