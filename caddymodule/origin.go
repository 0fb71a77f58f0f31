package caddymodule

import (
	"encoding/json"
	"errors"
	"maps"
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
// it: it is told nothing of what is around it, but while it is provisioned its
// server still has the routes as they were written.
type surroundings struct {
	server *caddyhttp.Server
	hosts  []string
	// narrowed are the matchers between the site and the gate, by name and
	// without those of hosts: what they do not match goes round the gate.
	narrowed []string
}

// surroundings looks once: the routes are gone when the site is provisioned.
func (c *SiteConfig) surroundings(ctx caddy.Context) surroundings {
	if c.around == nil {
		around := c.lookAround(ctx)
		c.around = &around
	}
	return *c.around
}

func (c *SiteConfig) lookAround(ctx caddy.Context) surroundings {
	srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || c.Source == "" {
		return surroundings{}
	}
	s := surroundings{server: srv}
	for _, route := range srv.Routes {
		for _, raw := range route.HandlersRaw {
			var tree any
			parts := cutPolicies(raw)
			if json.Unmarshal(parts.rest, &tree) != nil || !c.within(tree) {
				continue
			}
			s.hosts = append(s.hosts, routeHosts(route)...)
			for _, set := range route.MatcherSets {
				for _, m := range set {
					if module, ok := m.(caddy.Module); ok {
						s.narrow(module.CaddyModule().ID.Name())
					}
				}
			}
			s.descend(tree, c)
		}
	}
	return s
}

// descend collects the matchers of the routes below that lead to the gate.
func (s *surroundings) descend(tree any, c *SiteConfig) {
	switch node := tree.(type) {
	case map[string]any:
		if sets, ok := node["match"].([]any); ok && node["handle"] != nil && c.within(node) {
			for _, set := range sets {
				if set, ok := set.(map[string]any); ok {
					for _, name := range slices.Sorted(maps.Keys(set)) {
						s.narrow(name)
					}
				}
			}
		}
		for _, below := range node {
			s.descend(below, c)
		}
	case []any:
		for _, below := range node {
			s.descend(below, c)
		}
	}
}

func (s *surroundings) narrow(matcher string) {
	if matcher != "host" && !slices.Contains(s.narrowed, matcher) {
		s.narrowed = append(s.narrowed, matcher)
	}
}

// within tells whether the site's gate is somewhere in a tree of handlers.
func (c *SiteConfig) within(tree any) bool {
	switch node := tree.(type) {
	case map[string]any:
		number, _ := node["copy"].(float64)
		if node["handler"] == "stepgate" && node["source"] == c.Source && int(number) == c.Copy {
			return true
		}
		for _, below := range node {
			if c.within(below) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(node, c.within)
	}
	return false
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
