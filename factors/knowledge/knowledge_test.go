package knowledge_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/knowledge"
	"github.com/stepgate/stepgate/internal/account"
	"github.com/stepgate/stepgate/policy"
)

// ring is a key ring of keys that the test names, the primary first.
type ring []string

func (r ring) mac(key, purpose string, parts [][]byte) []byte {
	h := hmac.New(sha256.New, []byte(key+purpose))
	fmt.Fprintf(h, "%q", parts)
	return h.Sum(nil)
}

func (r ring) MACs(purpose string, parts ...[]byte) [][]byte {
	sums := make([][]byte, len(r))
	for i, key := range r {
		sums[i] = r.mac(key, purpose, parts)
	}
	return sums
}

func (r ring) MACMaker(purpose string) (string, func(parts ...[]byte) []byte) {
	return r[0], func(parts ...[]byte) []byte { return r.mac(r[0], purpose, parts) }
}

func (r ring) UnderKey(id, purpose string, parts ...[]byte) ([]byte, bool) {
	return r.mac(id, purpose, parts), slices.Contains(r, id)
}

// drawer keeps one credential.
type drawer struct{ c account.Credential }

func (d *drawer) UseCredential(_ context.Context, id account.CredentialID, now time.Time, use func(*account.Credential) error) (account.Credential, error) {
	c := d.c
	if err := use(&c); err != nil {
		return account.Credential{}, err
	}
	c.LastUsedAt = now
	d.c = c
	return c, nil
}

// plain hashes quickly; what it is given is all that a store could leak.
type plain struct{ seen *[]string }

func (p plain) Hash(_ context.Context, secret account.Secret) (string, error) {
	*p.seen = append(*p.seen, string(secret.Reveal()))
	return "hash of " + string(secret.Reveal()), nil
}

func (p plain) Verify(_ context.Context, phc string, secret account.Secret) (bool, error) {
	return phc == "hash of "+string(secret.Reveal()), nil
}

var (
	joe = factors.Scope{Account: account.Account{ID: "joe", Username: "j.bloggs"}, Language: "en"}
	ann = factors.Scope{Account: account.Account{ID: "ann"}, Language: "en"}
)

func text(_, key string) string { return "What was the name of " + key + "?" }

func enrol(t *testing.T, f factors.Enroller, scope factors.Scope, fields map[string]string) (account.Credential, error) {
	t.Helper()
	c, err := f.ConfirmEnrolment(t.Context(), scope, nil, nil, factors.Answer{Fields: fields})
	c.Account = scope.Account.ID
	return c, err
}

func try(t *testing.T, f factors.Factor, c account.Credential, fields map[string]string) error {
	t.Helper()
	_, err := f.Verify(t.Context(), joe, []account.Credential{c}, nil, factors.Answer{Fields: fields})
	return err
}

func TestAListOfQuestionsIsCalledInThePersonsLanguage(t *testing.T) {
	var seen []string
	f := knowledge.NewQuestions(ring{"one"}, plain{&seen}, new(drawer), []string{"pet", "street", "song"}, text)
	answers := map[string]string{
		"question_1": "pet", "question_2": "street", "question_3": "song", "answer_1": "quokka", "answer_2": "heol y bont", "answer_3": "calon lan",
	}
	welsh := joe
	welsh.Language = "cy"
	if c, err := enrol(t, f, welsh, answers); err != nil || c.Label != "Cwestiynau diogelwch" {
		t.Errorf("%q, %v", c.Label, err)
	}
	if c, err := enrol(t, f, joe, answers); err != nil || c.Label != "Security questions" {
		t.Errorf("%q, %v", c.Label, err)
	}
}

func TestAPINIsRightForItsPersonInEveryScript(t *testing.T) {
	var seen []string
	f := knowledge.NewPIN(ring{"one"}, plain{&seen}, new(drawer))
	c, err := enrol(t, f, joe, map[string]string{"pin": "593 827", "pin_again": "593827"})
	if err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{"593827", " 59-38-27", "５９３８２７", "٥٩٣٨٢٧", "\u2068593827\u2069"} {
		if err := try(t, f, c, map[string]string{"pin": typed}); err != nil {
			t.Errorf("%q: %v", typed, err)
		}
	}
	for _, typed := range []string{"593828", "", "59382", "5938270", "eight", "593827000000000"} {
		if err := try(t, f, c, map[string]string{"pin": typed}); !errors.Is(err, factors.ErrWrongAnswer) {
			t.Errorf("%q: %v, want ErrWrongAnswer", typed, err)
		}
	}
	c.Account = "ann"
	if err := try(t, f, c, map[string]string{"pin": "593827"}); !errors.Is(err, factors.ErrWrongAnswer) {
		t.Errorf("the same PIN of somebody else: %v", err)
	}
	if len(seen) != 1 || bytes.Contains([]byte(seen[0]), []byte("593827")) {
		t.Errorf("hashed without the pepper: %q", seen)
	}
}

