package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy/target"
)

// Device is what the account knows of the browser. The zero value is a
// missing fact.
type Device string

// The devices, from the contract's section 1.
const (
	DeviceUnknown Device = "unknown"
	DevicePublic  Device = "public"
	DevicePrivate Device = "private"
)

// Risk is how unusual a session looks. The zero value is a missing fact.
type Risk int

// The risks, lowest first.
const (
	RiskUnset Risk = iota
	RiskLow
	RiskMedium
	RiskHigh
)

// String gives the word of the Caddyfile; empty for RiskUnset.
func (r Risk) String() string {
	switch r {
	case RiskLow:
		return "low"
	case RiskMedium:
		return "medium"
	case RiskHigh:
		return "high"
	default:
		return ""
	}
}

// ParseRisk reads the word of the Caddyfile.
func ParseRisk(word string) (Risk, bool) {
	for _, r := range []Risk{RiskLow, RiskMedium, RiskHigh} {
		if r.String() == word {
			return r, true
		}
	}
	return RiskUnset, false
}

// Request is the facts of one request. It belongs to one goroutine: deciding
// remembers in it what was read of the form, so that several policies may
// judge the same Request one after the other. A zero fact is a missing one.
type Request struct {
	// Method is the request's own.
	Method string
	// Claimed are the methods that headers claim. Those that the query or a
	// form claims by `_method` are found here.
	Claimed []string
	// Target is the readings of the raw target that the client sent. Without
	// it nothing is allowed.
	Target *target.Readings
	// Also are the readings of targets that earlier handlers made of it.
	Also []*target.Readings
	// Form gives the Content-Type header as sent and the beginning of the
	// body: target.MaxFieldBytes of it, and one byte more where there is
	// more, so that what lies behind counts as unreadable. It is called at
	// most once, and only where a field could matter. ok is false when the
	// body could not be read, also because of a Content-Encoding. Fields
	// that cannot be read count as matches. Nil: no body.
	Form func() (contentType string, body []byte, ok bool)

	// SignedIn, and the facts of who it is. Groups and Organisation may be
	// set without it where a command asks what would be.
	SignedIn     bool
	Username     string
	Groups       []string
	Organisation string
	// Requires names the built-in levels that organisation and account ask
	// for on every path that is not public. A name that is no built-in level
	// denies.
	Requires []string
	// Proofs are the session's. Where MetKnown is set they are read for
	// levels with `once` only, and Met is what Policy.MetUntil of the very
	// same policy said about them.
	Proofs   []Proof
	Met      LevelSet
	MetKnown bool

	Device Device
	Risk   Risk
	// Country is where the client's address is, by its ISO 3166 code of two
	// capitals.
	Country string
	Now     time.Time
	// Once is the identity of this very request, for levels with `once`;
	// empty where the request was not named by a challenge.
	Once string
	// Context is what a wrapped Caddy matcher needs.
	Context any

	fields fields
	claims claims
}

// judgeable tells whether every target that the request came with has been
// read.
func (r *Request) judgeable() bool {
	for _, t := range r.Also {
		if t == nil || t.Len() == 0 {
			return false
		}
	}
	return r.Target != nil && r.Target.Len() > 0
}

// fields are what has been read of queries and of the body.
type fields struct {
	queriesRead, formRead bool
	queries               []*target.Fields
	form                  *target.Fields
	// formFailed is set where the body could not be read.
	formFailed bool
}

// queries are those of every target that has one.
func (r *Request) queries() []*target.Fields {
	f := &r.fields
	if f.queriesRead {
		return f.queries
	}
	f.queriesRead = true
	if q := r.Target.Query(); q != nil {
		f.queries = append(f.queries, q)
	}
	for _, t := range r.Also {
		if q := t.Query(); q != nil {
			f.queries = append(f.queries, q)
		}
	}
	return f.queries
}

// form is what the body has; failed says that nobody can tell.
func (r *Request) form() (form *target.Fields, failed bool) {
	f := &r.fields
	if r.Form != nil && !f.formRead {
		contentType, body, ok := r.Form()
		f.form, f.formRead, f.formFailed = target.Form(contentType, body), true, !ok
	}
	return f.form, f.formFailed
}

// queried tells whether any value of a query field, by any reading of any
// target, fits g, or cannot be read.
func (r *Request) queried(name string, g *textGlob) bool {
	for _, q := range r.queries() {
		values, unreadable := q.Folded(name)
		if unreadable || slices.ContainsFunc(values, g.fits) {
			return true
		}
	}
	return false
}

// field tells whether a form field fits g. unreadable says that it cannot be
// known.
func (r *Request) field(name string, g *textGlob) (fits, unreadable bool) {
	form, failed := r.form()
	values, unreadable := form.Folded(name)
	return slices.ContainsFunc(values, g.fits), unreadable || failed
}

// methodField is the field by which a query or a form claims a method.
const methodField = "_method"

// claims is the methods a request may be taken for, in the form in which
// rules name them.
type claims struct {
	known bool
	room  [4]string
	list  []string
	// any says that a claim could not be read: it may be any method.
	any bool
}

// methods lists every method that an upstream may take the request for: its
// own, and those it claims. any says that it may be any other as well.
func (r *Request) methods() (list []string, any bool) {
	if r.claims.known {
		return r.claims.list, r.claims.any
	}
	c := &r.claims
	c.known = true
	c.list = append(c.room[:0], asked(r.Method))
	for _, claimed := range r.Claimed {
		c.add(claimed)
		// Some take the first of a list.
		for one := range strings.SplitSeq(claimed, ",") {
			c.add(one)
		}
	}
	c.add(r.Method)
	for _, q := range r.queries() {
		c.addAll(q.Folded(methodField))
	}
	form, failed := r.form()
	c.addAll(form.Folded(methodField))
	c.any = c.any || failed
	return c.list, c.any
}

func (c *claims) addAll(values []string, unreadable bool) {
	c.any = c.any || unreadable
	for _, v := range values {
		c.add(v)
	}
}

func (c *claims) add(method string) {
	method = asked(strings.ToUpper(strings.TrimSpace(method)))
	if method != "" && !slices.Contains(c.list, method) {
		c.list = append(c.list, method)
	}
}

// asked is the method whose rules hold for method: HEAD asks what GET asks.
func asked(method string) string {
	if method == "HEAD" {
		return "GET"
	}
	return method
}
