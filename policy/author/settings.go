package author

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
)

// Setting is one option of a configuration that is no part of a policy: its
// name as written, that of its block before it, and its value as JSON; the
// default where nothing is written.
type Setting struct{ Name, Value string }

// Changed is the direction of what makes nothing weaker or stronger.
const Changed Direction = "changed"

// SettingChange is an option that two configurations have otherwise.
type SettingChange struct {
	Direction Direction `json:"change"`
	// Setting is its name; "gate" for the site's gate itself.
	Setting string `json:"setting"`
	Old     string `json:"old,omitempty"`
	New     string `json:"new,omitempty"`
	// Text says what it means.
	Text string `json:"text"`
	// Request shows it, where a request does.
	Request string `json:"request,omitempty"`
}

// Render writes the change for people.
func (c SettingChange) Render(w io.Writer) error {
	show := func(value string) string { return cmp.Or(visible(value), "nothing") }
	_, err := fmt.Fprintf(w, "%-9s %s\n          %s -> %s\n          %s\n", c.Direction, c.Setting, show(c.Old), show(c.New), visible(c.Text))
	if err == nil && c.Request != "" {
		_, err = fmt.Fprintf(w, "          here: %s\n", visible(c.Request))
	}
	return err
}

// settingKind is what a change of a setting means.
type settingKind struct {
	name string
	// way compares; both are the JSON of a value, empty for none.
	way  func(was, is string) Direction
	text string
}

func settingKinds() []settingKind {
	neutral := func(string, string) Direction { return Changed }
	unclear := func(string, string) Direction { return Undecided }
	return []settingKind{
		{"enrolment", ranked(`"self"`, `"contact"`, `"invited"`), "who may enrol a first second factor, and with what"},
		{"binding_delay", longerIs(Stronger), "how long a factor that was added on a weaker proof does not count"},
		{"session.idle", longerIs(Weaker), "how long a session lives without a request"},
		{"session.absolute", longerIs(Weaker), "how long a session lives in all"},
		{"store_grace", longerIs(Weaker), "how long sessions are believed without their store"},
		{"codes.lifetime", longerIs(Weaker), "how long a code can be used"},
		{"keep_stream", onIs(Weaker), "open streams outlive the proofs of their path"},
		{"pass_url_overrides", onIs(Weaker), "headers that make the app serve another path arrive"},
		{"pass_authorization", onIs(Weaker), "credentials that the app checks by itself arrive"},
		{"seal_cookies", onIs(Stronger), "the app's cookies are of no use outside of their session"},
		{"admin_pages", onIs(Weaker), "the site has the administrators' pages"},
		{"two_person", onIs(Stronger), "resets of factors and temporary codes wait for a second administrator"},
		{"audit.", unclear, "where else the audit trail goes"},
		{"inject_step_up", neutral, "a script of the gateway's is added to the app's pages"},
		{"sign_in ", addedIs(Weaker), "a way to sign in"},
		{"identity_headers", unclear, "what the app is told of who it is: whoever compares it there decides by it"},
		{"audience", unclear, "whom assertions are for"},
		{"prefix", unclear, "where the gateway's own pages are"},
		{"internal_networks", unclear, "which addresses count as the operator's own"},
		{"geoip", unclear, "where countries come from"},
		{"devices.lifetime", longerIs(Weaker), "how long a private device is one, and a browser known"},
		{"webauthn.", addedIs(Stronger), "which security keys are taken"},
		{"risk", unclear, "how unusual a session must look"},
		{"after_enrolment", neutral, "where people go after enrolment"},
		{"keep_requests", neutral, "how large an interrupted request may be"},
		{"relying_party", neutral, "the name that security keys are registered for: keys of the old one no longer work"},
		{"pages", neutral, "how pages look"},
		{"origin", unclear, "the site's address"},
		{"store", unclear, "where accounts and sessions are kept"},
		{"key_file", unclear, "where the keys are kept"},
		{"region", neutral, "what a national phone number means"},
		{"sms", unclear, "who is given text messages and their codes"},
		{"email", unclear, "who is given e-mail and its codes"},
		{"codes.", neutral, "budgets of messages"},
		{"report_only", neutral, "the policy that is watched and not enforced; compare it with --report-only"},
		{"finding ", addedIs(Weaker), "what lint finds around the gates"},
		{"", unclear, "an option of which diff does not know what it makes weaker"},
	}
}

