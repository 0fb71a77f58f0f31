package operation

import (
	"context"
	"time"

	"github.com/stepgate/stepgate/factors/token"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/policy"
)

// UserView is an account as commands print it.
type UserView struct {
	ID           account.ID       `json:"id"`
	Username     string           `json:"username"`
	Name         string           `json:"name"`
	Email        string           `json:"email"`
	Mobile       string           `json:"mobile"`
	Groups       []string         `json:"groups"`
	Organisation string           `json:"organisation"`
	Role         account.Role     `json:"role"`
	Source       string           `json:"source"`
	Subject      string           `json:"subject"`
	TwoFactor    bool             `json:"two_factor"`
	Suspended    bool             `json:"suspended"`
	SuspendedAt  time.Time        `json:"suspended_at,omitzero"`
	CreatedAt    time.Time        `json:"created_at"`
	PasswordSet  *bool            `json:"password_set,omitempty"`
	Credentials  []CredentialView `json:"credentials,omitzero"`
	// Removed counts what reset-factors took away.
	Removed *int `json:"removed_credentials,omitempty"`
	Deleted bool `json:"deleted,omitempty"`
	// Warnings are about what was done and may surprise.
	Warnings []string `json:"warnings,omitempty"`
	// Invitation is that of a new account without a password.
	Invitation *InvitationView `json:"invitation,omitempty"`
}

// InvitationView tells of an invitation. Link is there where it was not sent
// by e-mail: the one place where it is shown.
type InvitationView struct {
	Username  string    `json:"username"`
	Sent      bool      `json:"sent"`
	Email     string    `json:"email,omitempty"`
	Link      string    `json:"link,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
}

func viewInvitation(i people.Invitation) InvitationView {
	v := InvitationView{Username: i.Account.Username, Sent: i.Sent, Link: string(i.Link.Reveal()), ExpiresAt: i.ExpiresAt}
	if i.Sent {
		v.Email = i.Account.Email
	}
	return v
}

// CredentialView has nothing of a credential that would prove anything.
type CredentialView struct {
	ID         account.CredentialID `json:"id"`
	Factor     string               `json:"factor"`
	Label      string               `json:"label"`
	Address    string               `json:"address,omitempty"`
	Default    bool                 `json:"default"`
	CreatedAt  time.Time            `json:"created_at"`
	LastUsedAt time.Time            `json:"last_used_at,omitzero"`
	CountsFrom time.Time            `json:"counts_from,omitzero"`
}

func viewUser(a account.Account) UserView {
	groups := a.Groups
	if groups == nil {
		groups = []string{}
	}
	return UserView{
		ID: a.ID, Username: a.Username, Name: a.Name, Email: a.Email, Mobile: a.Mobile, Groups: groups,
		Organisation: a.Organisation, Role: a.Role, Source: a.Source, Subject: a.Subject, TwoFactor: a.TwoFactor,
		Suspended: a.Suspended(), SuspendedAt: a.SuspendedAt, CreatedAt: a.CreatedAt,
	}
}

func viewRecord(r people.Record) UserView {
	v := viewUser(r.Account)
	v.PasswordSet = &r.HasPassword
	v.Credentials = make([]CredentialView, 0, len(r.Credentials))
	for _, c := range r.Credentials {
		v.Credentials = append(v.Credentials, CredentialView{
			ID: c.ID, Factor: c.Factor, Label: c.Label, Address: c.Address, Default: c.Default,
			CreatedAt: c.CreatedAt, LastUsedAt: c.LastUsedAt, CountsFrom: c.CountsFrom,
		})
	}
	return v
}

// warned adds what whoever gave somebody this number should know.
func warned(v UserView, p Place) UserView {
	if text := p.People.Unreached(v.Mobile); !text.Empty() {
		v.Warnings = append(v.Warnings, text.String())
	}
	return v
}

// What the user commands ask with.
type (
	UserAddInput struct {
		people.NewAccount
		Password []byte `json:"password,omitempty"`
	}
	UserInput struct {
		Who    people.Who `json:"who"`
		Reason string     `json:"reason,omitempty"`
		// TwoPerson lets it wait until an administrator has approved it.
		TwoPerson bool `json:"two_person,omitempty"`
	}
	UserTemporaryInput struct {
		UserInput
		// Lifetime is in nanoseconds; 0 is the default.
		Lifetime time.Duration `json:"lifetime,omitempty"`
	}
	// TemporaryView is the one place where a temporary code is shown.
	TemporaryView struct {
		Username  string    `json:"username"`
		Code      string    `json:"code"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	UserEditInput struct {
		Who     people.Who     `json:"who"`
		Changes people.Changes `json:"changes"`
	}
	UserPasswordInput struct {
		UserInput
		Password []byte `json:"password"`
	}
	UserTokenInput struct {
		UserInput
		Token people.NewToken `json:"token"`
	}
	UserTokenRevokeInput struct {
		UserInput
		ID account.CredentialID `json:"id"`
	}
	// TokenView is a token for a program. Token is the one place where it is
	// shown.
	TokenView struct {
		Username   string               `json:"username"`
		ID         account.CredentialID `json:"id"`
		Label      string               `json:"label"`
		Token      string               `json:"token,omitempty"`
		Bounds     account.TokenBounds  `json:"bounds"`
		CreatedAt  time.Time            `json:"created_at"`
		LastUsedAt time.Time            `json:"last_used_at,omitzero"`
	}
	UserListInput struct {
		Organisation string     `json:"organisation,omitempty"`
		Source       string     `json:"source,omitempty"`
		Search       string     `json:"search,omitempty"`
		After        account.ID `json:"after,omitempty"`
	}
	UserImportInput struct {
		CSV    []byte `json:"csv"`
		DryRun bool   `json:"dry_run,omitempty"`
		Reason string `json:"reason,omitempty"`
	}
	ImportView struct {
		Accounts int      `json:"accounts"`
		DryRun   bool     `json:"dry_run"`
		Warnings []string `json:"warnings,omitempty"`
	}
)

