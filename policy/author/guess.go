package author

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy"
)

// guess is a rule, and why.
type guess struct {
	rule     policy.RuleConfig
	requests int64
	why      string
	// writes are requests among them that change something.
	writes int64
	accept []string // codes of findings that are meant
}

// open is what a node and those below it have that falls to the default.
type open struct {
	all, static, writes int64
	actions             map[string]int64
}

func (o *open) add(p open) {
	o.all, o.static, o.writes = o.all+p.all, o.static+p.static, o.writes+p.writes
}

// openOf sums up a node alone; segment is its name.
func openOf(n *pathNode, segment string) open {
	o := open{actions: map[string]int64{}}
	for as, k := range n.seen {
		if as.rule != nil || as.apart != ordinaryVisit || as.need.refused || as.unasked {
			continue
		}
		o.all += k
		reads := as.method == "GET" || as.method == "HEAD"
		if !reads && as.method != "OPTIONS" {
			o.writes += k
		}
		if reads && staticEnding(segment) != "" && !n.folded {
			o.static += k
		}
		if name, value, ok := strings.Cut(as.action, "="); ok && plainWord.MatchString(value) {
			o.actions[name+"="+strings.ToLower(value)] += k
		}
	}
	return o
}

func below(n *pathNode, segment string) open {
	o := openOf(n, segment)
	for name, child := range n.children {
		o.add(below(child, name))
	}
	return o
}

var (
	plainWord    = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)
	plainSegment = regexp.MustCompile(`^[A-Za-z0-9._~!$&'()+,;=:@%*-]{1,100}$`)
	endings      = strings.Fields("css js mjs map png jpg jpeg gif svg ico webp avif bmp woff woff2 ttf eot otf mp4 webm webmanifest")
	signIns      = strings.Fields("login signin sign-in sign_in logon log-in log_in anmelden connexion")
	administers  = strings.Fields("admin admins administrator administration adm manage management manager console setup install settings config configuration users roles permissions " +
		"phpmyadmin wp-admin actuator debug backup backups audit system maintenance")
	grave = strings.Fields("delete remove drop purge destroy approve pay transfer grant revoke admin config password permission role")
)

// staticEnding is the ending of a file that is the same for everybody.
func staticEnding(segment string) string {
	if strings.EqualFold(segment, "robots.txt") {
		return "txt"
	}
	at := strings.LastIndexByte(segment, '.')
	if ending := strings.ToLower(segment[at+1:]); at >= 0 && slices.Contains(endings, ending) {
		return ending
	}
	return ""
}

// stem is a segment without its ending, as words are compared.
func stem(segment string) string {
	name, _, _ := strings.Cut(strings.ToLower(segment), ".")
	return name
}

// guess goes through what falls to the default.
func (d *drafter) guess() {
	if root := openOf(d.root, ""); root.all > 0 {
		d.add(d.require("", "/"), root.all, root.writes, "the front page")
		d.actions("/", root)
	}
	own := strings.Trim(d.site.Prefix, "/")
	for _, name := range d.root.names() {
		if own != "" && strings.EqualFold(name, own) {
			continue
		}
		d.folder("/"+name, name, d.root.children[name], false)
	}
	d.files("", d.root)
}

// enough tells whether requests are worth a rule of their own: one in two
// thousand.
func (d *drafter) enough(n int64) bool { return n > 0 && n*2000 >= d.report.Requests }