// longerIs judges durations in nanoseconds.
func longerIs(way Direction) func(was, is string) Direction {
	return func(was, is string) Direction {
		a, err := strconv.ParseInt(was, 10, 64)
		b, errToo := strconv.ParseInt(is, 10, 64)
		switch {
		case err != nil || errToo != nil:
			return Undecided
		case b > a:
			return way
		default:
			return opposite(way)
		}
	}
}

func onIs(way Direction) func(was, is string) Direction {
	return func(_, is string) Direction {
		if is == "" || is == "false" {
			return opposite(way)
		}
		return way
	}
}

func addedIs(way Direction) func(was, is string) Direction {
	return func(was, is string) Direction {
		switch {
		case was == "":
			return way
		case is == "":
			return opposite(way)
		default:
			return Undecided
		}
	}
}

// ranked judges by a list of values, the weakest first.
func ranked(values ...string) func(was, is string) Direction {
	return func(was, is string) Direction {
		a, b := slices.Index(values, was), slices.Index(values, is)
		switch {
		case a < 0 || b < 0:
			return Undecided
		case b < a:
			return Weaker
		default:
			return Stronger
		}
	}
}

func opposite(way Direction) Direction {
	if way == Weaker {
		return Stronger
	}
	return Weaker
}

// DiffSettings compares what is not the policy, by the settings of two
// versions of a site.
func DiffSettings(was, is *Site) []SettingChange {
	old, now := settingsOf(was), settingsOf(is)
	var names []string
	for name := range old {
		addTo(&names, name)
	}
	for name := range now {
		addTo(&names, name)
	}
	slices.Sort(names)
	var changes []SettingChange
	for _, name := range names {
		if old[name] == now[name] || moved(old[name], was.Folder, is.Folder) == now[name] {
			continue
		}
		kind := kindOf(name)
		c := SettingChange{
			Direction: kind.way(old[name], now[name]), Setting: name, Old: shownValue(name, old[name]), New: shownValue(name, now[name]), Text: kind.text,
		}
		if name == "report_only" || strings.HasPrefix(name, "finding ") {
			c.Old, c.New = presence(old[name]), presence(now[name])
		}
		changes = append(changes, c)
	}
	changes = append(changes, diffScripts(was, is)...)
	slices.SortStableFunc(changes, func(a, b SettingChange) int { return cmp.Compare(settingRank(a.Direction), settingRank(b.Direction)) })
	return changes
}

// moved is a setting with its files in the folder to that are in from.
func moved(value, from, to string) string {
	if from == "" || to == "" {
		return value
	}
	return strings.ReplaceAll(value, `"`+strings.TrimSuffix(from, "/")+"/", `"`+strings.TrimSuffix(to, "/")+"/")
}

// presence stands for a value that is too long to be shown.
func presence(value string) string {
	if value == "" {
		return "none"
	}
	return "there"
}

func settingRank(d Direction) int {
	return slices.Index([]Direction{Weaker, Both, Undecided, Stronger, Changed}, d)
}

func kindOf(name string) settingKind {
	kinds := settingKinds()
	return kinds[slices.IndexFunc(kinds, func(k settingKind) bool {
		return k.name == "" || name == k.name || strings.HasPrefix(name, k.name) && strings.ContainsAny(k.name[len(k.name)-1:], " .") ||
			strings.HasPrefix(name, k.name+".")
	})]
}

func settingsOf(s *Site) map[string]string {
	all := map[string]string{}
	for _, one := range s.Settings {
		all[one.Name] = one.Value
	}
	return all
}

