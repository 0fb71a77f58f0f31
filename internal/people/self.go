package people

import (
	"context"
	"errors"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/session"
)

// ErrNeeded says that a credential is the last with which somebody meets a
// level that is asked of them.
var ErrNeeded = errors.New("people: the last credential that an enforced level needs")

// Self is what people do to their own accounts. Its rights are its own: a
// person acts on the account of their session and on nothing else, whatever
// their role, and a suspended account does nothing. That they have proved who
// they are for what they do is the caller's business (ceremony.Authority).
// Each verb is one transaction with its event and its notice.
type Self struct {
	People *People
	// Notices are those of the site where it is done.
	Notices *Notices
}

// Own is whose account it is, and from where it is acted on.
type Own struct {
	Account   account.ID
	Session   session.ID
	Site      string
	UserAgent string
	From      Whence
}

// doing is what a verb does, for its event and its notice.
type doing struct {
	event      audit.Name
	told       Told // empty tells nobody
	credential account.Credential
	before     *account.Account
	after      account.Account
	detail     []audit.Field
}

// Record is the person's account with its credentials.
func (s *Self) Record(ctx context.Context, own Own) (Record, error) {
	a, err := s.People.Store.Account(ctx, own.Account)
	if err != nil {
		return Record{}, fmt.Errorf("read account: %w", err)
	}
	held, err := s.People.Store.Credentials(ctx, a.ID)
	if err != nil {
		return Record{}, fmt.Errorf("list credentials: %w", err)
	}
	hash, err := s.People.Store.PasswordHash(ctx, a.ID)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return Record{}, fmt.Errorf("read password: %w", err)
	}
	return Record{Account: a, Credentials: held, HasPassword: hash != ""}, nil
}

// change runs one verb on the account as it is now.
func (s *Self) change(ctx context.Context, own Own, do func(Tx, account.Account) (doing, error)) error {
	err := s.People.Store.Update(ctx, func(tx Tx) error {
		a, err := tx.Account(ctx, own.Account)
		switch {
		case errors.Is(err, account.ErrNotFound), err == nil && a.Suspended():
			return forbidden(say("your account is not in use any more"), say("ask for help"))
		case err != nil:
			return fmt.Errorf("read account: %w", err)
		}
		d, err := do(tx, a)
		if err != nil {
			return err
		}
		if d.after.ID == "" {
			d.after = a
		}
		if _, err := tx.AppendEvent(ctx, s.event(own, d)); err != nil {
			return fmt.Errorf("append audit event: %w", err)
		}
		if d.told == "" {
			return nil
		}
		return s.People.tell(ctx, tx, s.Notices, Notice{What: d.told, Account: d.after, Before: d.before, Credential: d.credential, From: own.From})
	})
	if err == nil {
		s.Notices.wake()
	}
	return err
}

func (s *Self) event(own Own, d doing) audit.Event {
	e := accountEvent(d.event, d.after, "", d.detail...)
	e.At, e.Outcome, e.Actor = s.People.now(), "success", string(own.Account)
	e.Session, e.Site, e.Address, e.UserAgent = string(own.Session), own.Site, own.From.Address, own.UserAgent
	e.Factor, e.Credential = d.credential.Factor, string(d.credential.ID)
	return e
}

// changeCredential is change for one of the person's own credentials, with all
// that they hold. Somebody else's is account.ErrNotFound, as if there were
// none.
func (s *Self) changeCredential(ctx context.Context, own Own, id account.CredentialID, do func(Tx, account.Account, account.Credential, []account.Credential) (doing, error)) error {
	return s.change(ctx, own, func(tx Tx, a account.Account) (doing, error) {
		held, err := tx.Credentials(ctx, a.ID)
		if err != nil {
			return doing{}, fmt.Errorf("list credentials: %w", err)
		}
		for _, c := range held {
			if c.ID == id {
				return do(tx, a, c, held)
			}
		}
		return doing{}, account.ErrNotFound
	})
}