func viewToken(a account.Account, c account.Credential) (TokenView, error) {
	bounds, err := token.BoundsOf(c)
	return TokenView{Username: a.Username, ID: c.ID, Label: c.Label, Bounds: bounds, CreatedAt: c.CreatedAt, LastUsedAt: c.LastUsedAt}, err
}

// actor is whoever asks, with the second person that they ask for.
func (in UserInput) actor(p Place) people.Actor {
	if in.TwoPerson {
		return p.Actor.WithSecond()
	}
	return p.Actor
}

// UserPage is how many accounts one listing operation returns at most.
const UserPage = 500

// The verbs of accounts. A list comes in pages of UserPage.
var (
	UserAdd = define("user/add", func(ctx context.Context, p Place, in UserAddInput) (UserView, error) {
		in.NewAccount.Password = in.Password
		added, err := p.People.AddAccount(ctx, p.Actor, in.NewAccount)
		v := warned(viewRecord(added), p)
		if err == nil && !added.HasPassword && added.Account.Source == account.LocalSource && p.People.Links != nil {
			invited, err := p.People.Invite(ctx, p.Actor, people.Who{ID: added.Account.ID}, in.Reason)
			if err != nil {
				return v, err
			}
			view := viewInvitation(invited)
			v.Invitation = &view
		}
		return v, err
	}).creating()
	UserInvite = define("user/invite", func(ctx context.Context, p Place, in UserInput) (InvitationView, error) {
		invited, err := p.People.Invite(ctx, p.Actor, in.Who, in.Reason)
		return viewInvitation(invited), err
	})
	UserList = define("user/list", func(ctx context.Context, p Place, in UserListInput) ([]UserView, error) {
		page, err := p.People.List(ctx, p.Actor, account.Filter{
			Organisation: in.Organisation, Source: in.Source, Query: account.FoldUsername(in.Search), After: in.After, Limit: UserPage,
		})
		views := make([]UserView, 0, len(page))
		for _, a := range page {
			views = append(views, viewUser(a))
		}
		return views, err
	})
	UserShow = define("user/show", func(ctx context.Context, p Place, in people.Who) (UserView, error) {
		record, err := p.People.Show(ctx, p.Actor, in)
		return viewRecord(record), err
	})
	UserEdit = define("user/edit", func(ctx context.Context, p Place, in UserEditInput) (UserView, error) {
		a, err := p.People.EditAccount(ctx, p.Actor, in.Who, in.Changes)
		if in.Changes.Mobile == nil {
			return viewUser(a), err
		}
		return warned(viewUser(a), p), err
	})
	UserSetPassword = define("user/set-password", func(ctx context.Context, p Place, in UserPasswordInput) (UserView, error) {
		a, err := p.People.SetPassword(ctx, p.Actor, in.Who, in.Password, in.Reason)
		return viewUser(a), err
	})
	UserResetFactors = define("user/reset-factors", func(ctx context.Context, p Place, in UserInput) (UserView, error) {
		a, removed, err := p.People.ResetFactors(ctx, in.actor(p), in.Who, in.Reason)
		v := viewUser(a)
		v.Removed = &removed
		return v, err
	})
	UserTemporaryCode = define("user/temporary-code", func(ctx context.Context, p Place, in UserTemporaryInput) (TemporaryView, error) {
		t, err := p.People.IssueTemporaryCode(ctx, in.actor(p), in.Who, in.Lifetime, in.Reason)
		return TemporaryView{Username: t.Account.Username, Code: string(t.Code.Reveal()), ExpiresAt: t.ExpiresAt}, err
	})
	UserTokenAdd = define("user/token-add", func(ctx context.Context, p Place, in UserTokenInput) (TokenView, error) {
		made, err := p.People.AddToken(ctx, p.Actor, in.Who, in.Token, in.Reason)
		if err != nil {
			return TokenView{}, err
		}
		v, err := viewToken(made.Account, made.Credential)
		v.Token = string(made.Token.Reveal())
		return v, err
	})
	UserTokenList = define("user/token-list", func(ctx context.Context, p Place, in people.Who) ([]TokenView, error) {
		record, err := p.People.Show(ctx, p.Actor, in)
		views := []TokenView{}
		for _, c := range record.Credentials {
			if c.Factor != string(policy.Token) || err != nil {
				continue
			}
			var v TokenView
			v, err = viewToken(record.Account, c)
			views = append(views, v)
		}
		return views, err
	})
	UserTokenRevoke = define("user/token-revoke", func(ctx context.Context, p Place, in UserTokenRevokeInput) (UserView, error) {
		a, err := p.People.RevokeToken(ctx, p.Actor, in.Who, in.ID, in.Reason)
		return viewUser(a), err
	})
	UserSuspend = define("user/suspend", func(ctx context.Context, p Place, in UserInput) (UserView, error) {
		a, err := p.People.Suspend(ctx, p.Actor, in.Who, in.Reason)
		return viewUser(a), err
	})
	UserResume = define("user/resume", func(ctx context.Context, p Place, in UserInput) (UserView, error) {
		a, err := p.People.Resume(ctx, p.Actor, in.Who, in.Reason)
		return viewUser(a), err
	})
	UserDelete = define("user/delete", func(ctx context.Context, p Place, in UserInput) (UserView, error) {
		a, err := p.People.DeleteAccount(ctx, p.Actor, in.Who, in.Reason)
		v := viewUser(a)
		v.Deleted = true
		return v, err
	})
	UserImport = define("user/import", func(ctx context.Context, p Place, in UserImportInput) (ImportView, error) {
		made, err := p.People.Import(ctx, p.Actor, people.Table{CSV: in.CSV, DryRun: in.DryRun, Reason: in.Reason})
		v := ImportView{Accounts: made.Accounts, DryRun: in.DryRun}
		for _, w := range made.Warnings {
			v.Warnings = append(v.Warnings, w.String())
		}
		return v, err
	})
)
