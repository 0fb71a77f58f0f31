package challenge

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/delivery"
	softtoken "github.com/stepgate/stepgate/factors/device"
	"github.com/stepgate/stepgate/factors/knowledge"
	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/audit"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

// deviceRig has the level of the contract's section 3.
func deviceRig(t *testing.T) *rig {
	t.Helper()
	return newRig(t, func(k *rig) {
		hasher, err := password.NewHasher(password.Options{Cost: password.Cost{MemoryKiB: 16, Passes: 1, Lanes: 1}})
		if err != nil {
			t.Fatal(err)
		}
		text := func(_, key string) string { return key }
		k.Notices = &people.Notices{Name: "Portal", Origin: rigOrigin, Offers: func(string) bool { return true }}
		k.offer(&softtoken.Factor{Store: k.db}, knowledge.NewPIN(k.ring, hasher), knowledge.NewQuestions(k.ring, hasher, nil, text))
		if k.Policy, err = policy.Compile(&policy.Config{
			Default: []string{"risk_based"},
			Levels: []policy.LevelConfig{{
				Name:   "risk_based",
				Accept: [][]policy.Factor{{policy.DevicePIN}, {policy.SecurityQuestions, policy.PIN}, {policy.SMS, policy.PIN}},
				Enrol:  []string{"security_questions", "pin", "device"},
			}},
		}, policy.CompileOptions{}); err != nil {
			t.Fatal(err)
		}
	})
}

// profile is a browser with the script of a private device: what it stores, by
// the key's name, is the private key hidden behind a PIN.
type profile struct {
	*browser
	tokens map[string]*big.Int
}

func (k *rig) profile() *profile { return &profile{k.browser(), map[string]*big.Int{}} }

// copied is a copy of the profile in another browser.
func (p *profile) copied() *profile {
	tokens := map[string]*big.Int{}
	for key, masked := range p.tokens {
		tokens[key] = masked
	}
	return &profile{p.fork(), tokens}
}

// scriptOptions are what a page gives its script.
type scriptOptions struct{ Kind, Key, Share, Server, Challenge, Account, Purpose, Transaction string }

var deviceOptions = regexp.MustCompile(`data-device="([^"]*)"`)

