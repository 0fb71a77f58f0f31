package challenge

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/session"
	"github.com/stepgate/stepgate/internal/signin"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

// anyFactor stands for a factor of any kind: a code of its own for each of
// its credentials, which is the credential's label.
type anyFactor struct{ kind policy.Factor }

func (f anyFactor) Kind() policy.Factor { return f.kind }

func (f anyFactor) Prepare(_ context.Context, _ factors.Scope, held []account.Credential, s factors.State, _ bool) (factors.Prompt, factors.State, error) {
	if len(held) == 0 {
		return factors.Prompt{}, nil, factors.ErrUnavailable
	}
	// As with a code that is sent: the page's credential is the first.
	return factors.Prompt{Shape: factors.ShapeCode, Factor: f.kind, Digits: 6, Label: held[0].Label}, s, nil
}

func (f anyFactor) Verify(_ context.Context, _ factors.Scope, held []account.Credential, _ factors.State, a factors.Answer) (factors.Verified, error) {
	if len(held) == 0 || a.Code() != anyCode {
		return factors.Verified{}, factors.ErrWrongAnswer
	}
	return factors.Verified{Credential: held[0], UserVerified: true}, nil
}

const anyCode = "123456"

// anyEnroller can be enrolled by the person as well.
type anyEnroller struct{ anyFactor }

func (f anyEnroller) BeginEnrolment(_ context.Context, _ factors.Scope, _ []account.Credential, _ factors.State, _ factors.Answer) (factors.Prompt, factors.State, error) {
	return factors.Prompt{Shape: factors.ShapeCode, Factor: f.kind, Digits: 6}, factors.State("begun"), nil
}

func (f anyEnroller) ConfirmEnrolment(_ context.Context, _ factors.Scope, _ []account.Credential, _ factors.State, a factors.Answer) (account.Credential, error) {
	if a.Code() != anyCode {
		return account.Credential{}, factors.ErrWrongAnswer
	}
	return account.Credential{Factor: string(f.kind), Label: "new"}, nil
}

// issued are factors that a person is given rather than enrols.
var issued = []policy.Factor{policy.TemporaryCode, policy.BackupCode}

// levelRig has every factor, and a level `x0`, `x1` … for each of accepts.
func levelRig(t *testing.T, maxAge time.Duration, once bool, accepts ...[]policy.Factor) *rig {
	t.Helper()
	config := policy.Config{Default: []string{"x0"}}
	for i, accept := range accepts {
		config.Levels = append(config.Levels, policy.LevelConfig{
			Name: fmt.Sprint("x", i), Accept: [][]policy.Factor{accept}, MaxAge: policy.Duration(maxAge), Once: once,
		})
	}
	p, err := policy.Compile(&config, policy.CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, func(k *rig) {
		k.Policy = p
		var all []factors.Factor
		for _, f := range policy.Factors() {
			switch {
			case f == policy.Password:
			case f == policy.TemporaryCode || f == policy.BackupCode:
				all = append(all, anyFactor{f})
			default:
				all = append(all, anyEnroller{anyFactor{f}})
			}
		}
		k.offer(all...)
	})
}

func (k *rig) hold(a account.Account, f policy.Factor, n int) {
	k.update(func(ctx context.Context, tx store.Tx) error {
		return tx.InsertCredential(ctx, account.Credential{
			ID: account.NewCredentialID(), Account: a.ID, Factor: string(f), Label: fmt.Sprintf("%s %d", f, n), CreatedAt: k.clock(),
		})
	})
}

var wayOn = regexp.MustCompile(`href="(/\.stepgate/(?:challenge|enrol)/[a-z_]+\?[^"]+)"`)

// arrive walks as somebody would who answers each page and takes the first
// link of each list, and gives where that ends.
func (b *browser) arrive(s sheet) sheet {
	b.k.t.Helper()
	for range 12 {
		switch link := wayOn.FindStringSubmatch(s.text); {
		case s.to != "" || s.status >= 400:
			return s
		case strings.Contains(s.text, `type="password"`):
			s = b.send(s, map[string]string{"password": rigPassword})
		case strings.Contains(s.text, `name="code"`):
			s = b.send(s, map[string]string{"code": anyCode, "action": "verify"})
		case link != nil:
			s = b.open(html.UnescapeString(link[1]))
		default:
			return s
		}
	}
	return s
}

