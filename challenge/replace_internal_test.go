package challenge

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/knowledge"
	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/factors/totp"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/ceremony"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

// addLink is where the account's page leads to add or replace a factor.
func (k *rig) addLink(f policy.Factor) string {
	k.t.Helper()
	sealed, err := ceremony.Continuation{
		ID: ceremony.NewID(), Kind: ceremony.Add, Target: "/.stepgate/account", At: k.clock(),
	}.Seal(k.Sealer, k.Place.Origin)
	if err != nil {
		k.t.Fatal(err)
	}
	return "/.stepgate/enrol/" + string(f) + "?c=" + sealed
}

// pins are the PINs of an account.
func (k *rig) pins(a account.Account) []account.Credential {
	k.t.Helper()
	held, err := k.db.Credentials(k.t.Context(), a.ID)
	if err != nil {
		k.t.Fatal(err)
	}
	var pins []account.Credential
	for _, c := range held {
		if c.Factor == string(policy.PIN) {
			pins = append(pins, c)
		}
	}
	return pins
}

// TestAPINIsReplacedWithAProofMadeForIt goes the way from the account's page,
// through a proof for this very change, to another PIN, and back.
func TestAPINIsReplacedWithAProofMadeForIt(t *testing.T) {
	k := newRig(t, func(k *rig) {
		hasher, err := password.NewHasher(password.Options{Cost: password.Cost{MemoryKiB: 16, Passes: 1, Lanes: 1}})
		if err != nil {
			t.Fatal(err)
		}
		k.BindingDelay = 0
		k.offer(&totp.Factor{Steps: k.db}, knowledge.NewPIN(k.ring, hasher, k.db))
		if k.Policy, err = policy.Compile(&policy.Config{
			Default: []string{policy.LevelMFA}, Levels: []policy.LevelConfig{{Name: "pin", Accept: [][]policy.Factor{{policy.PIN}}}},
		}, policy.CompileOptions{}); err != nil {
			t.Fatal(err)
		}
	})
	jo := k.person("jo")
	k.holdsApp(jo)
	b := k.browser()
	b.stepUp("jo")
	set := func(pin string) {
		t.Helper()
		asked := b.open(k.addLink(policy.PIN))
		if !strings.Contains(asked.text, "You are about to set a PIN") || !strings.Contains(asked.action, "/challenge/totp") {
			t.Fatalf("at %s, not asked for a proof:\n%s", asked.at, asked.text)
		}
		// The form of a PIN, without the proof.
		before := k.pins(jo)
		forged := asked
		forged.action = k.addLink(policy.PIN)
		b.send(forged, map[string]string{"pin": "719283", "pin_again": "719283"})
		if after := k.pins(jo); len(after) != len(before) || len(after) > 0 && string(after[0].Secret.Reveal()) != string(before[0].Secret.Reveal()) {
			t.Fatal("a PIN was set without a proof")
		}
		k.wait(31 * time.Second)
		page := b.send(b.open(asked.at), map[string]string{"code": k.code([]byte(rigSeed)), "action": "verify"})
		if !strings.Contains(page.text, `name="pin_again"`) {
			t.Fatalf("after the proof at %s: %d\n%s", page.at, page.status, page.text)
		}
		if done := b.send(page, map[string]string{"pin": pin, "pin_again": pin}); done.at != "/.stepgate/account" {
			t.Fatalf("after the PIN at %s: %d\n%s", done.at, done.status, done.text)
		}
	}
	set("593827")
	first := k.pins(jo)
	set("739185")
	second := k.pins(jo)
	if len(first) != 1 || len(second) != 1 || string(first[0].Secret.Reveal()) == string(second[0].Secret.Reveal()) {
		t.Fatalf("%d PINs, then %d", len(first), len(second))
	}
	later := k.browser()
	page := later.signIn(k.levelDoor(later, "/x", "pin"), "jo")
	if old := later.send(page, map[string]string{"pin": "593827"}); old.status != http.StatusBadRequest {
		t.Errorf("the old PIN: %d at %s", old.status, old.at)
	}
	if done := later.send(page, map[string]string{"pin": "739185"}); done.to != "/x" {
		t.Errorf("the new PIN leads to %q at %s\n%s", done.to, done.at, done.text)
	}
}

// TestAPINChosenOnAProofThatWaitsWaitsAsLong has a phone that was added on less
// than a level asks for: a PIN that it lets somebody choose is worth no more.
func TestAPINChosenOnAProofThatWaitsWaitsAsLong(t *testing.T) {
	for name, wait := range map[string]time.Duration{"a new phone": 24 * time.Hour, "an old phone": 0} {
		k, out := textingRig(t)
		hasher, err := password.NewHasher(password.Options{Cost: password.Cost{MemoryKiB: 16, Passes: 1, Lanes: 1}})
		if err != nil {
			t.Fatal(err)
		}
		k.offer(k.Factors.Find(policy.SMS), knowledge.NewPIN(k.ring, hasher, k.db))
		k.pages = k.Handler()
		jo := k.person("jo")
		phone := account.Credential{
			ID: account.NewCredentialID(), Account: jo.ID, Factor: "sms", Label: "Phone", Address: "+447700900001", Default: true, CreatedAt: k.clock(),
		}
		if wait > 0 {
			phone.BoundBy, phone.CountsFrom = []string{"password", "totp"}, k.clock().Add(wait)
		}
		pin := account.Credential{ID: account.NewCredentialID(), Account: jo.ID, Factor: "pin", Secret: account.Secret("another"), CreatedAt: k.clock()}
		k.update(func(ctx context.Context, tx store.Tx) error {
			return errors.Join(tx.InsertCredential(ctx, phone), tx.InsertCredential(ctx, pin))
		})
		k.wait(time.Second)
		b := k.browser()
		b.signIn("/.stepgate/sign-in", "jo")
		k.wait(time.Second)
		out.sent = nil
		page := b.send(b.open("/.stepgate"+forgottenPage), map[string]string{"action": "send"})
		if len(out.sent) != 1 {
			t.Fatalf("%s: %d texts: %s\n%s", name, len(out.sent), page.at, page.text)
		}
		code := regexp.MustCompile(`\b\d{6}\b`).FindString(out.sent[0].Body)
		page = b.send(page, map[string]string{"code": code, "action": "verify"})
		if !strings.Contains(page.text, `name="pin_again"`) {
			t.Fatalf("%s: after the code: %s\n%s", name, page.at, page.text)
		}
		b.send(page, map[string]string{"pin": "739185", "pin_again": "739185"})
		if pins := k.pins(jo); len(pins) != 1 || pins[0].ID == pin.ID || !pins[0].CountsFrom.Equal(phone.CountsFrom) {
			t.Errorf("%s counts from %s, the PIN by it: %+v", name, phone.CountsFrom, pins)
		}
	}
}