func optionsOf(t *testing.T, s sheet) (o scriptOptions) {
	t.Helper()
	found := deviceOptions.FindStringSubmatch(s.text)
	if found == nil {
		t.Fatalf("no script at %s: %d %s", s.at, s.status, s.text)
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(found[1])), &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// mask is the number of a PIN, cheaper than the script's.
func mask(pin string, o scriptOptions) *big.Int {
	a, b := sha256.Sum256([]byte("1"+pin+o.Share+o.Key)), sha256.Sum256([]byte("2"+pin+o.Share+o.Key))
	return new(big.Int).Mod(new(big.Int).SetBytes(append(a[:], b[:]...)), elliptic.P256().Params().N)
}

func statementOf(o scriptOptions, kind, origin string) []byte {
	sum := sha256.Sum256([]byte(strings.Join([]string{
		"stepgate soft token, version 1", kind, origin, o.Account, o.Purpose, o.Transaction, o.Key, o.Challenge,
	}, "\n")))
	return sum[:]
}

func sign(t *testing.T, d *big.Int, sum []byte) []byte {
	t.Helper()
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	r, s, err := ecdsa.Sign(rand.Reader, key, sum)
	if err != nil {
		t.Fatal(err)
	}
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

func letter(t *testing.T, server string, plain []byte) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(server)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ecdh.P256().NewPublicKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	own, _ := ecdh.P256().GenerateKey(rand.Reader)
	agreed, _ := own.ECDH(theirs)
	half := own.PublicKey().Bytes()
	key, _ := hkdf.Key(sha256.New, agreed, append(append([]byte{}, half...), raw...), "stepgate soft token answer", 32)
	block, _ := aes.NewCipher(key)
	gcm, _ := cipher.NewGCM(block)
	return base64.RawURLEncoding.EncodeToString(append(half, gcm.Seal(nil, make([]byte, 12), plain, nil)...))
}

// make does what the script does with a new PIN.
func (p *profile) make(s sheet, pin string) string {
	p.k.t.Helper()
	o := optionsOf(p.k.t, s)
	if o.Kind != "make" {
		p.k.t.Fatalf("%s is for %q", s.at, o.Kind)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.k.t.Fatal(err)
	}
	raw, _ := key.Bytes()
	d := new(big.Int).SetBytes(raw)
	point, _ := key.PublicKey.Bytes()
	p.tokens[o.Key] = new(big.Int).Mod(new(big.Int).Add(d, mask(pin, o)), elliptic.P256().Params().N)
	return letter(p.k.t, o.Server, append(point, sign(p.k.t, d, statementOf(o, "make", rigOrigin))...))
}

// use does what the script does with a PIN that is asked for.
func (p *profile) use(s sheet, pin string) string {
	p.k.t.Helper()
	o := optionsOf(p.k.t, s)
	masked := p.tokens[o.Key]
	if o.Kind != "use" || masked == nil {
		p.k.t.Fatalf("%s is for %q of a key that is here: %t", s.at, o.Kind, masked != nil)
	}
	return letter(p.k.t, o.Server, sign(p.k.t, p.unmasked(o, pin), statementOf(o, "use", rigOrigin)))
}

func (p *profile) unmasked(o scriptOptions, pin string) *big.Int {
	return new(big.Int).Mod(new(big.Int).Sub(p.tokens[o.Key], mask(pin, o)), elliptic.P256().Params().N)
}

func (p *profile) unlock(s sheet, pin string) sheet {
	p.k.t.Helper()
	return p.send(s, map[string]string{"credential": p.use(s, pin)})
}

const rigPIN = "593827"

// enrolled walks through a first visit up to the choice of the device.
func (p *profile) enrolled(name string) sheet {
	p.k.t.Helper()
	page := p.send(p.signIn(p.k.levelDoor(p.browser, "/cases/1", "risk_based"), name), rigAnswers)
	page = p.send(page, map[string]string{"pin": rigPIN, "pin_again": rigPIN, "credential": p.make(page, rigPIN)})
	p.at(page, devicePage)
	return page
}

// private walks through a first visit on a private device.
func (p *profile) private(name string) {
	p.k.t.Helper()
	p.arrives(p.send(p.enrolled(name), map[string]string{"device": "private", "able": "1"}), "/cases/1")
}

func (p *profile) at(s sheet, page string) {
	p.k.t.Helper()
	if !strings.HasPrefix(s.at, p.k.Web.Path(page)) {
		p.k.t.Fatalf("at %q (%d, to %q) and not at %s: %s", s.at, s.status, s.to, page, s.text)
	}
}

func (p *profile) arrives(s sheet, target string) {
	p.k.t.Helper()
	if s.to != target {
		p.k.t.Fatalf("at %q (%d), led to %q and not to %s: %s", s.at, s.status, s.to, target, s.text)
	}
}

// again ends the session and comes back.
func (p *profile) again(name string) sheet {
	p.k.t.Helper()
	delete(p.cookies, p.k.Place.Cookie)
	return p.signIn(p.k.levelDoor(p.browser, "/cases/2", "risk_based"), name)
}

// noticed tells whether a mail with some words has been written.
func (k *rig) noticed(words string) bool {
	k.t.Helper()
	kept, err := k.db.ClaimMessages(k.t.Context(), k.clock(), k.clock(), 100)
	if err != nil {
		k.t.Fatal(err)
	}
	return slices.ContainsFunc(kept, func(m delivery.Kept) bool { return strings.Contains(m.Body, words) })
}

const (
	saysPrivate = "became a private device"
	saysLocked  = "wrong PIN ten times"
)

func TestAPrivateDeviceIsAskedForItsPINAlone(t *testing.T) {
	k := deviceRig(t)
	k.person("joe")
	p := k.profile()
	p.private("joe")
	if v := p.visitor(); v.Session.Device != "private" || !k.noticed(saysPrivate) {
		t.Errorf("device %q, or nobody was told", v.Session.Device)
	}
	k.wait(time.Hour)
	page := p.again("joe")
	p.at(page, "/challenge/device_pin")
	if v := p.visitor(); v.Session.Device != "" {
		t.Errorf("before the PIN the device is %q", v.Session.Device)
	}
	if wrong := p.unlock(page, "593828"); wrong.status != http.StatusBadRequest || !strings.Contains(wrong.text, "not correct") {
		t.Errorf("a wrong PIN: %d %s", wrong.status, wrong.text)
	}
	p.arrives(p.unlock(page, rigPIN), "/cases/2")
	if v := p.visitor(); v.Session.Device != "private" {
		t.Errorf("after the PIN the device is %q", v.Session.Device)
	}
	k.wait(31 * 24 * time.Hour)
	p.at(p.again("joe"), "/challenge")
}

func TestAPublicDeviceKeepsNothing(t *testing.T) {
	k := deviceRig(t)
	k.person("joe")
	p := k.profile()
	p.arrives(p.send(p.enrolled("joe"), map[string]string{"device": "public"}), "/cases/1")
	if v := p.visitor(); v.Session.Device != "public" || len(p.cookies) != 2 {
		t.Errorf("device %q, cookies %v", v.Session.Device, p.cookies)
	}
	if k.noticed(saysPrivate) {
		t.Error("a public device was told of as a private one")
	}
	k.wait(16 * time.Minute)
	if p.visitor() != nil {
		t.Error("a session on a public device outlived 15 minutes without use")
	}
	page := p.again("joe")
	p.at(page, "/challenge/security_questions") // there is no text message here
	page = p.send(page, rightAnswers)
	p.at(page, devicePage)
	if strings.Contains(page.text, "checked") {
		t.Error("a choice is made already")
	}
	page = p.send(page, map[string]string{"device": "public"})
	p.at(page, "/challenge/pin")
	if !strings.Contains(page.text, `autocomplete="off"`) {
		t.Error("a field of a public device may be remembered")
	}
	p.arrives(p.send(page, map[string]string{"pin": rigPIN}), "/cases/2")
}

var rightAnswers = map[string]string{"answer_1": "MRS. LLEWELLYN", "answer_2": "heol-y-bont", "answer_3": "A ring"}

func TestAnUnknownDeviceCanBeMadePrivateOnTheWay(t *testing.T) {
	k := deviceRig(t)
	k.person("joe")
	k.profile().private("joe")
	p := k.profile()
	page := p.send(p.again("joe"), rightAnswers)
	p.at(page, devicePage)
	if refused := p.send(page, map[string]string{"device": "private"}); refused.status != http.StatusBadRequest || !strings.Contains(refused.text, "without JavaScript") {
		t.Errorf("private without a script: %d %s", refused.status, refused.text)
	}
	if refused := p.send(page, nil); refused.status != http.StatusBadRequest {
		t.Errorf("no choice: %d", refused.status)
	}
	page = p.send(page, map[string]string{"device": "private", "able": "1"})
	p.at(page, tokenPage)
	if wrong := p.send(page, map[string]string{"pin": "593828", "credential": p.make(page, "593828")}); wrong.status != http.StatusBadRequest {
		t.Errorf("a wrong PIN: %d", wrong.status)
	}
	p.arrives(p.send(page, map[string]string{"pin": rigPIN, "credential": p.make(page, rigPIN)}), "/cases/2")
	p.arrives(p.unlock(p.again("joe"), rigPIN), "/cases/2")
}

func TestAForgottenPINIsReplacedAndTheTokenWithIt(t *testing.T) {
	k := deviceRig(t)
	k.person("joe")
	p := k.profile()
	p.private("joe")
	const another = "847261"
	page := p.again("joe")
	forgot := linkTo(t, page, forgottenPage)
	page = p.open(forgot)
	p.at(page, "/challenge/security_questions")
	page = p.send(page, rightAnswers)
	p.at(page, forgottenPage)
	if weak := p.send(page, map[string]string{"pin": "123456", "pin_again": "123456"}); weak.status != http.StatusBadRequest {
		t.Errorf("a weak PIN: %d", weak.status)
	}
	p.arrives(p.send(page, map[string]string{"pin": another, "pin_again": another, "credential": p.make(page, another)}), "/cases/2")
	page = p.again("joe")
	if old := p.unlock(page, rigPIN); old.status != http.StatusBadRequest {
		t.Errorf("the old PIN: %d", old.status)
	}
	p.arrives(p.unlock(page, another), "/cases/2")
	if own := k.tokens("joe"); len(own) != 1 {
		t.Errorf("%d tokens, the old one among them", len(own))
	}

	public := k.profile()
	page = public.send(public.send(public.again("joe"), rightAnswers), map[string]string{"device": "public"})
	page = public.open(linkTo(t, page, forgottenPage))
	public.at(page, forgottenPage) // the questions were answered a moment ago
	public.arrives(public.send(page, map[string]string{"pin": rigPIN, "pin_again": rigPIN}), "/cases/2")
}

func linkTo(t *testing.T, s sheet, page string) string {
	t.Helper()
	found := regexp.MustCompile(`href="([^"]*` + page + `[^"]*)"`).FindStringSubmatch(s.text)
	if found == nil {
		t.Fatalf("no link to %s: %s", page, s.text)
	}
	return html.UnescapeString(found[1])
}

func (k *rig) tokens(name string) []account.Credential {
	k.t.Helper()
	a, err := k.db.AccountByUsername(k.t.Context(), account.LocalSource, name)
	if err != nil {
		k.t.Fatal(err)
	}
	held, err := k.db.Credentials(k.t.Context(), a.ID)
	if err != nil {
		k.t.Fatal(err)
	}
	var own []account.Credential
	for _, c := range held {
		if c.Factor == "device_pin" {
			own = append(own, c)
		}
	}
	return own
}

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
