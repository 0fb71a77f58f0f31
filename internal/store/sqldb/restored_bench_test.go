package sqldb

import (
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
)

// BenchmarkRestored has others write while a store that came back from a backup
// is rid of what could have been spent: of each of STEPGATE_BENCH_ACCOUNTS
// accounts a session, a list of backup codes and an authenticator app.
//
//	STEPGATE_BENCH_ACCOUNTS=100000 go test ./internal/store/sqldb -run - -bench Restored -benchtime 1x
func BenchmarkRestored(b *testing.B) {
	n := benchSize(b, "STEPGATE_BENCH_ACCOUNTS", 2000)
	open, _ := newStore(b)
	db := open()
	now := time.Now()
	fillTown(b, db, n)
	fillSessions(b, db, n, now.Add(time.Hour))
	owners, err := list(b.Context(), db.q, value[string], `SELECT id FROM account`)
	if err != nil {
		b.Fatal(err)
	}
	if err := db.write(b.Context(), func(t *tx) error {
		held := &manyRows{
			table:   "credential",
			columns: "id, account, factor, label, sealed_address, sealed_secret, counter, is_default, created_at, last_used_at, bound_by, counts_from, handle, mac_key",
		}
		for _, owner := range owners {
			for _, factor := range []string{"backup_code", "totp"} {
				held.add(factor+owner, owner, factor, "label", []byte{}, make([]byte, 400), int64(0), false, instant{}, instant{}, "", instant{}, "", "")
			}
		}
		return held.later(b.Context(), t.q)
	}); err != nil {
		b.Fatal(err)
	}
	analyse(b, db)
	b.Run("commit while it is voided", func(b *testing.B) {
		commitWhile(b, oneEvent(b, db), func() error {
			_, err := db.VoidSpendable(b.Context(), now, audit.Event{Name: audit.StoreRestored, Outcome: "success"})
			return err
		})
	})
}
