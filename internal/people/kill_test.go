package people_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/keys"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/internal/store/sqldb"
	"github.com/stepgate/stepgate/policy"
)

const killedPeople = "STEPGATE_TEST_KILLED_PEOPLE"

// TestRegistrationsResetsAndKeysSurviveKill starts this test binary as somebody
// who registers people, resets their passwords and hands keys over to them,
// kills it at a random moment, three times, and finds everything that it had
// acknowledged, and nothing half done.
func TestRegistrationsResetsAndKeysSurviveKill(t *testing.T) {
	if dir := os.Getenv(killedPeople); dir != "" {
		registerUntilKilled(t, dir)
	}
	dir := t.TempDir()
	ring, err := keys.Create(filepath.Join(dir, "stepgate.key"), noon)
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]string{}
	for range 3 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRegistrationsResetsAndKeysSurviveKill$")
		child.Env = append(os.Environ(), killedPeople+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		last := 1 + rand.IntN(60)
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			what, id, found := strings.Cut(lines.Text(), " ")
			if !found {
				t.Fatalf("the child says %q", lines.Text())
			}
			acknowledged[id] = what
			if n == last {
				if err := child.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
		}
		if err := child.Wait(); err == nil {
			t.Error("the child was not killed")
		}
	}
	p, db := killable(t, dir, ring)
	all, err := db.Accounts(t.Context(), account.Filter{Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	steps := map[string]int{"": 0, "registered": 1, "reset": 2, "key": 3}
	for _, a := range all {
		if a.Role == account.RoleOwner {
			continue
		}
		got := stepsOf(t, p, db, a)
		if got < steps[acknowledged[string(a.ID)]] {
			t.Errorf("%s of %s was acknowledged, and %d steps were kept", acknowledged[string(a.ID)], a.ID, got)
		}
		delete(acknowledged, string(a.ID))
	}
	if len(acknowledged) > 0 {
		t.Errorf("acknowledged, and gone: %v", acknowledged)
	}
	result, err := audit.NewChain(ring).Verify(audit.Walk(t.Context(), db, 0), audit.Expectation{})
	if err != nil || result.Break != nil {
		t.Errorf("the audit trail: %+v, %v", result, err)
	}
}

// stepsOf counts what was done for an account: registered, its password reset,
// a key handed over. What was done by half is an error.
func stepsOf(t *testing.T, p *people.People, db *sqldb.DB, a account.Account) int {
	t.Helper()
	ctx := t.Context()
	record, err := p.Show(ctx, people.Operator(), people.Who{ID: a.ID})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := db.PasswordHash(ctx, a.ID)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		t.Fatal(err)
	}
	held := map[string]int{}
	for _, c := range record.Credentials {
		held[c.Factor]++
	}
	events := map[audit.Name]int{}
	records, err := db.Events(ctx, audit.Query{Account: string(a.ID)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		events[r.Name]++
	}
	steps := 0
	switch {
	case hash == "" && held["sms"] == 0 && events[audit.PasswordChange] == 0 && events[audit.FactorEnrolled] == 0:
	case hash == "hash of the first one" && held["sms"] == 1 && events[audit.PasswordChange] == 1 && events[audit.FactorEnrolled] == 1:
		steps = 1
	case hash == "hash of the second one" && held["sms"] == 1 && events[audit.PasswordChange] == 2 && events[audit.FactorEnrolled] == 1:
		steps = 2
	default:
		t.Errorf("%s is half done: %q, %v, %v", a.ID, hash, held, events)
	}
	if held["webauthn"] != events[audit.OnBehalf] {
		t.Errorf("%s has %d keys and %d events of one", a.ID, held["webauthn"], events[audit.OnBehalf])
	}
	return steps + held["webauthn"]
}

// killable is people over the store in a directory.
func killable(t *testing.T, dir string, ring *keys.Ring) (*people.People, *sqldb.DB) {
	t.Helper()
	db, err := sqldb.OpenSQLite(t.Context(), filepath.Join(dir, "stepgate.db"), sqldb.Options{Ring: ring, Chain: audit.NewChain(ring)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &people.People{
		Store: store.ForPeople(db), Passwords: plainPasswords{}, Region: "GB", Now: time.Now,
		Links: &people.Links{
			Origin: "https://portal.example.gov", Address: func(purpose, token string) string { return token },
			Letter: func(string, account.Account, string) delivery.Message { return delivery.Message{} },
			Mail:   func() bool { return false }, Wake: func() {},
		},
	}, db
}

// registerUntilKilled prints what it has done once it was acknowledged.
func registerUntilKilled(t *testing.T, dir string) {
	ring, err := keys.Load(filepath.Join(dir, "stepgate.key"))
	if err != nil {
		t.Fatal(err)
	}
	p, db := killable(t, dir, ring)
	boss, err := p.AddAccount(context.Background(), people.Operator(), people.NewAccount{Username: "boss " + string(account.NewID()), Role: account.RoleOwner})
	if err != nil {
		t.Fatal(err)
	}
	var printing sync.Mutex
	told := func(what string, id account.ID) {
		printing.Lock()
		defer printing.Unlock()
		fmt.Println(what, id)
	}
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for {
				if err := oneLife(p, db, boss.Account, told); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
}

// oneLife registers somebody, resets their password and hands a key over.
func oneLife(p *people.People, db *sqldb.DB, boss account.Account, told func(string, account.ID)) error {
	ctx := context.Background()
	made, err := p.AddAccount(ctx, people.Operator(), people.NewAccount{Username: "u " + string(account.NewID())})
	if err != nil {
		return err
	}
	a := made.Account
	for _, step := range []struct {
		what, purpose, password string
		send                    func(context.Context, people.Actor, people.Who, string) (people.Invitation, error)
	}{{"registered", ceremony.Register, "the first one", p.Invite}, {"reset", ceremony.ResetPassword, "the second one", p.SendReset}} {
		link, err := step.send(ctx, people.Operator(), people.Who{ID: a.ID}, "")
		if err != nil {
			return err
		}
		chosen := people.Chosen{
			Link: ceremony.LinkID(step.purpose, string(link.Link.Reveal())), Owner: a.ID, Purpose: step.purpose, Password: account.Secret(step.password),
		}
		if step.purpose == ceremony.Register {
			chosen.Phone = &account.Credential{ID: account.NewCredentialID(), Account: a.ID, Factor: "sms", Label: "Phone", Address: "+447700900609", CreatedAt: noon}
		}
		if err := p.Choose(ctx, p.Links, chosen); err != nil {
			return err
		}
		told(step.what, a.ID)
	}
	now := time.Now()
	t, err := db.OpenTransaction(ctx, ceremony.Transaction{
		ID: ceremony.NewID(), Session: "s", Key: "admin key " + string(a.ID), Actor: boss.ID, Subject: a.ID, Site: "https://portal.example.gov",
		Purpose: "hand-over", Factor: policy.WebAuthn, CreatedAt: now, ExpiresAt: now.Add(ceremony.TransactionTTL), Version: 1,
	}, now)
	if err != nil {
		return err
	}
	_, err = p.RegisterKey(ctx, people.As(boss), people.Who{ID: a.ID}, people.Handover{
		Transaction: t.ID, Credential: account.Credential{Factor: "webauthn", Label: "Key", Handle: "key " + string(a.ID)},
	}, "")
	if err == nil {
		told("key", a.ID)
	}
	return err
}
