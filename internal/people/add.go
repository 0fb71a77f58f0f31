package people

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// NewAccount is what is known of somebody who gets an account.
type NewAccount struct {
	Username string `json:"username"`
	Email    string `json:"email,omitempty"`
	Mobile   string `json:"mobile,omitempty"` // as typed; kept in E.164
	Name     string `json:"name,omitempty"`
	// Parts, where there are any, make the name.
	Parts  account.NameParts `json:"parts,omitzero"`
	Groups []string          `json:"groups,omitempty"`
	// Organisation is the actor's own, or `default`, when empty.
	Organisation string       `json:"organisation,omitempty"`
	Role         account.Role `json:"role,omitempty"` // empty is user
	// Source is local when empty, or the only source there is. Subject is
	// the source's own identifier; empty for local accounts, and for sources
	// that know people by name alone.
	Source  string `json:"source,omitempty"`
	Subject string `json:"subject,omitempty"`
	// Password is for local accounts; empty for none yet.
	Password account.Secret `json:"-"`
	Reason   string         `json:"reason,omitempty"`
}

// AddAccount makes an account. Without a password a local account exists but
// nobody can sign in to it until SetPassword.
func (p *People) AddAccount(ctx context.Context, actor Actor, n NewAccount) (Record, error) {
	if err := actor.may(ActManage); err != nil {
		return Record{}, err
	}
	a, err := p.draft(actor, n)
	if err != nil {
		return Record{}, err
	}
	var hash string
	if len(n.Password) > 0 {
		if hash, err = p.hash(ctx, n.Password, a); err != nil {
			return Record{}, err
		}
	}
	err = p.change(ctx, actor, func(tx Tx, current Actor) (audit.Event, error) {
		if err := p.insert(ctx, tx, current, a); err != nil {
			return audit.Event{}, err
		}
		if hash != "" {
			if err := tx.SetPasswordHash(ctx, a.ID, hash); err != nil {
				return audit.Event{}, fmt.Errorf("keep password: %w", err)
			}
		}
		return addEvent(a, n.Reason), nil
	})
	if err != nil {
		return Record{}, err
	}
	return Record{Account: a, HasPassword: hash != ""}, nil
}

// draft turns what was asked for into a record, or says what is wrong with
// it. It reads nothing.
func (p *People) draft(actor Actor, n NewAccount) (account.Account, error) {
	a := account.Account{ID: account.NewID(), CreatedAt: p.now()}
	var problems [7]error
	a.Username, problems[0] = cleanUsername(n.Username)
	a.Name, problems[1] = cleanName(n.Name)
	a.Email, problems[2] = cleanEmail(n.Email)
	a.Mobile, problems[3] = cleanMobile(n.Mobile, p.Region)
	a.Groups, problems[4] = cleanGroups(n.Groups)
	a.Role, problems[5] = cleanRole(n.Role)
	a.Source, a.Subject, problems[6] = p.identity(n, a.ID)
	if n.Parts != (account.NameParts{}) {
		a.Parts, a.Name, problems[1] = cleanParts(n.Parts)
	}
	for i, problem := range problems {
		if problem != nil {
			return account.Account{}, about(recordFields[i], problem)
		}
	}
	a.Organisation = cmp.Or(strings.TrimSpace(n.Organisation), actor.organisation(), account.DefaultOrganisation)
	return a, nil
}

// recordFields are the fields of a record in the order in which they are looked
// at.
var recordFields = [...]string{"username", "name", "email", "mobile", "groups", "role", "source"}

