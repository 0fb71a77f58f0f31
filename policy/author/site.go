package author

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/target"
)

// Site is one site's gate, as far as its policy goes. It is safe for
// concurrent use where Describe is.
type Site struct {
	// Origin is the site's address as browsers write it.
	Origin string
	// Config is the policy as written, Policy the same compiled.
	Config *policy.Config
	Policy *policy.Policy
	Reader *target.Reader
	// Prefix is where the gateway's own pages are; empty for nowhere.
	Prefix string
	// ClaimsMethod tells whether a request may claim another method by a
	// header of this name. Nil: none.
	ClaimsMethod func(header string) bool
	// Login tells which part of the application's own login a request is, as
	// its option is called: login_page, submit or sign_out. Where the path is
	// not denied, such a request passes without a session, whatever the policy
	// asks for. Nil, and the empty word: none.
	Login func(f *Facts, readings *target.Readings) string
	// Position is where the gate was written.
	Position policy.Position
	// Settings are the options of the gate and of the app that are no part of
	// the policy, for who compares configurations.
	Settings []Setting
	// Folder is where the configuration stands. Two versions in folders of
	// their own mean the same by a file that has the same place in each.
	Folder string
	// Describe returns a function that makes policy.Request.Context of
	// facts: what conditions of Caddy's look at. The function may use what
	// it made again at its next call. Nil, also the function: nothing looks.
	Describe func() func(Facts) any
}

// Field is a name and a value, of a header or a form.
type Field struct{ Name, Value string }

// Facts are those of one request that somebody asks about.
type Facts struct {
	Method string
	// Target is in origin form, its bytes as a client would send them.
	Target string

	SignedIn     bool
	Username     string
	Groups       []string
	Organisation string
	// Requires are the built-in levels that organisation and account ask for.
	Requires []string

	ClientIP string
	// Country is where that is, by its ISO 3166 code.
	Country string
	Device  policy.Device
	Risk    policy.Risk
	Header  []Field
	Form    []Field
	Now     time.Time

	// Assumed are the facts that nobody said, in words; see Complete.
	Assumed []string
}

// anywhere is an address of RFC 5737's documentation range: no network has it.
const anywhere = "192.0.2.1"

// Flags lists the words by which Set knows facts, without their dashes.
func Flags() []string {
	return []string{"user", "group", "organisation", "client-ip", "country", "device", "risk", "header", "form", "signed-in", "at"}
}

// Set takes one fact as a flag gives it. signed-in takes no value. The error
// says what was expected.
func (f *Facts) Set(flag, value string) error {
	var ok bool
	switch flag {
	case "user":
		f.SignedIn, f.Username = true, value
	case "group":
		f.SignedIn, f.Groups = true, append(f.Groups, value)
	case "organisation":
		f.SignedIn, f.Organisation = true, value
	case "signed-in":
		f.SignedIn = true
	case "client-ip":
		f.ClientIP = value
		return checkAddress(value)
	case "country":
		f.Country = strings.ToUpper(value)
	case "device":
		f.Device = policy.Device(value)
		if f.Device != policy.DeviceUnknown && f.Device != policy.DevicePublic && f.Device != policy.DevicePrivate {
			return wrongWord(flag, value, "unknown", "public", "private")
		}
	case "risk":
		if f.Risk, ok = policy.ParseRisk(value); !ok {
			return wrongWord(flag, value, "low", "medium", "high")
		}
	case "header":
		return f.add(&f.Header, flag, value, ":")
	case "form":
		return f.add(&f.Form, flag, value, "=")
	case "at":
		at, err := time.Parse(time.RFC3339, value)
		if err != nil {
			return fmt.Errorf("--at %q: expected a time such as 2026-03-02T09:00:00Z", value)
		}
		f.Now = at
	default:
		return wrongWord("", "--"+flag, prefixed("--", Flags())...)
	}
	return nil
}

