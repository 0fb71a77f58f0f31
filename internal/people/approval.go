package people

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/session"
)

// This file is about what waits for a second person: whoever resets a person's
// factors, or hands out what stands in for one, could sign in as them.

// approvalTTL is how long something waits, and how long a temporary code that
// was approved waits for whoever asked for it.
const approvalTTL = 24 * time.Hour

// approvalPurpose is that of the transactions that wait.
const approvalPurpose = "two-person"

// ErrNoApproval says that nothing waits under this ID any more.
var ErrNoApproval = errors.New("people: nothing waits")

// Approval is something that waits, or was approved and waits to be collected.
type Approval struct {
	ID string
	// Act is ActResetFactors or ActTemporaryCode.
	Act     Action
	Subject account.Account
	// AskedBy is who asked: an account's ID, or "command".
	AskedBy string
	// ApprovedBy is who approved it; empty while it waits.
	ApprovedBy string
	Reason     string
	// Ticket is that of the call in which a helpdesk that asked has checked who
	// was calling.
	Ticket    string
	AskedAt   time.Time
	ExpiresAt time.Time
	// Own tells that whoever lists asked for it themselves.
	Own bool
}

// asked is what the transaction of an approval remembers.
type asked struct {
	Act        Action        `json:"act"`
	Reason     string        `json:"reason,omitempty"`
	Ticket     string        `json:"ticket,omitempty"`
	Lifetime   time.Duration `json:"lifetime,omitempty"`
	ApprovedBy string        `json:"approved_by,omitempty"`
}

// WithSecond is the actor, who wants a second person to approve what they do,
// whether or not they must.
func (a Actor) WithSecond() Actor {
	a.second = true
	return a
}

// askedKey keeps apart what is asked about one person.
func askedKey(act Action, by Actor) string { return string(act) + " " + by.id() }

// needsSecond tells whether what the actor does here has to wait.
func (p *People) needsSecond(actor Actor) bool {
	return actor.second || p.TwoPerson && !actor.operator
}

// ask keeps what somebody wants to do until somebody else has approved it.
func (p *People) ask(ctx context.Context, tx Tx, actor Actor, subject account.Account, what asked) (audit.Event, error) {
	t := ceremony.Transaction{
		ID: rand.Text(), Session: session.ID(approvalPurpose + " " + string(subject.ID)), Key: askedKey(what.Act, actor),
		Actor: account.ID(actor.id()), Subject: subject.ID, Site: actor.origin.Site, Purpose: approvalPurpose,
		CreatedAt: p.now(), ExpiresAt: p.now().Add(approvalTTL), Version: 1,
	}
	if err := p.keepAsked(ctx, tx, t, what); err != nil {
		return audit.Event{}, err
	}
	return accountEvent(audit.ApprovalAsked, subject, what.Reason, append(ticketField(what.Ticket), audit.Field{Key: "for", Value: string(what.Act)})...), nil
}

func (p *People) keepAsked(ctx context.Context, tx Tx, t ceremony.Transaction, what asked) error {
	state, err := json.Marshal(what)
	if err != nil {
		return err
	}
	t.State = state
	if err := tx.ReplaceTransaction(ctx, t); err != nil {
		return fmt.Errorf("keep what waits: %w", err)
	}
	return nil
}

func waits(subject account.Account) error {
	return &Error{
		Text: say("this waits until another administrator has approved it: %s", subject.Username), Mend: say("the queue of approvals shows it"), kind: ErrWaiting,
	}
}

// collect redeems an approval that this actor has got for an act, if there is
// one.
func (p *People) collect(ctx context.Context, tx Tx, actor Actor, subject account.ID, act Action) (what asked, ok bool, err error) {
	all, err := tx.TransactionsFor(ctx, approvalPurpose, p.now())
	if err != nil {
		return what, false, err
	}
	for _, t := range all {
		if t.Subject != subject || t.Key != askedKey(act, actor) {
			continue
		}
		if err := json.Unmarshal(t.State, &what); err != nil {
			return what, false, fmt.Errorf("read what waits: %w", err)
		}
		if what.ApprovedBy == "" {
			return what, false, nil
		}
		return what, true, tx.RedeemTransaction(ctx, t.ID, p.now())
	}
	return what, false, nil
}

