package web

import (
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/text/language"
)

// usedTexts are the ids that a page and its parts ask for by name.
func usedTexts(t *template.Template) []string {
	used := map[string]bool{}
	for _, sub := range t.Templates() {
		if sub.Tree != nil && sub.Tree.Root != nil {
			walk(reflect.ValueOf(sub.Tree.Root), used)
		}
	}
	return slices.Sorted(maps.Keys(used))
}

var commandType = reflect.TypeFor[*parse.CommandNode]()

// walk visits every node below v. Nodes know their tree, which leads back up;
// it is the one field not followed.
func walk(v reflect.Value, used map[string]bool) {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return
		}
		if v.Type() == commandType {
			noteText(v.Interface().(*parse.CommandNode), used)
		}
		walk(v.Elem(), used)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			walk(v.Index(i), used)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				walk(v.Field(i), used)
			}
		}
	}
}

func noteText(c *parse.CommandNode, used map[string]bool) {
	if len(c.Args) < 2 {
		return
	}
	name, isName := c.Args[0].(*parse.IdentifierNode)
	id, isText := c.Args[1].(*parse.StringNode)
	if isName && isText && name.Ident == "t" {
		used[id.Text] = true
	}
}

// CheckTexts is for the tests of packages with texts: every language must know
// the same ids with the same parameters. Plural forms count as one.
func CheckTexts(fsys fs.FS) error {
	files, err := readBundle(fsys, nil, "texts")
	if err != nil {
		return err
	}
	english := parameters(files.texts[DefaultLanguage])
	var errs []error
	for _, lang := range slices.Sorted(maps.Keys(files.texts)) {
		theirs := parameters(files.texts[lang])
		for _, id := range slices.Sorted(maps.Keys(english)) {
			if params, ok := theirs[id]; !ok {
				errs = append(errs, fmt.Errorf("texts_%s.json: %q is missing", lang, id))
			} else if params != english[id] {
				errs = append(errs, fmt.Errorf("texts_%s.json: %q has parameters %q, English %q", lang, id, params, english[id]))
			}
		}
		errs = append(errs, checkForms(lang, files.texts[lang])...)
		for _, id := range slices.Sorted(maps.Keys(theirs)) {
			if _, ok := english[id]; !ok {
				errs = append(errs, fmt.Errorf("texts_%s.json: %q is not in English", lang, id))
			}
		}
	}
	return errors.Join(errs...)
}

// checkForms finds texts with a number that lack a plural form which CLDR has
// for their language, or have one that it has not.
func checkForms(lang string, c Catalogue) []error {
	w, wanted := words{tag: language.Make(lang)}, map[string]bool{}
	for n := range 200 {
		wanted[w.category([]any{"count", n})] = true
	}
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(c)) {
		base, counted := strings.CutSuffix(id, ".other")
		if !counted || !strings.Contains(c[id], "{count}") {
			continue
		}
		for _, form := range slices.Sorted(maps.Values(categories)) {
			if _, has := c[base+"."+form]; has != wanted[form] {
				errs = append(errs, fmt.Errorf("texts_%s.json: %q: form %q is there: %t, CLDR has it: %t", lang, base, form, has, wanted[form]))
			}
		}
	}
	return errs
}

// spokenAttributes are those whose values people read or hear.
var spokenAttributes = []string{"alt", "title", "placeholder", "aria-label", "aria-description"}

// CheckTemplates is for the tests of packages with pages: whatever a visitor
// reads comes from the texts, so that it can be in their language, and no
// template has words of its own.
func CheckTemplates(fsys fs.FS) error {
	files, err := readBundle(fsys, nil, "pages")
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(files.templates)) {
		for _, spoken := range spokenIn(files.templates[name]) {
			errs = append(errs, fmt.Errorf("%s: %q stands in the template", name, spoken))
		}
	}
	return errors.Join(errs...)
}

// actions are what stands in a template for something else.
var actions = regexp.MustCompile(`(?s)\{\{.*?\}\}`)

// spokenIn lists what people would read of a template itself.
func spokenIn(template string) []string {
	var found []string
	note := func(text string) {
		if strings.ContainsFunc(text, unicode.IsLetter) {
			found = append(found, strings.TrimSpace(text))
		}
	}
	tokens := html.NewTokenizer(strings.NewReader(actions.ReplaceAllString(template, "")))
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return found
		case html.TextToken:
			note(string(tokens.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			for _, a := range tokens.Token().Attr {
				if slices.Contains(spokenAttributes, a.Key) {
					note(a.Val)
				}
			}
		}
	}
}

// parameters maps ids without their plural endings to the {names} in their texts.
func parameters(c Catalogue) map[string]string {
	found := map[string]map[string]bool{}
	for id, text := range c {
		base := id
		for _, ending := range categories {
			base = strings.TrimSuffix(base, "."+ending)
		}
		if found[base] == nil {
			found[base] = map[string]bool{}
		}
		for part := range strings.SplitSeq(text, "{") {
			if name, _, ok := strings.Cut(part, "}"); ok {
				found[base][name] = true
			}
		}
	}
	joined := make(map[string]string, len(found))
	for id, names := range found {
		joined[id] = strings.Join(slices.Sorted(maps.Keys(names)), " ")
	}
	return joined
}

// CheckViews is for the tests of packages with pages: every page must have a
// view here, and render with it in every language. Hand in zero values.
func (p *Pages) CheckViews(views map[string]any) error {
	var errs []error
	for _, lang := range p.languages() {
		for _, name := range slices.Sorted(maps.Keys(p.pages[lang])) {
			view, ok := views[name]
			if !ok {
				errs = append(errs, fmt.Errorf("page %s: no view to check it with", name))
				continue
			}
			pg := &page{kit: p.kit, words: p.wordsFor(lang), Site: &Site{}, Lang: lang, Nonce: newNonce()}
			if _, err := p.execute(pg, name, view); err != nil {
				errs = append(errs, fmt.Errorf("language %s: %w", lang, err))
			}
		}
	}
	return errors.Join(errs...)
}
