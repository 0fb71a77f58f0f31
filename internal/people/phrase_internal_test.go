package people

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// verb is a verb of package fmt.
var verb = regexp.MustCompile(`%(\[\d\])?[a-z]`)

// saidHere are the formats of all phrases in the files of this package.
func saidHere(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.Ident); !ok || f.Name != "say" {
				return true
			}
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("a phrase is no literal: %T", call.Args[0])
				return true
			}
			format, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, format)
			return true
		})
	}
	return all
}

// forCommands tells whether a phrase is for whoever types commands: it names
// one, and no page shows it.
func forCommands(format string) bool { return strings.Contains(format, "`") }

func TestEveryPhraseIsInEveryLanguage(t *testing.T) {
	all := saidHere(t)
	for act := range rights {
		all = append(all, string(act))
	}
	if len(all) < 100 {
		t.Fatalf("only %d phrases were found", len(all))
	}
	for language, texts := range phrases {
		for _, format := range all {
			text, ok := texts[format]
			switch {
			case !ok && !forCommands(format) && verb.ReplaceAllString(format, "") != "" && format != "%s: %s":
				t.Errorf("%s has no words for %q", language, format)
			case ok && !slices.Equal(verb.FindAllString(text, -1), verb.FindAllString(format, -1)):
				t.Errorf("%s says %q of other things than %q", language, text, format)
			}
		}
		for format := range texts {
			if !slices.Contains(all, format) {
				t.Errorf("%s has %q, which nobody says", language, format)
			}
		}
	}
}

func TestAPhraseIsReadInALanguageWithItsParts(t *testing.T) {
	no := &Error{Text: say("role %q may not %s", "user", ActManage), Mend: say("say which one: %s", list([]string{"a", "b", "c"}))}
	if got, want := no.Error(), `role "user" may not manage accounts: say which one: a, b or c`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := no.In("cy"), `Ni chaiff y rôl "user" reoli cyfrifon: dywedwch pa un: a, b neu c`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := no.In("fr"), no.Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	table := &Error{Text: Phrase{rows: []Phrase{say("line %d: %s", 2, no.whole()), say("and %d more lines", 3)}}}
	if got := table.In("cy"); !strings.HasPrefix(got, "llinell 2: Ni chaiff") || !strings.HasSuffix(got, "\na 3 llinell arall") {
		t.Errorf("got %q", got)
	}
	if !(Phrase{}).Empty() || say("x").Empty() || (&Error{Text: say("100%")}).Error() != "100%" {
		t.Error("phrases without arguments are not as they are written")
	}
}
