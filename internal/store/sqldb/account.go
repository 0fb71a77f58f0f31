package sqldb

import (
	"cmp"
	"context"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
)

func scanAccount(rows row) (a account.Account, err error) {
	err = rows.Scan(&a.ID, &a.Source, &a.Subject, &a.Username, &a.Name, &a.Email, &a.Mobile, asJSON(&a.Groups),
		&a.Organisation, &a.Role, &a.TwoFactor, (*instant)(&a.SuspendedAt), (*instant)(&a.CreatedAt), &a.Version, asJSON(&a.Parts))
	return a, err
}

// selectAccount lists what scanAccount reads, for the condition that follows.
const selectAccount = `SELECT id, source, subject, username, full_name, email, mobile, member_of,
	organisation, role, two_factor, suspended_at, created_at, version, name_parts
	FROM account`

// Account implements store.Reader.
func (r reader) Account(ctx context.Context, id account.ID) (account.Account, error) {
	a, err := one(ctx, r.q, account.ErrNotFound, scanAccount,
		selectAccount+` WHERE id = $1`, string(id))
	if err != nil {
		return a, fmt.Errorf("read account: %w", err)
	}
	return a, nil
}

// AccountByUsername implements store.Reader.
func (r reader) AccountByUsername(ctx context.Context, source, folded string) (account.Account, error) {
	a, err := one(ctx, r.q, account.ErrNotFound, scanAccount,
		selectAccount+` WHERE source = $1 AND username_folded = $2`, source, folded)
	if err != nil {
		return a, fmt.Errorf("read account by username: %w", err)
	}
	return a, nil
}

// AccountBySubject implements store.Reader.
func (r reader) AccountBySubject(ctx context.Context, source, subject string) (account.Account, error) {
	a, err := one(ctx, r.q, account.ErrNotFound, scanAccount,
		selectAccount+` WHERE source = $1 AND subject = $2`, source, subject)
	if err != nil {
		return a, fmt.Errorf("read account by subject: %w", err)
	}
	return a, nil
}

// AnyAccount implements store.Reader.
func (r reader) AnyAccount(ctx context.Context) (bool, error) {
	ids, err := list(ctx, r.q, value[string], `SELECT id FROM account LIMIT 1`)
	if err != nil {
		return false, fmt.Errorf("look for accounts: %w", err)
	}
	return len(ids) > 0, nil
}

// PasswordHash implements store.Reader.
func (r reader) PasswordHash(ctx context.Context, id account.ID) (string, error) {
	phc, err := one(ctx, r.q, account.ErrNotFound, value[string], `SELECT password_hash FROM account WHERE id = $1`, string(id))
	if err != nil {
		return "", fmt.Errorf("read password hash: %w", err)
	}
	return phc, nil
}

// InsertAccount implements store.Tx.
func (t *tx) InsertAccount(ctx context.Context, a account.Account) error {
	return t.InsertAccounts(ctx, []account.Account{a})
}

// InsertAccounts implements store.Tx. An account that names no organisation
// joins the default one; account.ErrNotFound says that there is none of that
// name.
func (t *tx) InsertAccounts(ctx context.Context, all []account.Account) error {
	if err := t.insertAccounts(ctx, all); err != nil {
		return fmt.Errorf("insert account: %w", err)
	}
	return nil
}

func (t *tx) insertAccounts(ctx context.Context, all []account.Account) error {
	rows := &manyRows{table: "account", columns: `id, source, subject, username, username_folded, full_name, name_folded, email, email_folded,
		mobile, member_of, organisation, role, two_factor, suspended_at, created_at, version, name_parts`}
	var found []foundAt
	joined := map[string]bool{}
	for _, a := range all {
		a = storableAccount(a)
		if a.Organisation = cmp.Or(a.Organisation, account.DefaultOrganisation); !joined[a.Organisation] {
			if _, err := t.Organisation(ctx, a.Organisation); err != nil {
				return err
			}
			joined[a.Organisation] = true
		}
		rows.add(string(a.ID), a.Source, a.Subject, a.Username, account.FoldUsername(a.Username), a.Name, account.FoldUsername(a.Name),
			a.Email, account.FoldUsername(a.Email), a.Mobile, asJSON(&a.Groups), a.Organisation, string(a.Role), a.TwoFactor,
			instant(a.SuspendedAt), instant(a.CreatedAt), a.Version, asJSON(&a.Parts))
		found = append(found, placesOf(a)...)
	}
	inserted, err := rows.free(ctx, t.q)
	if err == nil && inserted < int64(len(all)) {
		err = account.ErrTaken
	}
	if err == nil {
		err = insertWords(ctx, t.q, found)
	}
	return err
}

