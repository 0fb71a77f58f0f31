package webauthn_test

import (
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/webauthn"
	"github.com/stepgate/stepgate/internal/account"
)

func TestOptionsSayWhatTheStandardAsksFor(t *testing.T) {
	f := newFixture(t)
	a := f.beginEnrolment()
	var algorithms []int64
	for _, p := range a.PublicKey.PubKeyCredParams {
		algorithms = append(algorithms, p.Alg)
	}
	if diff := cmp.Diff([]int64{algES256, algEdDSA, algRS256}, algorithms); diff != "" {
		t.Error(diff)
	}
	user := must(base64.RawURLEncoding.DecodeString(a.PublicKey.User.ID))
	if len(user) != 64 || len(must(base64.RawURLEncoding.DecodeString(a.PublicKey.Challenge))) != 32 {
		t.Errorf("user handle of %d bytes, challenge %s", len(user), a.PublicKey.Challenge)
	}
	if a.PublicKey.RP.ID != rpID || a.PublicKey.RP.Name != "The Portal" || a.PublicKey.User.Name != "jo" || a.PublicKey.User.DisplayName != "Jo Bloggs" ||
		a.PublicKey.AuthenticatorSelection.ResidentKey != "preferred" || a.PublicKey.AuthenticatorSelection.UserVerification != "preferred" ||
		a.PublicKey.Attestation != "none" && a.PublicKey.Attestation != "" {
		t.Errorf("options: %+v", a.PublicKey)
	}
	again, _, err := f.BeginEnrolment(t.Context(), f.scope, nil, f.state, factors.Answer{})
	if err != nil || read(t, again.Options).PublicKey.Challenge != a.PublicKey.Challenge {
		t.Errorf("a page that is loaded again has another challenge: %v", err)
	}
	k := newSoftKey(t, algES256)
	f.enrol(k)
	second := f.beginEnrolment()
	if len(second.PublicKey.ExcludeCredentials) != 1 || second.PublicKey.ExcludeCredentials[0].ID != b64(k.id) {
		t.Errorf("excluded: %v", second.PublicKey.ExcludeCredentials)
	}
	if second.PublicKey.User.ID != b64(k.userHandle) {
		t.Error("another user handle for the same account")
	}
	proof := f.prepare()
	if len(proof.PublicKey.AllowCredentials) != 1 || proof.PublicKey.UserVerification != "preferred" || proof.PublicKey.RPID != rpID {
		t.Errorf("options: %+v", proof.PublicKey)
	}
	text, _, err := f.Invite(f.scope)
	if err != nil || strings.Contains(string(text), "allowCredentials") || read(t, text).PublicKey.UserVerification != "required" {
		t.Errorf("an invitation: %s, %v", text, err)
	}
}

func TestKeysOfEveryAlgorithmEnrolAndProve(t *testing.T) {
	for _, alg := range []int64{algES256, algEdDSA, algRS256} {
		f := newFixture(t)
		k := newSoftKey(t, alg)
		c := f.enrol(k)
		if c.Label != "Security key 1" || c.Handle == "" {
			t.Errorf("%d: %+v", alg, c)
		}
		k.flags = flagUP
		v, err := f.verify(k.get(f.prepare()))
		if err != nil || v.UserVerified || v.Credential.ID != c.ID || v.Credential.Counter != 1 {
			t.Errorf("%d: a touch alone: %+v, %v", alg, v, err)
		}
		k.flags = flagUP | flagUV
		if v, err = f.verify(k.get(f.prepare())); err != nil || !v.UserVerified {
			t.Errorf("%d: with verification: %+v, %v", alg, v, err)
		}
	}
}

