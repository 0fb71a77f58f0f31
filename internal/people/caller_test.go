package people_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
)

// desk is a fixture with a clock that moves, a helpdesk and somebody who calls.
func desk(t *testing.T) (f fixture, now *time.Time, helpdesk people.Actor, joe account.Account) {
	f = newFixture(t)
	at := noon
	f.Now = func() time.Time { return at }
	f.Temporary = plainCodes{}
	return f, &at, people.As(f.add(t, people.NewAccount{Username: "help", Role: account.RoleHelpdesk})), f.add(t, people.NewAccount{Username: "joe"})
}

func TestACheckedCallerUnlocksTheHelpdeskForAWhile(t *testing.T) {
	f, now, helpdesk, joe := desk(t)
	ctx, who := t.Context(), people.Who{ID: joe.ID}
	reset := func() error { _, _, err := f.ResetFactors(ctx, helpdesk, who, ""); return err }
	wantError(t, reset(), people.ErrUnchecked)
	code, until := f.CallerCode(joe.ID)
	if len(code) != 6 || !until.After(*now) {
		t.Fatalf("code %q until %v", code, until)
	}
	wrong := "000000"
	if code == wrong {
		wrong = "000001"
	}
	wantError(t, f.CheckCaller(ctx, helpdesk, who, wrong, "T-7"), people.ErrRefused)
	if e := f.lastEvent(t); e.Name != audit.CallerFailed || e.Account != string(joe.ID) {
		t.Errorf("a wrong code left %+v", e)
	}
	wantError(t, reset(), people.ErrUnchecked)
	wantError(t, f.CheckCaller(ctx, helpdesk, who, code, " "), people.ErrInvalid)
	*now = now.Add(5 * time.Minute) // the code before the newest still holds
	if err := f.CheckCaller(ctx, helpdesk, who, " "+code[:3]+" "+code[3:], "T-7"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a reset ends what the person has open, not the call
		if err := reset(); err != nil {
			t.Fatal(err)
		}
		if e := f.lastEvent(t); !slices.Contains(e.Detail, audit.Field{Key: "ticket", Value: "T-7"}) {
			t.Errorf("the event does not have the ticket: %v", e.Detail)
		}
	}
	other := people.As(f.add(t, people.NewAccount{Username: "help2", Role: account.RoleHelpdesk}))
	if _, _, err := f.ResetFactors(ctx, other, who, ""); !errors.Is(err, people.ErrUnchecked) {
		t.Errorf("the check of one unlocks another: %v", err)
	}
	*now = now.Add(15 * time.Minute)
	wantError(t, reset(), people.ErrUnchecked)
	wantError(t, f.CheckCaller(ctx, helpdesk, who, code, "T-7"), people.ErrRefused)
}

func TestACodeThatWasSentIsForWhoeverSentIt(t *testing.T) {
	f, _, helpdesk, joe := desk(t)
	ctx, who := t.Context(), people.Who{ID: joe.ID}
	f.open(t, joe.ID, "totp")
	var sent string
	held := account.Credential{ID: account.NewCredentialID(), Account: joe.ID, Factor: "sms", Label: "Phone", Address: "+447700900609", CreatedAt: noon}
	f.keep(t, held)
	f.Callers.Send = func(_ context.Context, _ account.Account, c account.Credential, code string) error {
		if c.ID != held.ID {
			t.Errorf("sent to %s", c.Label)
		}
		sent = code
		return nil
	}
	wantError(t, f.SendCallerCode(ctx, helpdesk, who, "another", "T"), people.ErrRefused)
	if err := f.SendCallerCode(ctx, helpdesk, who, held.ID, "T"); err != nil {
		t.Fatal(err)
	}
	shown, _ := f.CallerCode(joe.ID)
	if sent == shown {
		t.Error("a code that is sent is the one that is shown")
	}
	other := people.As(f.add(t, people.NewAccount{Username: "help2", Role: account.RoleHelpdesk}))
	wantError(t, f.CheckCaller(ctx, other, who, sent, "T"), people.ErrRefused)
	if err := f.CheckCaller(ctx, helpdesk, who, sent, "T"); err != nil {
		t.Error(err)
	}
}

