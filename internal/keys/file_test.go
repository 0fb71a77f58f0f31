package keys

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// refusedFile checks that Load stops the start with a message that says which
// file, what is lost without it, and how to mend it, and tells no secret.
func refusedFile(t *testing.T, path, problem string) error {
	t.Helper()
	r, err := Load(path)
	if err == nil || r != nil {
		t.Fatalf("Load gave %v, %v", r, err)
	}
	var file *FileError
	if !errors.As(err, &file) || file.Mend == "" {
		t.Fatalf("%v does not say how to mend it", err)
	}
	for _, part := range []string{path, problem, lostWithout, file.Mend} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	return err
}

func TestCreateMakesAPrivateFileThatLoads(t *testing.T) {
	r, path := create(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); runtime.GOOS != "windows" && got != 0o600 {
		t.Errorf("mode %04o", got)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "# ") || !strings.Contains(string(text), "cannot\n# be read again") {
		t.Errorf("the head does not say what is lost without the file:\n%.200s", text)
	}
	want := []Info{{ID: r.List()[0].ID, Created: day, Primary: true}}
	if diff := cmp.Diff(want, load(t, path).List()); diff != "" {
		t.Error(diff)
	}
}

func TestCreateLeavesAFileThatIsThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "stepgate.key")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	dangling := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), dangling); err != nil {
		t.Skip(err)
	}
	for _, p := range []string{path, dangling, dir} {
		if _, err := Create(p, day); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), p) {
			t.Errorf("%s: %v", p, err)
		}
	}
	if text, _ := os.ReadFile(path); string(text) != "precious" {
		t.Errorf("the file is now %q", text)
	}
	if _, err := os.Stat(filepath.Join(dir, "elsewhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file was made through the link")
	}
}

func TestCreateNamesTheDirectoryThatIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "stepgate.key")
	if _, err := Create(path, day); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestLoadRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	if err := refusedFile(t, missing, "is missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
	refusedFile(t, dir, "is a directory")
}

func TestLoadFollowsALinkAndNamesADanglingOne(t *testing.T) {
	_, path := create(t)
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	load(t, link)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refusedFile(t, link, "is a symbolic link that points to nothing")
}

func TestLoadAcceptsOnlyModesThatNobodyElseCanUse(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes mean nothing here")
	}
	_, path := create(t)
	for mode := fs.FileMode(0o400); mode <= 0o777; mode++ {
		if mode&0o400 == 0 {
			continue
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if mode&0o077 != 0 {
			refusedFile(t, path, "can be reached by others")
		} else {
			load(t, path)
		}
	}
}

func TestLoadRefusesWhatItDoesNotWhollyUnderstand(t *testing.T) {
	_, path := create(t)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	line := lines[len(lines)-1]
	f := strings.Fields(line)
	join := func(fields ...string) string { return strings.Join(fields, " ") }
	swap := map[bool]string{true: "B", false: "A"}
	altered := swap[f[3][0] == 'A'] + f[3][1:]

	for name, row := range map[string]struct{ text, problem string }{
		"empty":               {"", "there is no key in it"},
		"only comments":       {"# v1\n\n", "there is no key in it"},
		"another version":     {join("v2", f[1], f[2], f[3]), "line 1: not a key line"},
		"a field missing":     {"# head\n" + join("v1", f[1], f[3]), "line 2: not a key line"},
		"a field too many":    {join(line, "primary"), "line 1: not a key line"},
		"another mark":        {join("v1", f[1], f[2], f[3], "spare"), "line 1: not a key line"},
		"no time":             {join("v1", f[1], "yesterday", f[3]), "line 1: the time of creation"},
		"no base64":           {join("v1", f[1], f[2], "*"+f[3]), "line 1: the secret is not base64"},
		"cut":                 {join("v1", f[1], f[2], f[3][:20]), "line 1: the secret is too short: 120 bits"},
		"248 bits":            {join("v1", f[1], f[2], strings.Repeat("AAAA", 10)+"AA=="), "line 1: the secret is too short: 248 bits"},
		"another secret":      {join("v1", f[1], f[2], altered), "line 1: the secret does not belong to the ID"},
		"another ID":          {join("v1", "0000000000000000", f[2], f[3]), "line 1: the secret does not belong to the ID"},
		"twice":               {line + "\n" + line, "line 2: the key stands in the file twice"},
		"something else":      {"-----BEGIN PRIVATE KEY-----\n", "line 1: not a key line"},
		"random bytes":        {"\x00\xff\xfe\n\x01", "line 1: not a key line"},
		"a good and bad line": {line + "\nrest", "line 2: not a key line"},
		"far too large":       {line + "\n" + strings.Repeat("#", maxFileBytes), "is too large"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(row.text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := refusedFile(t, path, row.problem)
			if strings.Contains(err.Error(), f[3][1:]) {
				t.Error("the message tells the secret")
			}
		})
	}
}

func TestLoadRefusesTwoPrimaries(t *testing.T) {
	r, path := create(t)
	rotate(t, r, path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines[len(lines)-2] += " primary"
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	refusedFile(t, path, "a second key is marked primary")
}

func TestLoadTakesTheLastKeyWhereNoneIsMarked(t *testing.T) {
	r, path := create(t)
	rotate(t, r, path)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	plain := strings.ReplaceAll(string(text), " primary\n", "\r\n") // as an editor may leave it
	if err := os.WriteFile(path, []byte(plain), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r.List(), load(t, path).List()); diff != "" {
		t.Error(diff)
	}
}

func FuzzLoad(f *testing.F) {
	r, path := create(f)
	rotate(f, r, path)
	text, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("v1 0000000000000000 2026-03-01T12:00:00Z AAAA primary\n"))
	f.Add([]byte("# nothing"))
	f.Fuzz(func(t *testing.T, text []byte) {
		set, err := parseFile(text)
		if err != nil {
			return
		}
		if len(set.keys) == 0 || set.primary < 0 || set.primary >= len(set.keys) {
			t.Fatalf("half a ring: %d keys, primary %d", len(set.keys), set.primary)
		}
		for _, k := range set.keys {
			if len(k.secret) < secretBytes {
				t.Fatal("a short key was accepted")
			}
		}
		again, err := parseFile(formatFile(set))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(newRing(set).List(), newRing(again).List()); diff != "" {
			t.Error(diff)
		}
	})
}
