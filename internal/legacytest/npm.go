package legacytest

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed testdata/oidcprovider testdata/libraries
var nodePrograms embed.FS

// nodeModules is a folder with the packages that testdata/NAME's lock file
// names, and that folder's own files. It is made at the first use on a machine,
// by npm from its registry, and kept in the user's cache.
func nodeModules(tb testing.TB, name string) string {
	tb.Helper()
	needsProgram(tb, "nodejs", "node")
	needsProgram(tb, "npm", "npm")
	program, err := fs.Sub(nodePrograms, "testdata/"+name)
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	sum := sha256.New()
	for _, file := range []string{"package.json", "package-lock.json"} {
		text, err := fs.ReadFile(program, file)
		if err != nil {
			tb.Fatalf("legacytest: %v", err)
		}
		sum.Write(text)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	kept := filepath.Join(cache, "stepgate-test", name+"-"+hex.EncodeToString(sum.Sum(nil)[:6]))
	if _, err := os.Stat(kept); err != nil {
		installModules(tb, program, kept)
	}
	dir := newDir(tb)
	if err := os.CopyFS(dir, program); err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	// A copy, for the servers' user cannot reach the cache.
	if err := os.CopyFS(filepath.Join(dir, "node_modules"), os.DirFS(filepath.Join(kept, "node_modules"))); err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	return dir
}

// installModules fills a folder beside the kept one and renames it, so that
// test binaries which run at once never see half of it.
func installModules(tb testing.TB, program fs.FS, kept string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(kept), "fresh-")
	if err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	defer os.RemoveAll(fresh)
	if err := os.CopyFS(fresh, program); err != nil {
		tb.Fatalf("legacytest: %v", err)
	}
	npm := exec.CommandContext(tb.Context(), "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = fresh
	if out, err := npm.CombinedOutput(); err != nil {
		tb.Fatalf("legacytest: npm ci: %v\n%s", err, out)
	}
	if err := os.Rename(fresh, kept); err != nil {
		if _, there := os.Stat(kept); there != nil {
			tb.Fatalf("legacytest: %v", err)
		}
	}
}

// needsProgram skips or fails the test unless a program of the Debian package
// is on the path.
func needsProgram(tb testing.TB, debian, program string) {
	tb.Helper()
	if path, err := exec.LookPath(program); err == nil {
		needs(tb, debian, path)
		return
	}
	needs(tb, debian, "/usr/bin/"+program)
}
