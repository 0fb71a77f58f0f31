package caddymodule

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stepgate/stepgate/policy/author"
)

// hostUse is what a host is for.
type hostUse struct {
	// app is where the authenticator app is said to be served, "" for not.
	app string
	// others are the handlers there that serve something else.
	others []string
}

// use remembers what a handler is for at a host.
func (w *routeWalk) use(host string, handler lintHandler) {
	if w.hosts == nil {
		w.hosts = map[string]*hostUse{}
	}
	if w.hosts[host] == nil {
		w.hosts[host] = new(hostUse)
	}
	switch handler.Handler {
	case "stepgate_authenticator":
		w.hosts[host].app = cmp.Or(handler.Source, "Caddyfile:0")
	case "reverse_proxy", "file_server", "stepgate":
		w.hosts[host].others = append(w.hosts[host].others, handler.Handler)
	}
}

// sharedApps are the authenticator apps that have no host of their own.
func (w *routeWalk) sharedApps() []author.Finding {
	var found []author.Finding
	for _, host := range slices.Sorted(maps.Keys(w.hosts)) {
		use := w.hosts[host]
		if use.app == "" || len(use.others) == 0 {
			continue
		}
		pos := parsePosition(use.app)
		slices.Sort(use.others)
		found = append(found, author.Finding{
			Code: codeAppWithUpstream, File: pos.File, Line: pos.Line,
			Text: fmt.Sprintf("stepgate_authenticator at %s shares its host with %s: a script there reads what the app keeps, the codes and the keys of people's phones",
				host, strings.Join(slices.Compact(use.others), ", ")),
			Mend: "give the app a host of its own, with nothing else in its block",
		})
	}
	return found
}
