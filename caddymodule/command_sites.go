package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/stepgate/stepgate/policy/author"
)

// drawing is a configuration with its gates provisioned, by the code that a
// running gateway has them from. No store, key or listener was opened.
type drawing struct {
	file  string
	raw   []byte // as JSON
	app   *App
	gates []*Handler // in written order
}

// draw reads and provisions a configuration file as `validate` does, but for
// the assertions of its policies: whoever asks why one does not hold must get
// an answer. The process is expected to end soon: nothing is cleaned up.
func draw(file, adapter string) (*drawing, error) {
	raw, err := adaptFile(file, adapter)
	if err != nil {
		return nil, err
	}
	var config caddy.Config
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, fmt.Errorf("%s: not a Caddy configuration: %w", file, err)
	}
	if config.AppsRaw["http"], err = withoutAsserts(config.AppsRaw["http"]); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
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
	d := &drawing{file: file, raw: raw, app: app.(*App)}
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

// drawConfigured draws the file that the flags name.
func drawConfigured(cmd *cobra.Command) (*drawing, error) {
	return draw(flagText(cmd, "config"), flagText(cmd, "adapter"))
}

func (d *drawing) sites() []*author.Site {
	var sites []*author.Site
	for _, h := range d.gates {
		sites = append(sites, h.authored())
	}
	return sites
}

// withoutAsserts drops the assertions of all gates.
func withoutAsserts(raw json.RawMessage) (json.RawMessage, error) {
	if raw == nil {
		return nil, nil
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