func TestWhatNeedsTwoPersonsWaitsForTheSecond(t *testing.T) {
	f, _, _, joe := desk(t)
	f.TwoPerson = true
	ctx, who := t.Context(), people.Who{ID: joe.ID}
	admin := func(name string) people.Actor {
		return people.As(f.add(t, people.NewAccount{Username: name, Role: account.RoleAdmin}))
	}
	ann, ben := admin("ann"), admin("ben")
	f.open(t, joe.ID, "totp")
	_, _, err := f.ResetFactors(ctx, ann, who, "lost phone")
	wantError(t, err, people.ErrWaiting)
	if held, _ := f.db.Credentials(ctx, joe.ID); len(held) != 1 {
		t.Fatal("the reset did not wait")
	}
	waiting, err := f.Approvals(ctx, ben)
	if err != nil || len(waiting) != 1 || waiting[0].Own || waiting[0].Reason != "lost phone" {
		t.Fatalf("the queue: %+v, %v", waiting, err)
	}
	_, err = f.Approve(ctx, ann, waiting[0].ID, "")
	wantError(t, err, people.ErrForbidden)
	if seen, _ := f.Approvals(ctx, f.actor(t, "admin")); len(seen) != 0 {
		t.Error("an administrator of another organisation sees what waits")
	}
	if _, err := f.Approve(ctx, ben, waiting[0].ID, ""); err != nil {
		t.Fatal(err)
	}
	if held, _ := f.db.Credentials(ctx, joe.ID); len(held) != 0 {
		t.Error("the reset was approved and did not happen")
	}
	_, err = f.Approve(ctx, ben, waiting[0].ID, "")
	wantError(t, err, people.ErrNoApproval)
}

func TestAnApprovedCodeIsForWhoeverAskedForIt(t *testing.T) {
	f, _, _, joe := desk(t)
	ctx, who := t.Context(), people.Who{ID: joe.ID}
	ann := people.As(f.add(t, people.NewAccount{Username: "ann", Role: account.RoleAdmin})).WithSecond()
	ben := people.As(f.add(t, people.NewAccount{Username: "ben", Role: account.RoleAdmin}))
	issue := func(actor people.Actor) error {
		_, err := f.IssueTemporaryCode(ctx, actor, who, 0, "")
		return err
	}
	for range 2 {
		wantError(t, issue(ann), people.ErrWaiting)
	}
	waiting, err := f.Approvals(ctx, ben)
	if err != nil || len(waiting) != 1 {
		t.Fatalf("the queue: %+v, %v", waiting, err)
	}
	if _, err := f.Approve(ctx, ben, waiting[0].ID, ""); err != nil {
		t.Fatal(err)
	}
	wantError(t, issue(ben.WithSecond()), people.ErrWaiting)
	if err := issue(ann); err != nil {
		t.Error(err)
	}
	wantError(t, issue(ann), people.ErrWaiting)
}

func TestWhoeverAskedMayHaveLostTheRight(t *testing.T) {
	f, _, _, joe := desk(t)
	ctx, who := t.Context(), people.Who{ID: joe.ID}
	annAccount := f.add(t, people.NewAccount{Username: "ann", Role: account.RoleAdmin})
	ben := people.As(f.add(t, people.NewAccount{Username: "ben", Role: account.RoleAdmin}))
	_, _, err := f.ResetFactors(ctx, people.As(annAccount).WithSecond(), who, "")
	wantError(t, err, people.ErrWaiting)
	waiting, _ := f.Approvals(ctx, ben)
	if _, err := f.EditAccount(ctx, people.Operator(), people.Who{ID: annAccount.ID}, people.Changes{Role: ptr(account.RoleUser)}); err != nil {
		t.Fatal(err)
	}
	_, err = f.Approve(ctx, ben, waiting[0].ID, "")
	wantError(t, err, people.ErrForbidden)
	if _, err := f.Decline(ctx, ben, waiting[0].ID, ""); err != nil {
		t.Error(err)
	}
}
