package challenge

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/factors/totp"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/internal/store"
	"github.com/stepgate/stepgate/policy"
)

// texts keeps what is sent.
type texts struct{ sent []delivery.Message }

func (o *texts) Send(_ context.Context, m delivery.Message) error {
	o.sent = append(o.sent, m)
	return nil
}

type freeBudget struct{}

func (freeBudget) Spend(context.Context, oob.Spending) (func(context.Context) error, error) {
	return func(context.Context) error { return nil }, nil
}

func (freeBudget) Answered(context.Context, string, account.ID) error { return nil }

// holdsPhones gives somebody phones with these numbers, the first the default.
func (k *rig) holdsPhones(a account.Account, numbers ...string) {
	k.t.Helper()
	for i, number := range numbers {
		k.update(func(ctx context.Context, tx store.Tx) error {
			return tx.InsertCredential(ctx, account.Credential{
				ID: account.CredentialID(number), Account: a.ID, Factor: "sms", Label: "Phone " + number[10:], Address: number, Default: i == 0, CreatedAt: k.clock(),
			})
		})
	}
}

// textingRig sends codes by text.
func textingRig(t *testing.T) (*rig, *texts) {
	out := new(texts)
	return newRig(t, func(k *rig) {
		k.offer(&totp.Factor{Steps: k.db}, oob.NewSMS(oob.Options{
			Codes: k.db, Outbox: out, Budget: freeBudget{}, Keys: k.ring, Lifetime: 10 * time.Minute,
		}, oob.Numbers{Region: "GB", Countries: []string{"GB"}}))
	}), out
}

func TestAPersonWithTwoPhonesIsAskedWhich(t *testing.T) {
	k, out := textingRig(t)
	k.holdsPhones(k.person("jo"), "+447700900001", "+447700900002")
	b := k.browser()
	which := b.signIn(k.door(b, "/x", policy.LevelMFA), "jo")
	if !strings.Contains(which.text, "Which phone") || !strings.Contains(which.text, "Phone 001") || len(out.sent) > 0 {
		t.Fatalf("%d at %s, %d texts:\n%s", which.status, which.at, len(out.sent), which.text)
	}
	second := regexp.MustCompile(`href="([^"]*credential=%2B447700900002[^"]*)"`).FindStringSubmatch(which.text)
	if second == nil {
		t.Fatalf("no second phone:\n%s", which.text)
	}
	page := b.open(strings.ReplaceAll(second[1], "&amp;", "&"))
	if len(out.sent) > 0 {
		t.Fatal("choosing has sent something")
	}
	page = b.send(page, map[string]string{"action": "send"})
	if len(out.sent) != 1 || out.sent[0].To != "+447700900002" {
		t.Fatalf("%d texts", len(out.sent))
	}
	code := regexp.MustCompile(`\b\d{6}\b`).FindString(out.sent[0].Body)
	if s := b.send(page, map[string]string{"code": code, "action": "verify"}); s.to != "/x" {
		t.Fatalf("%d to %q:\n%s", s.status, s.to, s.text)
	}
	if proof := b.visitor().Session.Proofs[1]; proof.Credential != "+447700900002" {
		t.Errorf("%+v", proof)
	}
}

// TestAnotherPersonsPhoneIsNoChoice names a credential that is not one's own.
func TestAnotherPersonsPhoneIsNoChoice(t *testing.T) {
	k, out := textingRig(t)
	k.holdsPhones(k.person("jo"), "+447700900001", "+447700900002")
	k.holdsPhones(k.person("eve"), "+447700900003")
	b := k.browser()
	which := b.signIn(k.door(b, "/x", policy.LevelMFA), "jo")
	at, err := url.Parse(which.at)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"action": {"send"}, "csrf_token": {k.Guard.Token("session " + string(b.visitor().Session.ID))}, "c": {at.Query().Get("c")}}
	s := b.ask(b.Request(http.MethodPost, at.Path+"?credential=%2B447700900003", form))
	if len(out.sent) > 0 || !strings.Contains(s.text, "Which phone") {
		t.Errorf("%d, %d texts:\n%s", s.status, len(out.sent), s.text)
	}
}

// TestOnePhoneGetsItsCodeAtOnce is without a choice.
func TestOnePhoneGetsItsCodeAtOnce(t *testing.T) {
	k, out := textingRig(t)
	k.holdsPhones(k.person("jo"), "+447700900001")
	b := k.browser()
	b.signIn(k.door(b, "/x", policy.LevelMFA), "jo")
	if len(out.sent) != 1 {
		t.Errorf("%d texts", len(out.sent))
	}
}

// TestACodeThatWasNotSentHereIsNotTriedTooOften answers in a tab in which no
// code was sent, or not lately: it has not been tried too often there.
func TestACodeThatWasNotSentHereIsNotTriedTooOften(t *testing.T) {
	k, out := textingRig(t)
	k.holdsPhones(k.person("jo"), "+447700900001")
	b := k.browser()
	first := b.signIn(k.door(b, "/x", policy.LevelMFA), "jo")
	if len(out.sent) != 1 {
		t.Fatalf("%d texts", len(out.sent))
	}
	code := regexp.MustCompile(`\b\d{6}\b`).FindString(out.sent[0].Body)
	second := b.open(k.door(b, "/y", policy.LevelMFA))
	answer := func(name string, tab sheet, code string) {
		t.Helper()
		s := b.send(tab, map[string]string{"action": "verify", "code": code})
		if s.status != http.StatusBadRequest || !strings.Contains(s.text, "This code does not work, or not any more") || strings.Contains(s.text, "so many tries") {
			t.Errorf("%s: %d\n%s", name, s.status, s.text)
		}
	}
	answer("the other tab's code", second, code)
	answer("no code", second, "12")
	k.wait(10 * time.Minute)
	answer("something else than an old code", first, "12")
}