// Rename calls a credential something else.
func (s *Self) Rename(ctx context.Context, own Own, id account.CredentialID, label string) error {
	if label == "" {
		return invalid(say("a credential needs a name"), Phrase{})
	}
	return s.changeCredential(ctx, own, id, func(tx Tx, _ account.Account, c account.Credential, _ []account.Credential) (doing, error) {
		c.Label = label
		return doing{event: audit.FactorChanged, told: ToldFactorChanged, credential: c, detail: []audit.Field{{Key: "label", Value: "changed"}}}, tx.UpdateCredential(ctx, c)
	})
}

// MakeDefault makes a credential the one that is asked for first.
func (s *Self) MakeDefault(ctx context.Context, own Own, id account.CredentialID) error {
	return s.changeCredential(ctx, own, id, func(tx Tx, _ account.Account, c account.Credential, _ []account.Credential) (doing, error) {
		c.Default = true
		return doing{event: audit.FactorChanged, told: ToldFactorChanged, credential: c, detail: []audit.Field{{Key: "default", Value: "yes"}}}, tx.UpdateCredential(ctx, c)
	})
}

// Needed tells which of the levels asked of an account it could no longer meet
// with what is left of what it held; none lets a credential go.
type Needed func(a account.Account, held, left []account.Credential) (levels []string)

// Remove takes a credential away, and with it whatever it has proved in any
// session. ErrNeeded says that it is the last that an enforced level needs, as
// needed tells; a private device can always be revoked. Where it was the
// default, the one that was used last is asked for first.
func (s *Self) Remove(ctx context.Context, own Own, id account.CredentialID, needed Needed) error {
	return s.changeCredential(ctx, own, id, func(tx Tx, a account.Account, c account.Credential, held []account.Credential) (doing, error) {
		var left []account.Credential
		for _, other := range held {
			if other.ID != id {
				left = append(left, other)
			}
		}
		d := doing{event: audit.FactorRemoved, told: ToldFactorRemoved, credential: c}
		switch {
		case c.Factor == deviceFactor:
			d.event, d.told = audit.DeviceRevoked, ToldDeviceRemoved
			return d, tx.RevokeDevice(ctx, a.ID, id)
		case len(needed(a, held, left)) > 0:
			return doing{}, ErrNeeded
		}
		return d, tx.DeleteCredential(ctx, id)
	})
}

// SetTwoFactor switches two-factor sign-in on or off: whether every path that
// is not public asks this person for `mfa`.
func (s *Self) SetTwoFactor(ctx context.Context, own Own, on bool) error {
	return s.change(ctx, own, func(tx Tx, a account.Account) (doing, error) {
		a.TwoFactor = on
		d := doing{event: audit.AccessChange, told: ToldTwoFactorOff, after: a, detail: []audit.Field{{Key: "two_factor", Value: "off"}}}
		if on {
			d.told, d.detail[0].Value = ToldTwoFactorOn, "on"
		}
		return d, tx.UpdateAccount(ctx, a)
	})
}

// SetPassword gives the person another password, which was judged before, and
// ends their other sessions and whatever is under way to reset it.
func (s *Self) SetPassword(ctx context.Context, own Own, password account.Secret) error {
	hash, err := s.People.Passwords.Hash(ctx, password) // before the transaction, which must be short
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	return s.change(ctx, own, func(tx Tx, a account.Account) (doing, error) {
		if a.Source != account.LocalSource {
			return doing{}, refused(say("your password is kept elsewhere"), say("change it there"))
		}
		if err := tx.SetPasswordHash(ctx, a.ID, hash); err != nil {
			return doing{}, fmt.Errorf("keep password: %w", err)
		}
		if err := tx.DropTransactions(ctx, a.ID); err != nil {
			return doing{}, fmt.Errorf("end challenges: %w", err)
		}
		if err := s.People.forgetBrowser(ctx, tx, a.ID, ""); err != nil {
			return doing{}, err
		}
		return doing{event: audit.PasswordChange, told: ToldPasswordChanged}, tx.EndAccountSessions(ctx, a.ID, own.Session)
	})
}