// Approvals lists what waits, as far as the actor could do it.
func (p *People) Approvals(ctx context.Context, actor Actor) ([]Approval, error) {
	actor, err := p.reader(ctx, actor)
	if err != nil {
		return nil, err
	}
	open, err := p.Store.TransactionsFor(ctx, approvalPurpose, p.now())
	if err != nil {
		return nil, fmt.Errorf("list what waits: %w", err)
	}
	var all []Approval
	for _, t := range open {
		var what asked
		if err := json.Unmarshal(t.State, &what); err != nil {
			return nil, fmt.Errorf("read what waits: %w", err)
		}
		subject, err := p.Store.Account(ctx, t.Subject)
		if errors.Is(err, account.ErrNotFound) || err == nil && actor.mayDo(what.Act, subject) != nil {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read account: %w", err)
		}
		all = append(all, Approval{
			ID: t.ID, Act: what.Act, Subject: subject, AskedBy: string(t.Actor), ApprovedBy: what.ApprovedBy, Reason: what.Reason, Ticket: what.Ticket,
			AskedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, Own: string(t.Actor) == actor.id(),
		})
	}
	return all, nil
}

// Approve lets what waits happen: a reset of factors at once, a temporary code
// when whoever asked for it collects it. Nobody approves what they asked for.
func (p *People) Approve(ctx context.Context, actor Actor, id, reason string) (Approval, error) {
	return p.answer(ctx, actor, id, func(tx Tx, current Actor, t ceremony.Transaction, what asked, subject account.Account) (audit.Event, error) {
		if string(t.Actor) == current.id() {
			return audit.Event{}, forbidden(say("you asked for this yourself"), say("another administrator has to approve it"))
		}
		if err := p.stillMay(ctx, tx, t, what, subject); err != nil {
			return audit.Event{}, err
		}
		detail := []audit.Field{{Key: "for", Value: string(what.Act)}, {Key: "asked_by", Value: string(t.Actor)}}
		detail = append(detail, ticketField(what.Ticket)...)
		given := accountEvent(audit.ApprovalGiven, subject, reason, detail...)
		if what.Act == ActTemporaryCode {
			what.ApprovedBy = current.id()
			t.ExpiresAt = p.now().Add(approvalTTL)
			return given, p.keepAsked(ctx, tx, t, what)
		}
		if err := tx.RedeemTransaction(ctx, t.ID, p.now()); err != nil {
			return audit.Event{}, err
		}
		if err := p.record(ctx, tx, current, given); err != nil {
			return audit.Event{}, err
		}
		event, _, err := p.resetFactors(ctx, tx, subject, what.Reason, detail[1:])
		return event, err
	})
}

// Decline takes what waits away. Whoever asked for it may do that too.
func (p *People) Decline(ctx context.Context, actor Actor, id, reason string) (Approval, error) {
	return p.answer(ctx, actor, id, func(tx Tx, _ Actor, t ceremony.Transaction, what asked, subject account.Account) (audit.Event, error) {
		if err := tx.RedeemTransaction(ctx, t.ID, p.now()); err != nil {
			return audit.Event{}, err
		}
		return accountEvent(audit.ApprovalRefused, subject, reason, audit.Field{Key: "for", Value: string(what.Act)}, audit.Field{Key: "asked_by", Value: string(t.Actor)}), nil
	})
}

func (p *People) answer(ctx context.Context, actor Actor, id string, do func(Tx, Actor, ceremony.Transaction, asked, account.Account) (audit.Event, error)) (Approval, error) {
	var answered Approval
	err := p.change(ctx, actor, func(tx Tx, current Actor) (audit.Event, error) {
		t, err := tx.Transaction(ctx, id, p.now())
		if errors.Is(err, ceremony.ErrTransactionGone) || err == nil && t.Purpose != approvalPurpose {
			return audit.Event{}, ErrNoApproval
		}
		if err != nil {
			return audit.Event{}, fmt.Errorf("read what waits: %w", err)
		}
		var what asked
		if err := json.Unmarshal(t.State, &what); err != nil {
			return audit.Event{}, fmt.Errorf("read what waits: %w", err)
		}
		subject, err := tx.Account(ctx, t.Subject)
		if err != nil {
			return audit.Event{}, unlessTechnical(err, noAccount(string(t.Subject), ""))
		}
		if err := current.mayDo(what.Act, subject); err != nil {
			return audit.Event{}, err
		}
		answered = Approval{ID: t.ID, Act: what.Act, Subject: subject, AskedBy: string(t.Actor), Reason: what.Reason, Ticket: what.Ticket, AskedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt}
		return do(tx, current, t, what, subject)
	})
	return answered, err
}

// stillMay refuses what whoever asked for it may not do any more.
func (p *People) stillMay(ctx context.Context, tx Tx, t ceremony.Transaction, what asked, subject account.Account) error {
	if string(t.Actor) == Operator().id() {
		return nil
	}
	by, err := tx.Account(ctx, t.Actor)
	if err == nil && !by.Suspended() {
		err = As(by).mayDo(what.Act, subject)
	}
	switch {
	case err == nil && by.Suspended(), errors.Is(err, account.ErrNotFound), errors.Is(err, ErrForbidden):
		return forbidden(say("whoever asked for this may not do it any more"), say("refuse it"))
	default:
		return err
	}
}
