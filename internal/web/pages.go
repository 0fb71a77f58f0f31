package web

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

const (
	layoutFile = "layout.html"
	partsFile  = "parts.html"
)

// Pages is one set of pages in all its languages. It is safe for concurrent use.
type Pages struct {
	kit   *Kit
	texts map[string]Catalogue
	// pages are by language, then page name. Each is complete: it was made once
	// to see that, and is made again when it is first shown. Of all pages in
	// all languages people see a few, and parsed ones are many small pieces,
	// which the collector would go through again and again while requests pass.
	pages map[string]map[string]func() (*template.Template, error)
}

// page is what the layout knows besides the view.
type page struct {
	kit    *Kit
	words  words
	path   string // of the request
	Site   *Site
	Lang   string
	Chosen string // Lang, where a link chose it
	Nonce  string
	Title  string
	Errors []FieldError
	// Base is the view's common part.
	Base *View
	// Others are this page in the site's other languages.
	Others []languageLink
	// Reference is what a page of somebody who tries too often shows.
	Reference string
}

type languageLink struct{ Lang, Name, Href string }

// frame is what the layout is executed with.
type frame struct {
	Page *page
	View any
}

// parse makes the templates of a set and fails on whatever is wrong with them.
func (k *Kit) parse(set string, files *bundle, required []string) (*Pages, error) {
	p := &Pages{kit: k, texts: files.texts, pages: map[string]map[string]func() (*template.Template, error){}}
	for _, lang := range p.languages() {
		pages, err := p.parseLanguage(lang, files.templates)
		if err != nil {
			return nil, fmt.Errorf("pages %s: %w", set, err)
		}
		p.pages[lang] = pages
	}
	for _, name := range required {
		if p.pages[DefaultLanguage][name] == nil {
			return nil, fmt.Errorf("pages %s: %s.html is missing", set, name)
		}
	}
	return p, nil
}

// languages are those the set has texts in, English always.
func (p *Pages) languages() []string {
	langs := slices.Sorted(maps.Keys(p.texts))
	if !slices.Contains(langs, DefaultLanguage) {
		langs = append(langs, DefaultLanguage)
	}
	return langs
}

// parseLanguage makes every page of one language, and keeps none.
func (p *Pages) parseLanguage(lang string, files map[string]string) (map[string]func() (*template.Template, error), error) {
	shared := sync.OnceValues(func() (*template.Template, error) { return p.shared(lang, files) })
	pages, common, words := map[string]func() (*template.Template, error){}, p.madeOf(files), p.wordsFor(lang)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(name, "_") {
			continue
		}
		used, err := common.complete(name, files[name], func() (*template.Template, error) {
			t, err := shared()
			if err == nil {
				t, err = t.Clone()
			}
			if err != nil {
				return nil, err
			}
			return t, parseFile(t, name, files[name])
		})
		if err != nil {
			return nil, err
		}
		for _, id := range used {
			if !words.has(id) {
				return nil, fmt.Errorf("%s: text %q does not exist", name, id)
			}
		}
		pages[strings.TrimSuffix(name, ".html")] = sync.OnceValues(func() (*template.Template, error) {
			t, err := p.shared(lang, files)
			if err != nil {
				return nil, err
			}
			return t, parseFile(t, name, files[name])
		})
	}
	return pages, nil
}

