package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/stepgate/stepgate/policy/author"
)

// lintServers looks at the routes around the gates. guarded are the upstreams
// behind them.
func (d *drawing) lintServers() (found []author.Finding, guarded []string, err error) {
	var config caddy.Config
	if err := json.Unmarshal(d.raw, &config); err != nil {
		return nil, nil, err
	}
	var all servers
	if err := json.Unmarshal(config.AppsRaw["http"], &all); err != nil {
		return nil, nil, fmt.Errorf("%s: read routes: %w", d.file, err)
	}
	w := &routeWalk{guarded: map[string]bool{}}
	for _, name := range slices.Sorted(maps.Keys(all.Servers)) {
		server := all.Servers[name]
		w.named, w.gates, w.secure = server.NamedRoutes, 0, false
		for _, route := range server.Routes {
			w.site(route)
		}
		if w.secure && server.TrustedProxies == nil && !server.TrustedProxiesUnix && len(server.TLS) == 0 && !slices.ContainsFunc(server.Listen, isTLSPort) {
			w.found = append(w.found, d.at(author.Finding{
				Code: codeForwarder,
				Text: "the origin is https and the server speaks plain http: something stands before it, and without trusted_proxies everybody has its address; a few wrong guesses from anywhere then stop everybody, and `client_ip` says nothing",
				Mend: "name it in the server's options: `trusted_proxies static …` and `trusted_proxies_strict`",
			}, d.linesOf("origin")))
		}
		if w.gates > 0 && server.TrustedProxiesStrict == 0 && (server.TrustedProxies != nil || server.TrustedProxiesUnix) {
			w.found = append(w.found, d.at(author.Finding{
				Code: codeProxiesNotStrict,
				Text: "trusted_proxies without trusted_proxies_strict: the left-most address of X-Forwarded-For counts, which clients make up; limits, risk and `client_ip` then go by an address of their choice",
				Mend: "add `trusted_proxies_strict` to the server's options",
			}, d.linesOf("trusted_proxies")))
		}
		if w.gates > 0 && trustsEveryone(server.TrustedProxies) {
			w.found = append(w.found, d.at(author.Finding{
				Code: codeProxiesEveryone,
				Text: "trusted_proxies names every address: whoever connects says from which address they come, and `client_ip`, limits, risk and trusted headers go by it",
				Mend: "name the addresses of the proxies alone",
			}, d.linesOf("trusted_proxies")))
		}
	}
	w.found = append(w.found, w.sharedApps()...)
	for _, p := range w.open {
		if p.besideGate || w.guarded[sameHost(p.dial)] {
			w.found = append(w.found, d.at(p.finding(), d.linesOf("reverse_proxy", p.dial)))
		}
	}
	return w.found, slices.Sorted(maps.Keys(w.guarded)), nil
}

// routeWalk goes through routes in the order in which requests do.
type routeWalk struct {
	named map[string]lintRoute
	depth int
	gates int // gates seen so far in this server
	// secure is set where one of them has an https origin that is written out.
	secure bool
	found  []author.Finding
	// guarded are the upstreams that some gate stands before, open the
	// proxies that none does.
	guarded map[string]bool
	open    []openProxy
	// hosts are what stands on each, as far as the authenticator app matters.
	hosts map[string]*hostUse
}

type openProxy struct {
	// kind is the directive where that is no reverse_proxy.
	kind string
	dial string
	host string
	// besideGate is set where the site has a gate elsewhere.
	besideGate bool
}

func (p openProxy) finding() author.Finding {
	why := "a gate of the same site does not stand before it"
	if !p.besideGate {
		why = "another site has a gate before the same upstream, which this one goes round"
	}
	return author.Finding{
		Code: codeProxyWithoutGate,
		Text: fmt.Sprintf("%s at %s is reached without a gate: %s", strings.TrimSpace(cmp.Or(p.kind, "reverse_proxy")+" "+p.dial), p.host, why),
		Mend: "put `stepgate` before it, outside of matchers, and write into its policy what is public",
	}
}

// site goes through one top-level route.
func (w *routeWalk) site(route lintRoute) {
	host := "every host"
	for _, set := range route.Match {
		var hosts []string
		if json.Unmarshal(set["host"], &hosts) == nil && len(hosts) > 0 {
			host = strings.Join(hosts, ", ")
		}
	}
	gates, open := w.gates, len(w.open)
	w.route(route, false, narrowing(route), host)
	for i := range w.open[open:] {
		w.open[open+i].besideGate = w.gates > gates
	}
}

// routes goes through routes that follow one another, and tells whether a
// gate stands before what comes behind them.
func (w *routeWalk) routes(list []lintRoute, gated bool, narrowed []string, host string) bool {
	for _, route := range list {
		within := narrowing(route)
		if after := w.route(route, gated, append(slices.Clone(narrowed), within...), host); len(within) == 0 {
			gated = after
		}
	}
	return gated
}

