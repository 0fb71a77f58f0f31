package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/stepgate/stepgate/policy"
)

// judged is what Caddy's matchers look at: policy.Request.Context has one.
type judged interface {
	// HTTP is the request.
	HTTP() *http.Request
	// Identity resolves a placeholder of the contract's section 6 for the
	// session that the request came with. known is false for nobody.
	Identity(placeholder string) (value any, known bool)
}

// matcherCondition is one of Caddy's request matchers as a condition of the
// policy.
type matcherCondition struct {
	kind    string
	matcher caddyhttp.RequestMatcherWithError
	// What the matcher asks about, by its words. To err is safe: what is asked
	// about and cannot be told raises.
	query, client, remote, placeholders bool
}

// placeholder finds one in a matcher's JSON.
var placeholder = regexp.MustCompile(`\{[a-zA-Z]`)

func newMatcherCondition(c policy.ConditionConfig, m caddyhttp.RequestMatcherWithError) matcherCondition {
	mentions := func(word string) bool { return c.Kind == word || strings.Contains(string(c.Raw), word) }
	return matcherCondition{
		kind: c.Kind, matcher: m, query: mentions("query"), client: mentions("client_ip"), remote: mentions("remote"),
		placeholders: c.Kind == "expression" || placeholder.Match(c.Raw),
	}
}

// Holds implements policy.Condition. Where a fact is missing that the matcher
// would take for an empty one, it is an error.
func (c matcherCondition) Holds(r *policy.Request) (bool, error) {
	subject, ok := r.Context.(judged)
	if !ok {
		return false, fmt.Errorf("%s: there is no request to look at", c.kind)
	}
	request := subject.HTTP()
	if c.query {
		// A matcher sees no field at all in a query of which one is broken.
		if _, err := url.ParseQuery(request.URL.RawQuery); err != nil {
			return false, errBrokenQuery
		}
	}
	if c.client && !clientAddress(request).IsValid() {
		return false, errNoAddress
	}
	if _, err := netip.ParseAddrPort(request.RemoteAddr); c.remote && err != nil {
		return false, errNoAddress
	}
	if !c.placeholders {
		return c.matcher.MatchWithError(request)
	}
	return c.resolved(request, subject.Identity)
}

var (
	errBrokenQuery = errors.New("query: a field of it is broken")
	errNoAddress   = errors.New("the client's address is not known")
)

// resolved asks the matcher with every placeholder of the session's identity
// at its true value, which the request itself has only once it is let in. A
// placeholder that nobody sets is a missing fact.
func (c matcherCondition) resolved(r *http.Request, identity func(string) (any, bool)) (bool, error) {
	given, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	missing := ""
	replacer := caddy.NewEmptyReplacer()
	replacer.Map(func(key string) (any, bool) {
		if value, known := identity(key); known {
			return value, true
		}
		if given != nil {
			if value, known := given.Get(key); known && value != nil {
				return value, true
			}
		}
		missing = key
		return nil, false
	})
	holds, err := c.matcher.MatchWithError(r.WithContext(context.WithValue(r.Context(), caddy.ReplacerCtxKey, replacer)))
	if err == nil && missing != "" {
		err = fmt.Errorf("%s: nobody sets {%s}", c.kind, missing)
	}
	return holds, err
}

// Reason implements policy.Condition.
func (c matcherCondition) Reason() string { return "matcher-" + c.kind }

// matcherCompiler makes conditions of Caddy's matchers, each provisioned once
// with the configuration that it belongs to.
func matcherCompiler(ctx caddy.Context) func(policy.ConditionConfig) (policy.Condition, error) {
	return func(c policy.ConditionConfig) (policy.Condition, error) {
		loaded, err := ctx.LoadModuleByID("http.matchers."+c.Kind, json.RawMessage(c.Raw))
		if err != nil {
			return nil, errors.New(strings.TrimPrefix(err.Error(), "provision http.matchers."+c.Kind+": "))
		}
		if m, ok := loaded.(caddyhttp.RequestMatcherWithError); ok {
			return newMatcherCondition(c, m), nil
		}
		return nil, fmt.Errorf("%s: this matcher cannot report its errors", c.Kind)
	}
}
