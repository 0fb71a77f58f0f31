package throttle_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/throttle"
)

func text(t *testing.T) throttle.Message {
	return throttle.Message{
		Channel: "sms", Destination: "+447700900123", Account: "id-joe",
		Address: address(t, "192.0.2.7"), Country: "GB",
	}
}

func TestSendPlanNamesTheCountersOfAMessage(t *testing.T) {
	plan := throttle.DefaultSendPlan(mac)
	plan.PerMonth = 100
	held := text(t)
	held.Held = true
	mail := throttle.Message{Channel: "email", Destination: "joe@example.com", Address: address(t, "192.0.2.7")}
	for _, c := range []struct {
		name    string
		message throttle.Message
		want    []string
	}{
		{"to a new number", text(t), []string{"destination", "account", "country", "total", "address", "block", "unanswered", "month"}},
		{"to a held one", held, []string{"destination", "account", "country", "total", "address held", "unanswered", "month"}},
		{"mail of nobody", mail, []string{"destination", "total", "address", "month"}},
	} {
		if diff := cmp.Diff(c.want, names(plan.Charges(c.message))); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// refusal sends and returns the name of the budget that refused, if one did.
func refusal(t *testing.T, l *throttle.Ledger, charges []throttle.Charge) string {
	t.Helper()
	_, err := l.Spend(t.Context(), charges...)
	var spent *throttle.Spent
	if err != nil && !errors.As(err, &spent) {
		t.Fatal(err)
	}
	if err == nil {
		return ""
	}
	return spent.Which
}

func TestUnansweredMessagesStopUntilOneIsAnswered(t *testing.T) {
	l, _, now := newLedger(t)
	plan := throttle.DefaultSendPlan(mac)
	m := text(t)
	m.Held = true
	for n := range 5 {
		m.Destination = fmt.Sprintf("+4477009%05d", n)
		if which := refusal(t, l, plan.Charges(m)); which != "" {
			t.Fatalf("message %d: %s", n+1, which)
		}
		now.move(15 * time.Minute)
		if n == 4 {
			now.move(-time.Minute)
		}
	}
	if which := refusal(t, l, plan.Charges(m)); which != "unanswered" {
		t.Errorf("message 6: %q", which)
	}
	if err := l.Clear(t.Context(), plan.Answered("sms", "id-joe")); err != nil {
		t.Fatal(err)
	}
	if which := refusal(t, l, plan.Charges(m)); which != "" {
		t.Errorf("after an answer: %q", which)
	}
}

func TestStrangersDoNotUseUpTheMonthOfThoseWhoHoldANumber(t *testing.T) {
	l, _, _ := newLedger(t)
	plan := &throttle.SendPlan{MAC: mac, PerMonth: 10, KeptPerMonth: 4}
	for range 6 {
		if which := refusal(t, l, plan.Charges(throttle.Message{Channel: "sms"})); which != "" {
			t.Fatal(which)
		}
	}
	if which := refusal(t, l, plan.Charges(throttle.Message{Channel: "sms"})); which != "month" {
		t.Errorf("a stranger's seventh: %q", which)
	}
	if which := refusal(t, l, plan.Charges(throttle.Message{Channel: "sms", Held: true})); which != "" {
		t.Errorf("a held number's: %q", which)
	}
}

func TestANumberBlockIsNarrowForStrangersOnly(t *testing.T) {
	l, _, _ := newLedger(t)
	plan := &throttle.SendPlan{MAC: mac, Block: throttle.Rates{{Limit: 2, Per: time.Hour}}}
	m := text(t)
	m.Account = ""
	for n, want := range []string{"", "", "block"} {
		m.Destination = fmt.Sprintf("+447700900%03d", 100*n)
		if which := refusal(t, l, plan.Charges(m)); which != want {
			t.Errorf("number %d: %q, want %q", n+1, which, want)
		}
	}
	m.Held = true
	if which := refusal(t, l, plan.Charges(m)); which != "" {
		t.Errorf("a held number: %q", which)
	}
}
