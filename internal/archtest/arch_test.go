package archtest

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/stepgate/stepgate/"

// pkg is one package of the module as its files say it.
type pkg struct {
	room    string // path below the module, without "internal/"
	name    string // of the package clause
	files   []string
	imports []imported
}

// imported is one import line.
type imported struct {
	path string // ours as room, others as written
	ours bool
	test bool
	at   string // FILE:LINE
}

func TestImportsFollowTheDependencyRule(t *testing.T) {
	for _, p := range load(t) {
		line, ok := lineOf(p.room)
		if !ok {
			t.Errorf("%s is in no room of the rule: add a line to rule_test.go", p.room)
			continue
		}
		for _, i := range p.imports {
			if err := line.allows(p.room, i); err != nil {
				t.Errorf("%s: %v", i.at, err)
			}
		}
	}
}

func TestPeersNeverImportPeers(t *testing.T) {
	for _, p := range load(t) {
		for _, i := range p.imports {
			if i.ours && i.path != p.room && arePeers(p.room, i.path) {
				t.Errorf("%s: %s imports its peer %s; they meet in caddymodule", i.at, p.room, i.path)
			}
		}
	}
}

func TestSomeImportsBelongToOneRoom(t *testing.T) {
	for _, p := range load(t) {
		for _, i := range p.imports {
			for _, rule := range only {
				if !covers(rule.imported, i.path) || i.path == p.room || i.test && rule.tests || slices.Contains(strings.Fields(rule.rooms), p.room) {
					continue
				}
				t.Errorf("%s: %s imports %s: %s", i.at, p.room, i.path, rule.because)
			}
		}
	}
}

