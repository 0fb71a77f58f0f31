package caddymodule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/headers"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy/fastcgi"
	"go.uber.org/zap"

	"github.com/stepgate/stepgate/internal/gate"
)

func init() {
	caddy.RegisterModule(new(quietTransport))
}

const quietProtocol = "stepgate"

// quietTransport is the transport of a proxy behind the gate. Caddy's proxy
// makes the headers of the request that it has sent ready for the log: it
// writes them with `debug`, and without it for an answer that broke off. This one
// sends the assertion and leaves none to be logged; without `debug` it leaves no
// headers at all, so that nobody prepares for each request what is hardly ever
// written. No configuration names it; the gate puts it there.
type quietTransport struct {
	// TransportRaw is the transport that does the work.
	TransportRaw json.RawMessage `json:"transport" caddy:"namespace=http.reverse_proxy.transport inline_key=protocol"`
	// Whole is set where the proxy looks at the headers of a request that was
	// sent. Default: none are left, unless there is a log that tells all.
	Whole bool `json:"whole,omitempty"`

	inner http.RoundTripper
	// tells is set where the transport itself writes into the log what it
	// sends, which nothing can take out again.
	tells bool
}

// CaddyModule implements caddy.Module.
func (*quietTransport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.reverse_proxy.transport." + quietProtocol, New: func() caddy.Module { return new(quietTransport) }}
}

// Provision loads the transport within.
func (t *quietTransport) Provision(ctx caddy.Context) error {
	loaded, err := ctx.LoadModule(t, "TransportRaw")
	if err != nil {
		return err
	}
	inner, ok := loaded.(http.RoundTripper)
	if !ok {
		return fmt.Errorf("%T is no transport", loaded)
	}
	t.inner = inner
	t.Whole = t.Whole || ctx.Logger(new(reverseproxy.Handler)).Core().Enabled(zap.DebugLevel)
	if php, ok := inner.(*fastcgi.Transport); ok {
		t.tells = php.CaptureStderr || ctx.Logger(php).Core().Enabled(zap.DebugLevel)
	}
	if t.tells {
		ctx.Logger().Warn("FastCGI writes its environment into the log (debug, or capture_stderr): the application is not sent the assertion until both are off")
	}
	return nil
}

// redacted stands in the log for the assertion, as it does for cookies.
const redacted = "REDACTED"

// RoundTrip implements http.RoundTripper. The request that the proxy goes on
// with, and logs, is not the one that is sent; it is the proxy's own for this
// attempt, so that another attempt has the assertion again.
func (t *quietTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if header, bare := t.bare(r); bare {
		sent := r.WithContext(r.Context())
		r.Header = header
		return t.inner.RoundTrip(sent)
	}
	assertion := requestAssertion(r)
	if assertion == "" {
		return t.inner.RoundTrip(r)
	}
	hidden := make(http.Header, len(r.Header))
	for name, values := range r.Header {
		hidden[name] = values
		if has(values, assertion) {
			hidden[name] = []string{redacted}
		}
	}
	sent := r.WithContext(r.Context())
	if t.tells {
		sent.Header = maps.Clone(r.Header)
		maps.DeleteFunc(sent.Header, func(_ string, values []string) bool { return has(values, assertion) })
	}
	r.Header = hidden
	return t.inner.RoundTrip(sent)
}

// bare is the header that the proxy goes on with where it reads next to nothing of
// it: for a change of protocol all, and over HTTP/2 whether the client takes
// compressed answers.
func (t *quietTransport) bare(r *http.Request) (left http.Header, bare bool) {
	if t.Whole || t.tells || r.Header["Upgrade"] != nil {
		return nil, false
	}
	if accepts := r.Header["Accept-Encoding"]; accepts != nil && r.ProtoMajor > 1 {
		return http.Header{"Accept-Encoding": accepts}, len(accepts) == 1 && len(accepts[0]) < 100 // no assertion is as short
	}
	return nil, true
}

// has tells whether a text stands in one of values.
func has(values []string, text string) bool {
	for _, value := range values {
		if len(value) >= len(text) && strings.Contains(value, text) {
			return true
		}
	}
	return false
}

// requestAssertion is the assertion of the session that a request came with.
func requestAssertion(r *http.Request) string {
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	assertion, _ := repl.GetString(gate.AssertionPlaceholder)
	return assertion
}

// What follows is what Caddy's proxy asks a transport beyond http.RoundTripper.

// DefaultBufferSizes implements reverseproxy.BufferedTransport.
func (t *quietTransport) DefaultBufferSizes() (requests, responses int64) {
	if b, ok := t.inner.(reverseproxy.BufferedTransport); ok {
		return b.DefaultBufferSizes()
	}
	return 0, 0
}

