package sqldb

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var placeholder = regexp.MustCompile(`\$[0-9]+`)

// TestPlaceholdersFirstAppearInOrder reads this package's SQL: SQLite numbers
// $1, $2, … by first appearance, not by what they say.
func TestPlaceholdersFirstAppearInOrder(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			highest := 0
			for _, p := range placeholder.FindAllString(text, -1) {
				found++
				switch n, _ := strconv.Atoi(p[1:]); {
				case n == highest+1:
					highest = n
				case n > highest:
					t.Errorf("%s: %s appears before $%d in %s", name, p, highest+1, text)
				}
			}
			return true
		})
	}
	if found < 100 {
		t.Errorf("only %d placeholders were found", found)
	}
}

func TestMigrationsAreNumberedAlike(t *testing.T) {
	var counts []int
	for _, dialect := range []string{"sqlite", "postgres"} {
		files, err := fs.Glob(migrations, "migrations/"+dialect+"/*")
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range files {
			if want := fmt.Sprintf("migrations/%s/%04d_", dialect, i+1); !strings.HasPrefix(name, want) || !strings.HasSuffix(name, ".sql") {
				t.Errorf("%s does not begin with %s or is no SQL", name, want)
			}
		}
		counts = append(counts, len(files))
	}
	if counts[0] != counts[1] || counts[0] == 0 {
		t.Errorf("the dialects have %v migrations", counts)
	}
}
