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
	all["binding_delay"] = strconv.FormatInt(int64(24*time.Hour), 10)
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
	found, _, err := d.lintServers()
	if err != nil {
		return nil
	}
	var list []author.Setting
	for _, f := range found {
		list = append(list, author.Setting{Name: "finding " + f.Code + ": " + f.Text, Value: "true"})
	}
	return list
}

// writtenRoute is a route with its handlers as they are written.
type writtenRoute struct {
	Handle []map[string]json.RawMessage `json:"handle"`
}

// written is the JSON of a gate but for its policies, as the configuration
// has it.
func (d *drawing) written(h *Handler) map[string]any {
	var config struct {
		Apps struct {
			HTTP struct {
				Servers map[string]struct {
					Routes      []writtenRoute          `json:"routes"`
					NamedRoutes map[string]writtenRoute `json:"named_routes"`
				} `json:"servers"`
			} `json:"http"`
		} `json:"apps"`
	}
	if json.Unmarshal(d.raw, &config) != nil {
		return nil
	}
	for _, server := range config.Apps.HTTP.Servers {
		for _, route := range server.NamedRoutes {
			server.Routes = append(server.Routes, route)
		}
		if found := findGate(server.Routes, h); found != nil {
			return found
		}
	}
	return nil
}

func findGate(routes []writtenRoute, h *Handler) map[string]any {
	for _, route := range routes {
		for _, handler := range route.Handle {
			if isGate(handler, h) {
				return options(handler)
			}
			var below []writtenRoute
			if json.Unmarshal(handler["routes"], &below) != nil {
				continue
			}
			if found := findGate(below, h); found != nil {
				return found
			}
		}
	}
	return nil
}

func isGate(handler map[string]json.RawMessage, h *Handler) bool {
	var name, source string
	var copies int
	for key, into := range map[string]any{"handler": &name, "source": &source, "copy": &copies} {
		if text, there := handler[key]; there && json.Unmarshal(text, into) != nil {
			return false
		}
	}
	return name == "stepgate" && source == h.Source && copies == h.Copy
}

func options(handler map[string]json.RawMessage) map[string]any {
	all := map[string]any{}
	for key, text := range handler {
		var value any
		if key != "policy" && key != "report_only" && json.Unmarshal(text, &value) == nil {
			all[key] = value
		}
	}
	return all
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