// RequestHeaderOps implements reverseproxy.RequestHeaderOpsTransport.
func (t *quietTransport) RequestHeaderOps() *headers.HeaderOps {
	if o, ok := t.inner.(reverseproxy.RequestHeaderOpsTransport); ok {
		return o.RequestHeaderOps()
	}
	return nil
}

// ProxyProtocolEnabled implements reverseproxy.ProxyProtocolTransport.
func (t *quietTransport) ProxyProtocolEnabled() bool {
	p, ok := t.inner.(reverseproxy.ProxyProtocolTransport)
	return ok && p.ProxyProtocolEnabled()
}

// OverrideHealthCheckScheme implements
// reverseproxy.HealthCheckSchemeOverriderTransport.
func (t *quietTransport) OverrideHealthCheckScheme(base *url.URL, port string) {
	if o, ok := t.inner.(reverseproxy.HealthCheckSchemeOverriderTransport); ok {
		o.OverrideHealthCheckScheme(base, port)
	}
}

// RequiresContentLength implements reverseproxy.ContentLengthRequiredTransport.
func (t *quietTransport) RequiresContentLength() bool {
	c, ok := t.inner.(reverseproxy.ContentLengthRequiredTransport)
	return ok && c.RequiresContentLength()
}

// quietLogs keeps secrets out of Caddy's own logs: the assertion out of those
// of the proxies behind the gate, and the session's cookie out of all of its
// server.
func (h *Handler) quietLogs(ctx caddy.Context) error {
	lists := [][]caddyhttp.Route{}
	for _, around := range ctx.Modules() {
		if routes, ok := around.(*caddyhttp.Subroute); ok {
			lists = append(lists, routes.Routes, errorRoutes(routes.Errors))
		}
	}
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		lists = append(lists, server.Routes, errorRoutes(server.Errors))
		for _, named := range server.NamedRoutes {
			lists = append(lists, []caddyhttp.Route{*named})
		}
		if server.Logs != nil && server.Logs.ShouldLogCredentials {
			server.Logs.ShouldLogCredentials = false
			h.logger.Warn("log_credentials is left out for the server of this site: the log would have the cookies of people's sessions",
				zap.String("source", h.Source), zap.String("site", h.Origin))
		}
	}
	for _, routes := range lists {
		for _, route := range routes {
			for i, raw := range route.HandlersRaw {
				quiet, err := quietProxies(raw)
				if err != nil {
					return fmt.Errorf("read a route: %w", err)
				}
				route.HandlersRaw[i] = quiet
			}
		}
	}
	return nil
}

func errorRoutes(c *caddyhttp.HTTPErrorConfig) []caddyhttp.Route {
	if c == nil {
		return nil
	}
	return c.Routes
}

// quietProxies gives every proxy in a handler that is still to be provisioned
// its quiet transport. What is provisioned already is not read again: it
// stands before the gate.
func quietProxies(raw json.RawMessage) (json.RawMessage, error) {
	if !bytes.Contains(raw, []byte("reverse_proxy")) {
		return raw, nil
	}
	parts := cutPolicies(raw)
	var tree any
	in := json.NewDecoder(bytes.NewReader(parts.rest))
	in.UseNumber()
	if err := in.Decode(&tree); err != nil {
		return nil, err
	}
	quietWithin(tree)
	quiet, err := json.Marshal(tree)
	return parts.whole(quiet), err
}

func quietWithin(tree any) {
	switch node := tree.(type) {
	case map[string]any:
		for _, below := range node {
			quietWithin(below)
		}
		if node["handler"] != "reverse_proxy" {
			return
		}
		inner, ok := node["transport"].(map[string]any)
		if !ok {
			inner = map[string]any{"protocol": "http"}
		}
		if inner["protocol"] != quietProtocol {
			quiet := map[string]any{"protocol": quietProtocol, "transport": inner}
			if balancing, _ := node["load_balancing"].(map[string]any); balancing["retry_match"] != nil {
				quiet["whole"] = true
			}
			node["transport"] = quiet
		}
	case []any:
		for _, below := range node {
			quietWithin(below)
		}
	}
}

// Interface guards.
var (
	_ caddy.Provisioner                                = (*quietTransport)(nil)
	_ http.RoundTripper                                = (*quietTransport)(nil)
	_ reverseproxy.BufferedTransport                   = (*quietTransport)(nil)
	_ reverseproxy.RequestHeaderOpsTransport           = (*quietTransport)(nil)
	_ reverseproxy.ProxyProtocolTransport              = (*quietTransport)(nil)
	_ reverseproxy.HealthCheckSchemeOverriderTransport = (*quietTransport)(nil)
	_ reverseproxy.ContentLengthRequiredTransport      = (*quietTransport)(nil)
)
