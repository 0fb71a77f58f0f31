package oob_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/factors"
	"github.com/stepgate/stepgate/factors/delivery"
	"github.com/stepgate/stepgate/factors/oob"
	"github.com/stepgate/stepgate/internal/account"
)

func TestShowingAPageSendsNothing(t *testing.T) {
	b := newBench(t)
	prompt, state, err := b.sms.Prepare(t.Context(), b.scope(), held, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	want := factors.Prompt{
		Shape: factors.ShapeCode, Factor: "sms", Label: phone.Label, Destination: "ending 609", Digits: 6, MayResend: true, LifetimeMin: 10,
	}
	if diff := cmp.Diff(want, prompt); diff != "" || len(state) > 0 {
		t.Errorf("state %q\n%s", state, diff)
	}
	if len(b.outbox.sent) > 0 || len(b.budget.spent) > 0 {
		t.Error("a page that is only shown sent or spent something")
	}
}

func TestSentCodeIsShownAsSentAndWorksOnce(t *testing.T) {
	b := newBench(t)
	code := b.send()
	prompt, _, err := b.sms.Prepare(t.Context(), b.scope(), held, nil, false)
	if err != nil || !prompt.Sent || prompt.ResendAfterS != 30 || !prompt.MayResend {
		t.Errorf("%+v, %v", prompt, err)
	}
	got, err := b.sms.Verify(t.Context(), b.scope(), held, nil, answer(" "+code[:3]+"-"+code[3:]+"\u00a0"))
	if err != nil || got.Credential.ID != phone.ID || !got.Credential.LastUsedAt.Equal(b.now) {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := b.verify(code); !errors.Is(err, factors.ErrReplayed) {
		t.Errorf("the second time: %v", err)
	}
	if !b.outbox.sent[0].Charged {
		t.Error("the code would be counted again once it is out")
	}
	if b.budget.answered != 1 {
		t.Errorf("%d answers were noted", b.budget.answered)
	}
	want := []oob.Spending{{
		Channel: "sms", Destination: phone.Address, Account: "JOE", Address: b.scope().Address, Country: "GB", Held: true, Site: b.scope().Site,
	}}
	if diff := cmp.Diff(want, b.budget.spent, cmp.Comparer(func(x, y oob.Spending) bool { return x == y })); diff != "" {
		t.Error(diff)
	}
}

func TestOfTwentyParallelAnswersOnePasses(t *testing.T) {
	b := newBench(t)
	code := b.send()
	passed := make(chan error, 20)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { passed <- b.verify(code) })
	}
	all.Wait()
	close(passed)
	n := 0
	for err := range passed {
		if err == nil {
			n++
		} else if !errors.Is(err, factors.ErrReplayed) {
			t.Error(err)
		}
	}
	if n != 1 {
		t.Errorf("%d of 20 passed", n)
	}
}

func TestOfTwentyParallelRequestsOneIsSent(t *testing.T) {
	b := newBench(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, _, err := b.sms.Prepare(t.Context(), b.scope(), held, nil, true)
			if soon := (*factors.TooSoon)(nil); err != nil && !errors.As(err, &soon) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if len(b.outbox.sent) != 1 || b.budget.back != 19 {
		t.Errorf("%d were sent, %d were given back", len(b.outbox.sent), b.budget.back)
	}
	if err := b.verify(b.last()); err != nil {
		t.Error(err)
	}
}

// TestACodeIsGoodInItsOwnScopeOnly holds S-014.
func TestACodeIsGoodInItsOwnScopeOnly(t *testing.T) {
	for name, change := range map[string]func(*factors.Scope){
		"another session":     func(s *factors.Scope) { s.Session = "S2" },
		"another purpose":     func(s *factors.Scope) { s.Purpose = "enrol" },
		"another transaction": func(s *factors.Scope) { s.Transaction = "T2" },
		"another account":     func(s *factors.Scope) { s.Account.ID = "ANN" },
		"another site":        func(s *factors.Scope) { s.Site = "https://other.example.gov" },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			code := b.send()
			scope := b.scope()
			change(&scope)
			if _, err := b.sms.Verify(t.Context(), scope, held, nil, answer(code)); err == nil {
				t.Error("the code passed")
			}
			if prompt, _, err := b.sms.Prepare(t.Context(), scope, held, nil, false); err != nil || prompt.Sent && name != "another site" {
				t.Errorf("the page says that it was sent: %+v, %v", prompt, err)
			}
		})
	}
	t.Run("by e-mail", func(t *testing.T) {
		b := newBench(t)
		code := b.send()
		if _, err := b.email.Verify(t.Context(), b.scope(), held, nil, answer(code)); !errors.Is(err, factors.ErrExpired) {
			t.Error(err)
		}
	})
	t.Run("another number of the credential", func(t *testing.T) {
		b := newBench(t)
		code := b.send()
		moved := phone
		moved.Address = "+447700900123"
		if _, err := b.sms.Verify(t.Context(), b.scope(), []account.Credential{moved}, nil, answer(code)); !errors.Is(err, factors.ErrWrongAnswer) {
			t.Error(err)
		}
	})
	t.Run("the credential is gone", func(t *testing.T) {
		b := newBench(t)
		code := b.send()
		another := phone
		another.ID = "ANOTHER"
		if _, err := b.sms.Verify(t.Context(), b.scope(), []account.Credential{another}, nil, answer(code)); !errors.Is(err, factors.ErrExpired) {
			t.Error(err)
		}
	})
}