func (f *Facts) add(to *[]Field, flag, text, separator string) error {
	name, value, ok := strings.Cut(text, separator)
	if !ok || name == "" {
		return fmt.Errorf("--%s %q: expected NAME%sVALUE", flag, text, separator)
	}
	*to = append(*to, Field{strings.TrimSpace(name), strings.TrimSpace(value)})
	return nil
}

func prefixed(prefix string, words []string) []string {
	var list []string
	for _, w := range words {
		list = append(list, prefix+w)
	}
	return list
}

func wrongWord(flag, word string, known ...string) error {
	if flag != "" {
		flag = "--" + flag + " "
	}
	if near := policy.Nearest(word, known); near != "" {
		return fmt.Errorf("%s%q: did you mean %q?", flag, word, near)
	}
	return fmt.Errorf("%s%q: expected %s", flag, word, strings.Join(known, ", "))
}

// Complete fills in what nobody said: an ordinary first visit. Assumed tells
// of it.
func (f *Facts) Complete(now time.Time) {
	assume := func(text string) { f.Assumed = append(f.Assumed, text) }
	if f.Method == "" {
		f.Method = "GET"
	}
	if f.Device == "" {
		f.Device = policy.DeviceUnknown
		assume("device unknown")
	}
	if f.Risk == policy.RiskUnset {
		f.Risk = policy.RiskLow
		assume("risk low")
	}
	if f.ClientIP == "" {
		f.ClientIP = anywhere
		assume("client_ip " + anywhere)
	}
	if f.SignedIn && f.Organisation == "" {
		f.Organisation = "default"
		assume("organisation default")
	}
	if f.Now.IsZero() {
		f.Now = now
	}
}

// Body is that of a form with the fields, as a browser would send it, in the
// form in which the policy takes it; nil where there are none.
func (f *Facts) Body() func() (string, []byte, bool) {
	if len(f.Form) == 0 {
		return nil
	}
	return func() (string, []byte, bool) {
		var body strings.Builder
		for i, field := range f.Form {
			if i > 0 {
				body.WriteByte('&')
			}
			body.WriteString(url.QueryEscape(field.Name) + "=" + url.QueryEscape(field.Value))
		}
		return "application/x-www-form-urlencoded", []byte(body.String()), true
	}
}

// ParseURL splits what an author calls a URL: a path with its query, or a
// whole URL. The host, with its port, is empty for a path. The target keeps
// the bytes as written; what browsers do not send of a whole URL, its
// fragment, is cut.
func ParseURL(text string) (host, rawTarget string, err error) {
	scheme, rest, whole := strings.Cut(text, "://")
	switch {
	case strings.HasPrefix(text, "/"), text == "*":
		return "", text, nil
	case !whole || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https"):
		return "", "", fmt.Errorf("%q: expected a path that begins with /, or a URL with http:// or https://", text)
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, rawTarget = strings.ToLower(rest[:end]), rest[end:]
	rawTarget, _, _ = strings.Cut(rawTarget, "#")
	if !strings.HasPrefix(rawTarget, "/") {
		rawTarget = "/" + rawTarget
	}
	if host == "" {
		return "", "", fmt.Errorf("%q: the host is missing", text)
	}
	return host, rawTarget, nil
}

// ErrNoSite says that the configuration has no gate.
var ErrNoSite = errors.New("the configuration has no site with a stepgate directive")

// Choose finds the site that a host belongs to; the first one for no host.
func Choose(sites []*Site, host string) (*Site, error) {
	if len(sites) == 0 {
		return nil, ErrNoSite
	}
	if host == "" {
		return sites[0], nil
	}
	var origins []string
	for _, s := range sites {
		if s.serves(host) {
			return s, nil
		}
		origins = append(origins, s.Origin)
	}
	return nil, fmt.Errorf("no site has the host %s; there is %s", visible(host), strings.Join(origins, ", "))
}

// serves tells whether host, with or without a port, is the site's.
func (s *Site) serves(host string) bool {
	_, own, _ := strings.Cut(s.Origin, "://")
	if own == host {
		return true
	}
	for _, port := range []string{":80", ":443"} {
		if strings.TrimSuffix(host, port) == own || own == host+port {
			return true
		}
	}
	return false
}