// maxLintDepth bounds named routes that invoke one another.
const maxLintDepth = 32

func (w *routeWalk) route(route lintRoute, gated bool, narrowed []string, host string) bool {
	if w.depth > maxLintDepth {
		return gated
	}
	w.depth++
	defer func() { w.depth-- }()
	for _, handler := range route.Handle {
		w.use(host, handler)
		switch handler.Handler {
		case "stepgate":
			if gated {
				w.behind(handler, host)
			}
			gated = true
			w.gates++
			w.secure = w.secure || strings.HasPrefix(handler.Origin, "https:")
			w.narrowed(handler, narrowed, host)
		case "reverse_proxy":
			w.proxy(handler, gated, host)
			w.rewrite(handler.Rewrite, gated, host)
		case "file_server":
			if !gated {
				w.open = append(w.open, openProxy{kind: "file_server", host: host})
			}
		case "rewrite":
			w.rewrite(&handler.rewriting, gated, host)
		case "invoke":
			gated = w.routes([]lintRoute{w.named[handler.Name]}, gated, narrowed, host)
		default:
			gated = w.routes(handler.Routes, gated, narrowed, host)
		}
		for _, response := range handler.Responses {
			w.routes(response.Routes, gated, narrowed, host)
		}
	}
	return gated
}

func (w *routeWalk) narrowed(gate lintHandler, matchers []string, host string) {
	if len(matchers) == 0 {
		return
	}
	slices.Sort(matchers)
	pos := parsePosition(gate.Source)
	w.found = append(w.found, author.Finding{
		Code: codeGateInMatcher, File: pos.File, Line: pos.Line,
		Text: fmt.Sprintf("the gate at %s stands inside a matcher (%s): what that does not match, also another spelling of a path, goes round the gate",
			host, strings.Join(slices.Compact(matchers), ", ")),
		Mend: "put `stepgate` outside of the matcher, and write the paths into its policy",
	})
}

// behind tells of a gate that requests reach through another: the first passes
// its session cookie to nobody.
func (w *routeWalk) behind(gate lintHandler, host string) {
	pos := parsePosition(gate.Source)
	w.found = append(w.found, author.Finding{
		Code: codeGateBehindGate, File: pos.File, Line: pos.Line,
		Text: fmt.Sprintf("the gate at %s stands behind another, which keeps the session cookie to itself: this one takes everybody for a stranger and sends them to sign in, without end", host),
		Mend: "leave one `stepgate` in the site, with one policy",
	})
}

// sameHost writes loopback in one way, so that `localhost:80` and
// `127.0.0.1:80` are one upstream.
func sameHost(dial string) string {
	host, port, err := net.SplitHostPort(dial)
	if err != nil {
		return dial
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// trustsEveryone tells whether a static list of proxies has every address.
func trustsEveryone(raw json.RawMessage) bool {
	var list struct{ Ranges []string }
	_ = json.Unmarshal(raw, &list)
	return slices.ContainsFunc(list.Ranges, func(r string) bool { return strings.HasSuffix(r, "/0") })
}

func (w *routeWalk) proxy(proxy lintHandler, gated bool, host string) {
	for _, u := range proxy.Upstreams {
		if gated {
			w.guarded[sameHost(u.Dial)] = true
		} else {
			w.open = append(w.open, openProxy{dial: u.Dial, host: host})
		}
	}
}

// narrowing lists the matchers of a route but for hosts.
func narrowing(route lintRoute) []string {
	var names []string
	for _, set := range route.Match {
		for name := range set {
			if name != "host" && name != "protocol" {
				names = append(names, name)
			}
		}
	}
	return names
}

// rewrite tells of a path, a query or a method that is changed behind the
// gate: the policy has judged another one than the upstream gets.
func (w *routeWalk) rewrite(r *rewriting, gated bool, host string) {
	what := r.changes()
	if !gated || what == "" {
		return
	}
	w.found = append(w.found, author.Finding{
		Code: codeRewriteAfterGate,
		Text: fmt.Sprintf("a rewrite (%s) at %s stands behind the gate: the upstream gets another request than the policy has judged", what, host),
		Mend: "rewrite before `stepgate`, which judges both paths then, or write the policy for what browsers ask for and pin it with assertions",
	})
}

// isTLSPort tells whether an address is where Caddy speaks https by itself.
func isTLSPort(listen string) bool { return strings.HasSuffix(listen, ":443") }

// Upstreams implements Drawing.
func (d *drawing) Upstreams() ([]string, error) {
	_, guarded, err := d.lintServers()
	return guarded, err
}
