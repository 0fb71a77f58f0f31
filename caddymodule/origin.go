package caddymodule

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// errOrigin says that the site's address leaves its origin open.
var errOrigin = errors.New("the site's address is not one plain host, so its origin cannot be told; write it as in `origin https://portal.example.gov`")

// surroundings are the site that a gate stands in, as far as a handler can see
// it. Caddy tells a handler nothing of what is around it: neither do the
// Caddyfile's directives learn the addresses of their site (httpcaddyfile.Helper
// keeps them to itself), nor are routes modules, which ctx.Modules would list.
// But while a handler is provisioned its server is in the context, the
// handlers with routes around it are in ctx.Modules, and of each list of
// routes one is under way.
type surroundings struct {
	server *caddyhttp.Server
	hosts  []string
	// narrowed are what stands between the site and the gate: the matchers by
	// name, but those of hosts, and handlers that have routes of their own.
	// What they do not let in goes round the gate.
	narrowed []string
	// errors are the routes that requests take which fail at the gate or
	// behind it. They are still to be provisioned.
	errors []errorList
}

// errorList is the routes of errors of a server, or of a part of its routes.
type errorList struct {
	routes caddyhttp.RouteList
	// restored is set where a request comes with the target that it was sent
	// with, whatever has been made of it since.
	restored bool
}

// surroundings looks once: the routes are gone when the site is provisioned.
func (c *SiteConfig) surroundings(ctx caddy.Context) surroundings {
	if c.around == nil {
		around := lookAround(ctx)
		c.around = &around
	}
	return *c.around
}

func lookAround(ctx caddy.Context) surroundings {
	var s surroundings
	var ok bool
	if s.server, ok = ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); !ok {
		return s
	}
	s.addErrors(s.server.Errors, true)
	if route := underWay(s.server.Routes); route != nil {
		s.hosts = routeHosts(*route)
		s.narrow(route)
	}
	for _, module := range ctx.Modules() {
		switch module := module.(type) {
		case *caddyhttp.App, *Handler:
		case *caddyhttp.Subroute:
			s.addErrors(module.Errors, false)
			if route := underWay(module.Routes); route != nil {
				s.narrow(route)
			}
		default:
			s.narrowBy(module)
		}
	}
	return s
}

// underWay is the route of a list whose handlers are being provisioned: the
// first that has none yet. Caddy takes them one after the other, and drops
// what was written of each when it has all of its handlers.
func underWay(routes caddyhttp.RouteList) *caddyhttp.Route {
	for i := range routes {
		if len(routes[i].HandlersRaw) > 0 {
			return &routes[i]
		}
	}
	return nil
}

func (s *surroundings) addErrors(c *caddyhttp.HTTPErrorConfig, restored bool) {
	if c != nil {
		s.errors = append(s.errors, errorList{c.Routes, restored})
	}
}

func (s *surroundings) narrow(route *caddyhttp.Route) {
	for _, set := range route.MatcherSets {
		for _, m := range set {
			if module, ok := m.(caddy.Module); ok {
				s.narrowBy(module)
			}
		}
	}
}

func (s *surroundings) narrowBy(module caddy.Module) {
	name := module.CaddyModule().ID.Name()
	if at, known := slices.BinarySearch(s.narrowed, name); name != "host" && !known {
		s.narrowed = slices.Insert(s.narrowed, at, name) // sorted: Caddy has a set's in any order
	}
}

// warnAboutMatchers tells of a gate that does not see every request of its
// site: a path that the matcher does not match reaches the upstream unguarded,
// and so does every other spelling of a path that it does.
func (h *Handler) warnAboutMatchers(ctx caddy.Context) {
	narrowed := h.surroundings(ctx).narrowed
	if len(narrowed) == 0 {
		return
	}
	h.logger.Warn("stepgate stands inside a matcher: requests that it does not match go round the gate; put stepgate outside and write the paths into its policy",
		zap.String("source", h.Source), zap.Strings("matchers", narrowed), zap.String("site", h.Origin))
}

// siteOrigin is the origin of the site around the gate, where its address
// leaves no doubt.
func (c *SiteConfig) siteOrigin(ctx caddy.Context) (string, error) {
	s := c.surroundings(ctx)
	if len(s.hosts) != 1 || strings.ContainsAny(s.hosts[0], "*{}") {
		return "", errOrigin
	}
	host := s.hosts[0]
	port, ok := serverPort(s.server)
	if !ok {
		return "", errOrigin
	}
	scheme, usual := "https", 443
	if plainHTTP(s.server, host, port) {
		scheme, usual = "http", 80
	}
	if strings.Contains(host, ":") {
		host = "[" + strings.Trim(host, "[]") + "]"
	}
	if port != usual {
		host += ":" + strconv.Itoa(port)
	}
	return scheme + "://" + strings.ToLower(host), nil
}

// routeHosts lists the hosts of a route; a route for all hosts has "*".
func routeHosts(route caddyhttp.Route) []string {
	var hosts []string
	for _, set := range route.MatcherSets {
		for _, m := range set {
			switch host := m.(type) {
			case caddyhttp.MatchHost:
				hosts = append(hosts, host...)
			case *caddyhttp.MatchHost:
				hosts = append(hosts, *host...)
			}
		}
	}
	if hosts == nil {
		return []string{"*"}
	}
	return hosts
}

// serverPort is the one port that a server listens on.
func serverPort(srv *caddyhttp.Server) (int, bool) {
	port := 0
	for _, listen := range srv.Listen {
		_, text, err := net.SplitHostPort(listen)
		if err != nil {
			return 0, false
		}
		n, err := strconv.Atoi(text)
		if err != nil || port != 0 && n != port {
			return 0, false
		}
		port = n
	}
	return port, port != 0
}

// plainHTTP tells whether a host is served without TLS.
func plainHTTP(srv *caddyhttp.Server, host string, port int) bool {
	if srv.AutoHTTPS != nil && slices.Contains(srv.AutoHTTPS.Skip, host) {
		return true
	}
	if len(srv.TLSConnPolicies) > 0 {
		return false
	}
	return port == 80 || srv.AutoHTTPS != nil && srv.AutoHTTPS.Disabled
}
