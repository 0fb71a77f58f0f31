package challenge

import (
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	devicepin "github.com/stepgate/stepgate/factors/device"
	"github.com/stepgate/stepgate/factors/knowledge"
	"github.com/stepgate/stepgate/factors/password"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/people"
	"github.com/stepgate/stepgate/policy"
)

// deviceRig has the level of the contract's section 3.
func deviceRig(t *testing.T) *rig {
	t.Helper()
	return newRig(t, riskBased)
}

// riskBased makes a site one with that level.
func riskBased(k *rig) {
	hasher, err := password.NewHasher(password.Options{Cost: password.Cost{MemoryKiB: 16, Passes: 1, Lanes: 1}})
	if err != nil {
		k.t.Fatal(err)
	}
	text := func(_, key string) string { return key }
	k.Notices = &people.Notices{Name: "Portal", Origin: rigOrigin, Offers: func(string) bool { return true }}
	k.offer(&devicepin.Factor{Store: k.db}, knowledge.NewPIN(k.ring, hasher, k.db), knowledge.NewQuestions(k.ring, hasher, k.db, nil, text))
	if k.Policy, err = policy.Compile(&policy.Config{
		Default: []string{"risk_based"},
		Levels: []policy.LevelConfig{{
			Name:   "risk_based",
			Accept: [][]policy.Factor{{policy.DevicePIN}, {policy.SecurityQuestions, policy.PIN}, {policy.SMS, policy.PIN}},
			Enrol:  []string{"security_questions", "pin", "device"},
		}},
	}, policy.CompileOptions{}); err != nil {
		k.t.Fatal(err)
	}
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
	delete(p.Cookies, p.k.Place.Cookie)
	return p.signIn(p.k.levelDoor(p.browser, "/cases/2", "risk_based"), name)
}

// noticed tells whether a mail with some words has been written.
func (k *rig) noticed(words string) bool {
	k.t.Helper()
	kept, err := k.db.ClaimMessages(k.t.Context(), k.clock(), k.clock(), 100)
	if err != nil {
		k.t.Fatal(err)
	}
	return slices.ContainsFunc(kept, func(m delivery.Queued) bool { return strings.Contains(m.Body, words) })
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
	if v := p.visitor(); v.Session.Device != "public" || len(p.Cookies) != 2 {
		t.Errorf("device %q, cookies %v", v.Session.Device, p.Cookies)
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
	for _, hint := range []string{"made a device private, sign in on that one", "Ask for help"} {
		if !strings.Contains(page.text, hint) {
			t.Errorf("whoever knows no answers is not told %q:\n%s", hint, page.text)
		}
	}
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

	k.wait(time.Second)
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
