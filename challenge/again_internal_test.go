package challenge

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/backupcode"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

// TestAFormWhoseAnswerWasLostIsAnsweredAgain posts a right code twice from the
// state before the first: as a browser does whose network broke.
func TestAFormWhoseAnswerWasLostIsAnsweredAgain(t *testing.T) {
	for _, kind := range []string{"totp", "backup_code"} {
		k := newRig(t, nil)
		joe := k.person("joe")
		k.holdsApp(joe)
		list := &backupcode.Factor{Store: k.db, Keys: k.ring}
		sheet, codes, err := list.NewList(factors.Scope{Account: joe})
		if err != nil {
			t.Fatal(err)
		}
		sheet.ID, sheet.Account, sheet.CreatedAt = "sheet", joe.ID, k.clock()
		k.update(func(ctx context.Context, tx store.Tx) error { return tx.InsertCredential(ctx, sheet) })

		code := codes[0]
		if kind == "totp" {
			code = k.code([]byte(rigSeed))
		}
		heard := k.browser()
		p := heard.signIn(k.door(heard, "/x", policy.LevelMFA), "joe")
		p = heard.open(strings.Replace(p.at, "/totp", "/"+kind, 1))
		deaf, thief, late := heard.fork(), heard.fork(), heard.fork()
		another := thief.open(p.at)
		right := map[string]string{"code": code}
		if s := heard.send(p, right); s.to != "/x" {
			t.Fatalf("%s: the right code: %d to %q", kind, s.status, s.to)
		}
		if s := thief.send(another, right); s.to == "/x" {
			t.Errorf("%s: another form with the code was let on", kind)
		}
		if s := thief.send(p, map[string]string{"code": "000000"}); s.to == "/x" {
			t.Errorf("%s: the form with another code was let on", kind)
		}
		k.wait(session.Overlap / 2)
		if s := deaf.send(p, right); s.to != "/x" {
			t.Errorf("%s: the same form again: %d to %q\n%s", kind, s.status, s.to, s.text)
		}
		k.wait(session.Overlap + time.Second)
		if v := deaf.visitor(); v == nil || !k.Policy.Met(v.Session.Proofs, true, k.clock()).Has(k.mfa()) {
			t.Errorf("%s: the session of the browser that sent it again is gone", kind)
		}
		if s := late.send(p, right); s.to == "/x" {
			t.Errorf("%s: the form was let on after the grace", kind)
		}
	}
}

func (k *rig) mfa() policy.LevelSet {
	set, err := k.Policy.Required([]string{policy.LevelMFA})
	if err != nil {
		k.t.Fatal(err)
	}
	return set
}
