package caddymodule

import (
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// errOrigin says that the site's address leaves its origin open.
var errOrigin = errors.New("the site's address is not one plain host, so its origin cannot be told; write it as in `origin https://portal.example.gov`")

// siteOrigin finds the origin of the site in which the directive at source
// stands. A handler is told nothing of the site around it, but while it is
// provisioned its server still has the routes as they were written.
func siteOrigin(ctx caddy.Context, source string) (string, error) {
	srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || source == "" {
		return "", errOrigin
	}
	var hosts []string
	for _, route := range srv.Routes {
		if holdsDirective(route.HandlersRaw, source) {
			hosts = append(hosts, routeHosts(route)...)
		}
	}
	if len(hosts) != 1 || strings.ContainsAny(hosts[0], "*{}") {
		return "", errOrigin
	}
	host := hosts[0]
	port, ok := serverPort(srv)
	if !ok {
		return "", errOrigin
	}
	scheme, usual := "https", 443
	if plainHTTP(srv, host, port) {
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

// holdsDirective looks for the handler with that source among handlers that
// are not loaded yet, and in what is below them.
func holdsDirective(raw []json.RawMessage, source string) bool {
	return slices.ContainsFunc(raw, func(one json.RawMessage) bool {
		var tree any
		return json.Unmarshal(one, &tree) == nil && holds(tree, source)
	})
}

func holds(tree any, source string) bool {
	switch node := tree.(type) {
	case map[string]any:
		if node["handler"] == "stepgate" && node["source"] == source {
			return true
		}
		for _, below := range node {
			if holds(below, source) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(node, func(below any) bool { return holds(below, source) })
	}
	return false
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