// identity settles the pair that an account is kept by.
func (p *People) identity(n NewAccount, id account.ID) (source, subject string, err error) {
	sources := p.sources()
	chosen := 0
	if n.Source != "" {
		chosen = slices.IndexFunc(sources, func(s Source) bool { return s.Name == n.Source })
	} else if len(sources) > 1 {
		chosen = slices.IndexFunc(sources, func(s Source) bool { return s.Name == account.LocalSource })
	}
	if chosen < 0 {
		return "", "", p.noSource(n.Source)
	}
	s := sources[chosen]
	subject = strings.TrimSpace(n.Subject)
	switch {
	case s.Name == account.LocalSource && subject != "":
		return "", "", invalid(say("a local account has no subject of its own"), say("leave it out, or name another source"))
	case s.Name == account.LocalSource:
		return s.Name, string(id), nil
	case len(n.Password) > 0:
		return "", "", invalid(say("source %q checks its own passwords", s.Name), say("leave the password out"))
	case subject != "" && plain(subject):
		return s.Name, subject, nil
	case subject == "" && s.SubjectIsName:
		return s.Name, account.FoldUsername(n.Username), nil
	default:
		return "", "", invalid(say("an account of source %q needs the source's own identifier of the person", s.Name), say("give it as the subject; it is made at their first sign-in otherwise"))
	}
}

func (p *People) sources() []Source {
	if len(p.Sources) == 0 {
		return []Source{{Name: account.LocalSource}}
	}
	return p.Sources
}

func (p *People) noSource(asked string) error {
	var names []string
	for _, s := range p.sources() {
		names = append(names, s.Name)
	}
	if asked == "" {
		return invalid(say("there are several sign-in sources"), say("say which one: %s", list(names)))
	}
	return invalid(say("there is no sign-in source %q", asked), say("the configuration has %s", list(names)))
}

// insert keeps a drafted account if the actor may make it and its names are
// free.
func (p *People) insert(ctx context.Context, tx Tx, actor Actor, a account.Account) error {
	if err := actor.may(ActManage); err != nil {
		return err
	}
	if _, err := organisation(ctx, tx, actor, a.Organisation); err != nil {
		return err
	}
	if err := actor.mayGrant(a.Role); err != nil {
		return err
	}
	if err := p.free(ctx, tx, a); err != nil {
		return err
	}
	if err := p.unshared(ctx, tx, a); err != nil {
		return err
	}
	if err := tx.InsertAccount(ctx, a); err != nil {
		return fmt.Errorf("keep account: %w", err)
	}
	return nil
}

// namesakes knows who has a name or an identifier. A Reader does.
type namesakes interface {
	AccountByUsername(ctx context.Context, source, folded string) (account.Account, error)
	AccountBySubject(ctx context.Context, source, subject string) (account.Account, error)
}

// free tells whether the account's name and its source's identifier are
// nobody's, or its own.
func (p *People) free(ctx context.Context, r namesakes, a account.Account) error {
	other, err := r.AccountByUsername(ctx, a.Source, account.FoldUsername(a.Username))
	if err == nil && other.ID != a.ID {
		return taken(say("source %q has an account %q already", a.Source, other.Username), say("choose another username, or change that account with `user edit`"))
	}
	if err == nil || errors.Is(err, account.ErrNotFound) {
		other, err = r.AccountBySubject(ctx, a.Source, a.Subject)
	}
	switch {
	case errors.Is(err, account.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("look for the name: %w", err)
	case other.ID != a.ID:
		return taken(say("subject %q of source %q is account %q already", a.Subject, a.Source, other.Username), say("change that account with `user edit`"))
	}
	return nil
}

// unshared tells whether no source that a site has beside the account's own
// knows somebody by the same username: to the app behind it they would be one.
func (p *People) unshared(ctx context.Context, r namesakes, a account.Account) error {
	for _, s := range p.sources() {
		if s.Name != a.Source {
			continue
		}
		for _, beside := range s.Beside {
			other, err := r.AccountByUsername(ctx, beside, account.FoldUsername(a.Username))
			switch {
			case errors.Is(err, account.ErrNotFound):
			case err != nil:
				return fmt.Errorf("look for the name: %w", err)
			default:
				return taken(say("source %q has an account %q, and a site lets both sources in", beside, other.Username), say("choose another username: the app would take the two for one person"))
			}
		}
	}
	return nil
}