// PasswordChanged keeps that the person has changed a password which their
// source keeps, and ends their other sessions.
func (s *Self) PasswordChanged(ctx context.Context, own Own) error {
	return s.change(ctx, own, func(tx Tx, a account.Account) (doing, error) {
		if err := tx.DropTransactions(ctx, a.ID); err != nil {
			return doing{}, fmt.Errorf("end challenges: %w", err)
		}
		d := doing{event: audit.PasswordChange, told: ToldPasswordChanged, detail: []audit.Field{{Key: "source", Value: a.Source}}}
		return d, tx.EndAccountSessions(ctx, a.ID, own.Session)
	})
}

// SetEmail makes an address that the person has proved the one on their
// account.
func (s *Self) SetEmail(ctx context.Context, own Own, proved string) error {
	return s.setContact(ctx, own, ToldEmailChanged, "email", func(a *account.Account) (err error) {
		a.Email, err = cleanEmail(proved)
		return err
	})
}

// SetMobile makes a number that the person has proved the one on their
// account.
func (s *Self) SetMobile(ctx context.Context, own Own, proved string) error {
	return s.setContact(ctx, own, ToldMobileChanged, "mobile", func(a *account.Account) (err error) {
		a.Mobile, err = cleanMobile(proved, s.People.Region)
		return err
	})
}

func (s *Self) setContact(ctx context.Context, own Own, told Told, field string, set func(*account.Account) error) error {
	return s.change(ctx, own, func(tx Tx, a account.Account) (doing, error) {
		before := a
		if err := set(&a); err != nil {
			return doing{}, err
		}
		d := doing{event: audit.UserUpdated, told: told, before: &before, after: a, detail: []audit.Field{{Key: field, Value: "changed"}}}
		return d, tx.UpdateAccount(ctx, a)
	})
}

// EndSession ends one of the person's sessions: session.ErrNotFound where it
// is none of theirs, or over.
func (s *Self) EndSession(ctx context.Context, own Own, id session.ID) error {
	return s.change(ctx, own, func(tx Tx, a account.Account) (doing, error) {
		d := doing{event: audit.SessionExpired, detail: []audit.Field{{Key: "session", Value: string(id)}, {Key: "by", Value: "owner"}}}
		return d, tx.EndSessionOf(ctx, a.ID, id)
	})
}

// EndOthers ends all sessions of the person but the one they act in, and forgets
// all browsers.
func (s *Self) EndOthers(ctx context.Context, own Own) error {
	return s.change(ctx, own, func(tx Tx, a account.Account) (doing, error) {
		d := doing{event: audit.SessionExpired, detail: []audit.Field{{Key: "session", Value: "all others"}, {Key: "by", Value: "owner"}}}
		if err := s.People.forgetBrowser(ctx, tx, a.ID, ""); err != nil {
			return doing{}, err
		}
		return d, tx.EndAccountSessions(ctx, a.ID, own.Session)
	})
}

// Disown is the person's word that something on their account was not them:
// their other sessions end, with whatever else is under way, and the trail has
// it. about is the number of the record that they mean, 0 for none.
func (s *Self) Disown(ctx context.Context, own Own, about int64) error {
	return s.change(ctx, own, func(tx Tx, a account.Account) (doing, error) {
		d := doing{event: audit.ActivityDisowned, told: ToldDisowned}
		if about > 0 {
			d.detail = []audit.Field{{Key: "record", Value: fmt.Sprint(about)}}
		}
		if err := tx.DropTransactions(ctx, a.ID); err != nil {
			return doing{}, fmt.Errorf("end challenges: %w", err)
		}
		if err := s.People.forgetBrowser(ctx, tx, a.ID, ""); err != nil {
			return doing{}, err
		}
		return d, tx.EndAccountSessions(ctx, a.ID, own.Session)
	})
}
