package author

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/accesslog"
	"github.com/stepgate/stepgate/policy/target"
)

// judge judges lines, one at a time.
type judge struct {
	r        *Rehearsal
	describe []func(Facts) any
	compare  []func(Facts) any
	enforced []func(Facts) any
	hosts    map[string]int
	parser   accesslog.Parser
	entry    accesslog.Entry
	agents   agents
	readings target.Readings
	asked    policy.Request

	total, other, broken int64
	notFound, bots       int64
	from, to             int64
	classes              map[class]*tally
	rules                map[ruleClass]*example
	fallback             *tally
	changes              map[changed]*tally
	tree                 *pathTree
	named                bool     // the log has users
	samples              []string // of lines that cannot be read
}

// class is what a request came to at a site.
type class struct {
	site int32
	need need
}

// ruleClass is the same with the rule that decided; nil for the default.
type ruleClass struct {
	class
	rule *policy.Rule
}

// example counts requests, and has one of them.
type example struct {
	count       int64
	method, url string
	class       *tally // of all that came to the same
}

// changed is what it came to before and after.
type changed struct {
	site    int32
	was, is need
}

// apart tells requests that are no person's at a page that is there.
type apart int

const (
	ordinaryVisit apart = iota
	notFound            // the app has no such page
	byBot
)

func (r *Rehearsal) newJudge() *judge {
	j := &judge{
		r: r, hosts: map[string]int{}, classes: map[class]*tally{}, rules: map[ruleClass]*example{}, fallback: newTally(), changes: map[changed]*tally{},
		parser: accesslog.Parser{Only: r.Format}, agents: agents{},
	}
	j.describe, j.compare, j.enforced = describers(r.Sites), describers(r.Compare), describers(r.Enforced)
	if r.Paths {
		j.tree = newPathTree(len(r.Sites))
	}
	return j
}

func describers(sites []*Site) []func(Facts) any {
	var list []func(Facts) any
	for _, s := range sites {
		list = append(list, s.describer())
	}
	return list
}

// work judges batches until there are no more.
func (j *judge) work(ctx context.Context, todo <-chan *batch) {
	for b := next(ctx, todo); b != nil; b = next(ctx, todo) {
		j.batch(b)
		close(b.done)
	}
}

// batch judges all lines of a block.
func (j *judge) batch(b *batch) {
	j.broken += b.Cut
	b.lines += b.Cut
	if b.Cut > 0 {
		j.sample(fmt.Sprintf("%s… (longer than %d bytes)", strings.ToValidUTF8(b.Began, ""), accesslog.BlockBytes))
	}
	j.parser.Begin(b.Block)
	for rest := b.Text; rest != ""; {
		line := rest
		if at := strings.IndexByte(rest, '\n'); at >= 0 {
			line, rest = rest[:at], rest[at+1:]
		} else {
			rest = ""
		}
		b.lines++
		switch j.parser.Parse(line, &j.entry) {
		case accesslog.Broken:
			j.broken++
			j.sample(line)
		case accesslog.Other:
			j.other++
		default:
			j.request(b)
		}
	}
}

// maxSamples is how many lines that cannot be read are shown, and maxSample how
// much of one.
const (
	maxSamples = 3
	maxSample  = 160
)

func (j *judge) sample(line string) {
	if len(j.samples) < maxSamples {
		j.samples = append(j.samples, strings.Clone(line[:min(len(line), maxSample)]))
	}
}

func (j *judge) request(b *batch) {
	e := &j.entry
	j.total++
	if j.from == 0 || e.At < j.from {
		j.from = e.At
	}
	j.to = max(j.to, e.At)
	how := j.apart(e)
	site := j.site(e.Host)
	facts := j.r.Facts
	facts.Method, facts.Target, facts.ClientIP, facts.Username, facts.Now = e.Method, e.Target, e.Client, e.User, time.Unix(e.At, 0)
	path, chosen := general(e.Target), action(e.Target)
	url := path + chosen
	came := j.judgeFor(j.r.Sites[site], &facts, j.describe[site])
	if j.r.Compare != nil {
		is := j.judgeFor(j.r.Compare[site], &facts, j.compare[site])
		tallyOf(j.changes, changed{int32(site), came.need, is.need}).add(url, how)
		return
	}
	if j.r.Enforced != nil {
		was := j.judgeFor(j.r.Enforced[site], &facts, j.enforced[site])
		tallyOf(j.changes, changed{int32(site), was.need, came.need}).add(url, how)
	}
	j.example(ruleClass{class{int32(site), came.need}, came.rule}, e.Method, url).class.add(url, how)
	if came.byDefault {
		j.fallback.add(url, how)
	}
	if j.tree != nil {
		j.tree.add(site, path, seenAs{came.need, j.tree.method(e.Method), chosen, came.rule, how, came.rule == nil && !came.byDefault})
	}
	if came.need.refused || came.need.deny || came.need.public || how == byBot {
		return
	}
	person := e.User
	j.named = j.named || person != ""
	if person == "" {
		b.visits = append(b.visits, visit{person: mix(hashOf(e.Client), hashOf(e.Agent)), at: e.At, site: int32(site), needed: came.need.levels})
		return
	}
	b.visits = append(b.visits, visit{person: hashOf(person), at: e.At, site: int32(site), needed: came.need.levels})
}