func TestCodesBeforeASessionAreApart(t *testing.T) {
	b := newBench(t)
	mine, theirs := b.scope(), b.scope()
	mine.Session, theirs.Session = "", ""
	theirs.Transaction = "T2"
	var codes []string
	for _, scope := range []factors.Scope{mine, theirs} {
		if _, _, err := b.sms.Prepare(t.Context(), scope, held, nil, true); err != nil {
			t.Fatal(err)
		}
		codes = append(codes, b.last())
	}
	if _, err := b.sms.Verify(t.Context(), mine, held, nil, answer(codes[0])); err != nil {
		t.Errorf("a stranger's request replaced the code: %v", err)
	}
}

func TestTheNewestReplacesTheOlder(t *testing.T) {
	b := newBench(t)
	old := b.send()
	b.now = b.now.Add(30 * time.Second)
	newest := b.send()
	if old != newest {
		if err := b.verify(old); !errors.Is(err, factors.ErrWrongAnswer) {
			t.Errorf("the older: %v", err)
		}
	}
	if err := b.verify(newest); err != nil {
		t.Errorf("the newest: %v", err)
	}
}

func TestACodeLivesTenMinutes(t *testing.T) {
	for after, want := range map[time.Duration]error{10*time.Minute - 1: nil, 10 * time.Minute: factors.ErrExpired} {
		b := newBench(t)
		code := b.send()
		b.now = b.now.Add(after)
		if err := b.verify(code); !errors.Is(err, want) {
			t.Errorf("after %s: %v", after, err)
		}
		if end := b.outbox.sent[0].ExpiresAt; !end.Equal(b.now.Add(10*time.Minute - after)) {
			t.Errorf("the message is tried until %s", end)
		}
	}
}

func TestFiveWrongTriesEndACode(t *testing.T) {
	b := newBench(t)
	code := b.send()
	for n := range 5 {
		if err := b.verify(other(code)); !errors.Is(err, factors.ErrWrongAnswer) {
			t.Fatalf("try %d: %v", n+1, err)
		}
	}
	if err := b.verify(code); !errors.Is(err, factors.ErrExpired) {
		t.Errorf("the right one after five wrong ones: %v", err)
	}
	if prompt, _, _ := b.sms.Prepare(t.Context(), b.scope(), held, nil, false); prompt.Sent || !prompt.MayResend {
		t.Errorf("the page does not offer another: %+v", prompt)
	}
}

// TestResendWaits holds S-016.
func TestResendWaits(t *testing.T) {
	b := newBench(t)
	b.send()
	for n, wait := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute} {
		b.now = b.now.Add(wait - time.Second)
		_, _, err := b.sms.Prepare(t.Context(), b.scope(), held, nil, true)
		soon := (*factors.TooSoon)(nil)
		if !errors.As(err, &soon) || soon.After != time.Second {
			t.Fatalf("resend %d a second early: %v", n+1, err)
		}
		b.now = b.now.Add(time.Second)
		b.send()
	}
	b.now = b.now.Add(9 * time.Minute)
	if _, _, err := b.sms.Prepare(t.Context(), b.scope(), held, nil, true); !errors.Is(err, factors.ErrUnavailable) {
		t.Errorf("the sixth: %v", err)
	}
	prompt, _, err := b.sms.Prepare(t.Context(), b.scope(), held, nil, false)
	if err != nil || prompt.MayResend || !prompt.Sent {
		t.Errorf("%+v, %v", prompt, err)
	}
	if len(b.outbox.sent) != 5 || len(b.budget.spent)-b.budget.back != 5 {
		t.Errorf("%d were sent, %d charged", len(b.outbox.sent), len(b.budget.spent)-b.budget.back)
	}
}