// levels lists what the language can say with up to two factors together.
func levels() (all [][]policy.Factor) {
	for i, a := range policy.Factors() {
		all = append(all, []policy.Factor{a})
		for _, b := range policy.Factors()[i:] {
			pair := []policy.Factor{a, b}
			_, err := policy.Compile(&policy.Config{Levels: []policy.LevelConfig{{Name: "x", Accept: [][]policy.Factor{pair}}}, Default: []string{"x"}}, policy.CompileOptions{})
			if err == nil {
				all = append(all, pair)
			}
		}
	}
	return all
}

func TestEveryLevelHasAWayToBeMet(t *testing.T) {
	if testing.Short() {
		t.Skip("walks hundreds of levels, one after another")
	}
	all := levels()
	for _, c := range []struct {
		name   string
		maxAge time.Duration
		once   bool
	}{{"plain", 0, false}, {"max_age", 10 * time.Minute, false}, {"once", 0, true}, {"once and max_age", 10 * time.Minute, true}} {
		t.Run(c.name, func(t *testing.T) {
			for first := 0; first < len(all); first += 30 { // a policy has room for 64 levels
				some := all[first:min(first+30, len(all))]
				k := levelRig(t, c.maxAge, c.once, some...)
				for i, accept := range some {
					k.meets(fmt.Sprint("x", i), accept, c.once)
				}
			}
		})
	}
}

// meets walks a level to its end: as somebody who holds what it names, and as
// somebody who has nothing but what people are given.
func (k *rig) meets(level string, accept []policy.Factor, once bool) {
	holder, newcomer := k.person("joe "+level), k.person("jim "+level)
	for n, f := range accept {
		if f != policy.Password {
			k.hold(holder, f, n)
		}
	}
	for _, f := range issued {
		k.hold(newcomer, f, 0)
	}
	for _, a := range []account.Account{holder, newcomer} {
		b := k.browser()
		b.signIn("/.stepgate/sign-in", a.Username)
		k.wait(11 * time.Minute)
		if s := b.arrive(b.open(k.doorOnce(b, "/x", level, once))); s.to != "/x" {
			k.t.Errorf("%v, %s: ends at %s with %d:\n%s", accept, a.Username, s.at, s.status, s.text)
		}
	}
}

func TestAPasswordIsAskedForAgainWhereItWasTyped(t *testing.T) {
	k := levelRig(t, 10*time.Minute, false, []policy.Factor{policy.Password})
	k.person("joe")
	b := k.browser()
	b.signIn("/.stepgate/sign-in", "joe")
	k.wait(11 * time.Minute)
	s := b.open(k.doorOnce(b, "/x", "x0", false))
	if s.status != 200 || !strings.Contains(s.at, "/challenge/password") {
		t.Fatalf("at %s with %d", s.at, s.status)
	}
	if s = b.send(s, map[string]string{"password": "wrong"}); s.status != 403 || !strings.Contains(s.text, "not correct") {
		t.Errorf("a wrong password: %d\n%s", s.status, s.text)
	}
	if s = b.send(s, map[string]string{"password": ""}); s.status != 400 {
		t.Errorf("no password: %d", s.status)
	}
	if s = b.send(s, map[string]string{"password": rigPassword}); s.to != "/x" {
		t.Errorf("the right one: %d to %q", s.status, s.to)
	}
}

