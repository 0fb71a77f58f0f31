package web

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// completed are the texts that pages ask for which have been found complete, by
// what they are made of. Finding it is most of the work of a site's start, and
// what pages are made of is the same at every reload and for every site.
var completed sync.Map // of made to []string

// made names the texts of all templates that something is made of.
type made [sha256.Size]byte

func madeOf(templates ...string) made {
	sum := sha256.New()
	for _, text := range templates {
		fmt.Fprintf(sum, "%d %s", len(text), text)
	}
	return made(sum.Sum(nil))
}

// madeOf names what all pages of a set have in common.
func (p *Pages) madeOf(files map[string]string) made {
	all := []string{p.kit.files.templates[layoutFile], p.kit.files.templates[partsFile]}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasPrefix(name, "_") {
			all = append(all, name, files[name])
		}
	}
	return madeOf(all...)
}

// complete gives the texts that the page asks for which has this beside what is
// common, and fails on what it lacks that only shows when it is executed.
func (m made) complete(name, text string, parse func() (*template.Template, error)) ([]string, error) {
	key := madeOf(string(m[:]), name, text)
	if used, ok := completed.Load(key); ok {
		return used.([]string), nil
	}
	t, err := parse()
	if err != nil {
		return nil, err
	}
	if t.Lookup("main") == nil {
		return nil, fmt.Errorf(`%s: "main" is not defined`, name)
	}
	used := usedTexts(t)
	// html/template escapes at the first execution. What is wrong with the
	// data does not matter here: there is none yet.
	err = t.ExecuteTemplate(io.Discard, layoutFile, nil)
	if broken := (*template.Error)(nil); errors.As(err, &broken) {
		return nil, fmt.Errorf("%s: %w", name, broken)
	}
	completed.Store(key, used)
	return used, nil
}
