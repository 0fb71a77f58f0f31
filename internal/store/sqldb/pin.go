package sqldb

import (
	"context"
	"fmt"

	"github.com/stepgate/stepgate/internal/account"
)

const pinColumns = `source, kind, name, account, at`

func scanPin(rows row) (p account.Pin, err error) {
	err = rows.Scan(&p.Source, &p.Kind, &p.Name, &p.Account, (*instant)(&p.At))
	return p, err
}

// Pin implements store.Reader.
func (r reader) Pin(ctx context.Context, source string, kind account.PinKind, name string) (account.Pin, error) {
	p, err := one(ctx, r.q, account.ErrNotFound, scanPin,
		`SELECT `+pinColumns+` FROM name_pin WHERE source = $1 AND kind = $2 AND name = $3`, source, string(kind), name)
	if err != nil {
		return account.Pin{}, fmt.Errorf("read pin: %w", err)
	}
	return p, nil
}

// Pins implements store.Reader.
func (r reader) Pins(ctx context.Context, owner account.ID) ([]account.Pin, error) {
	all, err := list(ctx, r.q, scanPin,
		`SELECT `+pinColumns+` FROM name_pin WHERE account = $1 AND kind <> 'confirmed' ORDER BY at, kind, name`, string(owner))
	if err != nil {
		return nil, fmt.Errorf("list pins: %w", err)
	}
	return all, nil
}

// KeepPin implements store.Tx.
func (t *tx) KeepPin(ctx context.Context, p account.Pin) error {
	_, err := t.q.exec(ctx,
		`INSERT INTO name_pin (`+pinColumns+`) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (source, kind, name) DO UPDATE SET account = excluded.account, at = excluded.at`,
		p.Source, string(p.Kind), p.Name, string(p.Account), instant(p.At))
	if err != nil {
		return fmt.Errorf("keep pin: %w", err)
	}
	return nil
}

// DropPin implements store.Tx.
func (t *tx) DropPin(ctx context.Context, source string, kind account.PinKind, name string) error {
	if _, err := t.q.exec(ctx, `DELETE FROM name_pin WHERE source = $1 AND kind = $2 AND name = $3`, source, string(kind), name); err != nil {
		return fmt.Errorf("drop pin: %w", err)
	}
	return nil
}
