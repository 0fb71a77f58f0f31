package people_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
)

// plainBrowsers keeps names between blanks.
type plainBrowsers struct{}

func (plainBrowsers) List(kept account.Secret, _ time.Time) (all []people.Browser) {
	for _, id := range strings.Fields(string(kept.Reveal())) {
		all = append(all, people.Browser{ID: id, Name: "Browser " + id})
	}
	return all
}

func (plainBrowsers) Forget(kept account.Secret, id string) (account.Secret, error) {
	left := slices.DeleteFunc(strings.Fields(string(kept.Reveal())), func(one string) bool { return id == "" || one == id })
	return account.Secret(strings.Join(left, " ")), nil
}

func TestBrowsersAreForgottenWithWhatElseEnds(t *testing.T) {
	f := newFixture(t)
	f.Browsers = plainBrowsers{}
	f.Notices = &people.Notices{Name: "Portal", Offers: func(string) bool { return true }}
	joe := f.add(t, people.NewAccount{Username: "joe", Email: "joe@example.test"})
	self := &people.Self{People: f.People, Notices: f.Notices}
	own := people.Own{Account: joe.ID, Session: "S"}
	for name, c := range map[string]struct {
		do   func(context.Context) error
		left string
		err  error
	}{
		"one":              {func(ctx context.Context) error { return self.ForgetBrowser(ctx, own, "A") }, "B", nil},
		"nobody's":         {func(ctx context.Context) error { return self.ForgetBrowser(ctx, own, "C") }, "A B", account.ErrNotFound},
		"sign out others":  {func(ctx context.Context) error { return self.EndOthers(ctx, own) }, "", nil},
		"not me":           {func(ctx context.Context) error { return self.Disown(ctx, own, 0) }, "", nil},
		"another password": {func(ctx context.Context) error { return self.SetPassword(ctx, own, account.Secret("p")) }, "", nil},
		"reset factors": {func(ctx context.Context) error {
			_, _, err := f.ResetFactors(ctx, people.Operator(), who("joe"), "")
			return err
		}, "", nil},
		"set password": {func(ctx context.Context) error {
			_, err := f.People.SetPassword(ctx, people.Operator(), who("joe"), account.Secret("p"), "")
			return err
		}, "", nil},
		"a copy": {func(ctx context.Context) error { return f.BrowserCopied(ctx, own, "A", "Browser A") }, "B", nil},
	} {
		if err := f.db.KeepVisits(t.Context(), joe.ID, func(account.Secret) (account.Secret, error) { return account.Secret("A B"), nil }); err != nil {
			t.Fatal(err)
		}
		if err := c.do(t.Context()); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		left, err := f.RememberedBrowsers(t.Context(), joe.ID)
		var ids []string
		for _, b := range left {
			ids = append(ids, b.ID)
		}
		if got := strings.Join(ids, " "); err != nil || got != c.left {
			t.Errorf("%s: %q is left, want %q, %v", name, got, c.left, err)
		}
	}
	if !slices.Contains(f.posted(t), "email joe@example.test Portal: A browser of yours may have been copied") {
		t.Error("nobody was told of the copy")
	}
	records, err := f.db.Events(t.Context(), audit.Query{Names: []audit.Name{audit.TokenReuse}})
	if err != nil || len(records) != 1 {
		t.Errorf("%+v, %v", records, err)
	}
}
