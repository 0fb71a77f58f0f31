package sqldb

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/legacytest"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

// TestPostgresConformsBehindAPooler has pgbouncer give every transaction
// whichever connection of the server is free.
func TestPostgresConformsBehindAPooler(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a pooler")
	}
	server := os.Getenv("STEPGATE_TEST_POSTGRES")
	if server == "" {
		t.Skip("STEPGATE_TEST_POSTGRES is not set")
	}
	pooler, err := url.Parse(legacytest.StartPgbouncer(t, server))
	if err != nil {
		t.Fatal(err)
	}
	storetest.Run(t, func(t *testing.T, ring *keys.Ring) store.Store {
		name := "stepgate_test_" + strings.ToLower(string(account.NewID()))
		for _, statement := range []string{"CREATE ROLE %s LOGIN", "CREATE SCHEMA %[1]s AUTHORIZATION %[1]s", "ALTER ROLE %[1]s SET search_path = %[1]s"} {
			onServer(t, server, fmt.Sprintf(statement, name))
		}
		t.Cleanup(func() {
			onServer(t, server, "DROP SCHEMA "+name+" CASCADE")
			onServer(t, server, "DROP ROLE "+name)
		})
		own := *pooler
		own.User = url.User(name)
		db := openSchema(t, own.String(), ring)
		if err := db.Listen(t.Context(), func() {}); !errors.Is(err, session.ErrCannotListen) {
			t.Errorf("behind a pooler listening gives %v", err)
		}
		return db
	})
}

// TestPostgresTellsOtherNodes has one node hear at once what another changed.
func TestPostgresTellsOtherNodes(t *testing.T) {
	dsn, ring := freshSchema(t), storetest.NewRing(t)
	here, there := openSchema(t, dsn, ring), openSchema(t, dsn, ring)
	heard, ended := make(chan struct{}, 100), make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() { ended <- here.Listen(ctx, func() { heard <- struct{}{} }) }()
	wait := func(what string) {
		t.Helper()
		select {
		case <-heard:
		case err := <-ended:
			t.Fatalf("%s: the listening ended: %v", what, err)
		case <-time.After(time.Minute):
			t.Fatalf("%s: nothing was heard", what)
		}
	}
	wait("at the beginning")
	_, seq, err := here.Changes(t.Context(), -1)
	if err != nil {
		t.Fatal(err)
	}
	err = there.write(t.Context(), func(tx *tx) error { return tx.InsertAccount(t.Context(), named("jo")) })
	if err == nil {
		err = there.write(t.Context(), func(tx *tx) error { return tx.SetPasswordHash(t.Context(), "jo", "x") })
	}
	if err != nil {
		t.Fatal(err)
	}
	for changed := false; !changed; {
		wait("after a change")
		changes, _, err := here.Changes(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range changes {
			changed = changed || c == session.Change{Seq: c.Seq, Kind: session.AccountChanged, Key: "jo"}
		}
	}
	stop()
	if err := <-ended; err == nil {
		t.Error("the listening that was stopped ended without saying so")
	}
}
