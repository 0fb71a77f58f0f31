package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/stepgate/stepgate/policy/author"
)

// settings lists what of a gate and of the app is no part of the policy, as
// it is written, with the defaults of what matters.
func (d *drawing) settings(h *Handler) []author.Setting {
	all := map[string]string{
		"enrolment":        strconv.Quote(string(h.enrolment())),
		"session.idle":     nanoseconds(d.app.Session.Idle),
		"session.absolute": nanoseconds(d.app.Session.Absolute),
		"store_grace":      nanoseconds(d.app.StoreGrace),
	}
	if h.BindingDelay != nil {
		all["binding_delay"] = nanoseconds(*h.BindingDelay)
	}
	add := func(list []author.Setting) {
		for _, s := range list {
			if _, known := all[s.Name]; !known {
				all[s.Name] = s.Value
			}
		}
	}
	for key, value := range d.written(h) {
		switch key {
		case "handler", "source", "copy", "policy", "report_only":
		case "sign_in":
			add(sourceSettings(value))
		case "identity_headers":
			add([]author.Setting{{Name: key, Value: jsonText(value)}})
		default:
			add(author.SettingsOf(key, value))
		}
	}
	if h.ReportOnly != nil {
		add([]author.Setting{{Name: "report_only", Value: author.PolicyText(h.ReportOnly)}})
	}
	for key, value := range d.writtenApp() {
		if key != "source" {
			add(author.SettingsOf(key, value))
		}
	}
	add(d.findings())
	var list []author.Setting
	for name, value := range all {
		list = append(list, author.Setting{Name: name, Value: value})
	}
	return list
}

func nanoseconds(d caddy.Duration) string { return strconv.FormatInt(int64(time.Duration(d)), 10) }

func jsonText(value any) string {
	text, _ := json.Marshal(value)
	return string(text)
}

// sourceSettings is one setting for each way to sign in.
func sourceSettings(value any) []author.Setting {
	var list []author.Setting
	sources, _ := value.([]any)
	for _, one := range sources {
		source, _ := one.(map[string]any)
		name := cmp.Or(fmt.Sprint(source["name"]), "<nil>")
		if name == "<nil>" {
			name = fmt.Sprint(source["source"])
		}
		list = append(list, author.Setting{Name: "sign_in " + name, Value: jsonText(source)})
	}
	if len(list) == 0 {
		list = append(list, author.Setting{Name: "sign_in local", Value: "{}"})
	}
	return list
}

// findings are those that lint has around the gates: where one is new, a
// request goes round a gate that did not.
func (d *drawing) findings() []author.Setting {
	found, err := d.lintServers()
	if err != nil {
		return nil
	}
	var list []author.Setting
	for _, f := range found {
		list = append(list, author.Setting{Name: "finding " + f.Code + ": " + f.Text, Value: "true"})
	}
	return list
}

// written is the JSON of a gate, as the configuration has it.
func (d *drawing) written(h *Handler) map[string]any {
	var tree any
	if json.Unmarshal(d.raw, &tree) != nil {
		return nil
	}
	return findGate(tree, h)
}

func findGate(tree any, h *Handler) map[string]any {
	switch node := tree.(type) {
	case map[string]any:
		if n, _ := node["copy"].(float64); node["handler"] == "stepgate" && cmp.Or(node["source"], any("")) == any(h.Source) && int(n) == h.Copy {
			return node
		}
		for _, below := range node {
			if found := findGate(below, h); found != nil {
				return found
			}
		}
	case []any:
		for _, below := range node {
			if found := findGate(below, h); found != nil {
				return found
			}
		}
	}
	return nil
}

func (d *drawing) writtenApp() map[string]any {
	var tree struct {
		Apps struct {
			Stepgate map[string]any `json:"stepgate"`
		} `json:"apps"`
	}
	_ = json.Unmarshal(d.raw, &tree)
	return tree.Apps.Stepgate
}
