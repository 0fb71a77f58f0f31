package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
)

// Browser is one in which a second factor was proved, so that less is asked
// there for a while. It proves nothing, and is no private device.
type Browser struct {
	ID string
	// Name is of browser and system, Site the origin where it is known.
	Name, Site               string
	ProvedAt, SeenAt, EndsAt time.Time
}

// Browsers reads and alters what is remembered of an account (Reader.Visits).
type Browsers interface {
	// List has those that are still known, the last used first.
	List(kept account.Secret, now time.Time) []Browser
	// Forget leaves one out, or all of them for the empty ID.
	Forget(kept account.Secret, id string) (account.Secret, error)
}

// RememberedBrowsers lists the browsers that are remembered of an account. Who
// may see them is the caller's to know.
func (p *People) RememberedBrowsers(ctx context.Context, owner account.ID) ([]Browser, error) {
	if p.Browsers == nil {
		return nil, nil
	}
	return p.remembered(ctx, p.Store, owner)
}

func (p *People) remembered(ctx context.Context, r Reader, owner account.ID) ([]Browser, error) {
	kept, err := r.Visits(ctx, owner)
	if err != nil {
		return nil, fmt.Errorf("list browsers: %w", err)
	}
	return p.Browsers.List(kept, p.now()), nil
}

// forgetBrowser forgets one of an account's browsers, or all of them.
func (p *People) forgetBrowser(ctx context.Context, tx Tx, owner account.ID, id string) error {
	if p.Browsers == nil {
		return nil
	}
	kept, err := tx.Visits(ctx, owner)
	if err == nil && len(kept.Reveal()) > 0 { // else nothing is remembered
		err = tx.KeepVisits(ctx, owner, func(kept account.Secret) (account.Secret, error) { return p.Browsers.Forget(kept, id) })
	}
	if err != nil {
		return fmt.Errorf("forget browsers: %w", err)
	}
	return nil
}

// ForgetBrowser forgets a browser of the person's own: account.ErrNotFound for
// one that is not remembered.
func (s *Self) ForgetBrowser(ctx context.Context, own Own, id string) error {
	if s.People.Browsers == nil {
		return account.ErrNotFound
	}
	return s.change(ctx, own, func(tx Tx, a account.Account) (doing, error) {
		known, err := s.People.remembered(ctx, tx, a.ID)
		if err != nil {
			return doing{}, err
		}
		i := slices.IndexFunc(known, func(b Browser) bool { return b.ID == id })
		if i < 0 {
			return doing{}, account.ErrNotFound
		}
		d := doing{event: audit.DeviceRevoked, detail: []audit.Field{{Key: "browser", Value: known[i].Name}}}
		return d, s.People.forgetBrowser(ctx, tx, a.ID, id)
	})
}

// BrowserCopied forgets a browser of which there are two: a value of its cookie
// was used whose successor had been used before. The owner is told.
func (p *People) BrowserCopied(ctx context.Context, own Own, id, name string) error {
	err := p.Store.Update(ctx, func(tx Tx) error {
		a, err := tx.Account(ctx, own.Account)
		if err != nil {
			return fmt.Errorf("read account: %w", err)
		}
		if err := p.forgetBrowser(ctx, tx, a.ID, id); err != nil {
			return err
		}
		e := accountEvent(audit.TokenReuse, a, "", audit.Field{Key: "browser", Value: name})
		e.At, e.Outcome, e.Site, e.Address = p.now(), "failure", own.Site, own.From.Address
		if _, err := tx.AppendEvent(ctx, e); err != nil {
			return fmt.Errorf("append audit event: %w", err)
		}
		told := Notice{What: ToldBrowserCopied, Account: a, Credential: account.Credential{Label: name}, From: own.From}
		return p.tell(ctx, tx, p.Notices, told)
	})
	p.Notices.wake()
	if errors.Is(err, account.ErrNotFound) { // deleted a moment ago
		return nil
	}
	return err
}