func TestWhatMayNotBeSentVoidsNothing(t *testing.T) {
	b := newBench(t)
	code := b.send()
	b.now = b.now.Add(time.Minute)
	spent := errors.New("budget spent")
	b.budget.refuse = spent
	if _, _, err := b.sms.Prepare(t.Context(), b.scope(), held, nil, true); !errors.Is(err, spent) {
		t.Fatal(err)
	}
	if err := b.verify(code); err != nil {
		t.Errorf("the code before: %v", err)
	}
}

func TestWhatWasNotSentIsGivenBack(t *testing.T) {
	b := newBench(t)
	for _, class := range []error{delivery.ErrTemporary, delivery.ErrPermanent, delivery.ErrRefused, errors.New("lost")} {
		b.outbox.fail = fmt.Errorf("%w: test", class)
		b.budget.back = 0
		if _, _, err := b.sms.Prepare(t.Context(), b.scope(), held, nil, true); !errors.Is(err, factors.ErrUnavailable) {
			t.Errorf("%v: %v", class, err)
		}
		if b.budget.back != 1 {
			t.Errorf("%v: given back %d times", class, b.budget.back)
		}
	}
	b.outbox.fail = nil
	if err := b.verify(b.send()); err != nil { // at once: nothing was sent before
		t.Error(err)
	}
}

func TestWithoutACredentialNothingIsSent(t *testing.T) {
	b := newBench(t)
	for _, none := range [][]account.Credential{nil, {inbox}} {
		if _, _, err := b.sms.Prepare(t.Context(), b.scope(), none, nil, true); !errors.Is(err, factors.ErrUnavailable) {
			t.Error(err)
		}
		if _, err := b.sms.Verify(t.Context(), b.scope(), none, nil, answer("123456")); !errors.Is(err, factors.ErrUnavailable) {
			t.Error(err)
		}
	}
	if len(b.outbox.sent) > 0 {
		t.Error("something was sent")
	}
}

func TestACountryThatIsNoLongerAllowedGetsNoTexts(t *testing.T) {
	b := newBench(t)
	american := phone
	american.Address = "+12025550123"
	if _, _, err := b.sms.Prepare(t.Context(), b.scope(), []account.Credential{american}, nil, true); !errors.Is(err, factors.ErrUnavailable) || strings.Contains(err.Error(), "0123") {
		t.Error(err)
	}
	if len(b.outbox.sent)+len(b.budget.spent) > 0 {
		t.Error("something was sent or spent")
	}
}

func TestBeforeACodeWasSentNoAnswerIsRight(t *testing.T) {
	b := newBench(t)
	for _, typed := range strange {
		if err := b.verify(typed); !errors.Is(err, factors.ErrExpired) {
			t.Errorf("%q: %v", typed, err)
		}
	}
}

// strange are answers that no code is.
var strange = []string{"", "123456", "000000", "12345", "1234567", "١٢٣٤٥٦", strings.Repeat("1", 1000)}

// TestNoAnswerIsWrongWhereNoCodeWorks has codes that work no longer: whatever
// is typed, a new one is what helps.
func TestNoAnswerIsWrongWhereNoCodeWorks(t *testing.T) {
	for name, end := range map[string]func(b *bench, code string){
		"its time is over": func(b *bench, _ string) { b.now = b.now.Add(10 * time.Minute) },
		"it had its tries": func(b *bench, code string) {
			for range 5 {
				_ = b.verify(other(code))
			}
		},
		"it was used": func(b *bench, code string) { _ = b.verify(code) },
	} {
		b := newBench(t)
		end(b, b.send())
		for _, typed := range strange {
			if err := b.verify(typed); !errors.Is(err, factors.ErrExpired) {
				t.Errorf("%s: %q: %v", name, typed, err)
			}
		}
	}
}

// TestAnotherTabsCodeKeepsItsTries answers in a ceremony in which nothing was
// sent, while the code of another is under way.
func TestAnotherTabsCodeKeepsItsTries(t *testing.T) {
	b := newBench(t)
	code := b.send()
	tab := b.scope()
	tab.Transaction = "T2"
	for range 5 {
		if _, err := b.sms.Verify(t.Context(), tab, held, nil, answer(code)); !errors.Is(err, factors.ErrExpired) {
			t.Errorf("in the other tab: %v", err)
		}
	}
	if err := b.verify(code); err != nil {
		t.Errorf("in its own: %v", err)
	}
}

func TestTheStoreHoldsNoCode(t *testing.T) {
	b := newBench(t)
	code := b.send()
	for _, c := range b.codes.rows {
		if strings.Contains(fmt.Sprintf("%+v %s %s", c, c.MAC, c.To), code) || strings.Contains(fmt.Sprintf("%+v", c), "900609") {
			t.Errorf("kept: %+v", c)
		}
	}
}
