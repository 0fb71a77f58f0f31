package author

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
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
		Method: method, Target: readings, Form: c.facts.form(), SignedIn: true, Username: c.facts.Username, Groups: c.facts.Groups,
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

func sortedNames(forms map[string][]exact.Glob) []string {
	var names []string
	for name := range forms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// fieldTexts are values of a field, one for every set of globs that a value
// can fit.
func fieldTexts(globs []exact.Glob, unknown *bool) []string {
	texts, complete := exact.Texts(globs, func(string) bool { return false })
	*unknown = *unknown || !complete
	return append([]string{""}, texts...)
}

func (a *aspects) formValues(name string) []value {
	globs := a.forms[name]
	for _, terms := range a.queries {
		for _, t := range terms {
			if target.FoldText(t.Name) == target.FoldText(name) {
				globs = append(slices.Clone(globs), t.Pieces)
			}
		}
	}
	values := []value{{words: "form without " + name, set: func(*circumstance) {}}}
	for _, text := range fieldTexts(globs, &a.unknown) {
		values = append(values, value{words: "form " + name + "=" + text, set: func(c *circumstance) {
			c.facts.Form = append(slices.Clone(c.facts.Form), Field{name, text})
		}})
	}
	return values
}

// queryValues are no query, and for each query rule the least that it asks
// for: values that as few other rules as possible ask for as well.
func (a *aspects) queryValues() []value {
	if len(a.queries) == 0 {
		return nil
	}
	byName := map[string][]exact.Glob{}
	for _, terms := range a.queries {
		for _, t := range terms {
			name := target.FoldText(t.Name)
			byName[name] = append(byName[name], t.Pieces)
		}
	}
	values := []value{{set: func(*circumstance) {}}}
	seen := map[string]bool{}
	for _, terms := range a.queries {
		for _, query := range a.leastQueries(terms, byName) {
			if !seen[query] {
				seen[query] = true
				values = append(values, value{words: "?" + query, set: func(c *circumstance) { c.query = query }})
			}
		}
	}
	return values
}

func (a *aspects) leastQueries(terms []policy.Term, byName map[string][]exact.Glob) []string {
	queries := []string{""}
	for _, t := range terms {
		var more []string
		for _, text := range least(t.Pieces, byName[target.FoldText(t.Name)], &a.unknown) {
			for _, q := range queries {
				if q != "" {
					q += "&"
				}
				more = append(more, q+url.QueryEscape(t.Name)+"="+url.QueryEscape(text))
			}
		}
		queries = more
	}
	return queries
}

// least are texts that fit a glob and as few of the others as possible.
func least(glob exact.Glob, others []exact.Glob, unknown *bool) []string {
	type fitting struct {
		text string
		fits []bool
	}
	var all []fitting
	for _, text := range fieldTexts(others, unknown) {
		if !glob.Fits(text) {
			continue
		}
		f := fitting{text: text}
		for _, o := range others {
			f.fits = append(f.fits, o.Fits(text))
		}
		all = append(all, f)
	}
	within := func(a, b []bool) bool {
		for i := range a {
			if a[i] && !b[i] {
				return false
			}
		}
		return true
	}
	var texts []string
	for i, f := range all {
		beaten := slices.ContainsFunc(all, func(o fitting) bool { return within(o.fits, f.fits) && !within(f.fits, o.fits) }) ||
			slices.ContainsFunc(all[:i], func(o fitting) bool { return within(o.fits, f.fits) && within(f.fits, o.fits) })
		if !beaten {
			texts = append(texts, f.text)
		}
	}
	return texts
}
