package author

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/exact"
	"github.com/stepgate/stepgate/policy/target"
)

// circumstance is all of a request but its path and its own method: one of
// the cases that some condition or query pattern tells apart.
type circumstance struct {
	facts Facts
	// query is that of the target, as sent.
	query string
	// claimed is a method that the request claims beside its own.
	claimed string
	// open tells which of the conditions hold about which nothing is known
	// but their text.
	open map[string]bool
}

// request makes the facts those of a request for readings.
func (c *circumstance) request(method string, readings *target.Readings) policy.Request {
	r := policy.Request{
		Method: method, Target: readings, Form: c.facts.Body(), SignedIn: true, Username: c.facts.Username, Groups: c.facts.Groups,
		Organisation: c.facts.Organisation, Device: c.facts.Device, Risk: c.facts.Risk, Country: c.facts.Country, Now: c.facts.Now, Context: c,
	}
	if c.claimed != "" {
		r.Claimed = []string{c.claimed}
	}
	return r
}

// dimension is one thing that may be so or so. The first value is the
// ordinary one.
type dimension struct {
	name   string
	values []value
	// open is set for a condition of which only the text is known.
	open string
}

type value struct {
	words string // as an assertion has them, or as a condition
	set   func(*circumstance)
	// odd is set where no real request need be so: a fact is missing.
	odd bool
}

// aspects gathers what the conditions of some rules tell apart.
type aspects struct {
	device, risk                   bool
	groups, users, orgs, countries []string
	addresses                      []netip.Prefix
	times                          []policy.ConditionConfig
	moments                        []time.Time
	opens                          []string
	forms                          map[string][]exact.Glob
	queries                        [][]policy.Term
	manyMethods, unknown           bool
}

func addTo(list *[]string, words ...string) {
	for _, w := range words {
		if !slices.Contains(*list, w) {
			*list = append(*list, w)
		}
	}
}

// raises adds what raises ask about.
func (a *aspects) raises(list []policy.Raise) {
	for _, r := range list {
		methods := 0
		for _, c := range r.Conditions {
			a.condition(c)
			if c.Kind == "method" {
				methods++
			}
		}
		a.manyMethods = a.manyMethods || methods > 1
	}
}

func (a *aspects) condition(c policy.ConditionConfig) {
	switch c.Kind {
	case "device":
		a.device = true
	case "risk":
		a.risk = true
	case "group":
		addTo(&a.groups, c.Args...)
	case "organisation":
		addTo(&a.orgs, c.Args...)
	case "country":
		addTo(&a.countries, c.Args...)
	case "time":
		a.times = append(a.times, c)
	case "method":
	case "form":
		pieces, err := policy.GlobPieces(c.Args[1])
		if err != nil {
			a.unknown = true
			return
		}
		if a.forms == nil {
			a.forms = map[string][]exact.Glob{}
		}
		a.forms[c.Args[0]] = append(a.forms[c.Args[0]], pieces)
	default:
		if ranges, ok := addressesOf(c); ok {
			a.addresses = append(a.addresses, ranges...)
			return
		}
		addTo(&a.opens, openText(c))
	}
}

// openText is the condition without its `not`, so that it and its opposite
// are one thing.
func openText(c policy.ConditionConfig) string {
	c.Not = false
	return conditionText(c)
}

// conditionText writes a condition, in one way where it is JSON.
func conditionText(c policy.ConditionConfig) string {
	if len(c.Args) == 0 && len(c.Raw) > 0 {
		var compact any
		if json.Unmarshal(c.Raw, &compact) == nil {
			c.Raw, _ = json.Marshal(compact)
		}
	}
	return c.String()
}

// privateRanges are what Caddy writes for `private_ranges`.
var privateRanges = []string{"192.168.0.0/16", "172.16.0.0/12", "10.0.0.0/8", "127.0.0.1/8", "fd00::/8", "::1"}

// addressesOf reads the ranges of `client_ip`; not ok for another condition,
// or for ranges that are known only when the gateway runs.
func addressesOf(c policy.ConditionConfig) (ranges []netip.Prefix, ok bool) {
	if c.Kind != "client_ip" {
		return nil, false
	}
	words := c.Args
	var raw struct{ Ranges []string }
	if len(c.Raw) > 0 && json.Unmarshal(c.Raw, &raw) == nil {
		words = raw.Ranges
	}
	for i := 0; i < len(words); i++ {
		if words[i] == "private_ranges" {
			words = append(slices.Clone(words), privateRanges...)
			continue
		}
		prefix, err := netip.ParsePrefix(words[i])
		if err != nil {
			one, err := netip.ParseAddr(words[i])
			if err != nil {
				return nil, false
			}
			prefix = netip.PrefixFrom(one, one.BitLen())
		}
		ranges = append(ranges, prefix.Masked())
	}
	return ranges, true
}