func TestWhatDecidesIsPure(t *testing.T) {
	for _, p := range load(t) {
		if !slices.Contains(pure, p.room) {
			continue
		}
		for _, i := range p.imports {
			if !i.test && slices.Contains(impurity, i.path) {
				t.Errorf("%s: %s imports %s, but decides only from what it is given", i.at, p.room, i.path)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range load(t) {
		if !slices.Contains(p.files, "doc.go") {
			t.Errorf("%s has no doc.go", p.room)
		}
		if slices.Contains(nameless, p.name) || slices.Contains(nameless, path.Base(p.room)) {
			t.Errorf("%s: the name says nothing; a helper lives beside its first user", p.room)
		}
	}
}

// TestTheRuleSaysNo shows that a wrong arrow is seen.
func TestTheRuleSaysNo(t *testing.T) {
	code := func(path string) imported { return imported{path: path, ours: true} }
	test := func(path string) imported { return imported{path: path, ours: true, test: true} }
	for _, c := range []struct {
		from string
		i    imported
		want bool
	}{
		{"caddymodule", code("people"), true},
		{"people", code("account"), true},
		{"people", code("challenge"), false},
		{"people", test("challenge"), true},
		{"people", test("caddymodule"), false},
		{"policy", code("policy/target"), true},
		{"policy", test("account"), false},
		{"web", code("account"), false},
		{"web", test("legacytest"), true},
		{"signin/ldap", code("signin"), true},
		{"signin/ldap", code("weld"), false},
		{"signin/legacyform", code("weld"), true},
		{"demo", code("account"), false},
		{"store/sqldb", code("factors/oob"), true},
		{"store/sqldb", code("web"), false},
		{"store/sqldb", code("challenge"), false},
	} {
		line, ok := lineOf(c.from)
		if !ok {
			t.Fatalf("no line for %s", c.from)
		}
		if err := line.allows(c.from, c.i); (err == nil) != c.want {
			t.Errorf("%s imports %s (test: %t): %v, want allowed: %t", c.from, c.i.path, c.i.test, err, c.want)
		}
	}
	if !arePeers("signin/ldap", "signin/oidc") || !arePeers("challenge", "admin") || arePeers("signin/ldap", "signin") {
		t.Error("peers are not told apart from others")
	}
}

// TestEveryLineOfTheRuleIsRight keeps the table from naming rooms twice.
func TestEveryLineOfTheRuleIsRight(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rooms {
		if seen[r.name] {
			t.Errorf("the rule has two lines for %s", r.name)
		}
		seen[r.name] = true
	}
	for _, r := range rooms {
		for _, other := range strings.Fields(r.may) {
			if _, ok := lineOf(other); !ok && other != everything && !seen[other] {
				t.Errorf("%s may import %s, which is no room", r.name, other)
			}
		}
	}
}

// everything stands in a line that allows all of ours.
const everything = "…"

// allows says what is wrong with an import of ours.
func (r room) allows(from string, i imported) error {
	may := strings.Fields(r.may)
	if !i.ours || i.path == from || slices.Contains(may, everything) {
		return nil
	}
	if i.test && r.closed {
		may = append(may, "legacytest")
	}
	switch {
	case slices.ContainsFunc(may, func(m string) bool { return m == i.path || m == path.Dir(i.path)+"/*" }):
		return nil
	case i.test && !r.closed && !isAbove(i.path):
		return nil
	case r.because != "":
		return fmt.Errorf("%s imports %s; it may import %s (%s)", from, i.path, orNothing(may), r.because)
	default:
		return fmt.Errorf("%s imports %s; it may import %s", from, i.path, orNothing(may))
	}
}

// isAbove tells whether a room stands above all others: nothing below may
// reach up to it, not even a test.
func isAbove(room string) bool {
	return room == "caddymodule" || strings.HasPrefix(room, "caddymodule/") || strings.HasPrefix(room, "cmd/")
}

func orNothing(rooms []string) string {
	if len(rooms) == 0 {
		return "nothing of ours"
	}
	return strings.Join(rooms, ", ")
}

// lineOf finds the rule's line for a room: its own before its family's.
func lineOf(name string) (room, bool) {
	for _, wanted := range []string{name, path.Dir(name) + "/*"} {
		if i := slices.IndexFunc(rooms, func(r room) bool { return r.name == wanted }); i >= 0 {
			return rooms[i], true
		}
	}
	return room{}, false
}

func arePeers(a, b string) bool {
	if slices.Contains(notPeers, a) || slices.Contains(notPeers, b) {
		return false
	}
	for _, family := range peers {
		if isMember(family, a) && isMember(family, b) {
			return true
		}
	}
	return false
}

func isMember(family []string, name string) bool {
	return slices.ContainsFunc(family, func(f string) bool { return f == name || f == path.Dir(name)+"/*" })
}

// covers tells whether a path is the one named, or below it.
func covers(named, path string) bool {
	if root, ok := strings.CutSuffix(named, "/..."); ok {
		return path == root || strings.HasPrefix(path, root+"/")
	}
	return path == named
}

// load reads the packages of the module.
func load(t *testing.T) []*pkg {
	t.Helper()
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatal(err)
	}
	found := map[string]*pkg{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && file != root && (name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(file, ".go") {
			return nil
		}
		return read(found, root, file)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 10 {
		t.Fatalf("found only %d packages", len(found))
	}
	var list []*pkg
	for _, p := range found {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *pkg) int { return strings.Compare(a.room, b.room) })
	return list
}

// read adds one file to its package.
func read(found map[string]*pkg, root, file string) error {
	below, err := filepath.Rel(root, file)
	if err != nil {
		return err
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, nil, parser.ImportsOnly)
	if err != nil {
		return err
	}
	room := roomOf(filepath.ToSlash(filepath.Dir(below)))
	p := found[room]
	if p == nil {
		p = &pkg{room: room}
		found[room] = p
	}
	p.files = append(p.files, filepath.Base(file))
	p.name = strings.TrimSuffix(parsed.Name.Name, "_test")
	for _, spec := range parsed.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		i := imported{path: name, test: strings.HasSuffix(file, "_test.go")}
		i.at = fmt.Sprintf("%s:%d", filepath.ToSlash(below), files.Position(spec.Pos()).Line)
		if ours, ok := strings.CutPrefix(name, module); ok {
			i.path, i.ours = roomOf(ours), true
		}
		p.imports = append(p.imports, i)
	}
	return nil
}

func roomOf(dir string) string { return strings.TrimPrefix(dir, "internal/") }
