package people

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
)

// This file is about who is calling. A helpdesk lets nobody in before the
// caller has read out a code: the one that a page shows to the person signed
// in, or one that was just sent to something they hold.

// The times of a caller check.
const (
	// callerWindow is how long a code holds at least; it holds twice as long at
	// most, so that nobody reads out one that has just ended.
	callerWindow = 5 * time.Minute
	// callerTTL is how long the helpdesk may act after it.
	callerTTL = 15 * time.Minute
)

// callerPurpose is that of the transaction that a passed check leaves.
const callerPurpose = "caller-check"

// Callers makes the codes of callers and sends them.
type Callers struct {
	// MAC is a keyed hash whose key no database knows.
	MAC func(purpose string, parts ...[]byte) []byte
	// Send sends a code to a credential that the person holds.
	Send func(ctx context.Context, to account.Account, held account.Credential, code string) error
}

// CallerCode is the short code that somebody's own signed-in page shows, and
// until when it is the newest. It is worked out, not kept.
func (p *People) CallerCode(owner account.ID) (code string, until time.Time) {
	if p.Callers == nil {
		return "", time.Time{}
	}
	window := p.now().Truncate(callerWindow)
	return p.callerCode(window, "page", string(owner)), window.Add(callerWindow)
}

func (p *People) callerCode(window time.Time, parts ...string) string {
	input := [][]byte{binary.BigEndian.AppendUint64(nil, uint64(window.Unix()))}
	for _, part := range parts {
		input = append(input, []byte(part))
	}
	n := binary.BigEndian.Uint64(p.Callers.MAC("caller", input...))
	return fmt.Sprintf("%06d", n%1_000_000)
}

// SendCallerCode sends a code to a credential of the person, for this very
// actor to be told.
func (p *People) SendCallerCode(ctx context.Context, actor Actor, who Who, id account.CredentialID, ticket string) error {
	if p.Callers == nil || p.Callers.Send == nil {
		return refused(say("no code can be sent here"), say("ask for the one that the person's own page shows"))
	}
	var held account.Credential
	var owner account.Account
	err := p.changeAccount(ctx, actor, who, ActResetFactors, func(tx Tx, _ Actor, a account.Account) (audit.Event, error) {
		all, err := tx.Credentials(ctx, a.ID)
		if err != nil {
			return audit.Event{}, fmt.Errorf("list credentials: %w", err)
		}
		for _, c := range all {
			if c.ID == id && c.Address != "" {
				owner, held = a, c
			}
		}
		if held.ID == "" {
			return audit.Event{}, refused(say("no code can be sent there"), say("choose a number or an address that the person holds"))
		}
		e := accountEvent(audit.ChallengeIssued, a, "", ticketField(ticket)...)
		e.Factor, e.Credential, e.Reason = held.Factor, string(held.ID), callerPurpose
		return e, nil
	})
	if err != nil {
		return err
	}
	return p.Callers.Send(ctx, owner, held, p.callerCode(p.now().Truncate(callerWindow), "sent", string(owner.ID), actor.id()))
}

// CheckCaller takes the code that a caller has read out. If it is right, this
// actor may let this person in for a quarter of an hour. Whoever calls it has
// spent a budget of tries first: a code has six digits.
func (p *People) CheckCaller(ctx context.Context, actor Actor, who Who, code, ticket string) error {
	if p.Callers == nil {
		return refused(say("callers cannot be checked here"), Phrase{})
	}
	if strings.TrimSpace(ticket) == "" {
		return invalid(say("the number of the ticket is missing"), say("every check is kept with it"))
	}
	right := false
	err := p.changeAccount(ctx, actor, who, ActResetFactors, func(tx Tx, current Actor, a account.Account) (audit.Event, error) {
		if right = p.callerKnows(code, current, a.ID); !right {
			return accountEvent(audit.CallerFailed, a, "", ticketField(ticket)...), nil
		}
		t := ceremony.Transaction{
			ID: callerID(current, a.ID), Session: session.ID(callerPurpose + " " + current.id()), Key: string(a.ID), Actor: account.ID(current.id()), Subject: a.ID,
			Site: current.origin.Site, Purpose: callerPurpose, State: []byte(strings.TrimSpace(ticket)), CreatedAt: p.now(), ExpiresAt: p.now().Add(callerTTL), Version: 1,
		}
		if err := tx.ReplaceTransaction(ctx, t); err != nil {
			return audit.Event{}, fmt.Errorf("keep the check: %w", err)
		}
		return accountEvent(audit.CallerChecked, a, "", ticketField(ticket)...), nil
	})
	if err == nil && !right {
		err = refused(say("that is not the code"), say("ask the caller to read it out again; do not help them"))
	}
	return err
}

// callerKnows compares a code with all that it may be, whichever is right.
func (p *People) callerKnows(typed string, actor Actor, owner account.ID) bool {
	typed = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' {
			return -1
		}
		return r
	}, typed)
	known := 0
	for back := range 2 {
		window := p.now().Truncate(callerWindow).Add(-time.Duration(back) * callerWindow)
		for _, parts := range [][]string{{"page", string(owner)}, {"sent", string(owner), actor.id()}} {
			known |= subtle.ConstantTimeCompare([]byte(typed), []byte(p.callerCode(window, parts...)))
		}
	}
	return known == 1
}

// callerID names the transaction that a passed check leaves.
func callerID(actor Actor, owner account.ID) string {
	return callerPurpose + " " + actor.id() + " " + string(owner)
}

// CallerChecked tells whether the actor has checked lately that this person is
// calling, or need not. Empty otherwise.
func (p *People) CallerChecked(ctx context.Context, actor Actor, owner account.ID) (ticket string, ok bool, err error) {
	if actor.account.Role != account.RoleHelpdesk {
		return "", true, nil
	}
	t, err := p.Store.Transaction(ctx, callerID(actor, owner), p.now())
	if errors.Is(err, ceremony.ErrTransactionGone) {
		return "", false, nil
	}
	return string(t.State), err == nil, err
}

// checked gives the ticket of the check that a helpdesk must have made, and
// nothing where somebody else acts. Keeping it again lets the same call go on
// after what ends all that the person has open.
func (p *People) checked(ctx context.Context, tx Tx, actor Actor, a account.Account) (detail []audit.Field, keep func() error, err error) {
	keep = func() error { return nil }
	if actor.operator || actor.account.Role != account.RoleHelpdesk {
		return nil, keep, nil
	}
	t, err := tx.Transaction(ctx, callerID(actor, a.ID), p.now())
	if errors.Is(err, ceremony.ErrTransactionGone) {
		return nil, keep, &Error{
			Text: say("you have not checked who is calling"), Mend: say("ask for the code that their page shows, or send them one"), kind: ErrUnchecked,
		}
	}
	if err != nil {
		return nil, keep, fmt.Errorf("read the caller check: %w", err)
	}
	return ticketField(string(t.State)), func() error { return tx.ReplaceTransaction(ctx, t) }, nil
}

func ticketField(ticket string) []audit.Field {
	if ticket = strings.TrimSpace(ticket); ticket == "" {
		return nil
	}
	return []audit.Field{{Key: "ticket", Value: ticket}}
}

// ticketOf is the ticket that ticketField has put into fields.
func ticketOf(fields []audit.Field) string {
	for _, f := range fields {
		if f.Key == "ticket" {
			return f.Value
		}
	}
	return ""
}
