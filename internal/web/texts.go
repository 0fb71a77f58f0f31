package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Catalogue is the texts of one package in one language: id to text. A text
// may hold {name} parameters. Where the wording depends on a number, ids end in
// the plural categories of CLDR ("wait.one", "wait.other") and the text is
// asked for as "wait" with the parameter count.
type Catalogue map[string]string

// parseCatalogue reads a flat JSON object; anything deeper is an error.
func parseCatalogue(data []byte) (Catalogue, error) {
	var c Catalogue
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("texts: %w", err)
	}
	return c, nil
}

// knows tells whether id is a text here, by itself or with plural forms.
func (c Catalogue) knows(id string) bool {
	if _, ok := c[id]; ok {
		return true
	}
	_, ok := c[id+".other"]
	return ok
}

// words are the texts that a page of one language sees: its package's, then
// the kit's, then both in the default language.
type words struct {
	tag    language.Tag
	layers []Catalogue
}

// text gives the text of id with its parameters filled in. An id that nobody
// knows is its own text: visible, and no reason to lose the page.
func (w words) text(id string, args ...any) (string, error) {
	if len(args)%2 != 0 {
		return "", fmt.Errorf("text %q: parameters come in pairs", id)
	}
	found := w.find(id, args)
	if len(args) == 0 {
		return found, nil
	}
	pairs := make([]string, 0, len(args))
	for i := 0; i < len(args); i += 2 {
		name, ok := args[i].(string)
		if !ok {
			return "", fmt.Errorf("text %q: parameter %d has no name", id, i/2)
		}
		value := fmt.Sprint(args[i+1])
		if spoken, ok := args[i+1].(interface{ in(words) string }); ok {
			value = spoken.in(w)
		}
		pairs = append(pairs, "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(found), nil
}

// choices is the template function of that name: the options of a select, with
// an empty one first that has the text none, and one for each id.
func (w words) choices(none string, ids []string) ([]Option, error) {
	options := []Option{{Text: none}}
	for _, id := range ids {
		text, err := w.text(id)
		if err != nil {
			return nil, err
		}
		options = append(options, Option{Value: id, Text: text})
	}
	return options, nil
}

func (w words) find(id string, args []any) string {
	for _, c := range w.layers {
		if text, ok := c[id]; ok {
			return text
		}
		if _, ok := c[id+".other"]; !ok {
			continue
		}
		if text, ok := c[id+"."+w.category(args)]; ok {
			return text
		}
		return c[id+".other"]
	}
	return id
}

// has tells whether some layer knows id.
func (w words) has(id string) bool {
	for _, c := range w.layers {
		if c.knows(id) {
			return true
		}
	}
	return false
}

var categories = map[plural.Form]string{
	plural.Zero: "zero", plural.One: "one", plural.Two: "two",
	plural.Few: "few", plural.Many: "many", plural.Other: "other",
}

// category is the plural category of the parameter count.
func (w words) category(args []any) string {
	for i := 0; i+1 < len(args); i += 2 {
		if n, ok := args[i+1].(int); ok && args[i] == "count" {
			return categories[plural.Cardinal.MatchPlural(w.tag, n, 0, 0, 0, 0)]
		}
	}
	return "other"
}

// or resolves what a handler wrote: the text of an id, or the words themselves
// where no catalogue knows them.
func (w words) or(idOrText string, args []any) string {
	if !w.has(idOrText) {
		return idOrText
	}
	text, err := w.text(idOrText, args...)
	if err != nil {
		return idOrText
	}
	return text
}

// Countries is a parameter of a text: countries by ISO 3166 code, which a page
// calls by their names.
type Countries []string

func (c Countries) in(w words) string {
	names := make([]string, 0, len(c))
	for _, code := range c {
		id := "country." + strings.ToUpper(code)
		if w.has(id) {
			names = append(names, w.find(id, nil))
			continue
		}
		name := code
		if region, err := language.ParseRegion(code); err == nil {
			name = cmp.Or(display.English.Regions().Name(region), code)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