func (j *judge) apart(e *accesslog.Entry) apart {
	switch {
	case j.agents.bot(e.Agent):
		j.bots++
		return byBot
	case e.Status == 404 || e.Status == 410:
		j.notFound++
		return notFound
	default:
		return ordinaryVisit
	}
}

// example counts one more request of a rule.
func (j *judge) example(key ruleClass, method, url string) *example {
	x, ok := j.rules[key]
	if !ok {
		x = &example{method: strings.Clone(method), url: strings.Clone(url), class: tallyOf(j.classes, key.class)}
		j.rules[key] = x
	}
	x.count++
	return x
}

// maxHosts bounds what is remembered of hosts, which clients make up.
const maxHosts = 10_000

// site finds the site of a host.
func (j *judge) site(host string) int {
	if host == "" || len(j.r.Sites) == 1 {
		return 0
	}
	at, ok := j.hosts[host]
	if ok {
		return at
	}
	lower := strings.ToLower(host)
	for i, s := range j.r.Sites {
		if s.serves(lower) {
			at = i
			break
		}
	}
	if len(j.hosts) < maxHosts {
		j.hosts[strings.Clone(host)] = at
	}
	return at
}

// cameTo is what became of one request.
type cameTo struct {
	need need
	// rule decided; nil where the default did, or no rule was asked.
	rule      *policy.Rule
	byDefault bool
}

// judgeFor decides about one line at a site.
func (j *judge) judgeFor(s *Site, f *Facts, describe func(Facts) any) cameTo {
	var refusal *Refusal
	if j.readings, refusal = s.read(f.Target); refusal != nil {
		return cameTo{need: need{refused: true}}
	}
	if s.Prefix != "" && j.readings.PlainlyBelow(s.Prefix) {
		return cameTo{need: need{public: true}}
	}
	j.asked = s.request(f, &j.readings, describe)
	d := s.Policy.Decide(&j.asked)
	if d.Reason != policy.ReasonPathDenied && s.login(f, &j.readings) != "" {
		return cameTo{need: need{public: true}}
	}
	return cameTo{needOf(d), d.Rule, d.Rule == nil}
}

// join adds what another judge has counted.
func (j *judge) join(o *judge) {
	if o.from != 0 && (j.from == 0 || o.from < j.from) {
		j.from = o.from
	}
	j.total, j.other, j.broken, j.to, j.named = j.total+o.total, j.other+o.other, j.broken+o.broken, max(j.to, o.to), j.named || o.named
	j.parser.Join(&o.parser)
	j.notFound, j.bots = j.notFound+o.notFound, j.bots+o.bots
	j.samples = append(j.samples, o.samples...)
	j.samples = j.samples[:min(len(j.samples), maxSamples)]
	for k, t := range o.classes {
		tallyOf(j.classes, k).join(t)
	}
	for k, x := range o.rules {
		if mine, ok := j.rules[k]; ok {
			mine.count += x.count
		} else {
			j.rules[k] = x
			x.class = j.classes[k.class]
		}
	}
	for k, t := range o.changes {
		tallyOf(j.changes, k).join(t)
	}
	j.fallback.join(o.fallback)
	if j.tree != nil {
		j.tree.join(o.tree)
	}
}

// agents remembers which browsers are bots.
type agents map[string]bool

// maxAgents bounds it: clients make them up.
const maxAgents = 20_000

// botWords are what programs call themselves that fetch pages for no person
// who could answer.
var botWords = []string{
	"bot", "crawl", "spider", "slurp", "archiver", "externalhit", "pingdom", "uptime", "nagios", "zabbix", "prometheus", "blackbox", "kube-probe",
	"healthcheck", "stepgate-doctor", "masscan", "nmap", "nikto", "zgrab",
}

func (a agents) bot(agent string) bool {
	if agent == "" {
		return false
	}
	known, ok := a[agent]
	if !ok {
		lower := strings.ReplaceAll(strings.ToLower(agent), "cubot", "") // a maker of telephones
		known = slices.ContainsFunc(botWords, func(word string) bool { return strings.Contains(lower, word) })
		if len(a) < maxAgents {
			a[strings.Clone(agent)] = known
		}
	}
	return known
}
