package author

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

// Rehearsal holds access logs against policies: what would have been asked.
// It reads logs once, from the first to the last, and its memory does not
// grow with them. Name logs oldest first: sessions are played in that order.
type Rehearsal struct {
	// Sites are those of the configuration. A line belongs to the site of its
	// host; where it has none, or one that is no site's, to the first.
	Sites []*Site
	// Facts are assumed of every request. Method, Target, ClientIP, Username
	// and Now come from the log.
	Facts  Facts
	Limits Limits
	// Workers is how many lines are judged at a time; 0 means one for each
	// processor.
	Workers int
	// Top is how many URLs are listed for each thing needed; 0 means 10.
	Top int
	// Seen, where it is set, is told now and then how many lines were judged.
	// It is called by one goroutine at a time.
	Seen func(lines int64)
	// Compare, where it is set, holds each request against these sites too,
	// in the same order: what changes. Nothing is forecast then.
	Compare []*Site
}

// Run reads the logs. The error is that of a log that cannot be read, or of
// the context; the report then has what was seen before.
func (r *Rehearsal) Run(ctx context.Context, logs ...Log) (*Report, error) {
	if len(r.Sites) == 0 {
		return nil, ErrNoSite
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := r.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	todo, inOrder := make(chan *block, workers), make(chan *block, 2*workers)
	var reading error
	go func() {
		defer close(todo)
		defer close(inOrder)
		reading = readBlocks(ctx, logs, func(b *block) bool {
			return send(ctx, inOrder, b) && send(ctx, todo, b)
		})
	}()
	judges := make([]*judge, workers)
	var running sync.WaitGroup
	var broken atomic.Bool
	for i := range judges {
		judges[i] = r.newJudge()
		running.Go(func() {
			for b := range todo {
				judges[i].block(b)
				close(b.done)
			}
		})
	}
	future := newForecast(r.Sites, r.Limits)
	var lines int64
	for b := range inOrder {
		select {
		case <-b.done:
		case <-ctx.Done():
			broken.Store(true)
		}
		if broken.Load() {
			continue
		}
		for i := range b.visits {
			future.see(&b.visits[i])
		}
		lines += b.lines
		if r.Seen != nil {
			r.Seen(lines)
		}
	}
	running.Wait()
	return r.report(judges, future), errors.Join(reading, ctx.Err())
}

func send(ctx context.Context, to chan<- *block, b *block) bool {
	select {
	case to <- b:
		return true
	case <-ctx.Done():
		return false
	}
}

// judge judges lines, one at a time.
type judge struct {
	r        *Rehearsal
	describe []func(Facts) any
	compare  []func(Facts) any
	hosts    map[string]int
	entry    entry
	readings target.Readings
	asked    policy.Request

	total, other, broken int64
	from, to             int64
	classes              map[class]*tally
	fallback             *tally
	changes              map[changed]*tally
	named                bool     // the log has users
	samples              []string // of lines that cannot be read
}

// class is what a request came to at a site.
type class struct {
	site int32
	need need
}

// changed is what it came to before and after.
type changed struct {
	site    int32
	was, is need
}

// tally counts requests and their URLs.
type tally struct {
	count int64
	urls  *topList
}

// urlsKept is how many URLs each tally counts.
const urlsKept = 1024

func newTally() *tally { return &tally{urls: newTopList(urlsKept)} }

func (t *tally) add(url string) {
	t.count++
	t.urls.add(url, 1)
}

func (r *Rehearsal) newJudge() *judge {
	j := &judge{r: r, hosts: map[string]int{}, classes: map[class]*tally{}, fallback: newTally(), changes: map[changed]*tally{}}
	j.describe, j.compare = describers(r.Sites), describers(r.Compare)
	return j
}

func describers(sites []*Site) []func(Facts) any {
	var list []func(Facts) any
	for _, s := range sites {
		list = append(list, s.describer())
	}
	return list
}

// block judges all lines of a block.
func (j *judge) block(b *block) {
	b.broken(&j.broken)
	for rest := b.text; rest != ""; {
		line := rest
		if at := strings.IndexByte(rest, '\n'); at >= 0 {
			line, rest = rest[:at], rest[at+1:]
		} else {
			rest = ""
		}
		b.lines++
		switch parseLine(line, &j.entry) {
		case lineBroken:
			j.broken++
			j.sample(line)
		case lineOther:
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

func (j *judge) request(b *block) {
	e := &j.entry
	j.total++
	if j.from == 0 || e.at < j.from {
		j.from = e.at
	}
	j.to = max(j.to, e.at)
	site := j.site(e.host)
	facts := j.r.Facts
	facts.Method, facts.Target, facts.ClientIP, facts.Username, facts.Now = e.method, e.target, e.client, e.user, time.Unix(e.at, 0)
	url := general(e.target) + action(e.target)
	came, byDefault := j.judgeFor(j.r.Sites[site], &facts, j.describe[site])
	if j.r.Compare != nil {
		is, _ := j.judgeFor(j.r.Compare[site], &facts, j.compare[site])
		tallyOf(j.changes, changed{int32(site), came, is}).add(url)
		return
	}
	tallyOf(j.classes, class{int32(site), came}).add(url)
	if byDefault {
		j.fallback.add(url)
	}
	if came.refused || came.deny || came.public {
		return
	}
	person := e.user
	j.named = j.named || person != ""
	if person == "" {
		b.visits = append(b.visits, visit{person: mix(hashOf(e.client), hashOf(e.agent)), at: e.at, site: int32(site), needed: came.levels})
		return
	}
	b.visits = append(b.visits, visit{person: hashOf(person), at: e.at, site: int32(site), needed: came.levels})
}

func tallyOf[K comparable](tallies map[K]*tally, key K) *tally {
	t, ok := tallies[key]
	if !ok {
		t = newTally()
		tallies[key] = t
	}
	return t
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

// judgeFor decides about one line at a site.
func (j *judge) judgeFor(s *Site, f *Facts, describe func(Facts) any) (came need, byDefault bool) {
	var refusal *Refusal
	if j.readings, refusal = s.read(f.Target); refusal != nil {
		return need{refused: true}, false
	}
	if s.Prefix != "" && j.readings.PlainlyBelow(s.Prefix) {
		return need{public: true}, false
	}
	j.asked = s.request(f, &j.readings, describe)
	d := s.Policy.Decide(&j.asked)
	return needOf(d), d.Rule == nil
}

// actionFields are names by which front controllers choose what is done.
var actionFields = []string{"action", "do", "cmd", "method", "op", "page", "task", "event"}

// action is the field of a query that chooses what is done, with its value,
// so that the actions of one page count apart.
func action(raw string) string {
	at := strings.IndexByte(raw, '?')
	if at < 0 {
		return ""
	}
	for rest := raw[at+1:]; rest != ""; {
		var field string
		field, rest, _ = strings.Cut(rest, "&")
		name, value, ok := strings.Cut(field, "=")
		if !ok || value == "" || single("/"+value) {
			continue
		}
		for _, known := range actionFields {
			if strings.EqualFold(name, known) {
				return "?" + field
			}
		}
	}
	return ""
}

// general is the path of a target with `*` for segments that are numbers or
// other names of single things, so that URLs of one kind count together.
func general(raw string) string {
	path := raw
	if at := strings.IndexByte(path, '?'); at >= 0 {
		path = path[:at]
	}
	if at := strings.IndexByte(path, ';'); at >= 0 {
		// Parameters, a session's above all, would make every URL another one.
		end := strings.IndexByte(path[at:], '/')
		if end < 0 {
			path = path[:at]
		} else {
			path = path[:at] + path[at+end:]
		}
	}
	if !strings.ContainsAny(path, "0123456789") {
		return path
	}
	var b []byte
	from := 0
	for from < len(path) {
		to := strings.IndexByte(path[from+1:], '/')
		if to < 0 {
			to = len(path)
		} else {
			to += from + 1
		}
		segment := path[from:to]
		stem, extension := segment, ""
		if dot := strings.LastIndexByte(segment, '.'); dot > 0 {
			stem, extension = segment[:dot], segment[dot:]
		}
		if single(stem) {
			if b == nil {
				b = append(make([]byte, 0, len(path)), path[:from]...)
			}
			b = append(b, "/*"...)
			segment = extension
		}
		if b != nil {
			b = append(b, segment...)
		}
		from = to
	}
	if b == nil {
		return path
	}
	return string(b)
}

// single tells whether a segment, with its slash, names one thing of many: a
// number, or eight or more hex digits, as in a UUID.
func single(segment string) bool {
	digits, hex := 0, 0
	for i := 1; i < len(segment); i++ {
		switch c := segment[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F', c == '-':
			hex++
		default:
			return false
		}
	}
	return digits > 0 && (hex == 0 || digits+hex >= 8)
}
