package throttle_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepgate/stepgate/internal/throttle"
)

func names(charges []throttle.Charge) []string {
	var all []string
	for _, c := range charges {
		all = append(all, c.Which)
	}
	return all
}

func TestPlanNamesTheCountersOfATry(t *testing.T) {
	plan := throttle.DefaultPlan(mac)
	home := address(t, "192.0.2.7")
	for _, c := range []struct {
		name string
		try  throttle.Try
		want []string
	}{
		{"stranger", throttle.Try{Account: "joe", Factor: "totp", Address: home}, []string{"address", "near", "far", "far cap"}},
		{"known browser", throttle.Try{Account: "joe", Factor: "totp", Address: home, Known: "device 1"}, []string{"known", "known cap"}},
		{"nobody named", throttle.Try{Factor: "webauthn", Address: home}, []string{"address"}},
		{"known to nobody", throttle.Try{Factor: "webauthn", Address: home, Known: "device 1"}, []string{"address"}},
	} {
		if diff := cmp.Diff(c.want, names(plan.Charges(c.try))); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// guess fails as often as it may from ever new addresses and returns how
// often that was.
func guess(t *testing.T, l *throttle.Ledger, plan *throttle.Plan, try throttle.Try) int {
	t.Helper()
	for n := range 1000 {
		try.Address = netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})
		if fail(t, l, plan.Charges(try)...) != 0 {
			return n
		}
	}
	t.Fatal("no budget held")
	return 0
}

func TestStrangersLockNeitherKnownDevicesNorOtherFactors(t *testing.T) {
	l, _, _ := newLedger(t)
	plan := throttle.DefaultPlan(mac)
	if n := guess(t, l, plan, throttle.Try{Account: "joe", Factor: "totp"}); n != 20 {
		t.Errorf("%d guesses from changing addresses, want 20", n)
	}
	home := address(t, "192.0.2.7")
	for _, try := range []throttle.Try{
		{Account: "joe", Factor: "totp", Address: home, Known: "device 1"},
		{Account: "joe", Factor: "sms", Address: home},
		{Account: "ann", Factor: "totp", Address: home},
	} {
		if wait := fail(t, l, plan.Charges(try)...); wait != 0 {
			t.Errorf("%+v has to wait %s", try, wait)
		}
	}
}

func TestAKnownDeviceHasABudgetOfItsOwn(t *testing.T) {
	l, _, now := newLedger(t)
	plan := throttle.DefaultPlan(mac)
	charges := plan.Charges(throttle.Try{Account: "joe", Factor: "device_pin", Known: "device 1"})
	compared := 0
	for range 100 {
		switch wait := fail(t, l, charges...); wait {
		case 0:
			compared++
		case -1:
			if compared != 10 {
				t.Errorf("disabled after %d tries, want 10", compared)
			}
			return
		default:
			now.move(wait)
		}
	}
	t.Error("never disabled")
}

func TestAHundredFailuresInARowDisableAFactorHoweverSlow(t *testing.T) {
	l, _, now := newLedger(t)
	plan := throttle.DefaultPlan(mac)
	for n := range 101 {
		try := throttle.Try{Account: "joe", Factor: "totp", Address: netip.AddrFrom4([4]byte{10, 1, 0, byte(n)})}
		wait := fail(t, l, plan.Charges(try)...)
		if (n < 100) != (wait == 0) {
			t.Fatalf("failure %d: wait %s", n+1, wait)
		}
		now.move(25 * time.Hour)
	}
	reset := throttle.Try{Account: "joe", Factor: "totp"}
	if err := l.Clear(t.Context(), plan.Charges(reset)...); err != nil {
		t.Fatal(err)
	}
	if wait := fail(t, l, plan.Charges(throttle.Try{Account: "joe", Factor: "totp", Address: address(t, "10.2.0.1")})...); wait != 0 {
		t.Errorf("after a reset: wait %s", wait)
	}
}

func TestOneAddressOverManyAccountsIsStopped(t *testing.T) {
	l, _, _ := newLedger(t)
	plan := throttle.DefaultPlan(mac)
	for n := range 50 {
		try := throttle.Try{Account: throttle.TypedName(fmt.Sprint("user", n)), Factor: "password", Address: address(t, "192.0.2.7")}
		if wait := fail(t, l, plan.Charges(try)...); wait != 0 {
			if n != 40 || wait != 30*time.Second {
				t.Errorf("stopped after %d accounts for %s", n, wait)
			}
			return
		}
	}
	t.Error("never stopped")
}

func TestClearLeavesTheAddressAlone(t *testing.T) {
	l, store, _ := newLedger(t)
	charges := throttle.DefaultPlan(mac).Charges(throttle.Try{Account: "joe", Factor: "totp", Address: address(t, "192.0.2.7")})
	fail(t, l, charges...)
	if err := l.Clear(t.Context(), charges...); err != nil {
		t.Fatal(err)
	}
	left := store.snapshot()
	if len(left) != 1 || left[charges[0].Key].Count != 1 {
		t.Errorf("left: %v", left)
	}
}

func TestKeysDifferHoweverPartsAreCut(t *testing.T) {
	lists := [][]string{{"ab", "c"}, {"a", "bc"}, {"abc"}, {"abc", ""}, {"", "abc"}, {}}
	seen := make(map[throttle.Key][]string)
	for _, parts := range lists {
		k := key(parts...)
		if other, dup := seen[k]; dup {
			t.Errorf("%q and %q have one key", parts, other)
		}
		seen[k] = parts
	}
}

func TestAddressKeyPartIsWhatOneLineIsGiven(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.7":               "192.0.2.7/32",
		"::ffff:192.0.2.7":        "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6":    "2001:db8:1:2::/64",
		"2001:db8:1:2::1":         "2001:db8:1:2::/64",
		"2001:db8:1:3::1":         "2001:db8:1:3::/64",
		"fe80::1%eth0":            "fe80::/64",
		"::1":                     "::/64",
		"2001:db8:1:2:ffff::%lan": "2001:db8:1:2::/64",
	} {
		if got := throttle.AddressKeyPart(address(t, text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := throttle.AddressKeyPart(netip.Addr{}); got != "unknown" {
		t.Errorf("no address: %s", got)
	}
}
