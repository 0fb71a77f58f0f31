package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/stepgate/stepgate/policy"
)

// matcherCondition is one of Caddy's request matchers as a condition of the
// policy.
type matcherCondition struct {
	kind    string
	matcher caddyhttp.RequestMatcherWithError
}

// Holds implements policy.Condition.
func (c matcherCondition) Holds(r *policy.Request) (bool, error) {
	request, ok := r.Context.(*http.Request)
	if imagined, asked := r.Context.(*imagination); asked {
		request, ok = imagined.request(), true
	}
	if !ok {
		return false, fmt.Errorf("%s: there is no request to look at", c.kind)
	}
	if c.kind == "query" {
		// The matcher sees no field at all in a query of which one is broken.
		if _, err := url.ParseQuery(request.URL.RawQuery); err != nil {
			return false, errBrokenQuery
		}
	}
	return c.matcher.MatchWithError(request)
}

var errBrokenQuery = errors.New("query: a field of it is broken")

// Reason implements policy.Condition.
func (c matcherCondition) Reason() string { return "matcher-" + c.kind }

// matcherCompiler makes conditions of Caddy's matchers, each provisioned once
// with the configuration that it belongs to.
func matcherCompiler(ctx caddy.Context) func(policy.ConditionConfig) (policy.Condition, error) {
	return func(c policy.ConditionConfig) (policy.Condition, error) {
		loaded, err := ctx.LoadModuleByID("http.matchers."+c.Kind, json.RawMessage(c.Raw))
		if err != nil {
			return nil, err
		}
		if m, ok := loaded.(caddyhttp.RequestMatcherWithError); ok {
			return matcherCondition{c.Kind, m}, nil
		}
		return nil, fmt.Errorf("%s: this matcher cannot report its errors", c.Kind)
	}
}