// shownValue writes durations as they are written.
func shownValue(name, value string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 1e9 {
		return strings.Trim(value, `"`)
	}
	for _, word := range []string{"idle", "absolute", "delay", "grace", "lifetime"} {
		if strings.Contains(name, word) {
			return short(time.Duration(n))
		}
	}
	return value
}

// diffScripts compares what counts as a script. A path behind one that is
// none any more is not read by itself.
func diffScripts(was, is *Site) []SettingChange {
	lost, gained := scriptsWithout(was, is), scriptsWithout(is, was)
	var changes []SettingChange
	add := func(way Direction, scripts []string, at *Site) {
		for _, s := range scripts {
			c := SettingChange{
				Direction: way, Setting: "scripts", Old: s, Request: at.behindScript(s),
				Text: "what stands behind a script in a path is read as a path of its own only where this counts as one",
			}
			if way == Stronger {
				c.Old, c.New, c.Request = "", s, ""
			}
			changes = append(changes, c)
		}
	}
	add(Weaker, lost, was)
	add(Stronger, gained, is)
	return changes
}

func scriptsWithout(a, b *Site) []string {
	var list []string
	of := func(s *Site) (words []string) {
		globs, dirs := s.Reader.Scripts()
		for _, g := range globs {
			words = append(words, strings.Join(g, "*"))
		}
		for _, d := range dirs {
			words = append(words, "/"+strings.Join(d, "/")+"/*")
		}
		return words
	}
	others := of(b)
	for _, word := range of(a) {
		if !slices.Contains(others, word) {
			list = append(list, word)
		}
	}
	return list
}

// behindScript is a request for what the strictest rule is about, behind a
// script.
func (s *Site) behindScript(script string) string {
	script = strings.ReplaceAll("/"+strings.TrimPrefix(script, "/"), "*", "x")
	for _, r := range s.Policy.Rules() {
		if !r.Pattern().Queried() && s.Policy.Weaker(s.Policy.Default().Levels(), r.Levels()) {
			return "GET " + script + rawPath(examplePath(r.Pattern()))
		}
	}
	return "GET " + script + "/"
}

// compact is JSON in one way of writing it.
func compact(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}

// SettingsOf flattens the JSON of an option's block: an object becomes one
// setting for each of its parts.
func SettingsOf(name string, value any) []Setting {
	block, ok := value.(map[string]any)
	if !ok {
		return []Setting{{name, compact(value)}}
	}
	var list []Setting
	for key, part := range block {
		list = append(list, Setting{name + "." + key, compact(part)})
	}
	return list
}

// PolicyText is a policy as JSON, without the places where it was written.
func PolicyText(c *policy.Config) string {
	plain := *c
	plain.DefaultPos, plain.AssertPos = policy.Position{}, nil
	plain.Levels, plain.Rules, plain.Raises = slices.Clone(c.Levels), slices.Clone(c.Rules), withoutPlaces(c.Raises)
	for i := range plain.Levels {
		plain.Levels[i].Pos = policy.Position{}
	}
	for i := range plain.Rules {
		r := &plain.Rules[i]
		r.Pos, r.Raises = policy.Position{}, withoutPlaces(r.Raises)
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return ""
	}
	return string(text)
}

func withoutPlaces(raises []policy.RaiseConfig) []policy.RaiseConfig {
	raises = slices.Clone(raises)
	for i := range raises {
		raises[i].Pos, raises[i].Conditions = policy.Position{}, slices.Clone(raises[i].Conditions)
		for j := range raises[i].Conditions {
			raises[i].Conditions[j].Pos = policy.Position{}
		}
	}
	return raises
}

// examplePath is a path that a pattern matches.
func examplePath(p policy.Pattern) string {
	path := ""
	for _, part := range p.Parts() {
		if len(part.Pieces) == 0 {
			part.Pieces = []string{"x"}
		}
		path += "/" + strings.Join(part.Pieces, "x")
	}
	return cmp.Or(path, "/")
}
