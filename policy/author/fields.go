package author

import (
	"net/url"
	"slices"

	"github.com/stepgate/stepgate/policy"
	"github.com/stepgate/stepgate/policy/exact"
	"github.com/stepgate/stepgate/policy/target"
)

func sortedNames(forms map[string][]exact.Glob) []string {
	var names []string
	for name := range forms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// fieldTexts are values of a field, one for every set of globs that a value
// can fit.
func fieldTexts(globs []exact.Glob, unknown *bool) []string {
	texts, complete := exact.Texts(globs, func(string) bool { return false })
	*unknown = *unknown || !complete
	return append([]string{""}, texts...)
}

func (a *aspects) formValues(name string) []value {
	globs := a.forms[name]
	for _, terms := range a.queries {
		for _, t := range terms {
			if target.FoldText(t.Name) == target.FoldText(name) {
				globs = append(slices.Clone(globs), t.Pieces)
			}
		}
	}
	values := []value{{words: "form without " + name, set: func(*circumstance) {}}}
	for _, text := range fieldTexts(globs, &a.unknown) {
		values = append(values, value{words: "form " + name + "=" + text, set: func(c *circumstance) {
			c.facts.Form = append(slices.Clone(c.facts.Form), Field{name, text})
		}})
	}
	return values
}

// queryValues are no query, and for each query rule the least that it asks
// for: values that as few other rules as possible ask for as well.
func (a *aspects) queryValues() []value {
	if len(a.queries) == 0 {
		return nil
	}
	byName := map[string][]exact.Glob{}
	for _, terms := range a.queries {
		for _, t := range terms {
			name := target.FoldText(t.Name)
			byName[name] = append(byName[name], t.Pieces)
		}
	}
	values := []value{{set: func(*circumstance) {}}}
	seen := map[string]bool{}
	for _, terms := range a.queries {
		for _, query := range a.leastQueries(terms, byName) {
			if !seen[query] {
				seen[query] = true
				values = append(values, value{words: "?" + query, set: func(c *circumstance) { c.query = query }})
			}
		}
	}
	return values
}

func (a *aspects) leastQueries(terms []policy.Term, byName map[string][]exact.Glob) []string {
	queries := []string{""}
	for _, t := range terms {
		var more []string
		for _, text := range least(t.Pieces, byName[target.FoldText(t.Name)], &a.unknown) {
			for _, q := range queries {
				if q != "" {
					q += "&"
				}
				more = append(more, q+url.QueryEscape(t.Name)+"="+url.QueryEscape(text))
			}
		}
		queries = more
	}
	return queries
}

// least are texts that fit a glob and as few of the others as possible.
func least(glob exact.Glob, others []exact.Glob, unknown *bool) []string {
	type fitting struct {
		text string
		fits []bool
	}
	var all []fitting
	for _, text := range fieldTexts(others, unknown) {
		if !glob.Fits(text) {
			continue
		}
		f := fitting{text: text}
		for _, o := range others {
			f.fits = append(f.fits, o.Fits(text))
		}
		all = append(all, f)
	}
	within := func(a, b []bool) bool {
		for i := range a {
			if a[i] && !b[i] {
				return false
			}
		}
		return true
	}
	var texts []string
	for i, f := range all {
		beaten := slices.ContainsFunc(all, func(o fitting) bool { return within(o.fits, f.fits) && !within(f.fits, o.fits) }) ||
			slices.ContainsFunc(all[:i], func(o fitting) bool { return within(o.fits, f.fits) && within(f.fits, o.fits) })
		if !beaten {
			texts = append(texts, f.text)
		}
	}
	return texts
}