// holds is what a condition of Caddy's comes to in a circumstance.
func (c *circumstance) holds(config policy.ConditionConfig) bool {
	if ranges, ok := addressesOf(config); ok {
		address, err := netip.ParseAddr(c.facts.ClientIP)
		return err == nil && slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(address) })
	}
	return c.open[openText(config)]
}

// dimensions lists what there is to vary.
func (a *aspects) dimensions(now time.Time) []dimension {
	var list []dimension
	add := func(name string, values ...value) {
		if len(values) > 1 {
			list = append(list, dimension{name: name, values: values})
		}
	}
	if a.device {
		add("device", deviceValue(policy.DeviceUnknown), deviceValue(policy.DevicePrivate), deviceValue(""))
	}
	if a.risk {
		add("risk", riskValue(policy.RiskLow), riskValue(policy.RiskMedium), riskValue(policy.RiskHigh), riskValue(policy.RiskUnset))
	}
	add("group", a.groupValues()...)
	add("user", named(a.users, "--user", "somebody", func(c *circumstance, word string) { c.facts.Username = word })...)
	add("organisation", named(a.orgs, "--organisation", "default", func(c *circumstance, word string) { c.facts.Organisation = word })...)
	add("country", a.countryValues()...)
	add("address", a.addressValues()...)
	add("time", a.timeValues(now)...)
	for _, text := range slices.Sorted(slices.Values(a.opens)) {
		list = append(list, dimension{name: "condition", open: text, values: []value{
			{words: "not " + text, set: func(*circumstance) {}},
			{words: text, set: func(c *circumstance) { c.open[text] = true }},
		}})
	}
	for _, name := range sortedNames(a.forms) {
		add("form", a.formValues(name)...)
	}
	add("query", a.queryValues()...)
	return list
}

func deviceValue(d policy.Device) value {
	return value{words: "device " + cmp.Or(string(d), "not known"), odd: d == "", set: func(c *circumstance) { c.facts.Device = d }}
}

func riskValue(r policy.Risk) value {
	return value{words: "risk " + cmp.Or(r.String(), "not known"), odd: r == policy.RiskUnset, set: func(c *circumstance) { c.facts.Risk = r }}
}

// named are the words of a condition, behind one that is none of them.
func named(words []string, flag, other string, set func(*circumstance, string)) []value {
	if len(words) == 0 {
		return nil
	}
	for slices.Contains(words, other) {
		other += "-else"
	}
	var values []value
	for _, word := range append([]string{other}, words...) {
		values = append(values, value{words: strings.TrimPrefix(flag, "--") + " " + word, set: func(c *circumstance) { set(c, word) }})
	}
	return values
}

func (a *aspects) countryValues() []value {
	values := named(a.countries, "country", "ZZ", func(c *circumstance, word string) { c.facts.Country = word })
	if values == nil {
		return nil
	}
	return append(values, value{words: "country not known", odd: true, set: func(c *circumstance) { c.facts.Country = "" }})
}

// maxGroups is up to how many names of groups every set of them is tried.
const maxGroups = 6

// groupValues are the sets of groups in which somebody may be.
func (a *aspects) groupValues() []value {
	if len(a.groups) == 0 {
		return nil
	}
	var values []value
	add := func(groups []string) {
		words := "group (none)"
		if len(groups) > 0 {
			words = "group " + strings.Join(groups, " ")
		}
		values = append(values, value{words: words, set: func(c *circumstance) { c.facts.Groups = groups }})
	}
	if len(a.groups) <= maxGroups {
		for size := range len(a.groups) + 1 {
			for set := range 1 << len(a.groups) {
				var groups []string
				for i, g := range a.groups {
					if set&(1<<i) != 0 {
						groups = append(groups, g)
					}
				}
				if len(groups) == size {
					add(groups)
				}
			}
		}
		return values
	}
	a.unknown = true
	add(nil)
	for i, g := range a.groups {
		add([]string{g})
		for _, h := range a.groups[:i] {
			add([]string{h, g})
		}
	}
	add(slices.Clone(a.groups))
	return values
}
