package operation

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
)

// trailPlace is a place over a new store, with so many events, one an hour.
func trailPlace(t *testing.T, events int) (Place, time.Time) {
	t.Helper()
	dir := t.TempDir()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ring, err := keys.Create(filepath.Join(dir, "stepgate.key"), start)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.OpenSQLite(t.Context(), filepath.Join(dir, "stepgate.db"), sqldb.Options{Ring: ring, Chain: audit.NewChain(ring)})
	if err != nil {
		t.Fatal(err)
	}
	recorder := audit.NewRecorder(audit.Options{Store: db})
	t.Cleanup(func() {
		recorder.Close(t.Context())
		db.Close()
	})
	for i := range events {
		if _, err := db.AppendEvent(t.Context(), audit.Event{At: start.Add(time.Duration(i) * time.Hour), Name: audit.LoginSuccess, Account: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	return Place{Actor: people.Operator(), People: &people.People{Now: time.Now, Store: store.ForPeople(db)}, Store: db, Recorder: recorder, Ring: ring}, start
}

func TestAPrunedTrailIsProvable(t *testing.T) {
	p, start := trailPlace(t, 30)
	for i, keep := range []int{20, 10} {
		gone, err := call(t, p, AuditPrune, AuditPruneInput{Before: start.Add(time.Duration(30-keep) * time.Hour)})
		if err != nil || gone.Deleted != 10 || gone.Bridge == "" {
			t.Fatalf("pruning %d: %+v, %v", i, gone, err)
		}
		held, err := call(t, p, AuditVerify, AuditVerifyInput{})
		if err != nil || !held.Holds || held.Records != int64(keep+1+i) {
			t.Fatalf("after pruning %d: %+v, %v", i, held, err)
		}
	}
	if gone, err := call(t, p, AuditPrune, AuditPruneInput{Before: start}); err != nil || gone.Deleted != 0 {
		t.Errorf("nothing is that old: %+v, %v", gone, err)
	}
}

func TestAPruningThatWasInterruptedLeavesAProvableTrail(t *testing.T) {
	p, start := trailPlace(t, 30)
	result, end, err := p.verifyTrail(t.Context(), AuditVerifyInput{Until: 20})
	if err != nil || !result.Holds {
		t.Fatal(result, err)
	}
	bridge, err := audit.NewChain(p.Ring).Checkpoint(end, start)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Recorder.Record(t.Context(), audit.Pruned(bridge, "")); err != nil {
		t.Fatal(err)
	}
	for _, upTo := range []int64{0, 7, 20} { // none, some and all of it has gone
		if _, err := p.Store.PruneEvents(t.Context(), upTo); err != nil {
			t.Fatal(err)
		}
		if held, err := call(t, p, AuditVerify, AuditVerifyInput{}); err != nil || !held.Holds {
			t.Errorf("with records up to %d gone: %+v, %v", upTo, held, err)
		}
	}
	if _, err := p.Store.PruneEvents(t.Context(), 22); err != nil {
		t.Fatal(err)
	}
	if held, err := call(t, p, AuditVerify, AuditVerifyInput{}); err != nil || held.Holds {
		t.Errorf("more has gone than the bridge says, and it holds: %+v, %v", held, err)
	}
}

func TestNobodyButAnOperatorPrunes(t *testing.T) {
	p, start := trailPlace(t, 3)
	p.Actor = people.Actor{}
	if _, err := call(t, p, AuditPrune, AuditPruneInput{Before: start.AddDate(1, 0, 0)}); err == nil || AsAnswer(err).Kind != No {
		t.Errorf("error %v", err)
	}
}

func TestWhatAReceiverHasNotGotIsNotPruned(t *testing.T) {
	p, start := trailPlace(t, 30)
	db := p.Store.(*sqldb.DB)
	now := time.Now()
	if _, _, err := db.HoldReceiver(t.Context(), "tcp://siem:514", "node", now, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	in := AuditPruneInput{Before: start.Add(10 * time.Hour)}
	for _, got := range []int64{0, 9} {
		if err := db.MoveReceiver(t.Context(), "tcp://siem:514", "node", got); err != nil {
			t.Fatal(err)
		}
		if _, err := call(t, p, AuditPrune, in); err == nil || AsAnswer(err).Kind != No || !strings.Contains(err.Error(), fmt.Sprintf("tcp://siem:514 has got the trail up to record %d only", got)) {
			t.Errorf("with a receiver at %d: %v", got, err)
		}
		if held, err := call(t, p, AuditVerify, AuditVerifyInput{}); err != nil || held.Records != 30 {
			t.Errorf("with a receiver at %d: %+v, %v", got, held, err)
		}
	}
	if err := db.MoveReceiver(t.Context(), "tcp://siem:514", "node", 10); err != nil {
		t.Fatal(err)
	}
	if gone, err := call(t, p, AuditPrune, in); err != nil || gone.Deleted != 10 {
		t.Errorf("with a receiver that has them: %+v, %v", gone, err)
	}
	in = AuditPruneInput{Before: start.Add(20 * time.Hour), Undelivered: true}
	if gone, err := call(t, p, AuditPrune, in); err != nil || gone.Deleted != 10 {
		t.Errorf("with --undelivered: %+v, %v", gone, err)
	}
}