// shared is what all pages of a language have in common.
func (p *Pages) shared(lang string, files map[string]string) (*template.Template, error) {
	words := p.wordsFor(lang)
	t := template.New("").Funcs(template.FuncMap{
		"t": words.text, "button": newButton, "option": newOption, "options": newOptions, "choices": words.choices,
	})
	for _, name := range []string{layoutFile, partsFile} {
		if err := parseFile(t, name, p.kit.files.templates[name]); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(name, "_") {
			if err := parseFile(t, name, files[name]); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

func parseFile(t *template.Template, name, text string) error {
	if _, err := t.New(name).Parse(text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (p *Pages) wordsFor(lang string) words {
	w := words{tag: language.Make(lang)}
	for _, l := range []string{lang, DefaultLanguage} {
		for _, c := range []Catalogue{p.texts[l], p.kit.files.texts[l]} {
			if c != nil {
				w.layers = append(w.layers, c)
			}
		}
	}
	return w
}

// language of the answer, as far as the set has texts in it.
func (p *Pages) language(r *http.Request, site *Site) string {
	if lang := Language(r, site); p.pages[lang] != nil {
		return lang
	}
	return DefaultLanguage
}

// Text gives a text of the set in the language of the answer to r: for what a
// handler says in words of its own. An unknown id is its own text.
func (p *Pages) Text(r *http.Request, site *Site, id string, args ...any) string {
	return p.wordsFor(p.language(r, site)).or(id, args)
}

// TextIn is Text for what is said where there is no request: lang is a BCP 47
// tag.
func (p *Pages) TextIn(lang, id string, args ...any) string { return p.wordsFor(lang).or(id, args) }

// Extend adds an operator's texts to the set, before its first page is shown.
// ids that the set has are replaced. A language that it does not have is an
// error.
func (p *Pages) Extend(lang string, texts Catalogue) error {
	own, ok := p.texts[lang]
	if !ok {
		return fmt.Errorf("there are no pages in %q; expected one of %s", lang, strings.Join(p.languages(), ", "))
	}
	maps.Copy(own, texts)
	return nil
}

// Render answers with a page. View is a struct that embeds View, or a pointer
// to one; it is copied, not changed. With status 429 it shows a reference that
// Options.Refused hears of. On an error nothing was written.
func (p *Pages) Render(w http.ResponseWriter, r *http.Request, site *Site, status int, name string, view any) error {
	pg := p.newPage(r, site, p.language(r, site))
	if status == http.StatusTooManyRequests {
		pg.Reference = NewReference()
		p.kit.refused(r, pg.Reference, &Fail{Status: status})
	}
	return p.render(w, pg, status, name, view)
}

func (p *Pages) render(w http.ResponseWriter, pg *page, status int, name string, view any) error {
	body, err := p.execute(pg, name, view)
	if err != nil {
		return err
	}
	p.write(w, pg, status, keepPlace(body, pg.path), framedByNone)
	return nil
}

func (p *Pages) write(w http.ResponseWriter, pg *page, status int, body []byte, ancestors string) {
	h := w.Header()
	Harden(h, pg.Site)
	h.Set("Content-Security-Policy", pagePolicy(pg.Site, pg.Nonce, ancestors))
	if ancestors == framedBySelf {
		h.Set("X-Frame-Options", "SAMEORIGIN")
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", pg.Lang)
	w.WriteHeader(status)
	w.Write(body)
}

func (p *Pages) newPage(r *http.Request, site *Site, lang string) *page {
	pg := &page{kit: p.kit, words: p.wordsFor(lang), path: r.URL.Path, Site: site, Lang: lang, Nonce: newNonce()}
	if chosenLanguage(r, site.languages()) != "" {
		pg.Chosen = lang
	}
	for _, other := range site.languages() {
		if other != lang && p.pages[other] != nil {
			here := url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
			pg.Others = append(pg.Others, languageLink{other, languageName(other), withLanguage(here.String(), other)})
		}
	}
	return pg
}

// execute renders into memory, so that a page that breaks half-way is never sent.
func (p *Pages) execute(pg *page, name string, view any) ([]byte, error) {
	made := p.pages[pg.Lang][name]
	if made == nil {
		return nil, fmt.Errorf("page %s: no such page", name)
	}
	t, err := made()
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", name, err)
	}
	own, err := ownView(view)
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", name, err)
	}
	pg.Base = own.base()
	pg.Base.page = pg
	pg.Title = pg.words.or(pg.Base.Title, nil)
	pg.Base.Errors = slices.Clone(pg.Base.Errors)
	for i, e := range pg.Base.Errors {
		pg.Base.Errors[i].Text = pg.words.or(e.Text, e.Args)
	}
	pg.Errors = pg.Base.Errors
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, layoutFile, frame{pg, own}); err != nil {
		return nil, fmt.Errorf("page %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// ownView copies view, which belongs to the caller and may be in use elsewhere.
func ownView(view any) (viewer, error) {
	v := reflect.Indirect(reflect.ValueOf(view))
	if !v.IsValid() {
		return nil, errors.New("no view")
	}
	own := reflect.New(v.Type())
	own.Elem().Set(v)
	if viewer, ok := own.Interface().(viewer); ok {
		return viewer, nil
	}
	return nil, fmt.Errorf("%s does not embed web.View", v.Type())
}
