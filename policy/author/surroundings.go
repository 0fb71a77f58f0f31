package author

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
)

// addressValues are an address for every set of ranges that some address is
// in: between two ends of ranges nothing changes.
func (a *aspects) addressValues() []value {
	if len(a.addresses) == 0 {
		return nil
	}
	candidates := []netip.Addr{netip.MustParseAddr(anywhere), netip.MustParseAddr("2001:db8::1")}
	for _, p := range a.addresses {
		candidates = append(candidates, p.Addr())
		if next := lastOf(p).Next(); next.IsValid() {
			candidates = append(candidates, next)
		}
	}
	seen := map[string]bool{}
	var values []value
	for _, address := range candidates {
		in := ""
		for _, p := range a.addresses {
			in += fmt.Sprint(p.Contains(address))[:1]
		}
		if !seen[in] {
			seen[in] = true
			text := address.String()
			values = append(values, value{words: "client_ip " + text, set: func(c *circumstance) { c.facts.ClientIP = text }})
		}
	}
	return values
}

func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 1 << (7 - bit%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// timeValues are a moment for every set of time conditions that hold together
// at some moment of a year, and for every date at which a rule ends.
func (a *aspects) timeValues(now time.Time) []value {
	if len(a.times)+len(a.moments) == 0 {
		return nil
	}
	candidates := []time.Time{now}
	for _, until := range a.moments {
		candidates = append(candidates, until.Add(-time.Minute), until.Add(time.Minute))
	}
	marks := map[[2]int]bool{} // hour and minute, zones aside
	for _, c := range a.times {
		for _, clock := range strings.Split(c.Args[1], "-") {
			var hour, minute int
			fmt.Sscanf(clock, "%d:%d", &hour, &minute)
			marks[[2]int{hour, minute}] = true
		}
	}
	for _, c := range a.times {
		zone, err := time.LoadLocation(c.Args[2])
		if err != nil {
			continue
		}
		for day := range 366 {
			for mark := range marks {
				candidates = append(candidates, time.Date(now.Year(), now.Month(), now.Day()+day, mark[0], mark[1], 0, 0, zone))
			}
		}
	}
	slices.SortStableFunc(candidates[1:], time.Time.Compare)
	tests := a.timeTests()
	seen := map[string]bool{}
	var values []value
	for _, at := range candidates {
		key := ""
		for _, test := range tests {
			key += fmt.Sprint(test(at))[:1]
		}
		if !seen[key] {
			seen[key] = true
			values = append(values, value{words: "at " + at.UTC().Format(time.RFC3339), set: func(c *circumstance) { c.facts.Now = at }})
		}
	}
	return values
}

func (a *aspects) timeTests() []func(time.Time) bool {
	var tests []func(time.Time) bool
	for _, c := range a.times {
		if condition, err := policy.OwnCondition(c); err == nil {
			tests = append(tests, func(at time.Time) bool {
				holds, _ := condition.Holds(&policy.Request{Now: at})
				return holds
			})
		}
	}
	for _, until := range a.moments {
		tests = append(tests, until.Before)
	}
	return tests
}
