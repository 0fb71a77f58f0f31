package caddymodule

import (
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// pageSets are the sets of pages, as folders of an operator's templates are
// called.
var pageSets = []string{"web", "challenge", "selfservice", "admin"}

// override is the operator's folder; nil for none. What in it would replace
// nothing is an error: a page that was meant to be another one would stay.
func (p *PagesConfig) override() (fs.FS, error) {
	if p.Templates == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(p.Templates)
	if err != nil {
		return nil, fmt.Errorf("pages templates: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && !slices.Contains(pageSets, e.Name()) {
			return nil, fmt.Errorf("pages templates %s: no set of pages is called %q; expected %s", p.Templates, e.Name(), strings.Join(pageSets, ", "))
		}
	}
	return os.DirFS(p.Templates), nil
}