func TestAnAnswerHoldsOverAKeyRotation(t *testing.T) {
	var seen []string
	right, wrong := map[string]string{"pin": "593827"}, map[string]string{"pin": "593828"}
	kept := new(drawer)
	c, err := enrol(t, knowledge.NewPIN(ring{"one"}, plain{&seen}, kept), joe, map[string]string{"pin": "593827", "pin_again": "593827"})
	if err != nil || c.MACKey != "one" {
		t.Fatal(c.MACKey, err)
	}
	unmarked := c
	unmarked.MACKey = ""
	for _, c := range []account.Credential{c, unmarked} {
		kept.c = c
		rotated := knowledge.NewPIN(ring{"two", "one"}, plain{&seen}, kept)
		if err := try(t, rotated, c, wrong); !errors.Is(err, factors.ErrWrongAnswer) || kept.c.MACKey != c.MACKey {
			t.Errorf("a wrong one: %v, kept under %q", err, kept.c.MACKey)
		}
		if err := try(t, rotated, c, right); err != nil || kept.c.MACKey != "two" {
			t.Errorf("after a rotation: %v, kept under %q", err, kept.c.MACKey)
		}
		if err := try(t, knowledge.NewPIN(ring{"two"}, plain{&seen}, kept), kept.c, right); err != nil {
			t.Errorf("without the older key: %v", err)
		}
	}
	kept.c = account.Credential{Secret: account.Secret("another PIN"), MACKey: "one"}
	if err := try(t, knowledge.NewPIN(ring{"two", "one"}, plain{&seen}, kept), c, right); err != nil || string(kept.c.Secret.Reveal()) != "another PIN" {
		t.Errorf("what took its place meanwhile is overwritten: %v, %s", err, kept.c.Secret.Reveal())
	}
	if err := try(t, knowledge.NewPIN(ring{"two"}, plain{&seen}, kept), c, right); err == nil || errors.Is(err, factors.ErrWrongAnswer) {
		t.Errorf("without the key: %v", err)
	}
}

func TestPINsThatAreTriedFirstAreRefused(t *testing.T) {
	var seen []string
	f := knowledge.NewPIN(ring{"one"}, plain{&seen}, new(drawer))
	for _, pin := range []string{
		"123456", "987654", "111111", "121212", "123123", "135791", "112233", "123321", "147896", "258963", "010180", "130478", "19840412",
		"12251990", "111222", "901234", "098765", "101010", "200102", "110011",
	} {
		_, err := enrol(t, f, joe, map[string]string{"pin": pin, "pin_again": pin})
		if unsuitable := (*factors.Unsuitable)(nil); !errors.As(err, &unsuitable) || unsuitable.Text != "error.pin.weak" {
			t.Errorf("%s: %v", pin, err)
		}
	}
	for _, pin := range []string{"593827", "274095", "40728613", "592047"} {
		if _, err := enrol(t, f, joe, map[string]string{"pin": pin, "pin_again": pin}); err != nil {
			t.Errorf("%s: %v", pin, err)
		}
	}
	for name, fields := range map[string]map[string]string{
		"error.pin.length": {"pin": "59382", "pin_again": "59382"},
		"error.pin.again":  {"pin": "593827", "pin_again": "593872"},
	} {
		_, err := enrol(t, f, joe, fields)
		if unsuitable := (*factors.Unsuitable)(nil); !errors.As(err, &unsuitable) || unsuitable.Text != name {
			t.Errorf("%v: %v, want %s", fields, err, name)
		}
	}
}

func answers(a, b, c string) map[string]string {
	return map[string]string{
		"question_1": "question.first-teacher", "answer_1": a, "question_2": "question.first-street", "answer_2": b,
		"question_3": "question.lost-thing", "answer_3": c,
	}
}

