package caddymodule

import (
	"context"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
)

// userView is an account as commands print it.
type userView struct {
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
	Credentials  []credentialView `json:"credentials,omitzero"`
	// Removed counts what reset-factors took away.
	Removed *int `json:"removed_credentials,omitempty"`
	Deleted bool `json:"deleted,omitempty"`
}

// credentialView has nothing of a credential that would prove anything.
type credentialView struct {
	ID         account.CredentialID `json:"id"`
	Factor     string               `json:"factor"`
	Label      string               `json:"label"`
	Address    string               `json:"address,omitempty"`
	Default    bool                 `json:"default"`
	CreatedAt  time.Time            `json:"created_at"`
	LastUsedAt time.Time            `json:"last_used_at,omitzero"`
	CountsFrom time.Time            `json:"counts_from,omitzero"`
}

func viewUser(a account.Account) userView {
	groups := a.Groups
	if groups == nil {
		groups = []string{}
	}
	return userView{
		ID: a.ID, Username: a.Username, Name: a.Name, Email: a.Email, Mobile: a.Mobile, Groups: groups,
		Organisation: a.Organisation, Role: a.Role, Source: a.Source, Subject: a.Subject, TwoFactor: a.TwoFactor,
		Suspended: a.Suspended(), SuspendedAt: a.SuspendedAt, CreatedAt: a.CreatedAt,
	}
}

func viewRecord(r people.Record) userView {
	v := viewUser(r.Account)
	v.PasswordSet = &r.HasPassword
	v.Credentials = make([]credentialView, 0, len(r.Credentials))
	for _, c := range r.Credentials {
		v.Credentials = append(v.Credentials, credentialView{
			ID: c.ID, Factor: c.Factor, Label: c.Label, Address: c.Address, Default: c.Default,
			CreatedAt: c.CreatedAt, LastUsedAt: c.LastUsedAt, CountsFrom: c.CountsFrom,
		})
	}
	return v
}

// What the user commands ask with.
type (
	userAddInput struct {
		people.NewAccount
		Password []byte `json:"password,omitempty"`
	}
	userInput struct {
		Who    people.Who `json:"who"`
		Reason string     `json:"reason,omitempty"`
	}
	userTemporaryInput struct {
		userInput
		// Lifetime is in nanoseconds; 0 is the default.
		Lifetime time.Duration `json:"lifetime,omitempty"`
	}
	// temporaryView is the one place where a temporary code is shown.
	temporaryView struct {
		Username  string    `json:"username"`
		Code      string    `json:"code"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	userEditInput struct {
		Who     people.Who     `json:"who"`
		Changes people.Changes `json:"changes"`
	}
	userPasswordInput struct {
		userInput
		Password []byte `json:"password"`
	}
	userListInput struct {
		Organisation string     `json:"organisation,omitempty"`
		Source       string     `json:"source,omitempty"`
		Search       string     `json:"search,omitempty"`
		After        account.ID `json:"after,omitempty"`
	}
	userImportInput struct {
		CSV    []byte `json:"csv"`
		DryRun bool   `json:"dry_run,omitempty"`
		Reason string `json:"reason,omitempty"`
	}
	importView struct {
		Accounts int  `json:"accounts"`
		DryRun   bool `json:"dry_run"`
	}
)

// listPage is how many accounts one listing operation returns at most.
const listPage = 500

var (
	userAdd = define("user/add", func(ctx context.Context, r *runtime, in userAddInput) (userView, error) {
		in.NewAccount.Password = in.Password
		added, err := r.people.AddAccount(ctx, people.Operator(), in.NewAccount)
		return viewRecord(added), err
	}).creating()
	userList = define("user/list", func(ctx context.Context, r *runtime, in userListInput) ([]userView, error) {
		page, err := r.people.List(ctx, people.Operator(), account.Filter{
			Organisation: in.Organisation, Source: in.Source, Query: account.FoldUsername(in.Search), After: in.After, Limit: listPage,
		})
		views := make([]userView, 0, len(page))
		for _, a := range page {
			views = append(views, viewUser(a))
		}
		return views, err
	})
	userShow = define("user/show", func(ctx context.Context, r *runtime, in people.Who) (userView, error) {
		record, err := r.people.Show(ctx, people.Operator(), in)
		return viewRecord(record), err
	})
	userEdit = define("user/edit", func(ctx context.Context, r *runtime, in userEditInput) (userView, error) {
		a, err := r.people.EditAccount(ctx, people.Operator(), in.Who, in.Changes)
		return viewUser(a), err
	})
	userSetPassword = define("user/set-password", func(ctx context.Context, r *runtime, in userPasswordInput) (userView, error) {
		a, err := r.people.SetPassword(ctx, people.Operator(), in.Who, in.Password, in.Reason)
		return viewUser(a), err
	})
	userResetFactors = define("user/reset-factors", func(ctx context.Context, r *runtime, in userInput) (userView, error) {
		a, removed, err := r.people.ResetFactors(ctx, people.Operator(), in.Who, in.Reason)
		v := viewUser(a)
		v.Removed = &removed
		return v, err
	})
	userTemporaryCode = define("user/temporary-code", func(ctx context.Context, r *runtime, in userTemporaryInput) (temporaryView, error) {
		t, err := r.people.IssueTemporaryCode(ctx, people.Operator(), in.Who, in.Lifetime, in.Reason)
		return temporaryView{Username: t.Account.Username, Code: string(t.Code.Reveal()), ExpiresAt: t.ExpiresAt}, err
	})
	userSuspend = define("user/suspend", func(ctx context.Context, r *runtime, in userInput) (userView, error) {
		a, err := r.people.Suspend(ctx, people.Operator(), in.Who, in.Reason)
		return viewUser(a), err
	})
	userResume = define("user/resume", func(ctx context.Context, r *runtime, in userInput) (userView, error) {
		a, err := r.people.Resume(ctx, people.Operator(), in.Who, in.Reason)
		return viewUser(a), err
	})
	userDelete = define("user/delete", func(ctx context.Context, r *runtime, in userInput) (userView, error) {
		a, err := r.people.DeleteAccount(ctx, people.Operator(), in.Who, in.Reason)
		v := viewUser(a)
		v.Deleted = true
		return v, err
	})
	userImport = define("user/import", func(ctx context.Context, r *runtime, in userImportInput) (importView, error) {
		n, err := r.people.Import(ctx, people.Operator(), people.Table{CSV: in.CSV, DryRun: in.DryRun, Reason: in.Reason})
		return importView{Accounts: n, DryRun: in.DryRun}, err
	})
)
