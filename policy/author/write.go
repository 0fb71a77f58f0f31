package author

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/stepgate/stepgate/policy"
)

// writer writes a policy as it stands in a Caddyfile.
type writer struct {
	strings.Builder
	indent string
}

func (w *writer) line(remark string, words ...string) {
	w.WriteString(w.indent + strings.Join(words, " "))
	if remark != "" {
		w.WriteString("   # " + remark)
	}
	w.WriteByte('\n')
}

func (w *writer) block(remark string, inside func(), words ...string) {
	w.line(remark, append(words, "{")...)
	w.indent += "\t"
	inside()
	w.indent = strings.TrimSuffix(w.indent, "\t")
	w.line("", "}")
}

func (w *writer) level(l policy.LevelConfig) {
	w.block("", func() {
		w.alternatives("accept", l.Accept)
		w.alternatives("also", l.Also)
		if l.MaxAge > 0 {
			w.line("", "max_age", l.MaxAge.String())
		}
		if l.Once {
			w.line("", "once")
		}
		if len(l.Enrol) > 0 {
			w.line("", append([]string{"enrol"}, l.Enrol...)...)
		}
	}, "level", word(l.Name))
}

func (w *writer) alternatives(name string, list [][]policy.Factor) {
	if len(list) == 0 {
		return
	}
	words := []string{name}
	for _, factors := range list {
		var together []string
		for _, f := range factors {
			together = append(together, string(f))
		}
		words = append(words, strings.Join(together, "+"))
	}
	w.line("", words...)
}

func (w *writer) rule(r policy.RuleConfig, remark string) {
	words := []string{string(r.Verb)}
	for _, list := range [][]string{r.Levels, r.Methods, r.Patterns} {
		for _, one := range list {
			words = append(words, word(one))
		}
	}
	if len(r.Groups)+len(r.Users)+len(r.Raises) == 0 && r.Why == "" && r.MaxAge == 0 && r.Until.IsZero() {
		w.line(remark, words...)
		return
	}
	w.block(remark, func() {
		w.names("group", r.Groups)
		w.names("user", r.Users)
		for _, a := range r.Raises {
			w.raise(a)
		}
		if r.MaxAge > 0 {
			w.line("", "max_age", r.MaxAge.String())
		}
		if r.Why != "" {
			w.line("", "why", quoted(r.Why))
		}
		if !r.Until.IsZero() {
			w.line("", "until", r.Until.AddDate(0, 0, -1).UTC().Format(time.DateOnly))
		}
	}, words...)
}

func (w *writer) names(option string, names []string) {
	if len(names) > 0 {
		words := []string{option}
		for _, name := range names {
			words = append(words, word(name))
		}
		w.line("", words...)
	}
}

func (w *writer) raise(a policy.RaiseConfig) {
	if len(a.Conditions) == 1 {
		w.line("", "raise", word(a.Level), "when", condition(a.Conditions[0]))
		return
	}
	w.block("", func() {
		for _, c := range a.Conditions {
			w.line("", condition(c))
		}
	}, "raise", word(a.Level))
}

// condition writes one, of a Caddyfile or of JSON.
func condition(c policy.ConditionConfig) string {
	words := []string{c.Kind}
	if c.Not {
		words = []string{"not", c.Kind}
	}
	switch args := c.Args; {
	case c.Kind == "expression":
		words = append(words, quoted(expression(c.Raw)))
	case len(args) > 0:
		for _, arg := range args {
			words = append(words, word(arg))
		}
	default:
		words = append(words, ofJSON(c.Raw)...)
	}
	return strings.Join(words, " ")
}

func expression(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var object struct{ Expr string }
	json.Unmarshal(raw, &object) //nolint:errcheck // what is not understood is written as nothing, which no configuration takes
	return object.Expr
}

// ofJSON are the words of a matcher that was written as JSON: of ranges, or of
// names with their values.
func ofJSON(raw json.RawMessage) []string {
	var ranges struct{ Ranges []string }
	if json.Unmarshal(raw, &ranges) == nil && len(ranges.Ranges) > 0 {
		return ranges.Ranges
	}
	var fields map[string][]string
	if json.Unmarshal(raw, &fields) != nil || len(fields) != 1 {
		return []string{word(string(raw))}
	}
	var words []string
	for name, values := range fields {
		for _, value := range values {
			words = append(words, word(name), word(value))
		}
	}
	return words
}

// word writes a word of a Caddyfile, in quotes where it needs them.
func word(text string) string {
	if text == "" || strings.ContainsAny(text, " \t\"`") || text == "{" || text == "}" || strings.HasPrefix(text, "#") {
		return quoted(text)
	}
	return text
}

func quoted(text string) string {
	if !strings.Contains(text, "`") {
		return "`" + text + "`"
	}
	return `"` + strings.ReplaceAll(text, `"`, `\"`) + `"`
}

// percent writes a share of all requests.
func percent(n, of int64) string {
	share := 100 * float64(n) / float64(max(of, 1))
	if share > 0 && share < 0.05 {
		return "under 0.1 %"
	}
	return fmt.Sprintf("%.1f %%", share)
}
