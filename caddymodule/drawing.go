package caddymodule

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/stepgate/stepgate/caddymodule/command"
	"github.com/stepgate/stepgate/internal/operation"
	"github.com/stepgate/stepgate/policy/author"
)

func init() {
	command.Use(command.Module{Adapt: adaptAside, Load: loadApp, Draw: drawGates, Store: findStore})
}

// loadApp is how commands find the store.
func loadApp(file string, raw json.RawMessage, whole []byte) (*command.Configuration, error) {
	app, err := readApp(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return &command.Configuration{Store: app.Store.name(), Open: func(ctx context.Context, mayCreate bool) (operation.Place, func() error, error) {
		// Links lead to a site, and only a configuration that holds has one.
		if drawn, err := drawGates(file, whole); err == nil {
			return drawn.(*drawing).app.openPlace(ctx, mayCreate)
		}
		return app.openPlace(ctx, mayCreate)
	}}, nil
}

// readApp makes the app as Caddy would provision it; a configuration that
// only has the site directive has the app with its defaults.
func readApp(raw json.RawMessage) (*App, error) {
	app := new(App)
	if raw != nil {
		if err := caddy.StrictUnmarshalJSON(raw, app); err != nil {
			return nil, fmt.Errorf("the app stepgate: %w", err)
		}
	}
	app.setDefaults()
	if err := app.expandSecrets(); err != nil {
		return nil, err
	}
	return app, app.Validate()
}

// drawing is a configuration with its gates provisioned, by the code that a
// running gateway has them from. No store, key or listener was opened.
type drawing struct {
	file  string
	raw   []byte // as JSON, without its policies
	app   *App
	gates []*Handler // in written order
}

// drawGates is how commands see a configuration.
func drawGates(file string, raw []byte) (command.Drawing, error) {
	var config caddy.Config
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("%s: not a Caddy configuration: %w", file, err)
	}
	gates, err := withoutAsserts(config.AppsRaw["http"])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	config.AppsRaw["http"] = gates
	if config.AppsRaw["http"] == nil {
		return nil, fmt.Errorf("%s: %w", file, author.ErrNoSite)
	}
	// Logs that the configuration names are those of the running gateway.
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{Level: "PANIC"}}}}
	ctx, err := caddy.ProvisionContext(&config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	app, err := ctx.App("stepgate")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	d := &drawing{file: file, raw: cutPolicies(raw).rest, app: app.(*App)}
	d.gates = slices.Clone(d.app.sites)
	slices.SortStableFunc(d.gates, func(a, b *Handler) int {
		x, y := parsePosition(a.Source), parsePosition(b.Source)
		return cmp.Or(cmp.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line), cmp.Compare(a.Copy, b.Copy), cmp.Compare(a.Origin, b.Origin))
	})
	if len(d.gates) == 0 {
		return nil, fmt.Errorf("%s: %w", file, author.ErrNoSite)
	}
	return d, nil
}

// Sites implements Drawing.
func (d *drawing) Sites() []*author.Site {
	folder := ""
	if abs, err := filepath.Abs(d.file); err == nil {
		folder = filepath.Dir(abs)
	}
	var sites []*author.Site
	for _, h := range d.gates {
		site := h.authored()
		site.Settings, site.Folder = d.settings(h), folder
		sites = append(sites, site)
	}
	return sites
}

// ReportOnly implements Drawing.
func (d *drawing) ReportOnly() []*author.Site {
	var sites []*author.Site
	for _, h := range d.gates {
		sites = append(sites, h.authoredReport())
	}
	return sites
}

// Limits implements Drawing.
func (d *drawing) Limits() author.Limits {
	return author.Limits{Idle: time.Duration(d.app.Session.Idle), Absolute: time.Duration(d.app.Session.Absolute)}
}

// RiskScale implements Drawing.
func (d *drawing) RiskScale() *operation.RiskView {
	for _, h := range d.gates {
		if asksRisk(h.Policy, h.ReportOnly) {
			return new(riskView(d.app.riskSettings().Scale()))
		}
	}
	return nil
}

// withoutAsserts drops the assertions of all gates.
func withoutAsserts(raw json.RawMessage) (json.RawMessage, error) {
	if raw == nil || !bytes.Contains(raw, []byte(`"assert"`)) {
		return raw, nil
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, err
	}
	dropAsserts(tree)
	return json.Marshal(tree)
}

func dropAsserts(tree any) {
	switch node := tree.(type) {
	case map[string]any:
		if node["handler"] == "stepgate" {
			for _, key := range []string{"policy", "report_only"} {
				if policy, ok := node[key].(map[string]any); ok {
					delete(policy, "assert")
				}
			}
		}
		for _, below := range node {
			dropAsserts(below)
		}
	case []any:
		for _, below := range node {
			dropAsserts(below)
		}
	}
}
