package people

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
)

// Links sends people links to the pages of one site.
type Links struct {
	// Origin is the site's.
	Origin string
	// Address is the page that a token opens.
	Address func(purpose, token string) string
	// Letter is the mail that brings it, and Notices tells that a password was
	// chosen.
	Letter  func(purpose string, to account.Account, link string) delivery.Message
	Notices *Notices
	// Mail tells whether e-mail goes out.
	Mail func() bool
	// Wake is called once a message has been kept.
	Wake func()
}

// maxWaiting bounds the messages that wait in the store.
const maxWaiting = 10_000

// Invitation is a link for somebody who has an account and no password.
type Invitation struct {
	Account account.Account
	// Link is set where it was not sent, and shown to whoever invites.
	Link account.Secret
	// Sent tells that it went out by e-mail.
	Sent      bool
	ExpiresAt time.Time
}

// Invite makes the link with which somebody registers: they prove their
// number and choose a password. It is sent to their address, or returned
// where it cannot be. Earlier invitations end.
func (p *People) Invite(ctx context.Context, actor Actor, who Who, reason string) (Invitation, error) {
	return p.sendLink(ctx, actor, who, wantedLink{ceremony.Register, reason, audit.UserInvited, p.mayBeInvited})
}

// SendReset makes the link with which somebody chooses a new password: they
// prove a second factor or their number first, and then all that they have
// open ends. It is sent, or returned, as an invitation is.
func (p *People) SendReset(ctx context.Context, actor Actor, who Who, reason string) (Invitation, error) {
	return p.sendLink(ctx, actor, who, wantedLink{ceremony.ResetPassword, reason, audit.TokenCreated, mayBeReset})
}

func mayBeReset(_ context.Context, _ Tx, a account.Account) error {
	switch {
	case a.Source != account.LocalSource:
		return refused(say("the password of %q is checked by source %q", a.Username, a.Source), say("change it there"))
	case a.Suspended():
		return refused(say("account %q is suspended", a.Username), say("resume it first"))
	}
	return nil
}

// wantedLink is a link that somebody wants another to get.
type wantedLink struct {
	purpose, reason string
	event           audit.Name
	// may tells whether an account's person may have it.
	may func(context.Context, Tx, account.Account) error
}

// sendLink makes a link for whom it may be made.
func (p *People) sendLink(ctx context.Context, actor Actor, who Who, want wantedLink) (Invitation, error) {
	links := p.Links
	if links == nil {
		return Invitation{}, refused(say("such a link leads to a site that signs local accounts in, and none is known"), say("start the gateway with `sign_in local` at a site and try again, or set a password with `user set-password`"))
	}
	var made Invitation
	err := p.changeAccount(ctx, actor, who, ActManage, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		if err := want.may(ctx, tx, a); err != nil {
			return audit.Event{}, err
		}
		token, t := ceremony.NewLink(want.purpose, a.ID, links.Origin, p.now())
		link := links.Address(want.purpose, token)
		if err := tx.ReplaceTransaction(ctx, t); err != nil {
			return audit.Event{}, fmt.Errorf("keep the link: %w", err)
		}
		made = Invitation{Account: a, Sent: a.Email != "" && links.Mail(), ExpiresAt: t.ExpiresAt}
		detail := []audit.Field{{Key: "purpose", Value: want.purpose}}
		if !made.Sent {
			made.Link = account.Secret(link)
			return accountEvent(want.event, a, want.reason, append(detail, audit.Field{Key: "sent", Value: "no"})...), nil
		}
		m := links.Letter(want.purpose, a, link)
		m.ExpiresAt = t.ExpiresAt
		if err := p.post(ctx, tx, a, m); err != nil {
			return audit.Event{}, err
		}
		return accountEvent(want.event, a, want.reason, append(detail, audit.Field{Key: "sent", Value: "email"})...), nil
	})
	if err != nil {
		return Invitation{}, err
	}
	links.Wake()
	return made, nil
}

func (p *People) mayBeInvited(ctx context.Context, tx Tx, a account.Account) error {
	switch hash, err := tx.PasswordHash(ctx, a.ID); {
	case err != nil && !errors.Is(err, account.ErrNotFound):
		return fmt.Errorf("read password: %w", err)
	case a.Source != account.LocalSource:
		return refused(say("%q signs in at source %q", a.Username, a.Source), say("there is nothing to register here"))
	case a.Suspended():
		return refused(say("account %q is suspended", a.Username), say("resume it first"))
	case hash != "":
		return refused(say("%q has a password already", a.Username), say("they choose a new one at the reset page of the site"))
	}
	return nil
}

// post keeps an e-mail in the transaction of what it tells of.
func (p *People) post(ctx context.Context, tx Tx, to account.Account, m delivery.Message) error {
	m.ID, m.Channel, m.To, m.Account = rand.Text(), delivery.Email, to.Email, string(to.ID)
	if m.ExpiresAt.IsZero() {
		m.ExpiresAt = p.now().Add(48 * time.Hour)
	}
	if err := tx.QueueMessage(ctx, delivery.Queued{Message: m, DueAt: p.now()}, maxWaiting); err != nil {
		return fmt.Errorf("keep the message: %w", err)
	}
	return nil
}

