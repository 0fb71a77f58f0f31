package approval

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/softtoken"
)

// OptionsOf is what the app of a phone needs to sign an answer to a request.
// The challenge that it signs is made of what it shows.
func OptionsOf(c account.Credential, r Request) (Options, error) {
	kept, err := recordOf(c)
	if err != nil {
		return Options{}, err
	}
	return Options{Key: kept.Key, Account: string(r.Account), Purpose: approvalPurpose, Transaction: r.ID}.during(r.Content.Exchange, kept.Share)
}

// Answer is what a phone sends.
type Answer struct {
	// Number is what was typed.
	Number string
	// Letter is the signature, encrypted to the request.
	Letter string
}

// Judge judges the answer of a phone to an open request of its account, at the
// origin of the app, and alters both as they are to be kept. The outcome is
// nil for an approval; factors.ErrWrongAnswer for a wrong PIN, which counts and
// leaves the request open; factors.ErrDestroyed where it was the last; and
// ErrWrongNumber where everything but the number is right. err is technical,
// and then nothing is to be kept. A letter that does not open is ErrGone and
// counts as nothing.
func Judge(c *account.Credential, r *Request, origin string, answer Answer, now time.Time) (outcome, err error) {
	kept, err := recordOf(*c)
	if err != nil {
		return nil, err
	}
	if !kept.Live() {
		return nil, ErrGone
	}
	signature, err := r.Content.Open(answer.Letter)
	if errors.Is(err, softtoken.ErrLetter) {
		return nil, ErrGone
	} else if err != nil {
		return nil, err
	}
	right, err := kept.Judge(softtoken.Statement{
		Kind: "approve", Origin: origin, Account: string(r.Account), Purpose: approvalPurpose, Transaction: r.ID, Challenge: r.digest(answer.Number),
	}, signature)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read a public key: %w", err)
	case !right && kept.Live():
		outcome = factors.ErrWrongAnswer
	case !right:
		outcome = factors.ErrDestroyed
	case answer.Number != r.Content.Number:
		outcome = ErrWrongNumber
		r.answered(WrongNumber, c, now)
	default:
		r.answered(Approved, c, now)
	}
	return outcome, kept.keepIn(c)
}

// TriesLeft is how many wrong PINs a phone has left.
func TriesLeft(c account.Credential) int {
	kept, err := recordOf(c)
	if err != nil || !kept.Live() {
		return 0
	}
	return softtoken.MaxTries - kept.Tries
}

// ErrWrongNumber says that another number was typed than the browser shows.
var ErrWrongNumber = errors.New("approval: wrong number")

// Deny makes a request one that its person has not asked for.
func Deny(c *account.Credential, r *Request, now time.Time) { r.answered(Denied, c, now) }

func (r *Request) answered(as Status, c *account.Credential, now time.Time) {
	r.Status, r.Credential, r.AnsweredAt = as, c.ID, now.UTC()
}

// About reads what a phone shows of a request.
func (r Request) About() (s Shown) {
	_ = json.Unmarshal(r.Content.Shown, &s)
	return s
}
