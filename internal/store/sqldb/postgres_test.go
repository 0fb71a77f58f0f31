package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

func TestPostgresConforms(t *testing.T) {
	freshSchema(t)
	storetest.Run(t, func(t *testing.T, ring *keys.Ring) store.Store {
		return openSchema(t, freshSchema(t), ring)
	})
}

func openSchema(t testing.TB, dsn string, ring *keys.Ring) *DB {
	t.Helper()
	db, err := OpenPostgres(t.Context(), dsn, Options{Ring: ring, Chain: audit.NewChain(ring)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// freshSchema makes a schema in the database of STEPGATE_TEST_POSTGRES, until
// the test ends, and returns a DSN that leads to it.
func freshSchema(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv("STEPGATE_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("STEPGATE_TEST_POSTGRES is not set")
	}
	schema := "stepgate_test_" + strings.ToLower(string(account.NewID()))
	onServer(t, dsn, "CREATE SCHEMA "+schema)
	t.Cleanup(func() { onServer(t, dsn, "DROP SCHEMA "+schema+" CASCADE") })
	return inSchema(dsn, schema)
}

// inSchema is a DSN that leads to a schema of the database that dsn names.
func inSchema(dsn, schema string) string {
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		q := u.Query()
		q.Set("search_path", schema)
		u.RawQuery = q.Encode()
		return u.String()
	}
	return dsn + " search_path=" + schema
}

func onServer(t testing.TB, dsn, statement string) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		t.Fatal(err)
	}
}

func TestOpenPostgresDoesNotRepeatPassword(t *testing.T) {
	for _, dsn := range []string{
		"postgres://u:hunter2@127.0.0.1:notaport/x", "host=127.0.0.1 password=hunter2 port=x", "postgres://u:hunter2@127.0.0.1:1/x?connect_timeout=2",
	} {
		_, err := OpenPostgres(t.Context(), dsn, Options{})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error is %v", err)
		}
		_, err = PostgresExists(t.Context(), dsn)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error is %v", err)
		}
	}
}

func TestPostgresExistsOnceMade(t *testing.T) {
	dsn := freshSchema(t)
	for _, want := range []bool{false, true} {
		if exists, err := PostgresExists(t.Context(), dsn); err != nil || exists != want {
			t.Errorf("exists: %v, %v; want %v", exists, err, want)
		}
		openSchema(t, dsn, storetest.NewRing(t))
	}
}

func TestPostgresNodesMigrateOnce(t *testing.T) {
	dsn, ring := freshSchema(t), storetest.NewRing(t)
	errs := make(chan error)
	for range 5 {
		go func() {
			db, err := OpenPostgres(t.Context(), dsn, Options{Ring: ring, Chain: audit.NewChain(ring)})
			if err == nil {
				err = db.Close()
			}
			errs <- err
		}()
	}
	for range 5 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestPostgresRefusesNewerStore(t *testing.T) {
	dsn := freshSchema(t)
	openSchema(t, dsn, storetest.NewRing(t))
	onServer(t, dsn, "INSERT INTO stepgate_migration (version, applied_at) VALUES (1000, 0)")
	if _, err := OpenPostgres(t.Context(), dsn, Options{}); !errors.Is(err, ErrNewer) {
		t.Errorf("error is %v", err)
	}
}

// TestPostgresCommitsAreDurable looks at what the server would do for our
// connections if its own default were careless.
func TestPostgresCommitsAreDurable(t *testing.T) {
	dsn := freshSchema(t)
	if strings.Contains(dsn, "://") {
		dsn += "&synchronous_commit=off"
	} else {
		dsn += " synchronous_commit=off"
	}
	db := openSchema(t, dsn, storetest.NewRing(t))
	err := db.write(t.Context(), func(tx *tx) error {
		got, err := one(t.Context(), tx.q, errNoHead, value[string], `SELECT current_setting('synchronous_commit')`)
		if got != "on" {
			t.Errorf("synchronous_commit is %q", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestPostgresDeadlockIsTriedAgain makes two transactions wait for one
// another; the server gives one of them up.
func TestPostgresDeadlockIsTriedAgain(t *testing.T) {
	db := openSchema(t, freshSchema(t), storetest.NewRing(t))
	var met, all sync.WaitGroup
	met.Add(2)
	var runs atomic.Int64
	for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
		first := sync.OnceFunc(func() { met.Done(); met.Wait() })
		all.Go(func() {
			err := db.write(t.Context(), func(tx *tx) error {
				runs.Add(1)
				if err := errors.Join(tx.lock(t.Context(), names[0]), tx.st.flush(t.Context())); err != nil {
					return err
				}
				first()
				if err := tx.lock(t.Context(), names[1]); err != nil {
					return err
				}
				return tx.InsertAccount(t.Context(), named(names[0]))
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if runs.Load() < 3 {
		t.Errorf("%d runs: nobody was tried again", runs.Load())
	}
	for _, id := range []account.ID{"a", "b"} {
		if _, err := db.Account(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}

// TestPostgresConnectionsThatEndedAreNoFailure ends connections behind the
// store's back, as a server does that stops and is followed by another: who
// comes next is served by a new one.
func TestPostgresConnectionsThatEndedAreNoFailure(t *testing.T) {
	dsn := freshSchema(t)
	db := openSchema(t, dsn, storetest.NewRing(t))
	p := db.engine.(*postgres)
	for _, c := range []struct {
		name  string
		pool  *sql.DB
		serve func() error
	}{
		{"read", p.readers, func() error {
			if _, err := db.Account(t.Context(), "nobody"); !errors.Is(err, account.ErrNotFound) {
				return fmt.Errorf("nobody: %w", err)
			}
			return nil
		}},
		{"write", p.writers, func() error {
			return db.write(t.Context(), func(tx *tx) error { return tx.InsertAccount(t.Context(), named("alone")) })
		}},
		{"update", p.writers, func() error {
			return db.Update(t.Context(), func(tx store.Tx) error { return tx.InsertAccount(t.Context(), named("in turn")) })
		}},
	} {
		take(t, c.pool) // the driver looks at one that it has not used for a second
		onServer(t, dsn, `SELECT pg_terminate_backend(pid, 60000) FROM unnest(ARRAY[`+strings.Join(take(t, c.pool), ", ")+`]) AS pid`)
		if err := c.serve(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// take uses some connections of a pool at once, and tells whose they are at the
// server.
func take(t *testing.T, pool *sql.DB) (pids []string) {
	t.Helper()
	for range 3 {
		conn, err := pool.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var pid int
		if err := conn.QueryRowContext(t.Context(), `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
			t.Fatal(err)
		}
		pids = append(pids, strconv.Itoa(pid))
	}
	return pids
}

// TestPostgresManyStepsOutlastTheTimeOfOne has a transaction that takes longer
// than a step may, and one with a step that does.
func TestPostgresManyStepsOutlastTheTimeOfOne(t *testing.T) {
	db := openSchema(t, freshSchema(t), storetest.NewRing(t))
	const step = 2 * time.Second
	db.engine.(*postgres).step = step
	sleep := func(times int, long time.Duration) error {
		return db.write(t.Context(), func(tx *tx) error {
			for range times {
				if _, err := tx.q.exec(t.Context(), `SELECT pg_sleep($1)`, long.Seconds()); err != nil {
					return err
				}
			}
			return tx.InsertAccount(t.Context(), named(string(account.NewID())))
		})
	}
	if err := sleep(6, step/4); err != nil {
		t.Errorf("of many short steps: %v", err)
	}
	if err := sleep(1, 2*step); err == nil {
		t.Error("a step of twice the time went through")
	}
}
