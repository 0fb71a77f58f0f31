package sqldb

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/storetest"
)

const (
	killedDirectory = "STEPGATE_TEST_KILLED_WRITER"
	killedSchema    = "STEPGATE_TEST_KILLED_WRITER_DSN"
)

// TestAcknowledgedSurvivesKill starts this test binary as a writer, kills it
// at a random moment and looks for everything that it had acknowledged.
func TestAcknowledgedSurvivesKill(t *testing.T) {
	if dir := os.Getenv(killedDirectory); dir != "" {
		writeUntilKilled(t, dir)
	}
	acknowledgedSurvivesKill(t, "TestAcknowledgedSurvivesKill", "")
}

// TestPostgresAcknowledgedSurvivesKill is the same of a node over PostgreSQL.
func TestPostgresAcknowledgedSurvivesKill(t *testing.T) {
	if dir := os.Getenv(killedDirectory); dir != "" {
		writeUntilKilled(t, dir)
	}
	acknowledgedSurvivesKill(t, "TestPostgresAcknowledgedSurvivesKill", freshSchema(t))
}

// openKilled is the store that the writer has, of a folder with its keys.
func openKilled(t *testing.T, dir, dsn string, ring *keys.Ring) *DB {
	if dsn != "" {
		return openSchema(t, dsn, ring)
	}
	return openFile(t, filepath.Join(dir, "stepgate.db"), ring)
}

func acknowledgedSurvivesKill(t *testing.T, name, dsn string) {
	dir := t.TempDir()
	ring, err := keys.Create(filepath.Join(dir, "stepgate.key"), storetest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]bool{}
	for range 3 {
		writer := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+name+"$")
		writer.Env = append(os.Environ(), killedDirectory+"="+dir, killedSchema+"="+dsn)
		writer.Stderr = os.Stderr
		out, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		last := 1 + rand.IntN(300)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			acknowledged[lines.Text()] = true
			if n == last {
				if err := writer.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
		}
		if err := writer.Wait(); err == nil {
			t.Error("the writer was not killed")
		}
	}

	db := openKilled(t, dir, dsn, ring)
	for id := range acknowledged {
		if _, err := db.Account(t.Context(), account.ID(id)); err != nil {
			t.Errorf("acknowledged, but: %v", err)
		}
	}
	result, err := audit.NewChain(ring).Verify(audit.Walk(t.Context(), db, 0), audit.Expectation{})
	if err != nil || result.Break != nil || result.Records < int64(len(acknowledged)) {
		t.Errorf("%d acknowledged, the audit trail has %+v, %v", len(acknowledged), result, err)
	}
	t.Logf("%d acknowledged, %d kept", len(acknowledged), result.Records)
}

// writeUntilKilled prints the ID of every account once it is kept.
func writeUntilKilled(t *testing.T, dir string) {
	ring, err := keys.Load(filepath.Join(dir, "stepgate.key"))
	if err != nil {
		t.Fatal(err)
	}
	db := openKilled(t, dir, os.Getenv(killedSchema), ring)
	var writers sync.WaitGroup
	var printing sync.Mutex
	for range 16 {
		writers.Go(func() {
			for {
				a := account.Account{ID: account.NewID(), Source: account.LocalSource, Role: account.RoleUser, CreatedAt: storetest.Noon}
				a.Subject, a.Username = string(a.ID), string(a.ID)
				err := db.Update(context.Background(), func(tx store.Tx) error {
					if err := tx.InsertAccount(context.Background(), a); err != nil {
						return err
					}
					_, err := tx.AppendEvent(context.Background(), audit.Event{Name: audit.UserCreated, Account: string(a.ID)})
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				printing.Lock()
				fmt.Println(a.ID)
				printing.Unlock()
			}
		})
	}
	writers.Wait()
}