// storableAccount cleans the free text of an account.
func storableAccount(a account.Account) account.Account {
	a.Name, a.Email, a.Mobile = storable(a.Name), storable(a.Email), storable(a.Mobile)
	for _, part := range []*string{&a.Parts.Title, &a.Parts.First, &a.Parts.Middle, &a.Parts.Last} {
		*part = storable(*part)
	}
	return a
}

// UpdateAccount implements store.Tx. A suspended account loses its sessions
// here, whoever suspends it.
func (t *tx) UpdateAccount(ctx context.Context, a account.Account) error {
	if err := t.updateAccount(ctx, a); err != nil {
		return fmt.Errorf("update account: %w", err)
	}
	return nil
}

func (t *tx) updateAccount(ctx context.Context, a account.Account) error {
	a = storableAccount(a)
	if err := t.lock(ctx, lockAccount(a.ID)); err != nil {
		return err
	}
	a.Organisation = cmp.Or(a.Organisation, account.DefaultOrganisation)
	if _, err := t.Organisation(ctx, a.Organisation); err != nil {
		return err
	}
	others, err := list(ctx, t.q, value[string],
		`SELECT id FROM account
		WHERE id <> $1 AND source = (SELECT source FROM account WHERE id = $1) AND (username_folded = $2 OR subject = $3)`,
		string(a.ID), account.FoldUsername(a.Username), a.Subject)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		return account.ErrTaken
	}
	n, err := t.q.exec(ctx,
		`UPDATE account SET subject = $1, username = $2, username_folded = $3, full_name = $4, name_folded = $5, email = $6,
			email_folded = $7, mobile = $8, member_of = $9, organisation = $10, role = $11, two_factor = $12,
			suspended_at = $13, name_parts = $14, version = version + 1
		WHERE id = $15`,
		a.Subject, a.Username, account.FoldUsername(a.Username), a.Name, account.FoldUsername(a.Name), a.Email,
		account.FoldUsername(a.Email), a.Mobile, asJSON(&a.Groups), a.Organisation, string(a.Role), a.TwoFactor,
		instant(a.SuspendedAt), asJSON(&a.Parts), string(a.ID))
	if err != nil {
		return err
	}
	if n == 0 {
		return account.ErrNotFound
	}
	if err := writeWords(ctx, t.q, a); err != nil {
		return err
	}
	t.tell(session.AccountChanged, string(a.ID))
	if a.Suspended() {
		return t.EndAccountSessions(ctx, a.ID, "")
	}
	return nil
}

// DeleteAccount implements store.Tx. What the audit trail says stays: it
// knows the person by the ID only.
func (t *tx) DeleteAccount(ctx context.Context, id account.ID) error {
	if err := t.deleteAccount(ctx, id); err != nil {
		return fmt.Errorf("delete account: %w", err)
	}
	return nil
}

func (t *tx) deleteAccount(ctx context.Context, id account.ID) error {
	if err := t.EndAccountSessions(ctx, id, ""); err != nil {
		return err
	}
	if err := t.DropTransactions(ctx, id); err != nil {
		return err
	}
	if _, err := t.q.exec(ctx, `DELETE FROM credential WHERE account = $1`, string(id)); err != nil {
		return err
	}
	if _, err := t.q.exec(ctx, `DELETE FROM name_pin WHERE account = $1`, string(id)); err != nil {
		return err
	}
	if _, err := t.q.exec(ctx, `DELETE FROM account_visits WHERE account = $1`, string(id)); err != nil {
		return err
	}
	if err := dropWords(ctx, t.q, id); err != nil {
		return err
	}
	n, err := t.q.exec(ctx, `DELETE FROM account WHERE id = $1`, string(id))
	if err != nil {
		return err
	}
	if n == 0 {
		return account.ErrNotFound
	}
	t.tell(session.AccountChanged, string(id))
	return nil
}

// SetPasswordHash implements store.Tx; "" takes the password away.
func (t *tx) SetPasswordHash(ctx context.Context, id account.ID, phc string) error {
	n, err := t.q.exec(ctx, `UPDATE account SET password_hash = $1, version = version + 1 WHERE id = $2`, phc, string(id))
	if err == nil && n == 0 {
		err = account.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("set password hash: %w", err)
	}
	t.tell(session.AccountChanged, string(id))
	return nil
}

// moved notes that something which belongs to the account has changed.
func (t *tx) moved(ctx context.Context, id account.ID) error {
	_, err := t.q.exec(ctx, `UPDATE account SET version = version + 1 WHERE id = $1`, string(id))
	t.tell(session.AccountChanged, string(id))
	return err
}
