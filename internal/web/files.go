package web

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strings"
)

// bundle is the files of one set, the operator's laid over ours.
type bundle struct {
	templates map[string]string    // file name to text
	texts     map[string]Catalogue // language to texts
	assets    map[string][]byte    // name to content
}

// readBundle reads a set's files and then the operator's of the same set,
// which replace templates and assets whole and texts one by one. They may bring
// assets and languages, but no pages that nobody would show.
func readBundle(fsys, override fs.FS, set string) (*bundle, error) {
	b := &bundle{templates: map[string]string{}, texts: map[string]Catalogue{}, assets: map[string][]byte{}}
	if err := b.add(fsys); err != nil {
		return nil, fmt.Errorf("pages %s: %w", set, err)
	}
	if override == nil {
		return b, nil
	}
	sub, err := fs.Sub(override, set)
	if err != nil {
		return nil, fmt.Errorf("pages %s: override: %w", set, err)
	}
	ours := maps.Clone(b.templates)
	if err := b.add(sub); err != nil {
		return nil, fmt.Errorf("pages %s: override: %w", set, err)
	}
	for name := range b.templates {
		if _, ok := ours[name]; !ok {
			return nil, fmt.Errorf("pages %s: override: %s replaces nothing", set, name)
		}
	}
	return b, nil
}

// add reads fsys; one that does not exist has no files.
func (b *bundle) add(fsys fs.FS) error {
	err := eachFile(fsys, ".", func(name string, data []byte) error {
		if lang, ok := textsOf(name); ok {
			return b.addTexts(name, lang, data)
		}
		if strings.HasSuffix(name, ".html") {
			b.templates[name] = string(data)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return eachFile(fsys, "assets", func(name string, data []byte) error {
		b.assets[name] = data
		return nil
	})
}

func (b *bundle) addTexts(name, lang string, data []byte) error {
	texts, err := parseCatalogue(data)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if b.texts[lang] == nil {
		b.texts[lang] = Catalogue{}
	}
	for id, text := range texts {
		b.texts[lang][id] = text
	}
	return nil
}

// textsOf reads the language from texts_LANG.json.
func textsOf(name string) (lang string, ok bool) {
	rest, ok := strings.CutPrefix(name, "texts_")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(rest, ".json")
}

func eachFile(fsys fs.FS, dir string, do func(name string, data []byte) error) error {
	entries, err := fs.ReadDir(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		data, err := fs.ReadFile(fsys, path.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		if err := do(e.Name(), data); err != nil {
			return err
		}
	}
	return nil
}
