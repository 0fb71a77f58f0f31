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
	softtoken "github.com/stepgate/stepgate/factors/device"
	"github.com/stepgate/stepgate/internal/audit"
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
		for _, there := range []string{page.text, p.cookies["__Host-stepgate_device"]} {
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

// TestRacingWrongPINsAreTenAtMost tries on twenty connections at once, on the
// factor of two nodes, past what the throttle would let through.
func TestRacingWrongPINsAreTenAtMost(t *testing.T) {
	k := deviceRig(t)
	joe := k.person("joe")
	p := k.profile()
	p.private("joe")
	page := p.again("joe")
	held := k.tokens("joe")
	v := p.visitor()
	open, err := k.db.Transaction(t.Context(), optionsOf(t, page).Transaction, k.clock())
	if err != nil {
		t.Fatal(err)
	}
	scope := k.scope(p.request(http.MethodGet, "/", nil), v, "step-up")
	scope.Transaction, scope.Account = open.ID, joe
	var wait sync.WaitGroup
	var mu sync.Mutex
	wrong, rest := 0, 0
	for i := range 20 {
		answer := map[string]string{"credential": p.use(page, fmt.Sprint(593828+i))}
		wait.Go(func() {
			node := &softtoken.Factor{Store: k.db}
			_, err := node.Verify(context.Background(), scope, held, open.State, answerOf(answer))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, factors.ErrWrongAnswer):
				wrong++
			case err != nil:
				rest++
			}
		})
	}
	wait.Wait()
	if wrong != softtoken.MaxTries-1 || rest != 20-wrong {
		t.Errorf("%d were judged wrong and %d refused", wrong, rest)
	}
	_, err = (&softtoken.Factor{Store: k.db}).Verify(t.Context(), scope, held, open.State, answerOf(map[string]string{"credential": p.use(page, rigPIN)}))
	if err == nil {
		t.Error("the right PIN after them opens")
	}
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
	amy.cookies["__Host-stepgate_device"] = p.cookies["__Host-stepgate_device"]
	amy.at(amy.again("amy"), "/challenge/security_questions")
}

func TestARevokedDeviceIsOverAtOnce(t *testing.T) {
	k := deviceRig(t)
	joe := k.person("joe")
	p := k.profile()
	p.private("joe")
	id := k.tokens("joe")[0].ID
	k.update(func(ctx context.Context, tx store.Tx) error { return tx.RevokeDevice(ctx, joe.ID, id) })
	for deadline := time.Now().Add(5 * time.Second); p.visitor() != nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the session on it goes on")
		}
	}
	p.at(p.again("joe"), "/challenge/security_questions")
}

func answerOf(fields map[string]string) factors.Answer { return factors.Answer{Fields: fields} }