func TestAnswersAreRightHoweverTheyAreSpelt(t *testing.T) {
	var seen []string
	f := knowledge.NewQuestions(ring{"one"}, plain{&seen}, new(drawer), nil, text)
	c, err := enrol(t, f, joe, answers("Mrs. Llewellyn-Jones", "Heol y Bont", "Großmutter's ring"))
	if err != nil {
		t.Fatal(err)
	}
	prompt, _, err := f.Prepare(t.Context(), joe, []account.Credential{c}, nil, false)
	if err != nil || len(prompt.Questions) != 3 || prompt.Questions[1] != "question.first-street" {
		t.Errorf("asked %v, %v", prompt.Questions, err)
	}
	for _, right := range []map[string]string{
		answers("mrs llewellyn jones", " HEOL  Y BONT ", "grossmutters ring"), answers("MRS.LLEWELLYN-JONES!", "ｈｅｏｌ y bont", "Großmutter’s Ring"),
	} {
		if err := try(t, f, c, right); err != nil {
			t.Errorf("%v: %v", right, err)
		}
	}
	for _, wrong := range []map[string]string{
		answers("Mrs. Llewellyn-Jones", "Heol y Bont", "watch"), answers("Heol y Bont", "Mrs. Llewellyn-Jones", "Großmutter's ring"),
		answers("", "", ""), answers("Mrs. Llewellyn-Jones"+"Heol", "y Bont", "Großmutter's ring"), {},
	} {
		if err := try(t, f, c, wrong); !errors.Is(err, factors.ErrWrongAnswer) {
			t.Errorf("%v: %v, want ErrWrongAnswer", wrong, err)
		}
	}
	if len(seen) != 1 || bytes.Contains([]byte(seen[0]), []byte("heolybont")) {
		t.Errorf("hashed without the pepper: %q", seen)
	}
}

func TestAnswersThatGiveThemselvesAwayAreRefused(t *testing.T) {
	var seen []string
	f := knowledge.NewQuestions(ring{"one"}, plain{&seen}, new(drawer), nil, text)
	change := func(field, value string) map[string]string {
		fields := answers("Llewellyn", "Heol y Bont", "ring")
		fields[field] = value
		return fields
	}
	for name, c := range map[string]struct {
		fields map[string]string
		want   factors.Unsuitable
	}{
		"the same question twice": {change("question_2", "question.first-teacher"), factors.Unsuitable{Field: "question_2", Text: "error.question.twice"}},
		"a question of one's own": {change("question_2", "question.mine"), factors.Unsuitable{Field: "question_2", Text: "error.question.choose"}},
		"no answer":               {change("answer_3", " . "), factors.Unsuitable{Field: "answer_3", Text: "error.answer.length"}},
		"one's own name":          {change("answer_3", "J. BLOGGS"), factors.Unsuitable{Field: "answer_3", Text: "error.answer.own"}},
		"from the question":       {change("answer_3", "lost thing"), factors.Unsuitable{Field: "answer_3", Text: "error.answer.in-question"}},
		"one for all":             {change("answer_3", "HEOL Y BONT"), factors.Unsuitable{Field: "answer_3", Text: "error.answer.same"}},
	} {
		_, err := enrol(t, f, joe, c.fields)
		if unsuitable := (*factors.Unsuitable)(nil); !errors.As(err, &unsuitable) || *unsuitable != c.want {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestAPersonHasOneOfEach(t *testing.T) {
	var seen []string
	for _, f := range []factors.Enroller{knowledge.NewPIN(ring{"one"}, plain{&seen}, new(drawer)), knowledge.NewQuestions(ring{"one"}, plain{&seen}, new(drawer), nil, text)} {
		held := []account.Credential{{Factor: string(f.Kind()), Account: "ann"}}
		if _, _, err := f.BeginEnrolment(t.Context(), ann, held, nil, factors.Answer{}); !errors.Is(err, factors.ErrTaken) {
			t.Errorf("%s: %v", f.Kind(), err)
		}
		if _, err := f.ConfirmEnrolment(t.Context(), ann, held, nil, factors.Answer{}); !errors.Is(err, factors.ErrTaken) {
			t.Errorf("%s: %v", f.Kind(), err)
		}
		if err := try(t, f, account.Credential{Factor: string(policy.TOTP)}, nil); errors.Is(err, nil) {
			t.Errorf("%s: proved without a credential", f.Kind())
		}
	}
}
