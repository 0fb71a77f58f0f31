package oob_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/internal/account"
)

func (b *bench) enrolling() factors.Scope {
	s := b.scope()
	s.Purpose = "enrol"
	return s
}

// begin takes a step of the enrolment by text.
func (b *bench) begin(state factors.State, a factors.Answer) (factors.Prompt, factors.State) {
	b.Helper()
	prompt, state, err := b.sms.BeginEnrolment(b.Context(), b.enrolling(), nil, state, a)
	if err != nil {
		b.Fatal(err)
	}
	return prompt, state
}

func TestEnrolmentAsksForTheNumberFirst(t *testing.T) {
	b := newBench(t)
	prompt, state := b.begin(nil, factors.Answer{})
	want := factors.Prompt{Shape: factors.ShapeAddress, Factor: "sms", Field: "mobile", Prefill: joe.Mobile}
	if diff := cmp.Diff(want, prompt); diff != "" || len(state) > 0 || len(b.outbox.sent) > 0 {
		t.Error(diff)
	}
	prompt, state = b.begin(state, pressed("send", "mobile", "07700 900 123"))
	if prompt.Shape != factors.ShapeCode || !prompt.Sent || prompt.Destination != "ending 123" || prompt.ResendAfterS != 30 {
		t.Errorf("%+v", prompt)
	}
	if b.outbox.sent[0].To != "+447700900123" || b.budget.spent[0].Held {
		t.Errorf("sent to %q, spent as %+v", b.outbox.sent[0].To, b.budget.spent[0])
	}
	if again, same := b.begin(state, factors.Answer{}); again.Shape != factors.ShapeCode || !again.Sent || string(same) != string(state) || len(b.outbox.sent) != 1 {
		t.Errorf("shown again: %+v", again)
	}
	got, err := b.sms.ConfirmEnrolment(t.Context(), b.enrolling(), nil, state, answer(b.last()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(account.Credential{Factor: "sms", Label: "Phone ending 123", Address: "+447700900123"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestEMailEnrolment(t *testing.T) {
	b := newBench(t)
	prompt, state, err := b.email.BeginEnrolment(t.Context(), b.enrolling(), nil, nil, factors.Answer{})
	if err != nil || prompt.Field != "email" || prompt.Prefill != joe.Email {
		t.Fatalf("%+v, %v", prompt, err)
	}
	prompt, state, err = b.email.BeginEnrolment(t.Context(), b.enrolling(), nil, state, pressed("send", "email", " Joe@Example.TEST "))
	if err != nil || prompt.Destination != "J…@e….test" {
		t.Fatalf("%+v, %v", prompt, err)
	}
	got, err := b.email.ConfirmEnrolment(t.Context(), b.enrolling(), nil, state, factors.Answer{Fields: map[string]string{"code": b.last(), "label": "  Work\x00 "}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(account.Credential{Factor: "email", Label: "Work", Address: "Joe@example.test"}, got); diff != "" {
		t.Error(diff)
	}
	if m := b.outbox.sent[0]; m.Channel != delivery.Email || m.Subject != "Your code for The Portal" {
		t.Errorf("%s: %q", m.Channel, m.Subject)
	}
}

func TestAnAddressTypedAnewVoidsTheOlderCode(t *testing.T) {
	b := newBench(t)
	_, state := b.begin(nil, pressed("send", "mobile", "07700900123"))
	old := b.last()
	prompt, state := b.begin(state, pressed("new"))
	if prompt.Shape != factors.ShapeAddress || len(state) > 0 {
		t.Fatalf("%+v, %q", prompt, state)
	}
	if _, err := b.sms.ConfirmEnrolment(t.Context(), b.enrolling(), nil, state, answer(old)); !errors.Is(err, factors.ErrExpired) {
		t.Errorf("without a number: %v", err)
	}
	prompt, state = b.begin(state, pressed("send", "mobile", "07700900124")) // another number need not wait
	if !prompt.Sent || b.outbox.sent[1].To != "+447700900124" {
		t.Errorf("%+v", prompt)
	}
	if newest := b.last(); newest != old {
		if _, err := b.sms.ConfirmEnrolment(t.Context(), b.enrolling(), nil, state, answer(old)); !errors.Is(err, factors.ErrWrongAnswer) {
			t.Errorf("the older code: %v", err)
		}
	}
	got, err := b.sms.ConfirmEnrolment(t.Context(), b.enrolling(), nil, state, answer(b.last()))
	if err != nil || got.Address != "+447700900124" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestACodeProvesTheNumberItWentTo(t *testing.T) {
	b := newBench(t)
	_, first := b.begin(nil, pressed("send", "mobile", "07700900123"))
	b.begin(first, pressed("send", "mobile", "07700900124"))
	// The page of the first number, kept in another window.
	if got, err := b.sms.ConfirmEnrolment(t.Context(), b.enrolling(), nil, first, answer(b.last())); err == nil {
		t.Errorf("the second number's code enrolled %s", got.Address)
	}
}

func TestFiveNumbersAreTheMostOfOneEnrolment(t *testing.T) {
	b := newBench(t)
	var state factors.State
	for n := range 5 {
		_, state = b.begin(state, pressed("send", "mobile", fmt.Sprintf("0770090012%d", n)))
	}
	_, _, err := b.sms.BeginEnrolment(t.Context(), b.enrolling(), nil, state, pressed("send", "mobile", "07700900129"))
	if !errors.Is(err, factors.ErrUnavailable) || len(b.outbox.sent) != 5 {
		t.Errorf("%v, %d", err, len(b.outbox.sent))
	}
}

func TestResendGoesToTheSameNumber(t *testing.T) {
	b := newBench(t)
	_, state := b.begin(nil, pressed("send", "mobile", "07700900123"))
	for _, action := range []string{"resend", "send"} {
		_, _, err := b.sms.BeginEnrolment(t.Context(), b.enrolling(), nil, state, pressed(action))
		if soon := (*factors.TooSoon)(nil); !errors.As(err, &soon) {
			t.Fatalf("%s at once: %v", action, err)
		}
	}
	b.now = b.now.Add(30 * time.Second)
	b.begin(state, pressed("resend"))
	if len(b.outbox.sent) != 2 || b.outbox.sent[1].To != "+447700900123" {
		t.Error("it went elsewhere")
	}
}

func TestAddressesThatCannotBeUsed(t *testing.T) {
	b := newBench(t)
	for _, fields := range [][]string{{"send"}, {"send", "mobile", ""}, {"send", "mobile", "+18765551234"}, {"send", "mobile", "02079460000"}} {
		if _, _, err := b.sms.BeginEnrolment(t.Context(), b.enrolling(), nil, nil, pressed(fields...)); !errors.Is(err, factors.ErrBadAddress) {
			t.Errorf("%q: %v", fields, err)
		}
	}
	_, _, err := b.sms.BeginEnrolment(t.Context(), b.enrolling(), held, nil, pressed("send", "mobile", "07700 900609"))
	if !errors.Is(err, factors.ErrTaken) {
		t.Errorf("a number that is enrolled: %v", err)
	}
	_, _, err = b.email.BeginEnrolment(t.Context(), b.enrolling(), held, nil, pressed("send", "email", "JOE@example.test"))
	if !errors.Is(err, factors.ErrTaken) {
		t.Errorf("an address that is enrolled: %v", err)
	}
	if len(b.outbox.sent)+len(b.budget.spent) > 0 {
		t.Error("something was sent or spent")
	}
	b.outbox.fail = fmt.Errorf("%w: opted out", delivery.ErrRefused)
	_, _, err = b.sms.BeginEnrolment(t.Context(), b.enrolling(), nil, nil, pressed("send", "mobile", "07700900123"))
	if !errors.Is(err, factors.ErrBadAddress) {
		t.Errorf("a number that the provider refuses: %v", err)
	}
}

func TestBrokenStateIsAnError(t *testing.T) {
	b := newBench(t)
	for _, state := range []string{"x", "{}", "null", `{"to":""}`} {
		if _, _, err := b.sms.BeginEnrolment(t.Context(), b.enrolling(), nil, factors.State(state), factors.Answer{}); err == nil {
			t.Errorf("%q was read", state)
		}
		if _, err := b.sms.ConfirmEnrolment(t.Context(), b.enrolling(), nil, factors.State(state), answer("123456")); err == nil {
			t.Errorf("%q was read", state)
		}
	}
}
