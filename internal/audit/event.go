package audit

import (
	"encoding/json"
	"time"
)

// Event is one thing that happened. Only At and Name are needed; At may be
// left zero for the recorder to set.
//
// No field ever holds a code, seed, PIN, answer, password, cookie, token or
// body, nor a whole phone number or e-mail address. Every string may come from
// a stranger; Chain.Seal cleans them.
type Event struct {
	// At is when it happened, kept in UTC to the millisecond.
	At   time.Time
	Name Name
	// Reference is what a refusing page showed; see NewReference.
	Reference string
	// Account is the ID of whom it is about, Actor of who did it where that
	// is someone else ("command" for the command line). Both stay when the
	// account is deleted; they name nobody by themselves.
	Account, Actor, Organisation string
	// Session is the hash under which the store keeps the session, never the
	// cookie.
	Session string
	// Site is the origin of the site.
	Site string
	// Factor is the kind of proof, Credential the ID of the enrolled one.
	Factor, Credential string
	// Levels are the levels that were asked for, or met.
	Levels []string
	// Rule is the pattern that decided and where it stands (FILE:LINE).
	Rule string
	// Address is the client's IP address.
	Address   string
	UserAgent string
	// Outcome is one word (allow, step-up, deny, success, fail), Reason the
	// kebab code of why.
	Outcome, Reason string
	Detail          []Field
	// Explanation is the policy's own account of a decision, one JSON value.
	Explanation json.RawMessage
}

// Field is one more fact about an event.
type Field struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// body is the canonical form of an event. The order of fields, their names
// and omitempty are part of the format: records are verified as bytes, and
// read again by whichever version comes later. Names are those of the OWASP
// Logging Vocabulary where it has one.
type body struct {
	At           string          `json:"datetime"`
	Name         Name            `json:"event"`
	Severity     Severity        `json:"level"`
	Reference    string          `json:"reference,omitempty"`
	Account      string          `json:"account,omitempty"`
	Actor        string          `json:"actor,omitempty"`
	Organisation string          `json:"organisation,omitempty"`
	Session      string          `json:"session,omitempty"`
	Site         string          `json:"site,omitempty"`
	Factor       string          `json:"factor,omitempty"`
	Credential   string          `json:"credential,omitempty"`
	Levels       []string        `json:"levels,omitempty"`
	Rule         string          `json:"rule,omitempty"`
	Address      string          `json:"source_ip,omitempty"`
	UserAgent    string          `json:"useragent,omitempty"`
	Outcome      string          `json:"outcome,omitempty"`
	Reason       string          `json:"reason,omitempty"`
	Detail       []Field         `json:"detail,omitempty"`
	Explanation  json.RawMessage `json:"explanation,omitempty"`
}

const timeFormat = "2006-01-02T15:04:05.000Z"

// encode gives the canonical bytes of a cleaned event: compact JSON on one
// line that json.Marshal would leave as it is.
func encode(e Event) ([]byte, error) {
	return json.Marshal(body{
		At: e.At.Format(timeFormat), Name: e.Name, Severity: e.Name.Severity(),
		Reference: e.Reference, Account: e.Account, Actor: e.Actor, Organisation: e.Organisation,
		Session: e.Session, Site: e.Site, Factor: e.Factor, Credential: e.Credential,
		Levels: e.Levels, Rule: e.Rule, Address: e.Address, UserAgent: e.UserAgent,
		Outcome: e.Outcome, Reason: e.Reason, Detail: e.Detail, Explanation: e.Explanation,
	})
}

// decode reads canonical bytes back. Members that it does not know are those
// of a later version, and left out.
func decode(raw []byte) (Event, error) {
	var b body
	if err := json.Unmarshal(raw, &b); err != nil {
		return Event{}, err
	}
	at, err := time.Parse(timeFormat, b.At)
	if err != nil {
		return Event{}, err
	}
	return Event{
		At: at.UTC(), Name: b.Name,
		Reference: b.Reference, Account: b.Account, Actor: b.Actor, Organisation: b.Organisation,
		Session: b.Session, Site: b.Site, Factor: b.Factor, Credential: b.Credential,
		Levels: b.Levels, Rule: b.Rule, Address: b.Address, UserAgent: b.UserAgent,
		Outcome: b.Outcome, Reason: b.Reason, Detail: b.Detail, Explanation: b.Explanation,
	}, nil
}
