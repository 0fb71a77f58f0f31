package legacytest

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// Server is one running web server or web application.
type Server struct {
	URL  string // http://127.0.0.1:PORT, no slash at the end
	Addr string // 127.0.0.1:PORT
	Dir  string // the rig's own files; gone after the test
}

// Account is a person an application knows, by the name and password that its
// login form takes.
type Account struct {
	Username string
	Password string
}

// Options say how an application is started. The zero value will do.
type Options struct {
	// PublicURL is the address under which browsers see the application, where
	// a gateway stands in front: scheme, host and port. Only MediaWiki needs to
	// know. Empty means the application's own address.
	PublicURL string
}

// portOf is the port of an address that FreeAddr returned.
func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

// needs skips or fails the test unless some file of the Debian package is
// there. The pattern is one of filepath.Match.
func needs(tb testing.TB, debian, pattern string) {
	tb.Helper()
	if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
		return
	}
	const text = "legacytest: Debian package %s is not installed (no %s); scripts/install-test-packages installs it"
	if os.Getenv("STEPGATE_TEST_REQUIRE") != "" {
		tb.Fatalf(text, debian, pattern)
	}
	tb.Skipf(text, debian, pattern)
}

// newDir makes a folder that the servers' user can reach, which t.TempDir is
// not. It is removed after everything that was started later has ended.
func newDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "legacytest-")
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("legacytest: remove the rig's folder: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	return dir
}

// put writes files below dir, by relative name.
func put(tb testing.TB, dir string, files map[string]string) {
	tb.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatalf("legacytest: %v", err)
		}
		mode := os.FileMode(0o644)
		if len(text) > 2 && text[:2] == "#!" {
			mode = 0o755
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			tb.Fatalf("legacytest: %v", err)
		}
	}
}

// makeDirs makes empty folders below dir.
func makeDirs(tb testing.TB, dir string, names ...string) {
	tb.Helper()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			tb.Fatalf("legacytest: %v", err)
		}
	}
}

// copyFiles copies the plain files of a folder, not its folders, and leaves
// alone what is there already.
func copyFiles(tb testing.TB, from, to string) {
	tb.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	for _, e := range entries {
		target := filepath.Join(to, e.Name())
		if _, err := os.Stat(target); err == nil || !e.Type().IsRegular() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = os.WriteFile(target, data, 0o644)
		}
		if err != nil {
			tb.Fatalf("legacytest: %v", err)
		}
	}
}