func TestWhoIsLetInBeforeTheGatewayIsToldToSignInThereAgain(t *testing.T) {
	k := levelRig(t, 10*time.Minute, false, []policy.Factor{policy.Password})
	k.Passwords = nil
	joe := k.person("joe")
	in := func() *browser {
		b, w := k.browser(), httptest.NewRecorder()
		_, err := k.Sessions.Begin(t.Context(), w, session.Beginning{
			Place: k.Place, Owner: joe.ID, Source: "trusted", Proofs: []policy.Proof{{Factor: policy.Password, At: k.clock()}},
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Keep(w.Result())
		return b
	}
	b := in()
	if s := b.open(k.doorOnce(b, "/x", "x0", false)); s.to != "/x" {
		t.Errorf("a moment after: %d to %q", s.status, s.to)
	}
	k.wait(11 * time.Minute)
	if s := b.open(k.doorOnce(b, "/x", "x0", false)); s.status != http.StatusForbidden || !strings.Contains(s.text, "sign in there again") {
		t.Errorf("long after: %d %s", s.status, s.text)
	}
	if b = in(); b.open(k.doorOnce(b, "/x", "x0", false)).to != "/x" {
		t.Error("who has signed in anew is not let on")
	}
}

// A box of the browser's sends what was typed into it before: whoever was led
// there again would come back as before.
func TestABoxAsksNobodyTwice(t *testing.T) {
	k := levelRig(t, 10*time.Minute, false, []policy.Factor{policy.Password})
	k.Passwords, k.LoginPage, k.LoginBox = nil, "/manager/status", true
	k.pages = k.Handler()
	k.person("joe")
	in := func() *browser {
		b := k.browser()
		w, r := b.answering("/manager/status")
		if _, err := k.Enter(w, r, nil, signin.Identity{Source: account.LocalSource, Username: "joe"}); err != nil {
			t.Fatal(err)
		}
		b.Keep(w.Result())
		return b
	}
	b := in()
	k.wait(11 * time.Minute)
	if s := b.open(k.doorOnce(b, "/x", "x0", false)); s.status != http.StatusForbidden || !strings.Contains(s.text, "goes on with the password") {
		t.Errorf("%d to %q: %s", s.status, s.to, s.text)
	}
	if b = in(); b.open(k.doorOnce(b, "/x", "x0", false)).to != "/x" {
		t.Error("who has signed out and in is not let on")
	}
}

// A password for one request alone cannot be typed before that request: whoever
// types it elsewhere is told so, and not to sign in again.
func TestAPasswordForOneRequestIsTypedNowhereElse(t *testing.T) {
	for _, accept := range [][]policy.Factor{{policy.Password}, {policy.Password, policy.TOTP}} {
		for _, box := range []string{"", "/manager/status"} {
			k := levelRig(t, 0, true, accept)
			k.Passwords, k.LoginPage, k.LoginBox = nil, box, box != ""
			k.pages = k.Handler()
			k.hold(k.person("joe"), policy.TOTP, 0)
			b := k.browser()
			w, r := b.answering("/")
			if _, err := k.Enter(w, r, nil, signin.Identity{Source: account.LocalSource, Username: "joe"}); err != nil {
				t.Fatal(err)
			}
			b.Keep(w.Result())
			if s := b.open(k.doorOnce(b, "/x", "x0", true)); s.status != http.StatusForbidden || !strings.Contains(s.text, "To sign in again does not help") {
				t.Errorf("%v, box %q: %d to %q: %s", accept, box, s.status, s.to, s.text)
			}
		}
	}
}

func TestAPasswordOfTheAppIsTypedAtTheApp(t *testing.T) {
	for _, once := range []bool{false, true} {
		k := levelRig(t, 10*time.Minute, once, []policy.Factor{policy.Password})
		k.Passwords, k.LoginPage = nil, "/login.php"
		k.pages = k.Handler()
		k.person("joe")
		b := k.browser()
		atApp := func() {
			w, r := b.answering("/login.php")
			if _, err := k.Enter(w, r, b.visitor(), signin.Identity{Source: account.LocalSource, Username: "joe"}); err != nil {
				t.Fatal(err)
			}
			b.Keep(w.Result())
		}
		atApp()
		k.wait(11 * time.Minute)
		first, second := k.doorOnce(b, "/x", "x0", once), k.doorOnce(b, "/y", "x0", once)
		if s := b.open(first); s.to != "/login.php" {
			t.Fatalf("once %v: %d to %q", once, s.status, s.to)
		}
		k.wait(time.Second)
		atApp()
		if s := b.open(first); s.to != "/x" {
			t.Errorf("once %v: after the app's login %d to %q", once, s.status, s.to)
		}
		if s := b.open(second); (s.to == "/y") == once {
			t.Errorf("once %v: another request of the same login goes to %q", once, s.to)
		}
	}
}
