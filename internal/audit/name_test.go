package audit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"testing"
)

// Every Name constant of this package has its line in the registry, and the
// registry describes nothing else.
func TestKindsDescribeEveryName(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "name.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[Name]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return true
		}
		if id, ok := v.Type.(*ast.Ident); !ok || id.Name != "Name" {
			return true
		}
		text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if declared[Name(text)] {
			t.Errorf("%s is declared twice", text)
		}
		declared[Name(text)] = true
		if !Name(text).Known() {
			t.Errorf("%s is not described", text)
		}
		return true
	})
	if len(declared) < 50 {
		t.Fatalf("only %d names were found", len(declared))
	}
	shape := regexp.MustCompile(`^[a-z]+(_[a-z]+)+$`)
	for _, k := range Kinds() {
		if !declared[k.Name] || !shape.MatchString(string(k.Name)) || k.Text == "" || k.Severity == "" {
			t.Errorf("%+v", k)
		}
	}
}
