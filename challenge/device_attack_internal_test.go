package challenge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	devicepin "github.com/stepgate/stepgate/factors/device"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/softtoken"
	"github.com/stepgate/stepgate/internal/store"
)

func TestWhatABrowserStoresTellsNoPINFromAnother(t *testing.T) {
	k := deviceRig(t)
	k.person("joe")
	p := k.profile()
	p.private("joe")
	page := p.again("joe")
	o := optionsOf(t, page)
	// Whatever the PIN, there is a private key behind it, and all that the page
	// and the profile have fits it.
	for _, pin := range []string{rigPIN, "593828", "000000", "1"} {
		d := p.unmasked(o, pin)
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32)))
		if err != nil {
			t.Fatalf("%s leaves no key: %v", pin, err)
		}
		point, _ := key.PublicKey.Bytes()
		for _, there := range []string{page.text, p.Cookies["__Host-stepgate_device"]} {
			if strings.Contains(there, base64.RawURLEncoding.EncodeToString(point)) || strings.Contains(there, base64.StdEncoding.EncodeToString(point)) {
				t.Errorf("the public key of %s is with the browser", pin)
			}
		}
	}
	if len(p.tokens) != 1 {
		t.Errorf("%d keys are stored", len(p.tokens))
	}
}

func TestTenWrongPINsDestroyTheToken(t *testing.T) {
	k := deviceRig(t)
	k.person("joe")
	p := k.profile()
	p.private("joe")
	page := p.again("joe")
	for range softtoken.MaxTries {
		k.wait(2 * time.Hour)
		page = p.again("joe")
		page = p.unlock(page, "593828")
	}
	p.at(page, "/challenge")
	if !strings.Contains(page.text, "ten times") || !k.noticed(saysLocked) || len(k.tokens("joe")) != 0 {
		t.Errorf("tokens %d, told %t: %s", len(k.tokens("joe")), k.noticed(saysLocked), page.text)
	}
	if names := k.events(); names[len(names)-1] != audit.DeviceRevoked {
		t.Errorf("the trail ends with %v", names[len(names)-1])
	}
	p.at(p.again("joe"), "/challenge/security_questions")
}

// atNode is the same browser at another node.
func (p *profile) atNode(n *rig) *profile {
	return &profile{p.moved(n), p.tokens}
}

// TestRacingWrongPINsAreTenAtMost tries on twenty connections at once, half of
// them to either of two nodes on one store, past what the throttle would let
// through, and then has the right PIN.
func TestRacingWrongPINsAreTenAtMost(t *testing.T) {
	k := deviceRig(t)
	other := k.node(riskBased)
	joe := k.person("joe")
	p := k.profile()
	p.private("joe")
	page := p.again("joe")
	held := k.tokens("joe")
	open, err := k.db.Transaction(t.Context(), optionsOf(t, page).Transaction, k.clock())
	if err != nil {
		t.Fatal(err)
	}
	scope := k.scope(p.Request(http.MethodGet, "/", nil), p.visitor(), "step-up")
	scope.Transaction, scope.Account = open.ID, joe
	try := func(n *rig, pin string) error {
		_, err := (&devicepin.Factor{Store: n.db}).Verify(context.Background(), scope, held, open.State, answerOf(map[string]string{"credential": p.use(page, pin)}))
		return err
	}
	outcomes := make(chan error, 20)
	var wait sync.WaitGroup
	for i := range cap(outcomes) {
		wait.Go(func() { outcomes <- try([]*rig{k, other}[i%2], fmt.Sprint(593828+i)) })
	}
	wait.Wait()
	close(outcomes)
	wrong, destroyed := 0, 0
	for err := range outcomes {
		switch {
		case errors.Is(err, factors.ErrWrongAnswer):
			wrong++
		case errors.Is(err, factors.ErrDestroyed):
			destroyed++
		default:
			t.Errorf("a wrong PIN: %v", err)
		}
	}
	if wrong != softtoken.MaxTries-1 || destroyed != 20-wrong {
		t.Errorf("%d were judged wrong and %d refused", wrong, destroyed)
	}
	for _, n := range []*rig{k, other} {
		if try(n, rigPIN) == nil {
			t.Error("the right PIN after them opens")
		}
	}
}

// TestRacingThroughThePagesOpensNothing is the same through the pages, throttle
// and all, again and again until the token is gone.
func TestRacingThroughThePagesOpensNothing(t *testing.T) {
	k := deviceRig(t)
	other := k.node(riskBased)
	k.person("joe")
	p := k.profile()
	p.private("joe")
	for round := 0; len(k.tokens("joe")) > 0; round++ {
		if round > softtoken.MaxTries {
			t.Fatal("the token lives after as many rounds")
		}
		k.wait(2 * time.Hour)
		page := p.again("joe")
		var wait sync.WaitGroup
		for i := range 20 {
			thief := p.atNode([]*rig{k, other}[i%2])
			answer := map[string]string{"credential": p.use(page, fmt.Sprint(593828+i))}
			wait.Go(func() {
				if got := thief.send(page, answer); got.to == "/cases/2" {
					t.Errorf("a wrong PIN is let in")
				}
			})
		}
		wait.Wait()
	}
	wrong, revoked := 0, 0
	for _, name := range k.events() {
		switch name {
		case audit.ChallengeFailed:
			wrong++
		case audit.DeviceRevoked:
			revoked++
		}
	}
	if wrong != softtoken.MaxTries-1 || revoked != 1 {
		t.Errorf("%d tries failed, and the token was revoked %d times", wrong, revoked)
	}
	p.at(p.again("joe"), "/challenge/security_questions")
}

