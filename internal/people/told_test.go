package people_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

// posted takes what waits in the outbox: channel, address and subject of each.
func (f fixture) posted(t *testing.T) []string {
	t.Helper()
	kept, err := f.db.ClaimMessages(t.Context(), noon.Add(time.Second), noon.Add(90*24*time.Hour), 100)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, k := range kept {
		all = append(all, k.Channel+" "+k.To+" "+k.Subject)
	}
	return all
}

// TestWhatOthersDoToAnAccountIsTold does each verb, and does each again with an
// audit trail that cannot be written: then nothing is done, and nothing told.
func TestWhatOthersDoToAnAccountIsTold(t *testing.T) {
	f := newFixture(t)
	f.Temporary = plainCodes{}
	f.Notices = &people.Notices{Name: "Portal", Offers: func(string) bool { return true }}
	joe := f.add(t, people.NewAccount{Username: "joe", Email: "joe@example.test", Mobile: "07700 900609"})
	f.open(t, joe.ID, "totp")
	f.Tokens = plainTokens{}
	store := f.Store
	var token account.CredentialID
	for _, c := range []struct {
		name string
		do   func(context.Context) error
		want string
	}{
		{"reset factors", func(ctx context.Context) error {
			_, _, err := f.ResetFactors(ctx, people.Operator(), who("joe"), "")
			return err
		}, "email joe@example.test Portal: Your ways to confirm it is you were reset"},
		{"temporary code", func(ctx context.Context) error {
			_, err := f.IssueTemporaryCode(ctx, people.Operator(), who("joe"), 0, "")
			return err
		}, "email joe@example.test Portal: A temporary code was made for you"},
		{"set password", func(ctx context.Context) error {
			_, err := f.SetPassword(ctx, people.Operator(), who("joe"), account.Secret("p"), "")
			return err
		}, "email joe@example.test Portal: Your password was changed"},
		{"another number", func(ctx context.Context) error {
			_, err := f.EditAccount(ctx, people.Operator(), who("joe"), people.Changes{Mobile: ptr("+447700900001")})
			return err
		}, "email joe@example.test Portal: Your mobile number was changed,sms +447700900001 ,sms +447700900609 "},
		{"another address", func(ctx context.Context) error {
			_, err := f.EditAccount(ctx, people.Operator(), who("joe"), people.Changes{Email: ptr("joe@example.org")})
			return err
		}, "email joe@example.org Portal: Your e-mail address was changed,email joe@example.test Portal: Your e-mail address was changed"},
		{"a token", func(ctx context.Context) error {
			made, err := f.AddToken(ctx, people.Operator(), who("joe"), people.NewToken{Label: "Backup"}, "")
			token = made.Credential.ID
			return err
		}, "email joe@example.org Portal: A token for a program was made"},
		{"no token", func(ctx context.Context) error {
			_, err := f.RevokeToken(ctx, people.Operator(), who("joe"), token, "")
			return err
		}, "email joe@example.org Portal: A token for a program was revoked"},
		{"no device", func(ctx context.Context) error {
			_, err := f.RevokeDevice(ctx, people.Operator(), who("joe"), f.device(t, joe.ID), "")
			return err
		}, "email joe@example.org Portal: A private device was removed"},
		{"two factors", func(ctx context.Context) error {
			_, err := f.SwitchTwoFactor(ctx, people.Operator(), who("joe"), true, "")
			return err
		}, "email joe@example.org Portal: Two-factor sign-in was switched on"},
		{"another name", func(ctx context.Context) error {
			_, err := f.EditAccount(ctx, people.Operator(), who("joe"), people.Changes{Name: ptr("Joe")})
			return err
		}, ""},
	} {
		f.People.Store = unrecorded{store}
		if err := c.do(t.Context()); err == nil || len(f.posted(t)) > 0 {
			t.Errorf("%s: told of what was not done: %v", c.name, err)
		}
		f.People.Store = store
		if err := c.do(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := f.posted(t)
		for _, want := range strings.Split(c.want, ",") {
			found := false
			for _, one := range got {
				found = found || one == want
			}
			if !found && want != "" {
				t.Errorf("%s: %q is not among %q", c.name, want, got)
			}
		}
		if len(got) != len(strings.Split(c.want, ",")) && c.want != "" || c.want == "" && len(got) > 0 {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

// device is a private device of an account, made where there is none.
func (f fixture) device(t *testing.T, owner account.ID) account.CredentialID {
	t.Helper()
	find := func() account.CredentialID {
		held, err := f.db.Credentials(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range held {
			if c.Factor == "device_pin" {
				return c.ID
			}
		}
		return ""
	}
	if find() == "" {
		f.open(t, owner, "device_pin")
	}
	return find()
}
