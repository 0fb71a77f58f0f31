package audit

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryEventIsWrittenBySomething keeps the page of events from telling of
// what never happens.
func TestEveryEventIsWrittenBySomething(t *testing.T) {
	names, err := os.ReadFile("name.go")
	if err != nil {
		t.Fatal(err)
	}
	unwritten := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\t([A-Z]\w+)\s+Name = "`).FindAllStringSubmatch(string(names), -1) {
		unwritten[m[1]] = true
	}
	if len(unwritten) != len(Kinds()) {
		t.Fatalf("%d constants for %d kinds", len(unwritten), len(Kinds()))
	}
	word := regexp.MustCompile(`\w+`)
	err = filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || path == filepath.Join("..", "..", "internal", "audit", "name.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, w := range word.FindAllString(string(text), -1) {
			delete(unwritten, w)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range unwritten {
		t.Errorf("%s is in the catalogue, and nothing writes it", name)
	}
}