// lies are answers that must fail wherever they are given.
var lies = map[string]func(*softKey){
	"another origin":         func(k *softKey) { k.origin = "https://portal.example.gov.evil.test" },
	"a sub-domain":           func(k *softKey) { k.origin = "https://x.portal.example.gov" },
	"plain http":             func(k *softKey) { k.origin = "http://portal.example.gov" },
	"another port":           func(k *softKey) { k.origin = site + ":8443" },
	"origin in other case":   func(k *softKey) { k.origin = "https://Portal.example.gov" },
	"origin with a slash":    func(k *softKey) { k.origin = site + "/" },
	"a frame":                func(k *softKey) { k.crossOrigin = true },
	"a frame's top":          func(k *softKey) { k.crossOrigin, k.topOrigin = true, site },
	"a top without a frame":  func(k *softKey) { k.topOrigin = site },
	"another relying party":  func(k *softKey) { k.rp = "example.gov" },
	"nobody there":           func(k *softKey) { k.flags = flagUV },
	"backed up, not able to": func(k *softKey) { k.flags = flagUP | flagUV | flagBS },
	"the other kind":         func(k *softKey) { k.kind = "webauthn.neither" },
}

func TestEnrolmentRefusesLies(t *testing.T) {
	f := newFixture(t)
	for name, lie := range lies {
		k := newSoftKey(t, algES256)
		lie(k)
		if _, err := f.confirm(k.create(f.beginEnrolment())); !errors.Is(err, factors.ErrWrongAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, make := range map[string]func(*softKey, asked) string{
		"algorithm not offered": func(k *softKey, a asked) string { k.alg = algES256K; return k.create(a) },
		"ID too long":           func(k *softKey, a asked) string { k.id = append(k.id, make([]byte, 992)...); return k.create(a) },
		"another challenge":     func(k *softKey, a asked) string { a.PublicKey.Challenge = b64(make([]byte, 32)); return k.create(a) },
		"an assertion":          func(k *softKey, a asked) string { return k.get(a) },
		"nothing":               func(*softKey, asked) string { return "" },
		"too much":              func(*softKey, asked) string { return strings.Repeat(" ", 33<<10) + "{}" },
	} {
		if _, err := f.confirm(make(newSoftKey(t, algES256), f.beginEnrolment())); !errors.Is(err, factors.ErrWrongAnswer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	longest := newSoftKey(t, algES256)
	longest.id = append(longest.id, make([]byte, 991)...)
	f.enrol(longest)
}

func TestAKeyIsEnrolledOnceOverAllAccounts(t *testing.T) {
	f := newFixture(t)
	k := newSoftKey(t, algES256)
	f.enrol(k)
	if _, err := f.confirm(k.create(f.beginEnrolment())); !errors.Is(err, factors.ErrTaken) {
		t.Errorf("the same account: %v", err)
	}
	f.scope.Account = account.Account{ID: "ANN", Username: "ann"}
	if _, err := f.confirm(k.create(f.beginEnrolment())); !errors.Is(err, factors.ErrTaken) {
		t.Errorf("another account: %v", err)
	}
}

func TestProofRefusesLies(t *testing.T) {
	f := newFixture(t)
	k := newSoftKey(t, algES256)
	f.enrol(k)
	honest := *k
	for name, lie := range lies {
		*k = honest
		lie(k)
		f.Run(name, func(t *testing.T) { f.refuses(k.get(f.prepare()), factors.ErrWrongAnswer) })
	}
	for name, lie := range map[string]func(*softKey){
		"tampered counter":     func(k *softKey) { k.tamper = func(d []byte) { d[36]++ } },
		"tampered flags":       func(k *softKey) { k.flags = flagUP; k.tamper = func(d []byte) { d[32] |= flagUV } },
		"became synchronised":  func(k *softKey) { k.flags |= flagBE },
		"another person's":     func(k *softKey) { k.userHandle = make([]byte, 64) },
		"another key's answer": func(k *softKey) { k.private = newSoftKey(t, algES256).private },
		"an unknown key":       func(k *softKey) { *k = *newSoftKey(t, algES256) },
	} {
		*k = honest
		lie(k)
		f.Run(name, func(t *testing.T) { f.refuses(k.get(f.prepare()), factors.ErrWrongAnswer) })
	}
	*k = honest
	if _, err := f.verify(k.get(f.prepare())); err != nil {
		t.Errorf("the honest key: %v", err)
	}
}

func TestSomebodyElsesKeyProvesNothing(t *testing.T) {
	f := newFixture(t)
	mine, theirs := newSoftKey(t, algES256), newSoftKey(t, algES256)
	f.enrol(mine)
	f.scope.Account = account.Account{ID: "ANN", Username: "ann"}
	f.enrol(theirs)
	f.refuses(mine.get(f.prepare()), factors.ErrWrongAnswer)
}

func TestAChallengeIsGoodInItsOwnScopeAndTimeOnly(t *testing.T) {
	f := newFixture(t)
	k := newSoftKey(t, algES256)
	f.enrol(k)
	answer := k.get(f.prepare())
	own := f.scope
	for name, change := range map[string]func(*factors.Scope){
		"session":     func(s *factors.Scope) { s.Session = "S2" },
		"purpose":     func(s *factors.Scope) { s.Purpose = "operation" },
		"transaction": func(s *factors.Scope) { s.Transaction = "T2" },
		"site":        func(s *factors.Scope) { s.Site = "https://other.example.gov" },
		"time":        func(s *factors.Scope) { s.Now = noon.Add(webauthn.PendingTTL) },
		"the past":    func(s *factors.Scope) { s.Now = noon.Add(-time.Hour) },
	} {
		f.scope = own
		change(&f.scope)
		f.Run(name, func(*testing.T) { f.refuses(answer, factors.ErrExpired) })
	}
	f.scope = own
	invitation := must2(f.Invite(f.scope))
	f.state = invitation
	f.refuses(answer, factors.ErrExpired)
	f.prepare()
	f.refuses(answer, factors.ErrWrongAnswer) // of an older challenge
	f.state = nil
	f.refuses(answer, factors.ErrExpired)
}

func must2(_ []byte, state factors.State, err error) factors.State { return must(state, err) }

func TestACounterThatGoesBackIsACopy(t *testing.T) {
	f := newFixture(t)
	k := newSoftKey(t, algES256)
	f.enrol(k)
	k.counter = 10
	if _, err := f.verify(k.get(f.prepare())); err != nil {
		t.Fatal(err)
	}
	for _, counter := range []uint32{11, 5, 0} {
		k.counter = counter
		f.refuses(k.sign(f.prepare()), factors.ErrCloned)
	}
	if f.held()[0].Counter != 11 || f.suspected != 0 {
		t.Errorf("counter %d, suspected %d times", f.held()[0].Counter, f.suspected)
	}
	f.refuses(k.sign(f.prepare()), factors.ErrCloned)

	synced := newFixture(t)
	k = newSoftKey(t, algES256)
	k.flags |= flagBE
	if c := synced.enrol(k); c.Label != "Passkey 1" {
		t.Errorf("label %q", c.Label)
	}
	for _, counter := range []uint32{0, 0, 7, 3} {
		k.counter = counter
		k.flags |= flagBS
		if _, err := synced.verify(k.sign(synced.prepare())); err != nil {
			t.Errorf("counter %d of a synchronised key: %v", counter, err)
		}
	}
	if synced.suspected != 1 || synced.held()[0].Counter != 7 || !strings.Contains(string(synced.held()[0].Secret.Reveal()), `"bs":true`) {
		t.Errorf("suspected %d times; kept %s", synced.suspected, synced.held()[0].Secret.Reveal())
	}
}

func TestOneOfManyUsesOfOneAnswerWins(t *testing.T) {
	f := newFixture(t)
	k := newSoftKey(t, algES256)
	f.enrol(k)
	answer := k.get(f.prepare())
	var all sync.WaitGroup
	won := make(chan bool, 50)
	for range 50 {
		all.Go(func() {
			if _, err := f.verify(answer); err == nil {
				won <- true
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Errorf("%d won", len(won))
	}
}

func TestSignInWithAPasskeyNeedsHandleAndVerification(t *testing.T) {
	f := newFixture(t)
	k := newSoftKey(t, algEdDSA)
	c := f.enrol(k)
	stranger := f.scope
	stranger.Account, stranger.Session, stranger.Purpose = account.Account{}, "", "sign-in"
	invite := func() (asked, factors.State) {
		text, state, err := f.Invite(stranger)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, text), state
	}
	recognise := func(state factors.State, text string) (factors.Verified, error) {
		return f.Recognise(t.Context(), stranger, state, answerOf(text))
	}
	a, state := invite()
	v, err := recognise(state, k.get(a))
	if err != nil || v.Credential.Account != "JO" || v.Credential.ID != c.ID || !v.UserVerified {
		t.Fatalf("%+v, %v", v, err)
	}
	honest := *k
	for name, row := range map[string]struct {
		lie  func(*softKey)
		want error
	}{
		"a touch alone":     {func(k *softKey) { k.flags = flagUP }, factors.ErrUnverified},
		"no user handle":    {func(k *softKey) { k.userHandle = nil }, factors.ErrWrongAnswer},
		"another's handle":  {func(k *softKey) { k.userHandle = make([]byte, 64) }, factors.ErrWrongAnswer},
		"unknown key":       {func(k *softKey) { k.id = make([]byte, 32) }, factors.ErrWrongAnswer},
		"wrong signature":   {func(k *softKey) { k.private = newSoftKey(t, algEdDSA).private }, factors.ErrWrongAnswer},
		"another origin":    {lies["another origin"], factors.ErrWrongAnswer},
		"a relying party's": {lies["another relying party"], factors.ErrWrongAnswer},
	} {
		*k = honest
		row.lie(k)
		a, state := invite()
		if _, err := recognise(state, k.get(a)); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
	*k = honest
	k.counter = 100
	asked := f.prepare()
	if _, err := recognise(f.state, k.get(asked)); !errors.Is(err, factors.ErrExpired) {
		t.Errorf("the answer to a step-up: %v", err)
	}
}

func TestAKeyAnswersToItsOwnRelyingParty(t *testing.T) {
	f := newFixture(t)
	c := f.enrol(newSoftKey(t, algES256))
	other := f.scope
	other.Site, other.RelyingParty = "https://wiki.example.gov", "wiki.example.gov"
	if !f.Usable(f.scope, c) || f.Usable(other, c) {
		t.Error("usable at another relying party, or not at its own")
	}
	if _, _, err := f.Prepare(t.Context(), other, f.held(), nil, false); !errors.Is(err, factors.ErrUnavailable) {
		t.Errorf("prepared: %v", err)
	}
}

func TestOnlyAllowedModelsAreEnrolled(t *testing.T) {
	f := newFixture(t)
	model, err := webauthn.ParseModel("2fc0579f-8113-47ea-b116-bb5a8db9202a")
	if err != nil {
		t.Fatal(err)
	}
	f.AllowedModels = []webauthn.Model{model}
	for _, silent := range []*softKey{newSoftKey(t, algES256), newSoftKey(t, algES256)} {
		a := f.beginEnrolment()
		if a.PublicKey.Attestation != "direct" {
			t.Errorf("attestation %q", a.PublicKey.Attestation)
		}
		if _, err := f.confirm(silent.create(a)); !errors.Is(err, factors.ErrModel) || !errors.Is(err, factors.ErrWrongAnswer) {
			t.Errorf("%x: %v", silent.model, err)
		}
	}
	k := newSoftKey(t, algES256)
	k.model = model
	f.enrol(k)
	for _, text := range []string{"", "00000000-0000-0000-0000-000000000000", "2fc0579f", "zfc0579f-8113-47ea-b116-bb5a8db9202a"} {
		if _, err := webauthn.ParseModel(text); err == nil {
			t.Errorf("%q is a model", text)
		}
	}
}

// FuzzAnswers posts anything: nothing passes, not even answers to earlier
// challenges, and nothing breaks.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"id":"","rawId":"","type":"public-key","response":{}}`, "[]", "null"} {
		f.Add(seed)
	}
	for _, file := range []string{"create", "get"} {
		f.Add(string(must(os.ReadFile("testdata/answers/" + file + ".json"))))
	}
	f.Fuzz(func(t *testing.T, text string) {
		fx := newFixture(t)
		known := newSoftKey(t, algES256)
		fx.enrol(known)
		fx.beginEnrolment()
		if c, err := fx.confirm(text); err == nil {
			t.Errorf("enrolled: %+v", c)
		}
		fx.prepare()
		if _, err := fx.verify(text); err == nil {
			t.Error("proved")
		}
		text2, state, err := fx.Invite(fx.scope)
		if err != nil || len(text2) == 0 {
			t.Fatal(err)
		}
		if _, err := fx.Recognise(t.Context(), fx.scope, state, answerOf(text)); err == nil {
			t.Error("recognised")
		}
	})
}
