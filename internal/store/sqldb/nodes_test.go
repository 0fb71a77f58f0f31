package sqldb

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/store/storetest"
	"github.com/stepgate/stepgate/policy"
)

const (
	nodeDirectory = "STEPGATE_TEST_NODE"
	nodeSteps     = 60
)

// TestOneCodePassesOnceOnTwoNodes lets three processes on one SQLite file race
// for the same TOTP steps and the same texted codes: each passes once in all.
func TestOneCodePassesOnceOnTwoNodes(t *testing.T) {
	if dir := os.Getenv(nodeDirectory); dir != "" {
		raceAsNode(t, dir)
		return
	}
	dir := t.TempDir()
	ring, err := keys.Create(filepath.Join(dir, "stepgate.key"), storetest.Noon)
	if err != nil {
		t.Fatal(err)
	}
	db := openFile(t, filepath.Join(dir, "stepgate.db"), ring)
	err = db.write(t.Context(), func(tx *tx) error {
		if err := tx.InsertAccount(t.Context(), named("jo")); err != nil {
			return err
		}
		return tx.InsertCredential(t.Context(), account.Credential{ID: "app", Account: "jo", Factor: "totp", Label: "app", CreatedAt: storetest.Noon})
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range nodeSteps {
		if err := db.ReplaceCode(t.Context(), nodeSlot(n), func(oob.Code) (oob.Code, error) { return nodeCode(n), nil }); err != nil {
			t.Fatal(err)
		}
	}
	nodes := make([]*exec.Cmd, 3)
	outs := make([]bytes.Buffer, len(nodes))
	for i := range nodes {
		nodes[i] = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOneCodePassesOnceOnTwoNodes$")
		nodes[i].Env = append(os.Environ(), nodeDirectory+"="+dir)
		nodes[i].Stdout, nodes[i].Stderr = &outs[i], os.Stderr
		if err := nodes[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	won := map[string]int{}
	for i := range nodes {
		if err := nodes[i].Wait(); err != nil {
			t.Fatalf("%v: %s", err, outs[i].String())
		}
		for line := range strings.Lines(outs[i].String()) {
			if rest, ok := strings.CutPrefix(line, "won "); ok {
				won[strings.TrimSpace(rest)]++
			}
		}
	}
	for n := range nodeSteps {
		if code := fmt.Sprint("code ", n); won[code] != 1 {
			t.Errorf("%s passed %d times", code, won[code])
		}
		// A step that another node has gone past is refused to all.
		if step := fmt.Sprint("step ", n+1); won[step] > 1 {
			t.Errorf("%s passed %d times", step, won[step])
		}
	}
	if won[fmt.Sprint("step ", nodeSteps)] != 1 {
		t.Error("the newest step passed nobody")
	}
}

func nodeSlot(n int) oob.Slot {
	return oob.Slot{Account: "jo", Session: fmt.Sprint("S", n), Purpose: "step-up", Factor: policy.SMS}
}

func nodeCode(n int) oob.Code {
	return oob.Code{
		Slot: nodeSlot(n), Transaction: "T", MAC: []byte("mac"), To: []byte("to"), SentAt: storetest.Noon, ExpiresAt: storetest.Noon.Add(time.Hour), Sends: 1,
	}
}

// raceAsNode tries every step and every code, and says what it won.
func raceAsNode(t *testing.T, dir string) {
	ring, err := keys.Load(filepath.Join(dir, "stepgate.key"))
	if err != nil {
		t.Fatal(err)
	}
	db := openFile(t, filepath.Join(dir, "stepgate.db"), ring)
	right := func(oob.Code) bool { return true }
	for n := range nodeSteps {
		ok, err := db.ConsumeStep(t.Context(), "app", int64(n+1), storetest.Noon)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			fmt.Println("won step", n+1)
		}
		switch _, err := db.TryCode(t.Context(), nodeSlot(n), storetest.Noon, 5, right); {
		case err == nil:
			fmt.Println("won code", n)
		case !errors.Is(err, factors.ErrReplayed):
			t.Fatal(err)
		}
	}
}