// folder guesses about a path and what is below it. within tells that a rule
// is there for all of that.
func (d *drafter) folder(path, name string, n *pathNode, within bool) {
	o := below(n, name)
	leaf := len(n.children) == 0 && !n.folded
	if leaf && o.static == o.all {
		return // with the files of its folder
	}
	if !d.enough(o.all) || !plainSegment.MatchString(name) {
		if !within {
			d.rare += o.all
		}
		return
	}
	pattern := path
	if !leaf {
		pattern += "/*"
	}
	switch {
	case slices.Contains(administers, stem(name)):
		d.add(d.require(policy.LevelPhishingResistant, pattern), o.all, o.writes, "looks like administration")
		return
	case o.static == o.all:
		d.add(policy.RuleConfig{Verb: policy.VerbPublic, Patterns: []string{pattern}}, o.all, 0, "only static files were fetched")
		return
	case leaf && slices.Contains(signIns, stem(name)):
		d.add(policy.RuleConfig{Verb: policy.VerbPublic, Patterns: []string{pattern}}, o.all, o.writes, "looks like the app's own sign-in page")
		return
	}
	here := openOf(n, name)
	if !within {
		why := "as the default is; ask for less where a password is enough"
		if d.weakDefault() {
			why = "the pages of this part"
		}
		d.add(d.require("", pattern), o.all-o.static, o.writes, why)
	}
	d.actions(path, here)
	d.files(path, n)
	for _, child := range n.names() {
		d.folder(path+"/"+child, child, n.children[child], true)
	}
}

// files guesses about static files beside others in a folder, by their ending.
func (d *drafter) files(path string, n *pathNode) {
	count := map[string]int64{}
	single := map[string]string{}
	for name, child := range n.children {
		o := below(child, name)
		if ending := staticEnding(name); ending != "" && o.all > 0 && o.static == o.all && len(child.children) == 0 {
			count[ending] += o.all
			if _, several := single[ending]; several {
				name = ""
			}
			single[ending] = name
		}
	}
	for _, ending := range slices.Sorted(maps.Keys(count)) {
		pattern := path + "/*." + ending
		if name := single[ending]; name != "" && plainSegment.MatchString(name) {
			pattern = path + "/" + name
		}
		if d.enough(count[ending]) {
			d.add(policy.RuleConfig{Verb: policy.VerbPublic, Patterns: []string{pattern}}, count[ending], 0, "static files")
		} else if path == "" {
			d.rare += count[ending]
		}
	}
}

// actions guesses about what a page does by its query.
func (d *drafter) actions(path string, o open) {
	for _, action := range slices.Sorted(maps.Keys(o.actions)) {
		value := action[strings.IndexByte(action, '=')+1:]
		if slices.ContainsFunc(grave, func(word string) bool { return strings.HasPrefix(value, word) }) {
			d.add(d.require(policy.LevelPhishingResistant, path+action+"*"), o.actions[action], 0, "looks like something grave")
		}
	}
}

// require asks for a level, and never for less than the default.
func (d *drafter) require(level, pattern string) policy.RuleConfig {
	p := d.site.Policy
	least := d.fallback()
	rule := policy.RuleConfig{Verb: policy.VerbRequire, Levels: least, Patterns: []string{pattern}}
	if level == "" {
		return rule
	}
	asked, ok := p.Level(level)
	switch {
	case !ok:
	case !p.Weaker(asked.Set(), d.site.set(least)):
		rule.Levels = []string{level}
	case p.Weaker(d.site.set(least), asked.Set()):
		rule.Levels = append(slices.Clone(least), level)
	}
	return rule
}

// fallback is what the default asks for; `mfa` where that is nobody, or
// everybody.
func (d *drafter) fallback() []string {
	if names := d.site.Policy.LevelNames(d.site.Policy.Default().Levels()); len(names) > 0 {
		return names
	}
	return []string{policy.LevelMFA}
}

func (d *drafter) weakDefault() bool {
	return d.site.Policy.Default().Verb() != policy.VerbRequire
}

// add adds a guess, or the requests of one that is there in other letters.
func (d *drafter) add(r policy.RuleConfig, requests, writes int64, why string) {
	if requests == 0 {
		return
	}
	for i, g := range d.guesses {
		if strings.EqualFold(g.rule.Patterns[0], r.Patterns[0]) {
			d.guesses[i].requests += requests
			d.guesses[i].writes += writes
			return
		}
	}
	r.Pos = policy.Position{File: draftFile, Line: len(d.guesses) + 1}
	d.guesses = append(d.guesses, guess{rule: r, requests: requests, writes: writes, why: why})
}