func TestAnAnswerIsGoodOnceAndForWhatItSays(t *testing.T) {
	k := deviceRig(t)
	k.person("joe")
	p := k.profile()
	p.private("joe")
	page := p.again("joe")
	d := p.unmasked(optionsOf(t, page), rigPIN)
	for what, change := range map[string]func(o *scriptOptions) (origin string){
		"another origin":    func(*scriptOptions) string { return "https://portal.example.com" },
		"another account":   func(o *scriptOptions) string { o.Account = "X"; return rigOrigin },
		"another purpose":   func(o *scriptOptions) string { o.Purpose = "operation.remove"; return rigOrigin },
		"another ceremony":  func(o *scriptOptions) string { o.Transaction = "X"; return rigOrigin },
		"another challenge": func(o *scriptOptions) string { o.Challenge = "X"; return rigOrigin },
	} {
		k.wait(2 * time.Hour)
		page = p.again("joe")
		o := optionsOf(t, page)
		other := o
		origin := change(&other)
		answer := letter(t, o.Server, sign(t, d, statementOf(other, "use", origin)))
		if got := p.send(page, map[string]string{"credential": answer}); got.status != http.StatusBadRequest {
			t.Errorf("for %s: %d, led to %q", what, got.status, got.to)
		}
	}
	k.wait(2 * time.Hour)
	page = p.again("joe")
	answer := p.use(page, rigPIN)
	twin := p.fork()
	p.arrives(p.send(page, map[string]string{"credential": answer}), "/cases/2")
	k.wait(time.Minute)
	next := p.again("joe")
	if replayed := p.send(next, map[string]string{"credential": answer}); replayed.status != http.StatusBadRequest {
		t.Errorf("replayed in another session: %d, led to %q", replayed.status, replayed.to)
	}
	if replayed := twin.send(page, map[string]string{"credential": answer}); replayed.to == "/cases/2" {
		t.Error("replayed in the session it was made in, from the old cookie")
	}
}

func TestCopiedCookiesMakeNoPrivateDevice(t *testing.T) {
	k := deviceRig(t)
	k.person("joe")
	k.person("amy")
	p := k.profile()
	p.private("joe")
	thief := &profile{p.fork(), map[string]*big.Int{}}
	page := thief.again("joe")
	thief.at(page, "/challenge/device_pin")
	o := optionsOf(t, page)
	answer := letter(t, o.Server, sign(t, big.NewInt(42), statementOf(o, "use", rigOrigin)))
	if got := thief.send(page, map[string]string{"credential": answer}); got.status != http.StatusBadRequest {
		t.Errorf("a key of the thief's own: %d, led to %q", got.status, got.to)
	}
	if got := thief.send(page, map[string]string{"pin": rigPIN}); got.status != http.StatusBadRequest {
		t.Errorf("the PIN without the key: %d, led to %q", got.status, got.to)
	}
	// A copied profile without the PIN gets no further than its tries.
	if got := p.copied().unlock(page, "593828"); got.to != "" && !strings.HasPrefix(got.to, k.Web.Path("/")) {
		t.Errorf("led to %q", got.to)
	}
	// Another person's device is not asked for, nor taken.
	amy := k.profile()
	amy.private("amy")
	amy.Cookies["__Host-stepgate_device"] = p.Cookies["__Host-stepgate_device"]
	amy.at(amy.again("amy"), "/challenge/security_questions")
}

func TestAnotherPersonsPINIsWrongOnOnesOwnDevice(t *testing.T) {
	k := deviceRig(t)
	k.person("joe")
	k.person("amy")
	p := k.profile() // the family's computer
	p.private("joe")
	delete(p.Cookies, k.Place.Cookie)
	const hers = "847261"
	page := p.send(p.signIn(k.levelDoor(p.browser, "/cases/1", "risk_based"), "amy"), rigAnswers)
	page = p.send(page, map[string]string{"pin": hers, "pin_again": hers, "credential": p.make(page, hers)})
	p.arrives(p.send(page, map[string]string{"device": "private", "able": "1"}), "/cases/1")
	for _, c := range []struct{ name, own, others string }{{"joe", rigPIN, hers}, {"amy", hers, rigPIN}} {
		k.wait(time.Hour)
		page := p.again(c.name)
		p.at(page, "/challenge/device_pin")
		if wrong := p.unlock(page, c.others); wrong.status != http.StatusBadRequest {
			t.Errorf("%s with the other one's PIN: %d, led to %q", c.name, wrong.status, wrong.to)
		}
		p.arrives(p.unlock(page, c.own), "/cases/2")
	}
}

// TestARevokedDeviceIsOverAtOnce revokes on one node what is in use on another:
// a session that the token has raised, and a page that asks for its PIN.
func TestARevokedDeviceIsOverAtOnce(t *testing.T) {
	k := deviceRig(t)
	other := k.node(riskBased)
	joe := k.person("joe")
	p := k.profile()
	p.private("joe")
	asked := p.copied().atNode(other)
	page := asked.again("joe")
	asked.at(page, "/challenge/device_pin")
	there := p.atNode(other)
	if v := there.visitor(); v == nil || v.Session.Device != "private" {
		t.Fatalf("at the other node: %+v", v)
	}
	id := k.tokens("joe")[0].ID
	k.update(func(ctx context.Context, tx store.Tx) error { return tx.RevokeDevice(ctx, joe.ID, id) })
	if got := asked.unlock(page, rigPIN); got.to == "/cases/2" {
		t.Error("the right PIN after the token was revoked opens")
	}
	for deadline := time.Now().Add(90 * time.Second); p.visitor() != nil || there.visitor() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the session on it goes on")
		}
	}
	p.at(p.again("joe"), "/challenge/security_questions")
}

func answerOf(fields map[string]string) factors.Answer { return factors.Answer{Fields: fields} }
