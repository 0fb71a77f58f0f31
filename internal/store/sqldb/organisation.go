package sqldb

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
)

func scanOrganisation(rows row) (o account.Organisation, err error) {
	err = rows.Scan(&o.Name, &o.Require, &o.Enrolment, (*instant)(&o.CreatedAt))
	return o, err
}

// Organisation implements store.Reader.
func (r reader) Organisation(ctx context.Context, name string) (account.Organisation, error) {
	o, err := one(ctx, r.q, account.ErrNotFound, scanOrganisation,
		`SELECT name, requires, enrolment, created_at FROM organisation WHERE name = $1`, name)
	if err != nil {
		return o, fmt.Errorf("read organisation: %w", err)
	}
	return o, nil
}

// Organisations implements store.Reader; they come by name.
func (r reader) Organisations(ctx context.Context) ([]account.Organisation, error) {
	all, err := list(ctx, r.q, scanOrganisation, `SELECT name, requires, enrolment, created_at FROM organisation ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("list organisations: %w", err)
	}
	return all, nil
}

// InsertOrganisation implements store.Tx.
func (t *tx) InsertOrganisation(ctx context.Context, o account.Organisation) error {
	n, err := t.q.exec(ctx, `INSERT INTO organisation (name, requires, enrolment, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		o.Name, o.Require, o.Enrolment, instant(o.CreatedAt))
	if err == nil && n == 0 {
		err = account.ErrTaken
	}
	if err != nil {
		return fmt.Errorf("insert organisation: %w", err)
	}
	return nil
}

// UpdateOrganisation implements store.Tx: it replaces the organisation's
// rules. However many accounts it has, none of them is touched: who remembers
// one hears of its organisation.
func (t *tx) UpdateOrganisation(ctx context.Context, o account.Organisation) error {
	n, err := t.q.exec(ctx, `UPDATE organisation SET requires = $1, enrolment = $2 WHERE name = $3`, o.Require, o.Enrolment, o.Name)
	if err == nil && n == 0 {
		err = account.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("update organisation: %w", err)
	}
	t.tell(session.OrganisationChanged, o.Name)
	return nil
}

// DeleteOrganisation implements store.Tx. The default organisation is always
// in use.
func (t *tx) DeleteOrganisation(ctx context.Context, name string) error {
	if err := t.deleteOrganisation(ctx, name); err != nil {
		return fmt.Errorf("delete organisation: %w", err)
	}
	return nil
}

func (t *tx) deleteOrganisation(ctx context.Context, name string) error {
	members, err := list(ctx, t.q, value[string], `SELECT id FROM account WHERE organisation = $1 LIMIT 1`, name)
	if err != nil {
		return err
	}
	if len(members) > 0 || name == account.DefaultOrganisation {
		return account.ErrInUse
	}
	n, err := t.q.exec(ctx, `DELETE FROM organisation WHERE name = $1`, name)
	if err == nil && n == 0 {
		err = account.ErrNotFound
	}
	t.tell(session.OrganisationChanged, name)
	return err
}