// OfferReset sends the link with which a person chooses a new password, to whom
// a username or the address on the account belongs. What nobody has, an account
// without an address and one of another source are no errors: nobody is told
// of them. The trail keeps where it was asked from.
func (p *People) OfferReset(ctx context.Context, links *Links, typed string, from Origin) error {
	if !links.Mail() {
		return nil
	}
	sent := false
	err := p.Store.Update(ctx, func(tx Tx) error {
		sent = false
		found, err := resettable(ctx, tx, typed)
		for _, a := range found {
			if err == nil {
				err = p.offerReset(ctx, tx, links, a, from)
			}
			sent = true
		}
		return err
	})
	if err == nil && sent {
		links.Wake()
	}
	return err
}

// maxSameAddress is how many accounts with one address get a link at once.
const maxSameAddress = 5

// resettable are the local accounts that a name or an address means, as far as
// a link can be sent to them.
func resettable(ctx context.Context, tx Tx, typed string) ([]account.Account, error) {
	folded := account.FoldUsername(typed)
	var found []account.Account
	if account.CheckUsername(typed) == nil {
		a, err := tx.AccountByUsername(ctx, account.LocalSource, folded)
		switch {
		case err == nil:
			found = append(found, a)
		case !errors.Is(err, account.ErrNotFound):
			return nil, fmt.Errorf("read account: %w", err)
		}
	}
	if len(found) == 0 && strings.Contains(folded, "@") {
		some, err := tx.Accounts(ctx, account.Filter{Source: account.LocalSource, Query: folded, Limit: 4 * maxSameAddress})
		if err != nil {
			return nil, fmt.Errorf("look for an address: %w", err)
		}
		for _, a := range some {
			if account.FoldUsername(a.Email) == folded && len(found) < maxSameAddress {
				found = append(found, a)
			}
		}
	}
	return slices.DeleteFunc(found, func(a account.Account) bool { return a.Suspended() || a.Email == "" }), nil
}

// offerReset makes the link and keeps the mail that brings it.
func (p *People) offerReset(ctx context.Context, tx Tx, links *Links, a account.Account, from Origin) error {
	token, t := ceremony.NewLink(ceremony.ResetPassword, a.ID, links.Origin, p.now())
	if err := tx.ReplaceTransaction(ctx, t); err != nil {
		return fmt.Errorf("keep the link: %w", err)
	}
	m := links.Letter(ceremony.ResetPassword, a, links.Address(ceremony.ResetPassword, token))
	m.ExpiresAt = t.ExpiresAt
	if err := p.post(ctx, tx, a, m); err != nil {
		return err
	}
	return p.record(ctx, tx, Gateway().From(from), accountEvent(audit.TokenCreated, a, "", audit.Field{Key: "purpose", Value: ceremony.ResetPassword}))
}

// Chosen is the end of a link's ceremony.
type Chosen struct {
	// Link is the transaction, which is redeemed:
	// ceremony.ErrTransactionGone when it was before.
	Link     string
	Owner    account.ID
	Purpose  string
	Password account.Secret
	// Phone is the number that was proved at a registration; nil for none.
	Phone *account.Credential
	From  Whence
	// Origin is what the trail keeps of where it came from.
	Origin Origin
}

// Choose keeps the password of somebody who came by a link, with the number
// that they proved, and ends all that the account has open: all of it or
// nothing. Whether the password will do was judged before.
func (p *People) Choose(ctx context.Context, links *Links, c Chosen) error {
	hash, err := p.Passwords.Hash(ctx, c.Password)
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	err = p.change(ctx, Gateway().From(c.Origin), func(tx Tx, current Actor) (audit.Event, error) {
		if err := tx.RedeemTransaction(ctx, c.Link, p.now()); err != nil {
			return audit.Event{}, err
		}
		a, err := tx.Account(ctx, c.Owner)
		if err != nil {
			return audit.Event{}, fmt.Errorf("read account: %w", err)
		}
		if err := tx.SetPasswordHash(ctx, a.ID, hash); err != nil {
			return audit.Event{}, fmt.Errorf("keep password: %w", err)
		}
		if err := p.endAll(ctx, tx, a.ID); err != nil {
			return audit.Event{}, err
		}
		if err := p.keepPhone(ctx, tx, current, a, c.Phone); err != nil {
			return audit.Event{}, err
		}
		if err := p.tell(ctx, tx, links.Notices, Notice{What: ToldPasswordReset, Account: a, From: c.From}); err != nil {
			return audit.Event{}, err
		}
		return accountEvent(audit.PasswordChange, a, "", audit.Field{Key: "by", Value: c.Purpose}), nil
	})
	if err == nil {
		links.Wake()
	}
	return err
}

func (p *People) keepPhone(ctx context.Context, tx Tx, actor Actor, a account.Account, phone *account.Credential) error {
	if phone == nil {
		return nil
	}
	if err := tx.InsertCredential(ctx, *phone); err != nil {
		return fmt.Errorf("keep the number: %w", err)
	}
	e := accountEvent(audit.FactorEnrolled, a, "")
	e.Factor, e.Credential = phone.Factor, string(phone.ID)
	return p.record(ctx, tx, actor, e)
}
