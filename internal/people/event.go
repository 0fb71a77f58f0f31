package people

import (
	"slices"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// signed completes an event with when it happened and who did it.
func (p *People) signed(e audit.Event, actor Actor) audit.Event {
	e.At = p.now()
	e.Outcome = "success"
	e.Actor = actor.id()
	e.Site, e.Address, e.UserAgent, e.Session = actor.origin.Site, actor.origin.Address, actor.origin.UserAgent, actor.origin.Session
	return e
}

// accountEvent is about one account. What somebody is called, and where they
// can be reached, is not in it: a username is often an address.
func accountEvent(name audit.Name, a account.Account, reason string, detail ...audit.Field) audit.Event {
	return audit.Event{
		Name:         name,
		Account:      string(a.ID),
		Organisation: a.Organisation,
		Detail:       withReason(detail, reason),
	}
}

func addEvent(a account.Account, reason string) audit.Event {
	return accountEvent(audit.UserCreated, a, reason,
		audit.Field{Key: "role", Value: string(a.Role)}, audit.Field{Key: "source", Value: a.Source})
}

// editEvent names what is different, and shows it where it is a right.
func editEvent(before, after account.Account, reason string) audit.Event {
	var detail []audit.Field
	name := audit.UserUpdated
	changed := func(key, from, to string, right bool) {
		switch {
		case from == to:
		case right:
			name = audit.PermissionsChanged
			detail = append(detail, audit.Field{Key: key, Value: from + " -> " + to})
		default:
			detail = append(detail, audit.Field{Key: key, Value: "changed"})
		}
	}
	changed("username", before.Username, after.Username, false)
	changed("name", before.Name, after.Name, false)
	changed("title", before.Parts.Title, after.Parts.Title, false)
	changed("email", before.Email, after.Email, false)
	changed("mobile", before.Mobile, after.Mobile, false)
	changed("role", string(before.Role), string(after.Role), true)
	changed("organisation", before.Organisation, after.Organisation, true)
	changed("groups", strings.Join(before.Groups, ","), strings.Join(after.Groups, ","), true)
	return accountEvent(name, after, reason, detail...)
}

func resetEvent(a account.Account, held []account.Credential, reason string) audit.Event {
	var kinds []string
	for _, c := range held {
		if !slices.Contains(kinds, c.Factor) {
			kinds = append(kinds, c.Factor)
		}
	}
	return accountEvent(audit.FactorReset, a, reason, audit.Field{Key: "factors", Value: strings.Join(kinds, ",")})
}

func organisationEvent(name audit.Name, o account.Organisation, reason string) audit.Event {
	var detail []audit.Field
	for _, rule := range []audit.Field{{Key: "require", Value: o.Require}, {Key: "enrolment", Value: o.Enrolment}} {
		if rule.Value != "" {
			detail = append(detail, rule)
		}
	}
	return audit.Event{Name: name, Organisation: o.Name, Detail: withReason(detail, reason)}
}

func withReason(detail []audit.Field, reason string) []audit.Field {
	if reason = strings.TrimSpace(reason); reason != "" {
		detail = append(detail, audit.Field{Key: "reason", Value: reason})
	}
	return detail
}
